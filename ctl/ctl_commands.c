/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"
#include "engine/base/cc.h"

/* ---- answers ---- */

static enum ctl_exit
refused(struct ctl *c, const struct ctl_reply *reply, const json_t *o)
{
	const json_t *error = json_object_get(o, "error");

	if (c->json)
		fputs(reply->body.p, stdout);
	if (json_is_string(error))
		ctl_complain("refused: %s", ctl_text(c, error));
	else
		ctl_complain("refused with status %u", reply->status);
	return (CTL_REFUSED);
}

enum ctl_exit
ctl_object(struct ctl *c, const struct ctl_reply *reply, json_t **o_r)
{
	json_t *o = json_loadb(reply->body.p, reply->body.len, 0, NULL);
	enum ctl_exit rc = CTL_OK;

	if (!json_is_object(o)) {
		ctl_complain("%s: what answers there is no admin listener of Weir (status %u)",
		    c->where, reply->status);
		rc = CTL_UNREACHABLE;
	} else if (reply->status < 200 || reply->status > 299) {
		rc = refused(c, reply, o);
	}
	*o_r = rc == CTL_OK ? json_incref(o) : NULL;
	json_decref(o);
	return (rc);
}

/* One call whose answer is an object; with --json it is printed and *o_r is NULL. */
static enum ctl_exit
ask(struct ctl *c, const char *method, const char *target, json_t **o_r)
{
	struct ctl_reply reply;
	enum ctl_exit rc;

	*o_r = NULL;
	if (!ctl_call(c, method, target, &reply))
		return (CTL_UNREACHABLE);
	rc = ctl_object(c, &reply, o_r);
	if (rc == CTL_OK && c->json) {
		fputs(reply.body.p, stdout);
		json_decref(*o_r);
		*o_r = NULL;
	}
	return (rc);
}

/* ---- status ---- */

static const char *
uptime(struct ctl *c, const json_t *seconds)
{
	enum { MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR };
	long long s = (long long)json_integer_value(seconds);

	if (s < MINUTE)
		return (arena_printf(c->arena, "%llds", s));
	if (s < HOUR)
		return (arena_printf(c->arena, "%lldm %llds", s / MINUTE, s % MINUTE));
	if (s < DAY)
		return (arena_printf(c->arena, "%lldh %lldm", s / HOUR, s % HOUR / MINUTE));
	return (arena_printf(c->arena, "%lldd %lldh", s / DAY, s % DAY / HOUR));
}

static void
print_listeners(struct ctl *c, json_t *listeners)
{
	static const char *const heading[] = { "LISTENER", "CONNECTIONS", "ADDRESSES" };
	struct ctl_table t;
	const char *name;
	json_t *l;

	ctl_table_init(&t, c, array_len(heading), 1 << 1, heading);
	json_object_foreach(listeners, name, l) {
		const json_t *addresses = json_object_get(l, "addresses");
		const char *text = "";

		for (size_t i = 0; i < json_array_size(addresses); i++)
			text = arena_printf(c->arena, "%s%s%s", text, i > 0 ? " " : "",
			    ctl_text(c, json_array_get(addresses, i)));
		ctl_table_add(&t, ctl_name(c, name));
		ctl_table_add(&t, ctl_number(c, json_object_get(l, "connections")));
		ctl_table_add(&t, text);
	}
	ctl_table_print(&t);
}

/* How the last reload ended, and what kept the files out. */
static const char *
last_reload(struct ctl *c, const json_t *last)
{
	const json_t *error = json_object_get(last, "error");

	if (!json_is_object(last))
		return ("-");
	return (arena_printf(c->arena, "%s %s%s%s",
	    json_is_true(json_object_get(last, "ok")) ? "ok" : "failed",
	    ctl_text(c, json_object_get(last, "time")), json_is_string(error) ? "  " : "",
	    json_is_string(error) ? ctl_text(c, error) : ""));
}

static enum ctl_exit
status(struct ctl *c)
{
	static const char *const numbers[] = { "generation", "routes", "upstreams", "workers",
		"connections" };
	enum ctl_exit rc;
	json_t *o;

	rc = ask(c, "GET", "/status", &o);
	if (o == NULL)
		return (rc);
	printf("%s %s, pid %s, up %s\n\n", ctl_text(c, json_object_get(o, "program")),
	    ctl_text(c, json_object_get(o, "version")), ctl_number(c, json_object_get(o, "pid")),
	    uptime(c, json_object_get(o, "uptime_seconds")));
	printf("%-12s %s\n", "state", ctl_text(c, json_object_get(o, "state")));
	for (size_t i = 0; i < array_len(numbers); i++)
		printf("%-12s %s\n", numbers[i], ctl_number(c, json_object_get(o, numbers[i])));
	printf("%-12s %s\n", "last reload", last_reload(c, json_object_get(o, "last_reload")));
	fputs("\n", stdout);
	print_listeners(c, json_object_get(o, "listeners"));
	json_decref(o);
	return (rc);
}

/* What the process has put into words or into JSON. */
static void
put_body(struct ctl *c, const struct ctl_reply *reply)
{
	if (c->json)
		(void)fwrite(reply->body.p, 1, reply->body.len, stdout);
	else
		ctl_put_lines(c, reply->body);
}

/* ---- config ---- */

static enum ctl_exit
config(struct ctl *c)
{
	struct ctl_reply reply;
	const char *target = c->json ? "/config?format=json" : "/config";
	json_t *o;

	if (*c->route != '\0')
		target = arena_printf(c->arena, "%s%croute=%s", target, c->json ? '&' : '?',
		    ctl_escape(c, c->route));
	if (!ctl_call(c, "GET", target, &reply))
		return (CTL_UNREACHABLE);
	if (reply.status != 200)
		return (ctl_object(c, &reply, &o));
	put_body(c, &reply);
	return (CTL_OK);
}

/* ---- explain ---- */

/* "METHOD URL", or a URL alone, as the command line of the gateway has it. */
static const char *
explain_target(struct ctl *c)
{
	const char *request = c->args[0], *space = strchr(request, ' '), *target;
	const char *slash = strchr(request, '/');

	target = arena_printf(c->arena, "/explain?format=%s", c->json ? "json" : "text");
	if (space != NULL && (slash == NULL || space < slash)) {
		target = arena_printf(c->arena, "%s&method=%s", target, ctl_escape(c,
		    arena_cstr(c->arena, slice_of(request, (size_t)(space - request)))));
		request = space + strspn(space, " ");
	}
	target = arena_printf(c->arena, "%s&url=%s", target, ctl_escape(c, request));
	if (*c->listener != '\0')
		target = arena_printf(c->arena, "%s&listener=%s", target,
		    ctl_escape(c, c->listener));
	if (*c->client != '\0')
		target = arena_printf(c->arena, "%s&client=%s", target, ctl_escape(c, c->client));
	for (unsigned i = 0; i < c->n_fields; i++)
		target = arena_printf(c->arena, "%s&header=%s", target,
		    ctl_escape(c, c->fields[i]));
	return (target);
}

static enum ctl_exit
explain(struct ctl *c)
{
	struct ctl_reply reply;
	json_t *o;

	if (c->n_args == 0) {
		ctl_complain("explain: a request is due: 'GET https://example.com/path'");
		return (CTL_USAGE);
	}
	if (!ctl_call(c, "GET", explain_target(c), &reply))
		return (CTL_UNREACHABLE);
	if (reply.status != 200)
		return (ctl_object(c, &reply, &o));
	put_body(c, &reply);
	return (CTL_OK);
}

/* ---- reload ---- */

/* Which process was reached: several may run. Of one that does not say it, nothing. */
static const char *
who(struct ctl *c, const json_t *o)
{
	const json_t *pid = json_object_get(o, "pid");

	if (!json_is_integer(pid))
		return ("");
	return (arena_printf(c->arena, " (%s, pid %s)", ctl_text(c, json_object_get(o, "program")),
	    ctl_number(c, pid)));
}

/* As `check` prints it, but for the lines of the files, which lie with the process. */
static void
print_mistakes(struct ctl *c, const json_t *o)
{
	const json_t *all = json_object_get(o, "diagnostics");
	long long left = (long long)(json_integer_value(json_object_get(o, "errors")) +
	    json_integer_value(json_object_get(o, "warnings"))) - (long long)json_array_size(all);

	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *it = json_array_get(all, i);
		const json_t *file = json_object_get(it, "file");
		const json_t *hint = json_object_get(it, "hint");

		if (json_is_string(file))
			fprintf(stderr, "%s:%s:%s: ", ctl_text(c, file),
			    ctl_number(c, json_object_get(it, "line")),
			    ctl_number(c, json_object_get(it, "column")));
		fprintf(stderr, "%s: %s%s%s\n", ctl_text(c, json_object_get(it, "level")),
		    ctl_text(c, json_object_get(it, "message")), json_is_string(hint) ? "; " : "",
		    json_is_string(hint) ? ctl_text(c, hint) : "");
	}
	if (left > 0)
		fprintf(stderr, "and %lld more\n", left);
}

static enum ctl_exit
reload(struct ctl *c)
{
	struct ctl_reply reply;
	const char *generation;
	enum ctl_exit rc;
	json_t *o;
	bool ok;

	if (!ctl_call(c, "POST", "/reload", &reply))
		return (CTL_UNREACHABLE);
	o = json_loadb(reply.body.p, reply.body.len, 0, NULL);
	if (!json_is_boolean(json_object_get(o, "ok"))) {
		json_decref(o);
		rc = ctl_object(c, &reply, &o);
		json_decref(o);
		return (rc == CTL_OK ? CTL_UNREACHABLE : rc);
	}
	ok = json_is_true(json_object_get(o, "ok"));
	generation = ctl_number(c, json_object_get(o, "generation"));
	if (c->json) {
		fputs(reply.body.p, stdout);
	} else {
		print_mistakes(c, o);
		if (json_object_get(o, "error") != NULL)
			ctl_complain("%s", ctl_text(c, json_object_get(o, "error")));
		if (ok)
			printf("configuration %s is in force%s\n", generation, who(c, o));
		else
			ctl_complain("reload failed: configuration %s stays in force%s",
			    generation, who(c, o));
	}
	json_decref(o);
	return (ok ? CTL_OK : CTL_REFUSED);
}

/* ---- drain, log-level ---- */

static enum ctl_exit
drain(struct ctl *c)
{
	enum ctl_exit rc;
	json_t *o;

	rc = ask(c, "POST", "/drain", &o);
	if (o != NULL)
		printf("draining%s\n", who(c, o));
	json_decref(o);
	return (rc);
}

static enum ctl_exit
log_level(struct ctl *c)
{
	enum ctl_exit rc;
	json_t *o;

	if (c->n_args == 0)
		rc = ask(c, "GET", "/log-level", &o);
	else
		rc = ask(c, "POST", arena_printf(c->arena, "/log-level?level=%s",
		    ctl_escape(c, c->args[0])), &o);
	if (o != NULL)
		puts(ctl_text(c, json_object_get(o, "level")));
	json_decref(o);
	return (rc);
}

/* ---- which ---- */

static const struct {
	const char	*name;
	unsigned	 max_args;
	enum ctl_exit	(*run)(struct ctl *);
} commands[] = {
	{ "status", 0, status },
	{ "upstreams", 0, ctl_upstreams },
	{ "config", 0, config },
	{ "explain", 1, explain },
	{ "reload", 0, reload },
	{ "drain", 0, drain },
	{ "log-level", 1, log_level },
};

enum ctl_exit
ctl_run(struct ctl *c)
{
	size_t i = 0;

	if (strcmp(c->command, "help") == 0) {
		ctl_usage();
		return (CTL_OK);
	}
	if (strcmp(c->command, "version") == 0) {
		printf("weirctl %s\n", PACKAGE_VERSION);
		return (CTL_OK);
	}
	while (i < array_len(commands) && strcmp(commands[i].name, c->command) != 0)
		i++;
	if (i == array_len(commands)) {
		ctl_complain("unknown command: %s (weirctl --help)", c->command);
	} else if (c->n_args > commands[i].max_args) {
		ctl_complain("%s: one argument too many: %s", c->command,
		    c->args[commands[i].max_args]);
	} else if (*c->route != '\0' && commands[i].run != config) {
		ctl_complain("%s: --route belongs to config", c->command);
	} else if ((*c->listener != '\0' || *c->client != '\0' || c->n_fields > 0) &&
	    commands[i].run != explain) {
		ctl_complain("%s: -H, --client and --listener belong to explain", c->command);
	} else if (c->where == NULL) {
		ctl_complain("XDG_RUNTIME_DIR is not set, so there is no usual socket: say -s");
		return (CTL_UNREACHABLE);
	} else {
		return (commands[i].run(c));
	}
	return (CTL_USAGE);
}

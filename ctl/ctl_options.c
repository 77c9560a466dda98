/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "engine/base/text.h"

enum { TIMEOUT_MS = 60 * 1000 };

void
ctl_usage(void)
{
	fputs("weirctl: asks a running weir-gateway, and tells it what to do\n"
	    "\n"
	    "usage: weirctl [-s SOCKET|URL] [--json] COMMAND\n"
	    "\n"
	    "  status     what runs: version, state, generation, listeners\n"
	    "  upstreams  servers, what their names resolve to, connections, requests\n"
	    "  config     the values in force, each with the place that it comes from;\n"
	    "             --route NAME: of one route, with all that it inherits\n"
	    "  explain    what becomes of a request, and why: explain 'GET http://host/path';\n"
	    "             -H 'name: value', --client ADDRESS, --listener NAME\n"
	    "  reload     read the files again; says every mistake\n"
	    "  drain      stop accepting, finish, end\n"
	    "  log-level  the level of the error log; with a LEVEL sets it until the next reload:\n"
	    "             debug, info, warn, error or off\n"
	    "\n"
	    "  -s PLACE   the admin socket, or http://HOST:PORT; without it the usual socket:\n"
	    "             /run/weir/gateway.sock, or $XDG_RUNTIME_DIR/weir/gateway.sock\n"
	    "  -t TIME    how long to wait for an answer: 60s\n"
	    "  --json     what the process says, as it says it\n"
	    "\n"
	    "exit codes: 0 fine, 1 the process refused, 2 usage wrong, 3 not reachable\n",
	    stdout);
}

static bool
wrong(const char *what, const char *arg)
{
	ctl_complain("%s%s%s (weirctl --help)", what, arg != NULL ? ": " : "",
	    arg != NULL ? arg : "");
	return (false);
}

/* Where a gateway puts its socket when nothing is configured (engine/app/admin.h). */
static const char *
usual_place(struct ctl *c)
{
	const char *base = geteuid() == 0 ? "/run" : getenv("XDG_RUNTIME_DIR");

	if (base == NULL || *base == '\0')
		return (NULL);
	return (arena_printf(c->arena, "%s/weir/gateway.sock", base));
}

/* -s PLACE, -sPLACE, --route NAME, --route=NAME. NULL: this is not that option, or it has no value,
   which sets *missing_r. */
static const char *
value_of(const char *option, char **argv, int *i, bool *missing_r)
{
	size_t n = strlen(option);
	bool is_long = option[1] == '-';
	const char *arg = argv[*i];

	if (strncmp(arg, option, n) != 0 || (is_long && arg[n] != '\0' && arg[n] != '='))
		return (NULL);
	if (arg[n] != '\0')
		return (arg + n + (is_long ? 1 : 0));
	*missing_r = argv[*i + 1] == NULL;
	return (*missing_r ? NULL : argv[++*i]);
}

static bool
parse_valued(struct ctl *c, char **argv, int *i)
{
	bool missing = false;
	const char *arg = argv[*i], *value;

	if ((value = value_of("-s", argv, i, &missing)) != NULL) {
		c->where = value;
	} else if (!missing && (value = value_of("--route", argv, i, &missing)) != NULL) {
		c->route = value;
	} else if (!missing && (value = value_of("--listener", argv, i, &missing)) != NULL) {
		c->listener = value;
	} else if (!missing && (value = value_of("--client", argv, i, &missing)) != NULL) {
		c->client = value;
	} else if (!missing && (value = value_of("-H", argv, i, &missing)) != NULL) {
		c->fields[c->n_fields++] = value;
	} else if (!missing && (value = value_of("-t", argv, i, &missing)) != NULL) {
		if (!text_to_duration_ms(slice_str(value), &c->timeout_ms) || c->timeout_ms == 0)
			return (wrong("a time with its unit is due (500ms, 10s, 1m)", value));
	} else {
		return (wrong(missing ? "a value is due after" : "unknown option", arg));
	}
	return (*value != '\0' || wrong("a value is due after", arg));
}

static bool
parse_option(struct ctl *c, char **argv, int *i)
{
	const char *arg = argv[*i];

	if (strcmp(arg, "--json") == 0)
		c->json = true;
	else if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0)
		c->command = "help";
	else if (strcmp(arg, "--version") == 0)
		c->command = "version";
	else
		return (parse_valued(c, argv, i));
	return (true);
}

bool
ctl_options_parse(struct ctl *c, int argc, char **argv)
{
	c->args = arena_zarray(c->arena, (size_t)argc + 1, sizeof *c->args);
	c->timeout_ms = TIMEOUT_MS;
	c->route = c->listener = c->client = "";
	c->fields = arena_zarray(c->arena, (size_t)argc + 1, sizeof *c->fields);
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-' && argv[i][1] != '\0') {
			if (!parse_option(c, argv, &i))
				return (false);
		} else if (c->command == NULL) {
			c->command = argv[i];
		} else {
			c->args[c->n_args++] = argv[i];
		}
	}
	if (c->command == NULL)
		return (wrong("a command is due", NULL));
	if (c->where == NULL)
		c->where = usual_place(c);
	else if (!ctl_is_place(c))
		return (wrong("the path of a socket is due, or http://HOST:PORT", c->where));
	return (true);
}

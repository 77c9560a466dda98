/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/app/admin_impl.h"
#include "engine/app/app_json.h"
#include "engine/app/reload.h"
#include "engine/base/check.h"
#include "engine/base/log.h"
#include "engine/base/text.h"
#include "engine/config/diag.h"
#include "engine/http/field.h"
#include "engine/http/uri.h"
#include "engine/proxy/gate.h"
#include "engine/worker/worker.h"

/* ---- GET ---- */

static bool
healthz(struct admin_page *c, struct admin_reply *r)
{
	(void)c;
	return (admin_say(r, 200, SLICE("ok")));
}

static bool
readyz(struct admin_page *c, struct admin_reply *r)
{
	if (c->status.draining)
		return (admin_say(r, 503, SLICE("draining")));
	if (c->status.current == NULL)
		return (admin_say(r, 503, SLICE("starting")));
	return (admin_say(r, 200, SLICE("ready")));
}

/* The weight of the best media type of these in Accept, in thousandths; 0: not wanted. */
static unsigned
accepts(struct slice accept, struct slice type, struct slice version)
{
	struct slice item, part, rest, name, value;
	unsigned best = 0;

	while (field_list_next(&accept, &item)) {
		unsigned q = 1000;
		bool fits;

		rest = item;
		if (!field_part_next(&rest, &part) || !slice_eq_fold(part, type))
			continue;
		fits = !field_param_find(item, SLICE("version"), &value) ||
		    slice_eq(value, version);
		while (field_part_next(&rest, &part)) {
			if (field_param(part, &name, &value) && slice_eq_fold(name, SLICE("q")) &&
			    !field_qvalue(value, &q))
				fits = false;
		}
		if (fits && q > best)
			best = q;
	}
	return (best);
}

static enum prom_format
format_for(const struct msg_req *req)
{
	const struct hdr *h = headers_get(&req->m.headers, HDR_ACCEPT);
	unsigned om = 0, text = 0;

	for (; h != NULL; h = headers_next(&req->m.headers, h)) {
		unsigned q = accepts(hdr_value(h), SLICE("application/openmetrics-text"),
		    SLICE("1.0.0"));

		om = q > om ? q : om;
		q = accepts(hdr_value(h), SLICE("text/plain"), SLICE("0.0.4"));
		text = q > text ? q : text;
	}
	return (om > 0 && om >= text ? PROM_OPENMETRICS : PROM_TEXT);
}

static bool
metrics(struct admin_page *c, struct admin_reply *r)
{
	enum prom_format format = format_for(c->req);

	r->status = 200;
	r->type = prom_content_type(format);
	return (prom_render(c->admin->stats, format, SLICE(PACKAGE_VERSION), &r->body));
}

static json_t *
listeners_of(const struct gate *gate, struct stats *stats)
{
	json_t *all = json_object();

	for (unsigned i = 0; i < gate->n_listeners; i++) {
		const struct listener *l = gate->listeners[i];
		json_t *addrs = json_array();

		for (unsigned k = 0; k < l->n_addrs; k++) {
			char text[ADDR_TEXT_MAX];

			addr_format(&l->addrs[k], text, sizeof text);
			(void)json_array_append_new(addrs, json_string(text));
		}
		(void)json_object_setn_new(all, l->name.p, l->name.len,
		    json_pack("{s:o, s:I}", "addresses", addrs, "connections",
		    (json_int_t)stats_value(stats, STATS_CONNECTIONS, &l->name)));
	}
	return (all);
}

/* null: there was none, or no memory. */
static json_t *
last_of(const struct reload_last *last)
{
	enum { TIME_MAX = 32 };
	char time[TIME_MAX];
	struct text t;
	json_t *o;

	if (last == NULL || last->wall_us == 0)
		return (json_null());
	text_init(&t, time, sizeof time);
	text_put_time(&t, last->wall_us);
	o = json_pack("{s:b, s:s, s:I}", "ok", last->ok, "time", text_cstr(&t), "generation",
	    (json_int_t)last->generation);
	if (!last->ok)
		(void)json_object_set_new(o, "error", app_json_text(slice_str(last->why)));
	return (o);
}

static bool
status(struct admin_page *c, struct admin_reply *r)
{
	const struct snapshot *snap = c->status.current;
	const struct gate *gate = snap == NULL ? NULL : snap->root;
	struct slice any = SLICE_NONE;
	uint64_t now = loop_wall_us(c->admin->worker->loop), begun = c->admin->begun_us;
	json_t *o = json_pack("{s:s, s:s, s:i, s:I, s:s, s:I, s:i, s:I}",
	    "program", c->admin->program, "version", PACKAGE_VERSION, "pid", (int)getpid(),
	    "uptime_seconds", (json_int_t)(now > begun ? (now - begun) / 1000000 : 0),
	    "state", c->status.draining ? "draining" : snap == NULL ? "starting" : "serving",
	    "generation", (json_int_t)(snap == NULL ? 0 : snap->generation),
	    "workers", (int)c->status.n_workers,
	    "connections", (json_int_t)stats_value(c->admin->stats, STATS_CONNECTIONS, &any));

	(void)json_object_set_new(o, "last_reload", last_of(c->status.last));
	if (o != NULL && gate != NULL) {
		(void)json_object_set_new(o, "listeners", listeners_of(gate, c->admin->stats));
		(void)json_object_set_new(o, "routes",
		    json_integer((json_int_t)admin_n_routes(gate)));
		(void)json_object_set_new(o, "upstreams", json_integer(gate->n_upstreams));
	}
	return (admin_say_json(r, 200, o));
}

/* What is wanted. False: it cannot be had; what is due is said. */
static bool
read_shown(const struct msg_req *req, struct build_shown *what, const char **due)
{
	struct slice format;

	*due = "?route= is the name of a route";
	if (!admin_param(req, SLICE("route"), &what->route))
		return (false);
	*due = "?format= is yaml or json";
	if (!admin_param(req, SLICE("format"), &format))
		return (false);
	what->json = slice_eq(format, SLICE("json"));
	return (what->json || format.len == 0 || slice_eq(format, SLICE("yaml")));
}

static bool
config(struct admin_page *c, struct admin_reply *r)
{
	struct build_shown what;
	enum admin_shown shown;
	const char *due;
	FILE *out;
	bool fits;

	if (c->status.current == NULL)
		return (admin_problem(r, 503, SLICE("the process is starting")));
	if (!read_shown(c->req, &what, &due))
		return (admin_problem(r, 400, slice_str(due)));
	out = admin_stream(r);
	if (out == NULL)
		return (false);
	shown = c->admin->hooks.show(c->admin->hooks.arg, &what, out);
	fits = fclose(out) == 0 && !r->body.failed;
	r->status = 200;
	r->type = what.json ? SLICE("application/json") : SLICE("application/yaml");
	if (shown == ADMIN_SHOWN && fits)
		return (true);
	prom_text_free(&r->body);
	if (shown == ADMIN_NO_ROUTE)
		return (admin_problem(r, 404, SLICE("there is no route of this name")));
	return (admin_problem(r, 503, fits ? SLICE("it cannot be read again") :
	    SLICE("it is too large for this page: there is `show`, and ?route=NAME")));
}

/* ---- POST ---- */

/* Beside what `check --json` says of the files stands what became of them. */
static bool
say_end(const struct admin *a, struct admin_reply *r, const struct reload_end *end,
    uint64_t generation)
{
	FILE *out = admin_stream(r);

	if (out == NULL)
		return (false);
	fprintf(out, "{\n  \"ok\": %s,\n  \"program\": \"%s\",\n  \"pid\": %d,\n"
	    "  \"generation\": %" PRIu64, end->ok ? "true" : "false", a->program, (int)getpid(),
	    generation);
	if (end->no_memory)
		fputs(",\n  \"error\": \"out of memory\"", out);
	if (end->diag != NULL) {
		fprintf(out, ",\n  \"errors\": %zu,\n  \"warnings\": %zu,\n  \"diagnostics\": ",
		    diag_errors(end->diag), diag_warnings(end->diag));
		diag_print_json(end->diag, out);
	}
	fputs("}\n", out);
	r->status = end->ok ? 200 : end->no_memory ? 503 : 422;
	r->type = SLICE("application/json");
	return (fclose(out) == 0 && !r->body.failed);
}

bool
admin_say_reloaded(struct admin *a, const struct reload_end *end, struct admin_reply *r)
{
	struct admin_status now;

	a->hooks.status(a->hooks.arg, &now);
	if (now.draining)
		return (admin_problem(r, 409, SLICE("the process is draining")));
	return (say_end(a, r, end, now.current == NULL ? 0 : now.current->generation));
}

static bool
reload(struct admin_page *c, struct admin_reply *r)
{
	r->is_later = true;
	c->admin->hooks.reload(c->admin->hooks.arg, c->wait);
	return (true);
}

static bool
drain(struct admin_page *c, struct admin_reply *r)
{
	c->admin->hooks.drain(c->admin->hooks.arg);
	return (admin_say_json(r, 202, json_pack("{s:b, s:s, s:i}", "ok", 1, "program",
	    c->admin->program, "pid", (int)getpid())));
}

static bool
say_level(struct admin_page *c, struct admin_reply *r)
{
	(void)c;
	return (admin_say_json(r, 200, json_pack("{s:s}", "level", log_level_name(log_level()))));
}

/* Until the next reload, which sets what the file says. */
static bool
set_level(struct admin_page *c, struct admin_reply *r)
{
	struct slice rest = c->req->query, name, value;
	enum log_level level;

	while (uri_query_next(&rest, &name, &value)) {
		if (!slice_eq(name, SLICE("level")))
			continue;
		if (!log_level_parse(value, &level))
			break;
		log_set_level(level);
		return (admin_say_json(r, 200, json_pack("{s:b, s:s}", "ok", 1, "level",
		    log_level_name(level))));
	}
	return (admin_problem(r, 400, SLICE("the level is debug, info, warn, error or off")));
}

/* ---- which ---- */

static const struct {
	struct slice	 path;
	admin_page_fn	*get;		/* and HEAD; NULL: neither */
	admin_page_fn	*post;		/* changes something; NULL: it has none */
} pages[] = {
	{ SLICE_INIT("/metrics"), metrics, NULL },
	{ SLICE_INIT("/healthz"), healthz, NULL },
	{ SLICE_INIT("/readyz"), readyz, NULL },
	{ SLICE_INIT("/status"), status, NULL },
	{ SLICE_INIT("/routes"), admin_routes, NULL },
	{ SLICE_INIT("/upstreams"), admin_upstreams, NULL },
	{ SLICE_INIT("/config"), config, NULL },
	{ SLICE_INIT("/explain"), admin_explain, NULL },
	{ SLICE_INIT("/connections"), admin_connections, NULL },
	{ SLICE_INIT("/reload"), NULL, reload },
	{ SLICE_INIT("/drain"), NULL, drain },
	{ SLICE_INIT("/log-level"), say_level, set_level },
};

static bool
refuse_method(struct admin_reply *r, bool reads, bool changes)
{
	r->allow = !changes ? SLICE("GET, HEAD") : reads ? SLICE("GET, HEAD, POST") : SLICE("POST");
	return (admin_problem(r, 405, SLICE("not with this method")));
}

bool
admin_answer(struct admin *a, bool may_write, const struct msg_req *req, struct reload_wait *wait,
    struct admin_reply *r)
{
	struct admin_page c = { .admin = a, .req = req, .wait = wait };
	bool is_read = req->method == METHOD_GET || req->method == METHOD_HEAD;
	admin_page_fn *fn = NULL;
	size_t i = 0;

	a->hooks.status(a->hooks.arg, &c.status);
	while (i < array_len(pages) && !slice_eq(req->path, pages[i].path))
		i++;
	if (i == array_len(pages))
		return (admin_problem(r, 404, SLICE("there is no such page")));
	if (is_read)
		fn = pages[i].get;
	else if (req->method == METHOD_POST)
		fn = pages[i].post;
	if (fn == NULL)
		return (refuse_method(r, pages[i].get != NULL, pages[i].post != NULL));
	if (is_read)
		return (fn(&c, r));
	if (!may_write)
		return (admin_problem(r, 403, SLICE("changes are made over the Unix socket, or "
		    "with admin: { write: true }")));
	/* A web page in a browser beside us may send POST anywhere; browsers say so. */
	if (headers_get(&req->m.headers, HDR_ORIGIN) != NULL)
		return (admin_problem(r, 403, SLICE("not from a web page")));
	return (fn(&c, r));
}

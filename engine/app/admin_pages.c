/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/app/admin_impl.h"
#include "engine/base/check.h"
#include "engine/base/log.h"
#include "engine/base/text.h"
#include "engine/http/field.h"
#include "engine/http/uri.h"
#include "engine/proxy/gate.h"
#include "engine/upstream/upstream.h"
#include "engine/upstream/upstream_conf.h"
#include "engine/worker/worker.h"

struct page_ctx {
	struct admin		*admin;
	const struct msg_req	*req;
	struct reload_wait	*wait;
	struct admin_status	 status;
};

/* False: no memory. */
typedef bool page_fn(struct page_ctx *, struct admin_reply *);

static bool
say(struct admin_reply *r, unsigned status, struct slice text)
{
	r->status = status;
	prom_put(&r->body, text);
	prom_put(&r->body, SLICE("\n"));
	return (!r->body.failed);
}

/* Takes over the object; NULL, as jansson has it, is no memory. */
static bool
say_json(struct admin_reply *r, unsigned status, json_t *o)
{
	char *text = o == NULL ? NULL : json_dumps(o, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	json_free_t give_back;

	json_decref(o);
	if (text == NULL)
		return (false);
	r->type = SLICE("application/json");
	(void)say(r, status, slice_str(text));
	json_get_alloc_funcs(NULL, &give_back);
	give_back(text);
	return (!r->body.failed);
}

bool
admin_problem(struct admin_reply *r, unsigned status, struct slice what)
{
	return (say_json(r, status, json_pack("{s:i, s:s%}", "status", (int)status, "error",
	    what.p, what.len)));
}

/* ---- GET ---- */

static bool
healthz(struct page_ctx *c, struct admin_reply *r)
{
	(void)c;
	return (say(r, 200, SLICE("ok")));
}

static bool
readyz(struct page_ctx *c, struct admin_reply *r)
{
	if (c->status.draining)
		return (say(r, 503, SLICE("draining")));
	if (c->status.current == NULL)
		return (say(r, 503, SLICE("starting")));
	return (say(r, 200, SLICE("ready")));
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
metrics(struct page_ctx *c, struct admin_reply *r)
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

/* Adds what the workers count for a server to what stands there. */
static void
add_count(json_t *upstreams, const struct stats_sum *sum)
{
	json_t *servers = json_object_getn(upstreams, sum->labels[0].p, sum->labels[0].len);
	json_t *server = json_object_getn(servers, sum->labels[1].p, sum->labels[1].len);

	if (server != NULL)
		(void)json_object_setn_new(server, sum->labels[2].p, sum->labels[2].len,
		    json_integer(sum->value));
}

static json_t *
upstreams_of(const struct gate *gate, struct stats *stats)
{
	struct stats_sums sums = stats_collect(stats, STATS_UPSTREAM_CONNECTIONS);
	json_t *all = json_object();

	for (unsigned i = 0; i < gate->n_upstreams; i++) {
		const struct upstream *u = gate->upstreams[i];
		json_t *servers = json_object();

		for (unsigned k = 0; k < u->conf->n_servers; k++) {
			const struct upstream_server *s = &u->conf->servers[k];

			(void)json_object_setn_new(servers, s->text.p, s->text.len,
			    json_pack("{s:i, s:i, s:i}", "weight", (int)s->weight, "active", 0,
			    "idle", 0));
		}
		(void)json_object_setn_new(all, u->part.name.p, u->part.name.len, servers);
	}
	for (unsigned i = 0; i < sums.n; i++)
		add_count(all, sums.v[i]);
	return (all);
}

static bool
status(struct page_ctx *c, struct admin_reply *r)
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

	if (o != NULL && gate != NULL) {
		(void)json_object_set_new(o, "listeners", listeners_of(gate, c->admin->stats));
		(void)json_object_set_new(o, "upstreams", upstreams_of(gate, c->admin->stats));
	}
	return (say_json(r, 200, o));
}

/* ---- POST ---- */

bool
admin_say_reloaded(struct admin *a, bool ok, struct admin_reply *r)
{
	struct admin_status now;

	a->hooks.status(a->hooks.arg, &now);
	if (now.draining)
		return (admin_problem(r, 409, SLICE("the process is draining")));
	return (say_json(r, ok ? 200 : 422, json_pack("{s:b, s:I}", "ok", ok, "generation",
	    (json_int_t)(now.current == NULL ? 0 : now.current->generation))));
}

static bool
reload(struct page_ctx *c, struct admin_reply *r)
{
	r->is_later = true;
	c->admin->hooks.reload(c->admin->hooks.arg, c->wait);
	return (true);
}

static bool
drain(struct page_ctx *c, struct admin_reply *r)
{
	c->admin->hooks.drain(c->admin->hooks.arg);
	return (say_json(r, 202, json_pack("{s:b}", "ok", 1)));
}

static bool
log_level(struct page_ctx *c, struct admin_reply *r)
{
	struct slice rest = c->req->query, name, value;
	enum log_level level;

	while (uri_query_next(&rest, &name, &value)) {
		if (!slice_eq(name, SLICE("level")))
			continue;
		if (!log_level_parse(value, &level))
			break;
		log_set_level(level);
		return (say_json(r, 200, json_pack("{s:b}", "ok", 1)));
	}
	return (admin_problem(r, 400, SLICE("?level= is debug, info, warn, error or off")));
}

/* ---- which ---- */

static const struct {
	struct slice	 path;
	bool		 changes;	/* POST; else GET and HEAD */
	page_fn		*fn;
} pages[] = {
	{ SLICE_INIT("/metrics"), false, metrics },
	{ SLICE_INIT("/healthz"), false, healthz },
	{ SLICE_INIT("/readyz"), false, readyz },
	{ SLICE_INIT("/status"), false, status },
	{ SLICE_INIT("/reload"), true, reload },
	{ SLICE_INIT("/drain"), true, drain },
	{ SLICE_INIT("/log-level"), true, log_level },
};

static bool
refuse_method(struct admin_reply *r, bool changes)
{
	r->allow = changes ? SLICE("POST") : SLICE("GET, HEAD");
	return (admin_problem(r, 405, SLICE("not with this method")));
}

bool
admin_answer(struct admin *a, bool may_write, const struct msg_req *req, struct reload_wait *wait,
    struct admin_reply *r)
{
	struct page_ctx c = { .admin = a, .req = req, .wait = wait };
	bool reads = req->method == METHOD_GET || req->method == METHOD_HEAD;

	a->hooks.status(a->hooks.arg, &c.status);
	for (size_t i = 0; i < array_len(pages); i++) {
		if (!slice_eq(req->path, pages[i].path))
			continue;
		if (pages[i].changes ? req->method != METHOD_POST : !reads)
			return (refuse_method(r, pages[i].changes));
		if (pages[i].changes && !may_write)
			return (admin_problem(r, 403, SLICE("changes are made over the Unix "
			    "socket, or with admin: { write: true }")));
		/* A web page in a browser beside us may send POST anywhere; browsers say so. */
		if (pages[i].changes && headers_get(&req->m.headers, HDR_ORIGIN) != NULL)
			return (admin_problem(r, 403, SLICE("not from a web page")));
		return (pages[i].fn(&c, r));
	}
	return (admin_problem(r, 404, SLICE("there is no such page")));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <jansson.h>

#include "engine/app/admin_impl.h"
#include "engine/base/text.h"
#include "engine/http/method.h"
#include "engine/http/uri.h"
#include "engine/proxy/gate.h"
#include "engine/proxy/mirror.h"
#include "engine/proxy/route.h"
#include "engine/proxy/router.h"
#include "engine/upstream/balancer.h"
#include "engine/upstream/names.h"
#include "engine/upstream/upstream.h"
#include "engine/upstream/upstream_conf.h"

/*
 * What there is many of: /routes, /upstreams, /connections. The first two come in pages of at most
 * LIST_MAX, so that a file with a hundred thousand routes holds up the main thread for no longer
 * than one with a thousand. Whoever puts pages together sees by `generation` that they fit.
 */

enum { LIST_MAX = 1000 };

struct list_page {
	uint64_t	 offset, limit;
	uint64_t	 total;
};

/* False: the query is wrong, and says so. */
static bool
read_page(const struct msg_req *req, struct list_page *page)
{
	struct slice rest = req->query, name, value;
	bool ok = true;

	*page = (struct list_page){ .limit = LIST_MAX };
	while (ok && uri_query_next(&rest, &name, &value)) {
		if (slice_eq(name, SLICE("offset")))
			ok = text_to_u64(value, &page->offset);
		else if (slice_eq(name, SLICE("limit")))
			ok = text_to_u64(value, &page->limit) && page->limit > 0 &&
			    page->limit <= LIST_MAX;
	}
	return (ok);
}

static bool
refuse_page(struct admin_reply *r)
{
	return (admin_problem(r, 400, SLICE("?offset= is a number, ?limit= one from 1 to 1000")));
}

static bool
say_page(struct admin_page *c, const struct list_page *page, const char *key, json_t *items,
    struct admin_reply *r)
{
	uint64_t next = page->offset + json_array_size(items);
	json_t *o = json_pack("{s:I, s:I, s:I, s:o}",
	    "generation", (json_int_t)c->status.current->generation,
	    "total", (json_int_t)page->total, "offset", (json_int_t)page->offset, key, items);

	if (o != NULL && page->offset < page->total && next < page->total)
		(void)json_object_set_new(o, "next", json_integer((json_int_t)next));
	return (admin_say_json(r, 200, o));
}

static bool
not_yet(struct admin_reply *r)
{
	return (admin_problem(r, 503, SLICE("the process is starting")));
}

/* ---- /routes ---- */

static const char *
action_name(const struct route *route)
{
	static const char *const names[] = {
		[ROUTE_UPSTREAM] = "upstream", [ROUTE_SPLIT] = "split",
		[ROUTE_REDIRECT] = "redirect", [ROUTE_RESPOND] = "respond",
	};

	return (names[route->action]);
}

/* What the route does, in the words of the file. */
static void
put_action(json_t *o, const struct gate *gate, const struct route *route)
{
	json_t *split;

	(void)json_object_set_new(o, "action", json_string(action_name(route)));
	switch (route->action) {
	case ROUTE_UPSTREAM:
		(void)json_object_set_new(o, "upstream",
		    app_json_text(gate_upstream(gate, route->upstream)->part.name));
		return;
	case ROUTE_REDIRECT:
		(void)json_object_set_new(o, "status", json_integer(route->redirect->status));
		return;
	case ROUTE_RESPOND:
		(void)json_object_set_new(o, "status", json_integer(route->respond->status));
		return;
	default:
		break;
	}
	split = json_object();
	for (unsigned i = 0; i < route->split->n; i++) {
		const struct route_target *t = &route->split->v[i];
		struct slice name = gate_upstream(gate, t->upstream)->part.name;

		(void)json_object_setn_new(split, name.p, name.len,
		    json_integer(t->upto - (i == 0 ? 0 : route->split->v[i - 1].upto)));
	}
	(void)json_object_set_new(o, "split", split);
}

static json_t *
texts_of(const struct slice *v, unsigned n)
{
	json_t *all = json_array();

	for (unsigned i = 0; i < n; i++)
		(void)json_array_append_new(all, app_json_text(v[i]));
	return (all);
}

static json_t *
methods_of(const struct router_rule *rule)
{
	json_t *all = json_array();

	for (unsigned m = METHOD_OTHER + 1; m < METHOD__MAX; m++) {
		if (rule->methods >> m & 1)
			(void)json_array_append_new(all,
			    app_json_text(method_name((enum http_method)m)));
	}
	for (unsigned i = 0; i < rule->n_method_names; i++)
		(void)json_array_append_new(all, app_json_text(rule->method_names[i]));
	return (all);
}

static json_t *
listeners_of(const struct gate *gate, uint64_t bits)
{
	json_t *all = json_array();

	for (unsigned i = 0; i < gate->n_listeners; i++) {
		if (bits >> i & 1)
			(void)json_array_append_new(all,
			    app_json_text(gate->listeners[i]->name));
	}
	return (all);
}

/* As the file says it: a value, or a map with the one key that stands there. */
static json_t *
field_of(const struct router_field *f)
{
	json_t *o;

	if (f->kind == ROUTER_FIELD_IS)
		return (app_json_text(f->value));
	o = json_object();
	if (f->kind == ROUTER_FIELD_PREFIX)
		(void)json_object_set_new(o, "prefix", app_json_text(f->value));
	else if (f->kind == ROUTER_FIELD_REGEX)
		(void)json_object_set_new(o, "regex", app_json_text(regex_pattern(f->regex)));
	else
		(void)json_object_set_new(o, "present",
		    json_boolean(f->kind == ROUTER_FIELD_PRESENT));
	return (o);
}

static void
put_fields(json_t *o, const char *key, const struct router_rule *rule, bool is_query)
{
	json_t *all = NULL;

	for (unsigned i = 0; i < rule->n_fields; i++) {
		const struct router_field *f = &rule->fields[i];

		if (f->is_query != is_query)
			continue;
		if (all == NULL)
			all = json_object();
		(void)json_object_setn_new(all, f->name.p, f->name.len, field_of(f));
	}
	if (all != NULL)
		(void)json_object_set_new(o, key, all);
}

/* Only what the route names: a key that is not there means all. */
static json_t *
route_of(const struct gate *gate, const struct router_rule *rule, uint64_t listeners)
{
	const struct route *route = rule->route;
	json_t *o = json_object();

	(void)json_object_set_new(o, "name", app_json_text(route->name));
	(void)json_object_set_new(o, "place", app_json_mark(rule->mark));
	if (rule->n_hosts > 0)
		(void)json_object_set_new(o, "hosts", texts_of(rule->hosts, rule->n_hosts));
	if (rule->regex != NULL)
		(void)json_object_set_new(o, "regex",
		    app_json_text(regex_pattern(rule->regex)));
	else if (rule->path.len > 0)
		(void)json_object_set_new(o, "path", app_json_text(rule->path));
	else
		(void)json_object_set_new(o, "prefix", app_json_text(rule->prefix));
	if (rule->methods != 0)
		(void)json_object_set_new(o, "methods", methods_of(rule));
	put_fields(o, "headers", rule, false);
	put_fields(o, "query", rule, true);
	if (listeners != 0)
		(void)json_object_set_new(o, "listeners", listeners_of(gate, listeners));
	put_action(o, gate, route);
	if (route->policy->mirror != NULL)
		(void)json_object_set_new(o, "mirror", app_json_text(
		    gate_upstream(gate, route->policy->mirror->upstream)->part.name));
	return (o);
}

/* The first file with a route at this place or behind it. */
static unsigned
find_file(const struct gate *gate, uint64_t at)
{
	unsigned low = 0, high = gate->n_files;

	while (low < high) {
		unsigned mid = low + (high - low) / 2;

		if (gate->first_of[mid] + gate->files[mid]->n_written <= at)
			low = mid + 1;
		else
			high = mid;
	}
	return (low);
}

unsigned
admin_n_routes(const struct gate *gate)
{
	return (gate->n_routes);
}

/* Routes of a file, from the one at this place in it; a route is one rule a layer of policies. */
static void
add_routes(json_t *items, const struct gate *gate, const struct route_file *f, uint64_t from,
    uint64_t limit)
{
	unsigned i = 0;

	while (i < f->n_rules && json_array_size(items) < limit) {
		const struct router_rule *first = &f->rules[i];
		uint64_t listeners = 0;

		for (; i < f->n_rules && f->rules[i].route->index == first->route->index; i++)
			listeners |= f->rules[i].listeners;
		if (first->route->index >= from &&
		    json_array_append_new(items, route_of(gate, first, listeners)) < 0)
			return;
	}
}

bool
admin_routes(struct admin_page *c, struct admin_reply *r)
{
	const struct gate *gate;
	struct list_page page;
	json_t *items;

	if (c->status.current == NULL)
		return (not_yet(r));
	if (!read_page(c->req, &page))
		return (refuse_page(r));
	gate = c->status.current->root;
	page.total = admin_n_routes(gate);
	items = json_array();
	for (unsigned i = find_file(gate, page.offset);
	    i < gate->n_files && json_array_size(items) < page.limit; i++) {
		uint64_t first = gate->first_of[i];

		add_routes(items, gate, gate->files[i],
		    page.offset > first ? page.offset - first : 0, page.limit);
	}
	return (say_page(c, &page, "routes", items, r));
}

/* ---- /upstreams ---- */

static json_t *
servers_of(struct upstream *u, json_t *by_name)
{
	struct endset *now = upstream_names_now(u);
	json_t *all = json_array();
	unsigned at = 0;

	for (unsigned k = 0; k < u->conf->n_servers; k++) {
		const struct upstream_server *s = &u->conf->servers[k];
		json_t *addresses = json_array();
		json_t *o = json_pack("{s:o, s:i, s:o, s:i, s:i, s:i}", "server",
		    app_json_text(s->text), "weight", (int)s->weight, "addresses", addresses,
		    "active", 0, "idle", 0, "requests", 0);

		for (; now != NULL && at < now->n && slice_eq(now->v[at].name, s->text); at++)
			(void)json_array_append_new(addresses,
			    app_json_text(now->v[at].address));
		(void)json_object_setn(by_name, s->text.p, s->text.len, o);
		(void)json_array_append_new(all, o);
	}
	if (now != NULL)
		endset_unref(&now);
	return (all);
}

/* Adds what the workers count for a server to what stands there under `key`. */
static void
add_counts(json_t *by_upstream, struct stats *stats, enum stats_id id, const char *key)
{
	struct stats_sums sums = stats_collect(stats, id);

	for (unsigned i = 0; i < sums.n; i++) {
		const struct stats_sum *sum = sums.v[i];
		json_t *servers = json_object_getn(by_upstream, sum->labels[0].p,
		    sum->labels[0].len);
		json_t *o = json_object_getn(servers, sum->labels[1].p, sum->labels[1].len);
		json_t *count = key != NULL ? json_object_get(o, key) :
		    json_object_getn(o, sum->labels[2].p, sum->labels[2].len);

		if (json_is_integer(count))
			(void)json_integer_set(count, json_integer_value(count) + sum->value);
	}
}

bool
admin_upstreams(struct admin_page *c, struct admin_reply *r)
{
	const struct gate *gate;
	struct list_page page;
	json_t *items, *by_upstream;

	if (c->status.current == NULL)
		return (not_yet(r));
	if (!read_page(c->req, &page))
		return (refuse_page(r));
	gate = c->status.current->root;
	page.total = gate->n_upstreams;
	items = json_array();
	by_upstream = json_object();
	for (uint64_t i = page.offset; i < page.total && i - page.offset < page.limit; i++) {
		struct upstream *u = gate->upstreams[i];
		json_t *by_name = json_object();

		(void)json_array_append_new(items, json_pack("{s:o, s:s, s:o}", "name",
		    app_json_text(u->part.name), "balance", u->balancer->name, "servers",
		    servers_of(u, by_name)));
		(void)json_object_setn_new(by_upstream, u->part.name.p, u->part.name.len, by_name);
	}
	add_counts(by_upstream, c->admin->stats, STATS_UPSTREAM_CONNECTIONS, NULL);
	add_counts(by_upstream, c->admin->stats, STATS_UPSTREAM_REQUESTS, "requests");
	json_decref(by_upstream);
	return (say_page(c, &page, "upstreams", items, r));
}

/* ---- /connections ---- */

/* Connections belong to the workers, and asking each of them would hold them up; what they count
   is here already. A listener that the file has no more stands here while it has some. */
bool
admin_connections(struct admin_page *c, struct admin_reply *r)
{
	struct stats *stats = c->admin->stats;
	struct stats_sums open = stats_collect(stats, STATS_CONNECTIONS);
	struct slice idle[] = { SLICE_NONE, SLICE_NONE, SLICE_INIT("idle") };
	struct slice active[] = { SLICE_NONE, SLICE_NONE, SLICE_INIT("active") };
	const struct gate *gate;
	json_t *listeners = json_object();
	json_int_t total = 0;

	if (c->status.current == NULL) {
		json_decref(listeners);
		return (not_yet(r));
	}
	gate = c->status.current->root;
	for (unsigned i = 0; i < gate->n_listeners; i++) {
		struct slice name = gate->listeners[i]->name;

		(void)json_object_setn_new(listeners, name.p, name.len,
		    json_pack("{s:i, s:i}", "open", 0, "accepted", 0));
	}
	for (unsigned i = 0; i < open.n; i++) {
		struct slice name = open.v[i]->labels[0];

		total += open.v[i]->value;
		if (open.v[i]->value == 0 && json_object_getn(listeners, name.p, name.len) == NULL)
			continue;
		(void)json_object_setn_new(listeners, name.p, name.len, json_pack("{s:I, s:I}",
		    "open", (json_int_t)open.v[i]->value, "accepted",
		    (json_int_t)stats_value(stats, STATS_CONNECTIONS_OPENED, &name)));
	}
	return (admin_say_json(r, 200, json_pack("{s:I, s:I, s:o, s:{s:I, s:I}}",
	    "open", total, "limit", (json_int_t)gate->max_connections, "listeners", listeners,
	    "upstreams", "active", (json_int_t)stats_value(stats, STATS_UPSTREAM_CONNECTIONS,
	    active), "idle", (json_int_t)stats_value(stats, STATS_UPSTREAM_CONNECTIONS, idle))));
}

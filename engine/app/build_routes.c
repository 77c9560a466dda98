/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/app/build_impl.h"
#include "engine/base/check.h"
#include "engine/http/method.h"
#include "engine/http/uri.h"
#include "engine/proxy/edit.h"
#include "engine/proxy/registry.h"

_Static_assert(sizeof(struct route) == 64, "a cache line");

enum { RESPOND_FILE_MAX = 16 * 1024 * 1024 };

/* What the compilation of routes works on. */
struct routes {
	struct build			*b;
	struct build_names		*names;
	struct build_policies		 policies;
	struct map			 route_names;	/* to struct route_conf */
	/* of the file in hand: */
	struct build_file		*file;
	struct arena			*kept;		/* its own: what a worker may meet */
	struct router_rule		*rules;		/* of routes whose matchers are sound */
	unsigned			 n_rules;
	struct map			 hosts;		/* names that are kept, each once */
	struct map			 uses;		/* of upstreams; kept too */
};

/* ---- what is kept ----
   All that was read goes when the build is over: what a route needs later is copied. */

static struct slice
keep(struct routes *r, struct slice s)
{
	return (arena_dup(r->kept, s));
}

/* Hosts are named by many routes. One that was refused is empty. */
static struct slice
keep_host(struct routes *r, struct slice name)
{
	const char *known = map_get(&r->hosts, name);

	if (name.len == 0)
		return (SLICE(""));
	if (known != NULL)
		return (slice_of(known, name.len));
	name = keep(r, name);
	(void)map_put(&r->hosts, name, (void *)(uintptr_t)name.p);
	return (name);
}

static struct mark
place(const struct route_conf *c, const char *key)
{
	return (schema_mark(&c->obj, key));
}

/* A name that nothing of this kind bears. */
static void
miss(struct build *b, struct mark mark, const char *kind, const struct schema_map *m,
    struct slice name)
{
	const char *near = build_nearest_key(b, m, name);

	diag_add(b->diag, DIAG_ERROR, mark, NULL,
	    near == NULL ? NULL : arena_printf(b->arena, "did you mean \"%s\"?", near),
	    "there is no %s \"%.*s\"", kind, build_slice_len(name), name.p);
}

/* ---- what a route matches ---- */

/* The canonical form, in which paths are compared. */
static struct slice
canonical(struct routes *r, const struct route_conf *c, const char *key, struct slice raw)
{
	struct slice path = SLICE("/");

	switch (uri_canonical(raw, r->b->arena, &path)) {
	case URI_OK:
	case URI_ENCODED_SLASH:
		return (keep(r, path));
	case URI_MALFORMED:
	case URI_NO_MEMORY:
		break;
	}
	diag_error(r->b->diag, place(c, key), "%s \"%.*s\" is no path that a request can have", key,
	    build_slice_len(raw), raw.p);
	return (SLICE("/"));
}

/* A slash at the end of a prefix means nothing. */
static struct slice
without_slash(struct slice path)
{
	while (path.len > 1 && path.p[path.len - 1] == '/')
		path.len--;
	return (path);
}

static void
match_hosts(struct routes *r, const struct route_conf *c, struct router_rule *rule)
{
	struct slice *v = arena_zarray(r->kept, c->hosts.count, sizeof *v);

	for (uint32_t i = 0; i < c->hosts.count; i++)
		v[i] = keep_host(r, SCHEMA_AT(struct slice, c->hosts, i));
	rule->hosts = v;
	rule->n_hosts = c->hosts.count;
}

static void
match_methods(struct routes *r, const struct route_conf *c, struct router_rule *rule)
{
	struct slice *others = NULL;

	for (uint32_t i = 0; i < c->methods.count; i++) {
		struct slice name = SCHEMA_AT(struct slice, c->methods, i);
		enum http_method m = method_of(name);

		if (m != METHOD_OTHER) {
			rule->methods |= UINT64_C(1) << m;
			continue;
		}
		if (others == NULL)
			others = arena_zarray(r->kept, c->methods.count, sizeof *others);
		others[rule->n_method_names++] = keep(r, name);
		rule->methods |= UINT64_C(1) << METHOD_OTHER;
	}
	rule->method_names = others;
}

/* Bits of the listeners that the route names; 0: all. */
static uint64_t
match_listeners(struct routes *r, const struct route_conf *c)
{
	uint64_t bits = 0;
	bool is_known = true;

	for (uint32_t i = 0; i < c->listeners.count; i++) {
		struct slice name = SCHEMA_AT(struct slice, c->listeners, i);
		uintptr_t at = (uintptr_t)map_get(&r->names->listeners, name);

		if (at != 0)
			bits |= UINT64_C(1) << (at - 1);
		else if (r->names->knows_listeners && name.len > 0)
			miss(r->b, schema_item_mark(&c->listeners, i), "listener",
			    r->b->view.listeners, name);
		is_known &= at != 0;
	}
	r->file->served |= c->listeners.count == 0 ? UINT64_MAX : bits;
	if (!is_known || schema_is_wrong(&c->obj, "listeners") || c->obj.has_unknown)
		r->names->knows_served = false;
	return (bits);
}

/* Whether nothing was refused of what it matches. A key that is not known may be a matcher. */
static bool
is_match_sound(const struct route_conf *c)
{
	static const char *const keys[] = { "hosts", "path", "prefix", "methods", "listeners" };

	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		if (schema_is_wrong(&c->obj, keys[i]))
			return (false);
	}
	return (!c->obj.has_unknown && (c->path.len == 0 || c->prefix.len == 0));
}

/* False: other routes cannot be compared with it. */
static bool
match(struct routes *r, const struct route_conf *c, struct router_rule *rule)
{
	size_t errors = diag_errors(r->b->diag);

	match_hosts(r, c, rule);
	if (c->path.len > 0)
		rule->path = canonical(r, c, "path", c->path);
	else
		rule->prefix = c->prefix.len == 0 ? SLICE("/") :
		    without_slash(canonical(r, c, "prefix", c->prefix));
	match_methods(r, c, rule);
	rule->listeners = match_listeners(r, c);
	return (errors == diag_errors(r->b->diag) && is_match_sound(c) &&
	    (c->listeners.count == 0 || rule->listeners != 0));
}

static bool
has_encoded_slash(struct slice path)
{
	return (slice_find(path, SLICE("%2F")) >= 0 || slice_find(path, SLICE("%5C")) >= 0);
}

/* What no request can reach. Whether two routes are in each other's way the router says. */
static void
check_reached(struct routes *r, const struct route_conf *c, const struct router_rule *rule,
    bool allows_encoded_slash)
{
	const char *key = rule->path.len > 0 ? "path" : "prefix";

	if (!allows_encoded_slash && !schema_is_wrong(&c->obj, "allow_encoded_slash") &&
	    has_encoded_slash(rule->path.len > 0 ? rule->path : rule->prefix))
		diag_add(r->b->diag, DIAG_ERROR, place(c, key), NULL,
		    "write allow_encoded_slash: true beside it",
		    "%s holds %%2F or %%5C, which this route refuses: no request reaches it", key);
	if (rule->methods == UINT64_C(1) << METHOD_CONNECT)
		diag_error(r->b->diag, place(c, "methods"),
		    "CONNECT is always answered 405: no request reaches this route");
}

/* ---- what a route does ---- */

/* The slot of the upstream; any where there is none, which has been said. */
static uint32_t
find_upstream(struct routes *r, struct slice name, struct mark mark)
{
	struct build *b = r->b;
	uint32_t slot;

	if (!build_find_slot(b, r->names, name, &slot)) {
		/* A name that was refused is empty. */
		if (name.len > 0 && r->names->knows_upstreams)
			miss(b, mark, "upstream", b->view.upstreams, name);
		return (0);
	}
	(void)map_put(&r->names->used, name, b);
	if (map_get(&r->uses, name) == NULL) {
		name = keep(r, name);
		(void)map_put(&r->uses, name, b);
	}
	return (slot);
}

static void
act_split(struct routes *r, const struct route_conf *c, struct route *route)
{
	struct route_split *s = arena_zalloc(r->kept, sizeof *s + c->split.count *
	    sizeof s->v[0]);
	struct slice name;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < c->split.count; i++) {
		sum += SCHEMA_AT(uint64_t, c->split, i);
		s->v[i].upstream = find_upstream(r, c->split.keys[i],
		    schema_entry_mark(&c->split, i));
		s->v[i].upto = (uint32_t)sum;
		s->v[i].seed = route_split_seed(c->split.keys[i]);
	}
	if (sum > UINT32_MAX)
		diag_error(r->b->diag, place(c, "split"), "the shares add up to too much");
	route->action = ROUTE_SPLIT;
	s->n = c->split.count;
	if (c->split_by != NULL) {
		enum upstream_hash_by by = upstream_hash_of(c->split_by, &name);

		s->is_sticky = true;
		s->by = lb_key_make(by, keep(r, name));
	}
	route->split = s;
}

static void
act_redirect(struct routes *r, const struct route_conf *c, struct route *route)
{
	struct route_redirect *rd = arena_znew(r->kept, struct route_redirect);

	build_redirect(r->b, c, NULL, r->kept, rd);
	route->action = ROUTE_REDIRECT;
	route->redirect = rd;
}

static struct slice
respond_body(struct routes *r, const struct route_respond_conf *c)
{
	struct build *b = r->b;
	struct slice text = c->body;
	const char *why = NULL;

	if (c->file.len == 0)
		return (keep(r, text));
	/* Kept with the file that names it. */
	if (!source_slurp(b->sources, r->kept, c->obj.node->mark.file,
	    arena_cstr(b->arena, c->file), RESPOND_FILE_MAX, &text, &why))
		diag_error(b->diag, schema_mark(&c->obj, "file"), "cannot read \"%.*s\": %s",
		    build_slice_len(c->file), c->file.p, why);
	return (text);
}

static void
act_respond(struct routes *r, const struct route_conf *c, struct route *route)
{
	const struct route_respond_conf *rc = c->respond;
	struct route_respond *rs = arena_znew(r->kept, struct route_respond);
	struct route_field *fields = arena_zarray(r->kept, rc->headers.count + 1,
	    sizeof *fields);

	rs->status = (uint16_t)rc->status;
	rs->body = respond_body(r, rc);
	if (rc->file.len > 0)
		rs->content_type = build_media_type(rc->file);
	else if (rs->body.len > 0)
		rs->content_type = SLICE("text/plain; charset=utf-8");
	if (rs->body.len > 0 && (rs->status == 204 || rs->status == 304))
		diag_error(r->b->diag, schema_mark(&rc->obj, "status"),
		    "a response with status %u has no body", rs->status);
	for (uint32_t i = 0; i < rc->headers.count; i++) {
		struct slice name = keep(r, rc->headers.keys[i]);
		struct slice value = keep(r, SCHEMA_AT(struct slice, rc->headers, i));
		const char *why = edit_refused(name, EDIT_SET, false);

		if (why != NULL)
			diag_error(r->b->diag, schema_entry_mark(&rc->headers, i),
			    "field \"%.*s\" cannot be sent here: %s", build_slice_len(name),
			    name.p, why);
		if (slice_eq_fold(name, SLICE("Content-Type")))
			rs->content_type = value;
		else
			fields[rs->n_fields++] = (struct route_field){ name, value };
	}
	rs->fields = fields;
	route->action = ROUTE_RESPOND;
	route->respond = rs;
}

/* Whether the upstreams that it means are those that it names. */
static bool
is_use_known(const struct route_conf *c)
{
	if (schema_is_wrong(&c->obj, "upstream"))
		return (false);
	if (schema_is_wrong(&c->obj, "split") && c->split.count == 0)
		return (false);
	for (uint32_t i = 0; i < c->split.count; i++) {
		if (c->split.keys[i].len == 0)
			return (false);
	}
	return (c->upstream.len > 0 || c->split.count > 0 || c->redirect != NULL ||
	    c->respond != NULL);
}

static void
act(struct routes *r, const struct route_conf *c, struct route *route)
{
	if (!is_use_known(c))
		r->names->knows_uses = false;
	/* One of them; where there are more, which is a mistake, each is looked at. */
	if (c->upstream.len > 0)
		route->upstream = find_upstream(r, c->upstream, place(c, "upstream"));
	if (c->split.count > 0)
		act_split(r, c, route);
	if (c->respond != NULL)
		act_respond(r, c, route);
	if (c->redirect != NULL)
		act_redirect(r, c, route);
}

/* ---- all of it ---- */

static struct slice
name_route(struct routes *r, const struct route_conf *c, uint32_t i)
{
	const struct route_conf *first;

	/* Of other files than the first by the file, so that no file's edits rename the routes of
	   another. */
	if (c->name.len == 0)
		return (slice_str(arena_printf(r->kept, "%s[%u]", r->file == r->b->files[0] ?
		    "routes" : r->file->rf.source->name, i)));
	first = map_put(&r->route_names, c->name, (void *)(uintptr_t)c);
	if (first != NULL)
		diag_error(r->b->diag, place(c, "name"),
		    "a second route \"%.*s\"; the first one is at %s:%u",
		    build_slice_len(c->name), c->name.p, place(first, "name").file,
		    place(first, "name").line);
	return (keep(r, c->name));
}

static void
compile(struct routes *r, const struct route_conf *c, uint32_t index)
{
	struct route_file *rf = &r->file->rf;
	const struct build_layers *layers = r->policies.layers;
	struct router_rule rule = { .n_hosts = 0 };
	struct route route = { .magic = ROUTE_MAGIC, .index = index };
	bool is_sound, allows = false;

	route.name = name_route(r, c, index);
	rule.mark = schema_obj_mark(&c->obj);
	is_sound = match(r, c, &rule);
	act(r, c, &route);
	if (c->prefix.len > 0 && rule.prefix.len > 1)
		route.prefix = rule.prefix;
	for (unsigned i = 0; i < layers->n; i++) {
		uint64_t wanted = rule.listeners == 0 ? layers->id[i].listeners :
		    rule.listeners & layers->id[i].listeners;

		if (layers->n > 1 && wanted == 0)
			continue;
		route.policy = build_policy(&r->policies, i, c, &route);
		allows |= route.policy->allow_encoded_slash;
		rf->routes[rf->n_routes] = route;
		rule.route = &rf->routes[rf->n_routes++];
		if (!is_sound)
			continue;
		r->rules[r->n_rules] = rule;
		if (layers->n > 1)
			r->rules[r->n_rules].listeners = wanted;
		r->n_rules++;
	}
	if (is_sound)
		check_reached(r, c, &rule, allows);
	r->b->work.routes++;
}

static void
keep_rules(struct routes *r)
{
	struct route_file *f = &r->file->rf;

	f->rules = arena_zarray(r->kept, r->n_rules, sizeof *f->rules);
	if (r->n_rules > 0)
		memcpy(f->rules, r->rules, r->n_rules * sizeof *f->rules);
	f->n_rules = r->n_rules;
}

static void
keep_uses(struct routes *r)
{
	struct build_file *f = r->file;
	size_t at = 0;
	void *v;

	f->uses = arena_zarray(r->kept, map_count(&r->uses), sizeof *f->uses);
	while (map_next(&r->uses, &at, &f->uses[f->n_uses], &v))
		f->n_uses++;
}

/* Some routes of the list, all of one file. */
static void
compile_file(struct routes *r, struct build_file *f, uint32_t first, uint32_t n)
{
	size_t most = (size_t)n * r->policies.layers->n;

	r->file = f;
	r->kept = f->rf.part.arena;
	r->n_rules = 0;
	map_init(&r->hosts, r->b->arena);
	map_init(&r->uses, r->b->arena);
	build_policies_begin(&r->policies, r->kept);
	f->rf.n_written = n;
	f->rf.routes = arena_zlines(r->kept, most, sizeof *f->rf.routes);
	r->rules = arena_zarray(r->b->arena, most, sizeof *r->rules);
	for (uint32_t i = 0; i < n; i++)
		compile(r, SCHEMA_OBJ_AT(struct route_conf, *r->b->view.routes, first + i), i);
	keep_rules(r);
	keep_uses(r);
}

/* ---- the router ---- */

/* Of one route: on several layers, or on several hosts. */
static bool
is_same_route(const struct router_rule *a, const struct router_rule *b)
{
	return (a->mark.file == b->mark.file && a->route->index == b->route->index);
}

static void
report(void *arg, const struct router_rule *rule, const struct router_rule *other,
    const char *what)
{
	struct build *b = arg;

	if (other == NULL || is_same_route(rule, other)) {
		diag_error(b->diag, rule->mark, "route \"%.*s\": %s",
		    build_slice_len(rule->route->name), rule->route->name.p, what);
		return;
	}
	diag_error(b->diag, rule->mark, "route \"%.*s\" and route \"%.*s\" (%s:%u): %s",
	    build_slice_len(rule->route->name), rule->route->name.p,
	    build_slice_len(other->route->name), other->route->name.p,
	    other->mark.file, other->mark.line, what);
}

static void
build_router(struct build *b)
{
	struct router_rule *rules;
	unsigned n = 0;

	for (unsigned i = 0; i < b->n_files; i++)
		n += b->files[i]->rf.n_rules;
	rules = arena_zarray(b->arena, n, sizeof *rules);
	n = 0;
	for (unsigned i = 0; i < b->n_files; i++) {
		const struct route_file *f = &b->files[i]->rf;

		if (f->n_rules > 0)
			memcpy(rules + n, f->rules, f->n_rules * sizeof *rules);
		n += f->n_rules;
	}
	/* Beside mistakes it is made only for what it has to say. */
	b->gate->router = router_build(b->snap->arena, rules, n, report, b);
}

void
build_routes(struct build *b, struct build_names *names, struct build_layers *before)
{
	const struct schema_list *list = b->view.routes;
	struct routes *r = arena_znew(b->arena, struct routes);
	const struct route_conf *const *v = list->items;

	r->b = b;
	r->names = names;
	map_init(&r->route_names, b->arena);
	build_policies_init(&r->policies, b, before);
	for (uint32_t i = 0, n; i < list->count; i += n) {
		const char *file = schema_obj_mark(&v[i]->obj).file;
		struct build_file *f = build_file_of(b, file);

		for (n = 1; i + n < list->count; n++) {
			if (schema_obj_mark(&v[i + n]->obj).file != file)
				break;
		}
		if (!f->is_shared)
			compile_file(r, f, i, n);
	}
	for (unsigned i = 0; i < b->n_files; i++)
		names->served |= b->files[i]->served;
	build_router(b);
}

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
			build_miss(b, mark, "upstream", b->view.upstreams, name);
		return (0);
	}
	(void)map_put(&r->names->used, name, b);
	if (map_get(&r->uses, name) == NULL) {
		name = build_keep(r, name);
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
		diag_error(r->b->diag, build_place(c, "split"), "the shares add up to too much");
	route->action = ROUTE_SPLIT;
	s->n = c->split.count;
	if (c->split_by != NULL) {
		enum upstream_hash_by by = upstream_hash_of(c->split_by, &name);

		s->is_sticky = true;
		s->by = lb_key_make(by, build_keep(r, name));
	}
	route->split = s;
}

static void
act_redirect(struct routes *r, const struct route_conf *c, const struct router_rule *rule,
    struct route *route)
{
	struct route_redirect *rd = arena_znew(r->kept, struct route_redirect);

	build_redirect(r->b, c, rule->regex, r->kept, rd);
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
		return (build_keep(r, text));
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
		struct slice name = build_keep(r, rc->headers.keys[i]);
		struct slice value = build_keep(r, SCHEMA_AT(struct slice, rc->headers, i));
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
act(struct routes *r, const struct route_conf *c, const struct router_rule *rule,
    struct route *route)
{
	if (!is_use_known(c))
		r->names->knows_uses = false;
	/* One of them; where there are more, which is a mistake, each is looked at. */
	if (c->upstream.len > 0)
		route->upstream = find_upstream(r, c->upstream, build_place(c, "upstream"));
	if (c->split.count > 0)
		act_split(r, c, route);
	if (c->respond != NULL)
		act_respond(r, c, route);
	if (c->redirect != NULL)
		act_redirect(r, c, rule, route);
}

/* The upstream of its mirror counts as used. */
static void
see_mirror(struct routes *r, const struct route_conf *c, unsigned layer, const struct route *route)
{
	const struct route_mirror_conf *m = build_mirror(&r->policies, layer, c);

	if (schema_is_wrong(&c->policies.obj, "mirror") ||
	    schema_is_wrong(r->policies.merged[layer], "mirror") ||
	    (m != NULL && m->upstream.len == 0))
		r->names->knows_uses = false;
	if (m == NULL || m->upstream.len == 0)
		return;
	if (m == c->policies.mirror && (route->action == ROUTE_REDIRECT ||
	    route->action == ROUTE_RESPOND)) {
		diag_error(r->b->diag, build_place(c, "mirror"),
		    "mirror copies what is forwarded, and route \"%.*s\" answers by itself",
		    build_slice_len(route->name), route->name.p);
		return;
	}
	(void)find_upstream(r, m->upstream, schema_mark(&m->obj, "upstream"));
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
		diag_error(r->b->diag, build_place(c, "name"),
		    "a second route \"%.*s\"; the first one is at %s:%u",
		    build_slice_len(c->name), c->name.p, build_place(first, "name").file,
		    build_place(first, "name").line);
	return (build_keep(r, c->name));
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
	is_sound = build_match(r, c, &rule);
	act(r, c, &rule, &route);
	if (c->prefix.len > 0 && rule.prefix.len > 1)
		route.prefix = rule.prefix;
	route.names_parameters = uri_has_parameters(c->regex) || uri_has_parameters(rule.path) ||
	    uri_has_parameters(rule.prefix);
	for (unsigned i = 0; i < layers->n; i++) {
		uint64_t wanted = rule.listeners == 0 ? layers->id[i].listeners :
		    rule.listeners & layers->id[i].listeners;

		/* Of a listener that was not meant no mistake comes. */
		if (layers->n > 1 && (wanted == 0 || schema_is_wrong(&c->obj, "listeners")))
			continue;
		see_mirror(r, c, i, &route);
		route.policy = build_policy(&r->policies, i, c, &route, rule.regex);
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
		build_check_reached(r, c, &rule, allows);
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
	map_init(&r->regexes, r->b->arena);
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

/* Routes of several hosts may be in each other's way on each of them. */
static bool
is_told(struct build *b, const struct router_rule *rule, const struct router_rule *other,
    const char *what)
{
	const void *key[] = { rule->route, other == NULL ? NULL : other->route, what };
	struct slice text = slice_of((const char *)key, sizeof key);

	return (map_put(&b->told, arena_dup(b->arena, text), b) != NULL);
}

static void
report(void *arg, const struct router_rule *rule, const struct router_rule *other,
    const char *what)
{
	struct build *b = arg;

	if (is_told(b, rule, other, what))
		return;
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
build_router(struct build *b, const struct router_files *changed)
{
	struct router_files in = { .report = report, .arg = b };
	struct route_file **all = arena_zarray(b->arena, b->n_files, sizeof *all);
	struct route_file **fresh = arena_zarray(b->arena, b->n_files, sizeof *fresh);

	map_init(&b->told, b->arena);
	if (changed != NULL) {
		in.before = changed->before;
		in.gone = changed->gone;
		in.n_gone = changed->n_gone;
	}
	for (unsigned i = 0; i < b->n_files; i++) {
		all[in.n_all++] = &b->files[i]->rf;
		if (!b->files[i]->is_shared)
			fresh[in.n_fresh++] = &b->files[i]->rf;
	}
	in.all = all;
	in.fresh = fresh;
	/* Beside mistakes it is made only for what it has to say. */
	b->gate->router = router_build_files(b->snap->arena, &in, &b->work.rules);
}

void
build_routes(struct build *b, struct build_names *names, struct build_layers *before,
    const struct router_files *changed)
{
	const struct schema_list *list = b->view.routes;
	struct routes *r = arena_znew(b->arena, struct routes);
	const struct route_conf *const *v = list->items;

	r->b = b;
	r->names = names;
	map_init(&r->route_names, b->arena);
	build_policies_init(&r->policies, b, before);
	r->policies.names = names;
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
	build_router(b, changed);
}

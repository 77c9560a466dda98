/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/app/build_impl.h"
#include "engine/http/hdr_id.h"
#include "engine/http/headers.h"
#include "engine/http/method.h"
#include "engine/http/uri.h"

/* From what a route of the file matches to a rule of the router. */

/* ---- what is kept ----
   All that was read goes when the build is over: what a route needs later is copied. */

struct slice
build_keep(struct routes *r, struct slice s)
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
	name = build_keep(r, name);
	(void)map_put(&r->hosts, name, (void *)(uintptr_t)name.p);
	return (name);
}

/* A name that nothing of this kind bears. */
void
build_miss(struct build *b, struct mark mark, const char *kind, const struct schema_map *m,
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
		return (build_keep(r, path));
	case URI_MALFORMED:
	case URI_NO_MEMORY:
		break;
	}
	diag_error(r->b->diag, build_place(c, key),
	    "%s \"%.*s\" is no path that a request can have", key, build_slice_len(raw), raw.p);
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
		others[rule->n_method_names++] = build_keep(r, name);
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
			build_miss(r->b, schema_item_mark(&c->listeners, i), "listener",
			    r->b->view.listeners, name);
		is_known &= at != 0;
	}
	r->file->served |= c->listeners.count == 0 ? UINT64_MAX : bits;
	if (!is_known || schema_is_wrong(&c->obj, "listeners") || c->obj.has_unknown)
		r->names->knows_served = false;
	return (bits);
}

/* ---- expressions, header fields, query ---- */

const struct regex *
build_regex(struct routes *r, struct slice pattern, struct mark mark)
{
	const struct regex *re = map_get(&r->regexes, pattern);
	struct err *err;

	if (re != NULL || pattern.len == 0)
		return (re);
	err = regex_compile(r->kept, pattern, mark, REGEX_DEFAULT, &re);
	if (err != NULL) {
		diag_error(r->b->diag, mark, "%s", err->what);
		return (NULL);
	}
	(void)map_put(&r->regexes, pattern, (void *)(uintptr_t)re);
	return (re);
}

/* Why no route can ask for this header field, or NULL. */
static const char *
refused(struct slice name)
{
	enum hdr_id id = hdr_id_of(name);

	if (id == HDR_HOST)
		return ("hosts are matched with the key \"hosts\"");
	if (hdr_info[id].row_flags & HDR_HOP)
		return ("it belongs to one connection, not to the request");
	return (NULL);
}

static void
check_header(struct routes *r, const struct schema_map *map, uint32_t i)
{
	struct slice name = map->keys[i];
	const char *why = refused(name);

	if (why != NULL)
		diag_error(r->b->diag, schema_entry_mark(map, i),
		    "field \"%.*s\" cannot be matched: %s", build_slice_len(name), name.p, why);
	for (uint32_t k = 0; k < i; k++) {
		if (slice_eq_fold(map->keys[k], name))
			diag_error(r->b->diag, schema_entry_mark(map, i),
			    "field \"%.*s\" stands here twice: case means nothing in its name",
			    build_slice_len(name), name.p);
	}
}

/* A value has no blanks before it. */
static void
check_prefix(struct routes *r, const struct route_field_conf *c)
{
	if (c->prefix.p[0] == ' ' || c->prefix.p[0] == '\t')
		diag_error(r->b->diag, schema_mark(&c->obj, "prefix"),
		    "no value of a field begins with a blank: no request reaches this route");
}

static void
match_fields(struct routes *r, const struct schema_map *map, bool is_query,
    struct router_field *v)
{
	for (uint32_t i = 0; i < map->count; i++) {
		const struct route_field_conf *c = SCHEMA_OBJ_AT(struct route_field_conf, *map, i);
		struct router_field *f = &v[i];

		f->name = build_keep(r, map->keys[i]);
		f->is_query = is_query;
		f->kind = c->present ? ROUTER_FIELD_PRESENT : ROUTER_FIELD_ABSENT;
		if (schema_has(&c->obj, "is")) {
			f->kind = ROUTER_FIELD_IS;
			f->value = build_keep(r, c->is);
		} else if (schema_has(&c->obj, "prefix")) {
			f->kind = ROUTER_FIELD_PREFIX;
			f->value = build_keep(r, c->prefix);
		} else if (schema_has(&c->obj, "regex")) {
			f->kind = ROUTER_FIELD_REGEX;
			f->regex = build_regex(r, c->regex, schema_mark(&c->obj, "regex"));
		}
		if (is_query)
			continue;
		check_header(r, map, i);
		if (c->prefix.len > 0)
			check_prefix(r, c);
	}
}

static void
match_all_fields(struct routes *r, const struct route_conf *c, struct router_rule *rule)
{
	uint32_t n = c->headers.count + c->query.count;
	struct router_field *v;

	if (n == 0)
		return;
	v = arena_zarray(r->kept, n, sizeof *v);
	match_fields(r, &c->headers, false, v);
	match_fields(r, &c->query, true, v + c->headers.count);
	rule->fields = v;
	rule->n_fields = n;
}

/* ---- all of it ---- */

/* Whether nothing was refused of what it matches. A key that is not known may be a matcher. */
static bool
is_match_sound(const struct route_conf *c)
{
	static const char *const keys[] = { "hosts", "path", "prefix", "regex", "methods",
		"listeners", "headers", "query" };

	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		if (schema_is_wrong(&c->obj, keys[i]))
			return (false);
	}
	return (!c->obj.has_unknown &&
	    (c->path.len > 0) + (c->prefix.len > 0) + (c->regex.len > 0) <= 1);
}

bool
build_match(struct routes *r, const struct route_conf *c, struct router_rule *rule)
{
	size_t errors = diag_errors(r->b->diag);

	match_hosts(r, c, rule);
	if (c->regex.len > 0)
		rule->regex = build_regex(r, c->regex, build_place(c, "regex"));
	else if (c->path.len > 0)
		rule->path = canonical(r, c, "path", c->path);
	else
		rule->prefix = c->prefix.len == 0 ? SLICE("/") :
		    without_slash(canonical(r, c, "prefix", c->prefix));
	match_methods(r, c, rule);
	match_all_fields(r, c, rule);
	rule->listeners = match_listeners(r, c);
	return (errors == diag_errors(r->b->diag) && is_match_sound(c) &&
	    (c->listeners.count == 0 || rule->listeners != 0));
}

static bool
has_encoded_slash(struct slice path)
{
	return (slice_find(path, SLICE("%2F")) >= 0 || slice_find(path, SLICE("%5C")) >= 0);
}

void
build_check_reached(struct routes *r, const struct route_conf *c, const struct router_rule *rule,
    bool allows_encoded_slash)
{
	const char *key = rule->path.len > 0 ? "path" : "prefix";

	if (!allows_encoded_slash && !schema_is_wrong(&c->obj, "allow_encoded_slash") &&
	    has_encoded_slash(rule->path.len > 0 ? rule->path : rule->prefix))
		diag_add(r->b->diag, DIAG_ERROR, build_place(c, key), NULL,
		    "write allow_encoded_slash: true beside it",
		    "%s holds %%2F or %%5C, which this route refuses: no request reaches it", key);
	if (rule->methods == UINT64_C(1) << METHOD_CONNECT)
		diag_error(r->b->diag, build_place(c, "methods"),
		    "CONNECT is always answered 405: no request reaches this route");
}

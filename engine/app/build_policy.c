/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/app/build_impl.h"
#include "engine/base/check.h"
#include "engine/proxy/mirror.h"
#include "engine/proxy/registry.h"

/*
 * What routes do whatever their target. Most routes of a large file are alike in that, and those
 * share one object: a request then finds it in the processor's cache, whichever of them it takes.
 */

/* ---- layers ---- */

static void
add_layer(struct build_policies *ps, struct build_layers *ls, const struct schema_obj *policies,
    uint64_t bit)
{
	struct build_layer_id *id = &ls->id[ls->n];

	for (unsigned i = 0; i < ls->n; i++) {
		if (ps->merged[i] == policies) {
			ls->id[i].listeners |= bit;
			return;
		}
	}
	*id = (struct build_layer_id){ .present = policies->present, .off = policies->off,
		.listeners = bit };
	schema_digest(policies, id->digest);
	ps->merged[ls->n++] = policies;
}

static void
add_layers(struct build_policies *ps, struct build_layers *ls)
{
	const struct app_view *v = &ps->b->view;
	const struct schema_obj *base = v->defaults == NULL ? NULL : &v->defaults->policies.obj;

	for (uint32_t i = 0; i < v->listeners->count && i < GATE_LISTENERS_MAX; i++) {
		const struct listener_conf *c =
		    SCHEMA_OBJ_AT(struct listener_conf, *v->listeners, i);

		if (base == NULL)
			base = schema_defaults(&route_policies_schema);
		add_layer(ps, ls, schema_merge(ps->b->arena, base, &c->policies.obj),
		    UINT64_C(1) << i);
	}
	if (ls->n == 0)
		add_layer(ps, ls, base != NULL ? base : schema_defaults(&route_policies_schema), 0);
}

void
build_policies_init(struct build_policies *ps, struct build *b, struct build_layers *before)
{
	struct build_layers *ls;

	*ps = (struct build_policies){ .b = b };
	snapshot_make_room(b->snap);
	ls = (struct build_layers *)part_new(PART_LAYERS, SLICE("layers"), sizeof *ls, 0);
	snapshot_add_part(b->snap, &ls->part);
	add_layers(ps, ls);
	if (before != NULL && before->n == ls->n &&
	    memcmp(before->id, ls->id, ls->n * sizeof ls->id[0]) == 0) {
		snapshot_make_room(b->snap);
		snapshot_add_part(b->snap, part_ref(&before->part));
		ls = before;
	}
	ps->layers = b->layers = ls;
}

void
build_policies_begin(struct build_policies *ps, struct arena *kept)
{
	ps->kept = kept;
	map_init(&ps->known, ps->b->arena);
}

/* ---- one policy ---- */

static uint32_t
limited(uint64_t ms)
{
	return (ms == SCALAR_UNLIMITED ? 0 : (uint32_t)ms);
}

/* 0 is none, which is the longest. */
static uint32_t
longer(uint32_t a, uint32_t b)
{
	return (a == 0 || b == 0 ? 0 : a > b ? a : b);
}

/*
 * What stands on the route itself is meant for whatever it serves. What is inherited or built in
 * is meant for plain requests: streams and tunnels, which are quiet by nature, have at least their
 * own times.
 */
static struct route_timeouts
timeouts(const struct route_timeout_conf *merged, const struct route_timeout_conf *own)
{
	enum { STREAM_IDLE_MS = 5 * 60 * 1000, TUNNEL_IDLE_MS = 3600 * 1000 };
	struct route_timeouts t = {
		.connect = limited(merged->connect_ms),
		.first_byte = limited(merged->first_byte_ms),
		.idle = limited(merged->idle_ms),
		.total = limited(merged->total_ms),
	};

	t.stream_first_byte = t.first_byte;
	t.stream_idle = t.tunnel_idle = t.idle;
	if (!schema_has(&own->obj, "idle")) {
		t.stream_idle = longer(t.idle, STREAM_IDLE_MS);
		t.tunnel_idle = longer(t.idle, TUNNEL_IDLE_MS);
	}
	/* Without a limit nothing would tell of a server that has forgotten its client. */
	if (!schema_has(&own->obj, "first_byte"))
		t.stream_first_byte = longer(t.first_byte, t.stream_idle);
	return (t);
}

static bool
has_prefix(const struct route_conf *c)
{
	return (c->prefix.len > 0 || schema_is_wrong(&c->obj, "prefix"));
}

const struct route_mirror_conf *
build_mirror(const struct build_policies *ps, unsigned layer, const struct route_conf *c)
{
	const struct route_policies *below = (const struct route_policies *)ps->merged[layer];

	if (c->policies.mirror != NULL || below->mirror == NULL ||
	    schema_is_off(&c->policies.obj, "mirror"))
		return (c->policies.mirror);
	return (below->mirror);
}

/* Whether its upstream is there says who knows the route; without it nothing of this is used. */
static const struct route_mirror *
make_mirror(struct build_policies *ps, struct arena *kept, const struct route_mirror_conf *c)
{
	struct route_mirror *m;
	uint32_t slot = 0;

	if (c == NULL)
		return (NULL);
	m = arena_znew(kept, struct route_mirror);
	if (build_find_slot(ps->b, ps->names, c->upstream, &slot))
		m->upstream = slot;
	m->share_ppm = (uint32_t)c->share_ppm;
	return (m);
}

static struct route_policy *
make(struct build_policies *ps, struct arena *kept, const struct route_policies *merged,
    const struct route_conf *c, const struct route *route, const struct regex *regex)
{
	struct route_policy *p = arena_zlines(kept, 1, sizeof *p);
	struct snapshot_build sb = { .magic = SNAPSHOT_BUILD_MAGIC, .arena = kept,
		.diag = ps->b->diag, .path = c->path, .has_prefix = has_prefix(c),
		.is_below_root = route->prefix.len > 0, .regex = regex, .route = route->name,
		.own = &c->policies.obj };

	p->timeout = timeouts(merged->timeout, c->policies.timeout);
	p->allow_encoded_slash = merged->allow_encoded_slash;
	p->host_upstream = merged->host == ROUTE_HOST_UPSTREAM;
	p->body_limit = merged->body_limit;
	p->mirror = make_mirror(ps, kept, merged->mirror);
	p->chain = registry_chain(&merged->obj, build_first_filter(), &sb);
	return (p);
}

/* All that make() and the filters look at; values by their digest. No padding. */
struct key {
	uint64_t	 digest[2];
	uint64_t	 present, off;
	uint64_t	 own_present, own_off;
	uint64_t	 flags;
	uint64_t	 regex;		/* its address: the same one is the same expression */
};

enum {
	KEY_PREFIX = 1,
	KEY_BELOW_ROOT = 2,
	KEY_OWN_IDLE = 4,
	KEY_OWN_FIRST_BYTE = 8
};

static struct key
key_of(const struct route_policies *merged, const struct route_conf *c, const struct route *route,
    const struct regex *regex)
{
	const struct route_policies *own = &c->policies;
	struct key key = { .present = merged->obj.present, .off = merged->obj.off,
		.own_present = own->obj.present, .own_off = own->obj.off,
		.regex = (uintptr_t)regex };

	schema_digest(&merged->obj, key.digest);
	if (has_prefix(c))
		key.flags |= KEY_PREFIX;
	if (route->prefix.len > 0)
		key.flags |= KEY_BELOW_ROOT;
	if (schema_has(&own->timeout->obj, "idle"))
		key.flags |= KEY_OWN_IDLE;
	if (schema_has(&own->timeout->obj, "first_byte"))
		key.flags |= KEY_OWN_FIRST_BYTE;
	return (key);
}

const struct route_policy *
build_policy(struct build_policies *ps, unsigned layer, const struct route_conf *c,
    const struct route *route, const struct regex *regex)
{
	struct build *b = ps->b;
	const struct schema_obj *merged =
	    schema_merge(b->arena, ps->merged[layer], &c->policies.obj);
	/* These are of all files, and live with the layers. Expressions are of their file, and so
	   are slots of upstreams. */
	bool is_plain = merged == ps->merged[layer] && regex == NULL &&
	    ((const struct route_policies *)merged)->mirror == NULL;
	const struct route_policy **plain = !is_plain ? NULL :
	    &ps->layers->plain[layer][has_prefix(c) + (route->prefix.len > 0)];
	size_t errors = diag_errors(b->diag);
	const struct route_policies *all;
	struct route_policy *p;
	struct slice key_text;
	struct key key;

	/* Nothing stands on the route itself, as on most. */
	if (plain != NULL && *plain != NULL)
		return (*plain);
	all = (const struct route_policies *)schema_without_wrong(b->arena, merged);
	key = key_of(all, c, route, regex);
	key_text = slice_of((const char *)&key, sizeof key);
	p = plain != NULL ? NULL : map_get(&ps->known, key_text);
	if (p == NULL)
		p = make(ps, plain != NULL ? ps->layers->part.arena : ps->kept, all, c,
		    route, regex);
	/* A mistake is told with each route that has it. */
	if (errors != diag_errors(b->diag))
		return (p);
	if (plain != NULL)
		*plain = p;
	else
		(void)map_put(&ps->known, arena_dup(b->arena, key_text), p);
	return (p);
}

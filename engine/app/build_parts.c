/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/app/build_impl.h"
#include "engine/base/check.h"

/*
 * The parts that generations share. A part is taken over when the one before has the same name
 * and its digest is that of what was decoded now: comments, order and spelled-out defaults change
 * nothing.
 */

static uint64_t
digest(const struct schema_obj *obj, uint64_t also)
{
	uint64_t d[2];

	schema_digest(obj, d);
	return (d[0] ^ (d[1] + also));
}

/* The parts of one kind of the generation before, by name. */
static void
index_before(struct build *b, enum part_kind kind, struct map *m)
{
	map_init(m, b->arena);
	for (unsigned i = 0; b->before != NULL && i < b->before->n_parts; i++) {
		struct part *p = b->before->parts[i];

		if (p->kind == kind)
			(void)map_put(m, p->name, p);
	}
}

static struct upstream *
take_upstream(struct build *b, const struct map *before, struct slice name,
    const struct upstream_spec *spec)
{
	uint64_t hash = digest(&spec->obj, 0);
	struct part *p = map_get(before, name);

	snapshot_make_room(b->snap);
	if (p != NULL && p->hash == hash)
		p = part_ref(p);
	else
		p = &upstream_build(name, spec, hash)->part;
	snapshot_add_part(b->snap, p);
	return ((struct upstream *)p);
}

void
build_upstreams(struct build *b, struct build_names *names)
{
	const struct schema_map *m = b->view.upstreams;
	struct gate *g = b->gate;
	struct map before;

	index_before(b, PART_UPSTREAM, &before);
	g->upstreams = arena_zarray(b->snap->arena, m->count + 1, sizeof *g->upstreams);
	for (uint32_t i = 0; i < m->count; i++) {
		const struct upstream_spec *spec = SCHEMA_OBJ_AT(struct upstream_spec, *m, i);

		upstream_check(spec, m->keys[i], b->arena, b->diag);
		/* With mistakes nothing is built, but names are still looked up. */
		if (diag_is_ok(b->diag)) {
			g->upstreams[i] = take_upstream(b, &before, m->keys[i], spec);
			g->n_upstreams++;
		}
		(void)map_put(&names->upstreams, m->keys[i],
		    diag_is_ok(b->diag) ? (void *)g->upstreams[i] : (void *)b);
	}
}

void
build_check_used(struct build *b, const struct build_names *names)
{
	const struct schema_map *m = b->view.upstreams;

	for (uint32_t i = 0; names->knows_uses && i < m->count; i++) {
		/* A name that was refused is empty. */
		if (m->keys[i].len > 0 && map_get(&names->used, m->keys[i]) == NULL)
			diag_error(b->diag, schema_entry_mark(m, i),
			    "upstream \"%.*s\" is never used", build_slice_len(m->keys[i]),
			    m->keys[i].p);
	}
	m = b->view.listeners;
	for (uint32_t i = 0; names->knows_served && i < m->count; i++) {
		if (m->keys[i].len > 0 && !(names->served >> i & 1))
			diag_error(b->diag, schema_entry_mark(m, i),
			    "listener \"%.*s\" serves no route", build_slice_len(m->keys[i]),
			    m->keys[i].p);
	}
}

static struct listener *
take_listener(struct build *b, const struct map *before, struct slice name,
    const struct listener_conf *conf, unsigned index)
{
	uint64_t hash = digest(&conf->obj, index);
	struct part *p = map_get(before, name);

	snapshot_make_room(b->snap);
	if (p != NULL && p->hash == hash && ((struct listener *)p)->index == index)
		p = part_ref(p);
	else
		p = &listener_build(name, conf, index, hash)->part;
	snapshot_add_part(b->snap, p);
	return ((struct listener *)p);
}

/* Two listeners on one address would share its connections by chance. */
static void
check_addresses(struct build *b, struct map *seen, struct slice name,
    const struct listener_conf *c)
{
	char buf[ADDR_TEXT_MAX + 8];
	const struct listener_conf *first;
	size_t n;

	if (!schema_has(&c->obj, "listen") || schema_is_wrong(&c->obj, "listen"))
		return;
	n = addr_format(&c->listen.addr, buf, sizeof buf);
	first = map_put(seen, arena_dup(b->arena, slice_of(buf, n)), (void *)(uintptr_t)c);
	if (first == NULL)
		return;
	diag_error(b->diag, schema_mark(&c->obj, "listen"),
	    "listener \"%.*s\" listens on %s, as another one does already (line %u)",
	    build_slice_len(name), name.p, buf, schema_mark(&first->obj, "listen").line);
}

void
build_listeners(struct build *b, struct build_names *names)
{
	const struct schema_map *m = b->view.listeners;
	struct gate *g = b->gate;
	struct map before, addresses;

	index_before(b, PART_LISTENER, &before);
	map_init(&addresses, b->arena);
	if (m->count > GATE_LISTENERS_MAX) {
		diag_error(b->diag, schema_entry_mark(m, GATE_LISTENERS_MAX),
		    "%u listeners, at most %u are taken", m->count, GATE_LISTENERS_MAX);
		return;
	}
	g->listeners = arena_zarray(b->snap->arena, m->count + 1, sizeof *g->listeners);
	for (uint32_t i = 0; i < m->count; i++) {
		const struct listener_conf *c = SCHEMA_OBJ_AT(struct listener_conf, *m, i);

		check_addresses(b, &addresses, m->keys[i], c);
		(void)map_put(&names->listeners, m->keys[i], (void *)((uintptr_t)i + 1));
		if (!diag_is_ok(b->diag))
			continue;
		g->listeners[i] = take_listener(b, &before, m->keys[i], c, i);
		g->n_listeners++;
	}
}

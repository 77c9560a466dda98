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

static struct part *
listener_before(const struct build *b, struct slice name)
{
	const struct gate *g = b->before == NULL ? NULL : b->before->root;

	for (unsigned i = 0; g != NULL && i < g->n_listeners; i++) {
		if (slice_eq(g->listeners[i]->name, name))
			return (&g->listeners[i]->part);
	}
	return (NULL);
}

/* ---- upstreams ---- */

struct upstream *
build_upstream_part(struct build *b, struct upstream *before, struct slice name,
    const struct upstream_spec *spec)
{
	uint64_t hash = digest(&spec->obj, 0);

	b->work.upstreams++;
	if (before == NULL || before->part.hash != hash)
		return (upstream_build(name, spec, hash));
	(void)part_ref(&before->part);
	return (before);
}

static void
index_upstreams(const struct build *b, struct map *m)
{
	const struct gate *g = b->before == NULL ? NULL : b->before->root;

	map_init(m, b->arena);
	for (unsigned i = 0; g != NULL && i < g->n_upstreams; i++)
		(void)map_put(m, g->upstreams[i]->part.name, g->upstreams[i]);
}

/* The file that an upstream stands in: its key is in front of its value. */
static struct build_file *
file_of(struct build *b, const struct schema_map *m, uint32_t i)
{
	return (build_file_of(b, m->nodes[i][-1].mark.file));
}

void
build_upstreams_room(struct build *b)
{
	const struct schema_map *m = b->view.upstreams;

	for (uint32_t i = 0; i < m->count; i++) {
		struct build_file *f = file_of(b, m, i);

		f->n_wanted += !f->is_shared;
	}
	for (unsigned i = 0; i < b->n_files; i++) {
		struct build_file *f = b->files[i];

		if (!f->is_shared)
			f->upstreams = arena_zarray(f->rf.part.arena, f->n_wanted,
			    sizeof *f->upstreams);
	}
}

void
build_upstreams(struct build *b, struct build_names *names)
{
	const struct schema_map *m = b->view.upstreams;
	struct map before;

	index_upstreams(b, &before);
	build_upstreams_room(b);
	for (uint32_t i = 0; i < m->count; i++) {
		const struct upstream_spec *spec = SCHEMA_OBJ_AT(struct upstream_spec, *m, i);

		upstream_check(spec, m->keys[i], b->arena, b->diag);
		/* With mistakes nothing is built, but names are still looked up. */
		if (diag_is_ok(b->diag))
			build_file_add_upstream(file_of(b, m, i), build_upstream_part(b,
			    map_get(&before, m->keys[i]), m->keys[i], spec), i);
		(void)map_put(&names->upstreams, m->keys[i], (void *)((uintptr_t)i + 1));
	}
}

bool
build_find_slot(const struct build *b, const struct build_names *names, struct slice name,
    uint32_t *slot_r)
{
	uintptr_t at = (uintptr_t)map_get(&names->upstreams, name);

	if (b->changes != NULL)
		return (build_changed_slot(b->changes, name, slot_r));
	*slot_r = (uint32_t)(at - 1);
	return (at != 0);
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
take_listener(struct build *b, struct slice name, const struct listener_conf *conf, unsigned index)
{
	uint64_t hash = digest(&conf->obj, index);
	struct part *p = listener_before(b, name);

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
	struct map addresses;

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
		g->listeners[i] = take_listener(b, m->keys[i], c, i);
		g->n_listeners++;
	}
}

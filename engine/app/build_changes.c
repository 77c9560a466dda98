/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/app/build_impl.h"
#include "engine/base/check.h"
#include "engine/proxy/access_log_conf.h"

/*
 * A build from the files that changed, and the parts of those that did not.
 *
 * Files that say something beside routes and upstreams are parsed in any case, so listeners,
 * defaults and all else of the root are decoded as ever. When the layers that routes stand on and
 * the places of the listeners are what they were, the parts of unchanged files are what they would
 * become again. What one file's names mean to another is in the catalog of the generation before.
 *
 * It never says anything: at the first mistake, warning or doubt it gives up, and what there is to
 * say the build of all files says. So it may refuse too much, and must not let pass too much.
 */

const char *const build_known_keys[] = { "routes", "upstreams", NULL };

/* What becomes of the name of an upstream. */
struct change {
	struct slice		 name;
	struct build_name	*was;	/* NULL: it was not defined */
	int			 defs;	/* files that define it, more than before */
	int			 users;	/* files that refer to it, more than before */
	struct build_file	*file;	/* of its definition, if that is new */
	struct upstream		*u;
	uint32_t		 slot;
};

struct build_changes {
	struct build		*b;
	struct build_catalog	*catalog;	/* of the gate before; only looked at */
	struct map		 upstreams;	/* to struct change */
	VEC(struct route_file *) gone;
	size_t			 n_taken_slots;	/* of the free ones */
	uint32_t		 n_slots;
};

static uint64_t attempts;

static struct gate *
gate_before(const struct build *b)
{
	return (b->before->root);
}

/* ---- files ---- */

/* Files of before, in their order, for those that are shared. False: the order is another. */
static bool
take_files(struct build_changes *ch)
{
	struct build *b = ch->b;
	const struct gate *g = gate_before(b);
	unsigned at = 0;

	b->files = arena_zarray(b->arena, b->sources->v.n + 1, sizeof(struct build_file *));
	for (size_t i = 0; i < b->sources->v.n; i++) {
		struct source *s = b->sources->v.v[i].source;
		struct build_file *f;

		if (!b->sources->v.v[i].is_shared) {
			(void)build_file_new(b, s);
			continue;
		}
		while (at < g->n_files && g->files[at]->source != s)
			at++;
		if (at == g->n_files ||
		    ((struct build_file *)g->files[at])->is_first != (i == 0))
			return (false);
		f = build_file_take(b, (struct build_file *)g->files[at]);
		f->attempt = attempts;
	}
	for (unsigned i = 0; i < g->n_files; i++) {
		struct build_file *f = (struct build_file *)g->files[i];

		if (f->attempt != attempts)
			vec_push(&ch->gone, &f->rf);
	}
	return (true);
}

/* ---- upstreams ---- */

static struct change *
change_of(struct build_changes *ch, struct slice name)
{
	struct change *c = map_get(&ch->upstreams, name);

	if (c != NULL)
		return (c);
	c = arena_znew(ch->b->arena, struct change);
	c->name = name;
	c->was = map_get(&ch->catalog->upstreams, name);
	if (c->was != NULL)
		c->slot = c->was->slot;
	(void)map_put(&ch->upstreams, name, c);
	return (c);
}

static bool
is_defined(const struct change *c)
{
	return ((c->was != NULL) + c->defs == 1);
}

bool
build_changed_slot(const struct build_changes *ch, struct slice name, uint32_t *slot_r)
{
	const struct change *c = map_get(&ch->upstreams, name);
	const struct build_name *was;

	if (c != NULL) {
		*slot_r = c->slot;
		return (is_defined(c));
	}
	was = map_get(&ch->catalog->upstreams, name);
	*slot_r = was == NULL ? 0 : was->slot;
	return (was != NULL);
}

static void
forget_gone(struct build_changes *ch)
{
	for (size_t i = 0; i < ch->gone.n; i++) {
		const struct build_file *f = (const struct build_file *)ch->gone.v[i];

		for (unsigned k = 0; k < f->n_upstreams; k++)
			change_of(ch, f->upstreams[k].u->part.name)->defs--;
		for (unsigned k = 0; k < f->n_uses; k++)
			change_of(ch, f->uses[k])->users--;
	}
}

/* A slot that no generation to come needs for another name. */
static uint32_t
new_slot(struct build_changes *ch)
{
	const struct build_catalog *c = ch->catalog;

	if (ch->n_taken_slots < c->free_slots.n)
		return (c->free_slots.v[c->free_slots.n - ++ch->n_taken_slots]);
	return (ch->n_slots++);
}

static void
add_upstreams(struct build_changes *ch)
{
	struct build *b = ch->b;
	const struct schema_map *m = b->view.upstreams;

	build_upstreams_room(b);
	for (uint32_t i = 0; i < m->count; i++) {
		const struct upstream_spec *spec = SCHEMA_OBJ_AT(struct upstream_spec, *m, i);
		struct build_file *f = build_file_of(b, m->nodes[i][-1].mark.file);
		struct change *c;

		if (f->is_shared)
			continue;
		upstream_check(spec, m->keys[i], b->arena, b->diag);
		if (!diag_is_ok(b->diag))
			return;
		c = change_of(ch, m->keys[i]);
		c->defs++;
		if (c->was == NULL)
			c->slot = new_slot(ch);
		c->file = f;
		c->u = build_upstream_part(b, c->was == NULL ? NULL : c->was->u, m->keys[i], spec);
		build_file_add_upstream(f, c->u, c->slot);
	}
}

/* Each upstream is defined once and used, or neither. */
static bool
are_upstreams_sound(struct build_changes *ch)
{
	struct build *b = ch->b;
	size_t at = 0;
	void *v;

	for (unsigned i = 0; i < b->n_files; i++) {
		const struct build_file *f = b->files[i];

		for (unsigned k = 0; !f->is_shared && k < f->n_uses; k++)
			change_of(ch, f->uses[k])->users++;
	}
	while (map_next(&ch->upstreams, &at, NULL, &v)) {
		const struct change *c = v;
		int defs = (c->was != NULL) + c->defs;
		int users = (c->was == NULL ? 0 : (int)c->was->users) + c->users;

		if (defs > 1 || (defs == 1) != (users > 0))
			return (false);
	}
	return (true);
}

/* ---- routes ---- */

/* No name is given twice; within the new files that has been looked at. */
static bool
are_routes_sound(struct build_changes *ch)
{
	struct build *b = ch->b;

	for (unsigned i = 0; i < b->n_files; i++) {
		const struct route_file *rf = &b->files[i]->rf;

		for (unsigned k = 0; !b->files[i]->is_shared && k < rf->n_routes; k++) {
			const struct build_file *f =
			    map_get(&ch->catalog->routes, rf->routes[k].name);

			if (f != NULL && f->attempt == attempts)
				return (false);
		}
	}
	return (b->gate->n_routes > 0);
}

static bool
are_listeners_served(const struct build *b, const struct build_names *names)
{
	uint64_t all = (UINT64_C(1) << b->gate->n_listeners) - 1;

	return ((names->served & all) == all);
}

/* ---- all of it ---- */

/* A route names listeners by place. */
static bool
are_listeners_where_they_were(const struct build *b)
{
	const struct schema_map *m = b->view.listeners;
	const struct gate *g = gate_before(b);

	if (m->count != g->n_listeners)
		return (false);
	for (uint32_t i = 0; i < m->count; i++) {
		if (!slice_eq(m->keys[i], g->listeners[i]->name))
			return (false);
	}
	return (true);
}

static bool
is_clean(const struct build *b)
{
	return (diag_errors(b->diag) == 0 && diag_warnings(b->diag) == 0);
}

bool
build_changed(struct build *b, struct build_names *names)
{
	struct build_changes *ch = arena_znew(b->arena, struct build_changes);
	struct router_files files = { .before = gate_before(b)->router };

	attempts++;
	ch->b = b;
	ch->catalog = gate_before(b)->catalog;
	ch->n_slots = ch->catalog->n_slots;
	map_init(&ch->upstreams, b->arena);
	vec_init(&ch->gone, b->arena);
	if (!is_clean(b) || !are_listeners_where_they_were(b) || !take_files(ch))
		return (false);
	b->changes = ch;
	files.gone = ch->gone.v;
	files.n_gone = (unsigned)ch->gone.n;
	forget_gone(ch);
	add_upstreams(ch);
	build_listeners(b, names);
	if (!is_clean(b))
		return (false);
	build_routes(b, names, ch->catalog->layers, &files);
	if (b->layers != ch->catalog->layers || !is_clean(b))
		return (false);
	build_gather(b, ch->n_slots);
	if (b->view.log != NULL)
		b->gate->log = access_log_plan_build(b->snap->arena, b->diag, b->view.log);
	return (is_clean(b) && are_upstreams_sound(ch) && are_routes_sound(ch) &&
	    are_listeners_served(b, names));
}

/* ---- the catalog ---- */

static void
commit_upstream(struct build_catalog *cat, struct change *c)
{
	uint32_t users = (uint32_t)((c->was == NULL ? 0 : (int)c->was->users) + c->users);
	struct build_name *n = c->was;

	if (c->u == NULL && n != NULL && is_defined(c)) {
		n->users = users;
		return;
	}
	/* Its name may be in a part that goes. */
	if (n != NULL)
		build_catalog_drop(cat, n);
	if (c->u == NULL) {
		if (c->was != NULL)
			vec_push(&cat->free_slots, c->slot);
		return;
	}
	n = build_catalog_put(cat, c->u, c->slot);
	n->file = c->file;
	n->users = users;
}

void
build_changed_commit(struct build *b)
{
	struct build_changes *ch = b->changes;
	struct build_catalog *cat = ch->catalog;
	size_t at = 0;
	void *v;

	gate_before(b)->catalog = NULL;
	b->catalog = cat;
	cat->free_slots.n -= ch->n_taken_slots;
	cat->n_slots = ch->n_slots;
	while (map_next(&ch->upstreams, &at, NULL, &v))
		commit_upstream(cat, v);
	for (size_t i = 0; i < ch->gone.n; i++)
		build_catalog_drop_routes(cat, (struct build_file *)ch->gone.v[i]);
	for (unsigned i = 0; i < b->n_files; i++) {
		if (!b->files[i]->is_shared)
			build_catalog_add_routes(cat, b->files[i]);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/app/build_impl.h"
#include "engine/base/check.h"
#include "engine/mem/alloc.h"

/* Names are sought in it, never gone through: its size costs a change nothing. */

/* A route without a name has one with a bracket, which no name that is given can have. */
static bool
is_named(const struct route *r)
{
	return (slice_find_byte(r->name, '[') < 0);
}

void
build_catalog_add_routes(struct build_catalog *c, struct build_file *f)
{
	for (unsigned i = 0; i < f->rf.n_routes; i++) {
		if (is_named(&f->rf.routes[i]))
			(void)map_put(&c->routes, f->rf.routes[i].name, f);
	}
}

void
build_catalog_drop_routes(struct build_catalog *c, const struct build_file *f)
{
	for (unsigned i = 0; i < f->rf.n_routes; i++) {
		if (is_named(&f->rf.routes[i]))
			(void)map_del(&c->routes, f->rf.routes[i].name);
	}
}

struct build_name *
build_catalog_put(struct build_catalog *c, struct upstream *u, uint32_t slot)
{
	struct build_name *n = mem_try_calloc(1, sizeof *n);
	struct mem_trap trap;

	if (n == NULL)
		mem_failed(sizeof *n);
	n->u = u;
	n->slot = slot;
	if (MEM_TRAP_ENTER(&trap)) {
		xfree(n);
		mem_failed(trap.wanted);
	}
	(void)map_put(&c->upstreams, u->part.name, n);
	mem_trap_leave(&trap);
	return (n);
}

void
build_catalog_drop(struct build_catalog *c, struct build_name *n)
{
	(void)map_del(&c->upstreams, n->u->part.name);
	xfree(n);
}

static void
fill(struct build_catalog *c, const struct build *b)
{
	for (unsigned i = 0; i < b->n_files; i++) {
		struct build_file *f = b->files[i];

		build_catalog_add_routes(c, f);
		for (unsigned k = 0; k < f->n_upstreams; k++)
			build_catalog_put(c, f->upstreams[k].u, f->upstreams[k].slot)->file = f;
	}
	for (unsigned i = 0; i < b->n_files; i++) {
		const struct build_file *f = b->files[i];

		for (unsigned k = 0; k < f->n_uses; k++) {
			struct build_name *n = map_get(&c->upstreams, f->uses[k]);

			must(n != NULL);
			n->users++;
		}
	}
	c->n_slots = b->gate->n_slots;
	c->layers = b->layers;
}

void
build_catalog_make(struct build *b)
{
	struct build_catalog *c = xcalloc(1, sizeof *c);

	c->magic = BUILD_CATALOG_MAGIC;
	map_init(&c->upstreams, NULL);
	map_init(&c->routes, NULL);
	vec_init(&c->free_slots, NULL);
	b->catalog = c;
	fill(c, b);
}

void
build_catalog_free(struct build_catalog **cp)
{
	struct build_catalog *c;
	size_t at = 0;
	void *n;

	TAKE_OBJ(c, cp, BUILD_CATALOG_MAGIC);
	while (map_next(&c->upstreams, &at, NULL, &n))
		xfree(n);
	map_fini(&c->upstreams);
	map_fini(&c->routes);
	vec_fini(&c->free_slots);
	c->magic = 0;
	xfree(c);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/app/build_impl.h"
#include "engine/base/check.h"

/* The parts of files, and what a generation gathers from them. */

static void
on_fini(struct part *p)
{
	struct build_file *f = (struct build_file *)p;

	for (unsigned i = 0; i < f->n_upstreams; i++) {
		struct part *u = &f->upstreams[i].u->part;

		part_unref(&u);
	}
	source_unref(&f->rf.source);
}

static void
add(struct build *b, struct build_file *f)
{
	must(b->n_files < b->sources->v.n);
	b->files[b->n_files++] = f;
}

struct build_file *
build_file_new(struct build *b, struct source *source)
{
	struct build_file *f;

	snapshot_make_room(b->snap);
	f = (struct build_file *)part_new(PART_ROUTES, slice_str(source->name), sizeof *f, 0);
	f->rf.source = source_ref(source);
	f->rf.part.fini = on_fini;
	f->is_first = b->n_files == 0;
	snapshot_add_part(b->snap, &f->rf.part);
	add(b, f);
	return (f);
}

struct build_file *
build_file_take(struct build *b, struct build_file *f)
{
	snapshot_make_room(b->snap);
	snapshot_add_part(b->snap, part_ref(&f->rf.part));
	f->is_shared = true;
	add(b, f);
	return (f);
}

/* Names come file by file. */
struct build_file *
build_file_of(struct build *b, const char *name)
{
	const struct source *s = sources_find(b->sources, name);

	for (unsigned i = 0; i < b->n_files; i++) {
		unsigned at = (b->last_file + i) % b->n_files;

		if (b->files[at]->rf.source == s) {
			b->last_file = at;
			return (b->files[at]);
		}
	}
	never("a mark of no file");
}

void
build_file_add_upstream(struct build_file *f, struct upstream *u, uint32_t slot)
{
	must(f->n_upstreams < f->n_wanted);
	f->upstreams[f->n_upstreams++] = (struct build_upstream){ .u = u, .slot = slot };
}

void
build_gather(struct build *b, uint32_t n_slots)
{
	struct gate *g = b->gate;
	uint32_t *first_of = arena_zarray(b->snap->arena, b->n_files + 1, sizeof *first_of);
	unsigned n = 0;

	g->first_of = first_of;
	g->files = arena_zarray(b->snap->arena, b->n_files + 1, sizeof *g->files);
	for (unsigned i = 0; i < b->n_files; i++) {
		g->files[g->n_files] = &b->files[i]->rf;
		first_of[g->n_files++] = g->n_routes;
		g->n_routes += b->files[i]->rf.n_written;
		n += b->files[i]->n_upstreams;
	}
	g->upstreams = arena_zarray(b->snap->arena, n + 1, sizeof *g->upstreams);
	g->by_slot = arena_zarray(b->snap->arena, n_slots + 1, sizeof *g->by_slot);
	g->n_slots = n_slots;
	for (unsigned i = 0; i < b->n_files; i++) {
		const struct build_file *f = b->files[i];

		for (unsigned k = 0; k < f->n_upstreams; k++) {
			g->upstreams[g->n_upstreams++] = f->upstreams[k].u;
			g->by_slot[f->upstreams[k].slot] = f->upstreams[k].u;
		}
	}
}

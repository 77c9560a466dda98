/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "engine/app/build_impl.h"
#include "engine/base/check.h"
#include "engine/mem/alloc.h"
#include "engine/proxy/access_log_conf.h"
#include "engine/proxy/proxy_limits.h"
#include "engine/proxy/registry.h"

static unsigned first_filter;

void
build_register_filters(void)
{
	first_filter = registry_extend(&route_policies_schema);
}

unsigned
build_first_filter(void)
{
	return (first_filter);
}

static void
read_files(struct build *b, const struct load_options *opt, const char *const *known)
{
	struct schema_reader rd = { .arena = b->arena, .diag = b->diag, .sources = b->sources,
		.known = known };
	struct load_options from = *opt;
	const struct node *tree;

	from.sources = b->sources;
	from.known = known;
	tree = load_files(b->arena, b->diag, b->prog->schema, &from);
	if (tree == NULL)
		return;
	b->root = schema_decode(&rd, b->prog->schema, tree);
	b->prog->view(b->root, &b->view);
}

static int
by_place(const void *va, const void *vb)
{
	const struct upstream *const *a = va, *const *b = vb;

	return (((uintptr_t)*a > (uintptr_t)*b) - ((uintptr_t)*a < (uintptr_t)*b));
}

static void
sort_upstreams(struct build *b)
{
	struct gate *g = b->gate;
	size_t bytes = g->n_upstreams * sizeof *g->upstreams;

	g->upstreams_sorted = arena_zarray(b->snap->arena, g->n_upstreams + 1,
	    sizeof *g->upstreams);
	if (bytes == 0)
		return;
	memcpy(g->upstreams_sorted, g->upstreams, bytes);
	qsort(g->upstreams_sorted, g->n_upstreams, sizeof *g->upstreams, by_place);
}

const char *
build_nearest_key(struct build *b, const struct schema_map *m, struct slice name)
{
	const char **names = arena_zarray(b->arena, m->count + 1, sizeof *names);

	for (uint32_t i = 0; i < m->count; i++)
		names[i] = arena_cstr(b->arena, m->keys[i]);
	return (diag_nearest(name, names, m->count));
}

/* Has all that the files say under this key of the root been read? */
static bool
is_whole(const struct build *b, const char *key, uint32_t count)
{
	const struct schema_obj *root = b->root;

	if (root->node != NULL && (root->node->flags & NODE_BROKEN))
		return (false);
	if (schema_is_wrong(root, key) && (count == 0 || !schema_has(root, key)))
		return (false);
	return (count > 0 || !root->has_unknown);
}

static void
init_names(struct build *b, struct build_names *names)
{
	const struct app_view *v = &b->view;

	map_init(&names->upstreams, b->arena);
	map_init(&names->used, b->arena);
	map_init(&names->listeners, b->arena);
	names->knows_upstreams = is_whole(b, "upstreams", v->upstreams->count);
	names->knows_listeners = is_whole(b, "listeners", v->listeners->count) &&
	    v->listeners->count <= GATE_LISTENERS_MAX;
	/* Without routes, which is a mistake, no upstream is used, no listener served. */
	names->knows_uses = v->routes->count > 0 && is_whole(b, "routes", v->routes->count);
	names->knows_served = names->knows_uses && names->knows_listeners;
	names->served = 0;
}

static struct sources *
sources_of(const struct snapshot *s)
{
	return (s == NULL ? NULL : ((const struct gate *)s->root)->sources);
}

/* What is made anew for each attempt, and dropped when it is given up. */
static void
begin(struct build *b, const struct load_options *opt, uint64_t generation)
{
	snapshot_discard(&b->snap);
	if (b->sources != NULL)
		sources_unref(&b->sources);
	if (b->arena != NULL)
		arena_free(&b->arena);
	/* Should memory end before there is another, who asks for mistakes finds none. */
	b->diag = NULL;
	b->changes = NULL;
	b->files = NULL;
	b->n_files = b->last_file = 0;
	b->root = NULL;
	b->work = (struct build_work){ .files_parsed = 0 };
	b->sources = sources_new(sources_of(b->before), opt->lookup, opt->lookup_arg);
	b->snap = snapshot_new(generation);
	b->arena = arena_new("build");
	b->diag = diag_new(b->arena);
	b->gate = arena_znew(b->snap->arena, struct gate);
	b->gate->magic = GATE_MAGIC;
	b->snap->root = b->gate;
}

static void
finish(struct build *b)
{
	sort_upstreams(b);
	b->gate->max_connections = b->view.limits->connections == SCALAR_AUTO ?
	    proxy_limits_auto() : b->view.limits->connections;
	b->work.files_parsed = (unsigned)b->sources->n_parsed;
}

static void
build_all(struct build *b, const struct load_options *opt)
{
	struct build_names names;

	b->work.is_whole = true;
	read_files(b, opt, NULL);
	if (b->root == NULL)
		return;
	b->files = arena_zarray(b->arena, b->sources->v.n + 1, sizeof *b->files);
	for (size_t i = 0; i < b->sources->v.n; i++)
		(void)build_file_new(b, b->sources->v.v[i].source);
	init_names(b, &names);
	build_upstreams(b, &names);
	build_listeners(b, &names);
	build_routes(b, &names, NULL, NULL);
	if (b->view.log != NULL)
		b->gate->log = access_log_plan_build(b->snap->arena, b->diag, b->view.log);
	build_check_used(b, &names);
	if (!diag_is_ok(b->diag))
		return;
	build_gather(b, b->view.upstreams->count);
	finish(b);
	/* What was warned of is to be told again by the next one, which reads everything then. */
	if (diag_warnings(b->diag) == 0)
		build_catalog_make(b);
}

/* False: everything is to be read. */
static bool
build_quickly(struct build *b, const struct load_options *opt)
{
	struct build_names names;

	if (b->before == NULL || ((const struct gate *)b->before->root)->catalog == NULL)
		return (false);
	read_files(b, opt, build_known_keys);
	if (b->root == NULL)
		return (false);
	init_names(b, &names);
	if (!build_changed(b, &names))
		return (false);
	finish(b);
	return (true);
}

static void
init(struct build *b, const struct app_program *prog, const struct snapshot *before)
{
	memset(b, 0, sizeof *b);
	b->magic = BUILD_MAGIC;
	b->prog = prog;
	b->before = before;
}

bool
build_run(struct build *b, const struct app_program *prog, const struct load_options *opt,
    const struct snapshot *before, uint64_t generation)
{
	struct mem_trap trap;

	init(b, prog, before);
	if (MEM_TRAP_ENTER(&trap)) {
		b->no_memory = true;
		return (false);
	}
	begin(b, opt, generation);
	if (!build_quickly(b, opt)) {
		begin(b, opt, generation);
		build_all(b, opt);
	}
	mem_trap_leave(&trap);
	return (diag_is_ok(b->diag));
}

bool
build_read_again(struct build *b, const struct app_program *prog, const struct snapshot *of)
{
	static const struct load_options none = { .n_paths = 0 };
	struct mem_trap trap;

	init(b, prog, NULL);
	if (MEM_TRAP_ENTER(&trap)) {
		b->no_memory = true;
		return (false);
	}
	b->sources = sources_again(sources_of(of));
	b->arena = arena_new("build");
	b->diag = diag_new(b->arena);
	read_files(b, &none, NULL);
	mem_trap_leave(&trap);
	return (b->root != NULL && diag_is_ok(b->diag));
}

static void
forget(void *arg)
{
	struct gate *g = arg;

	sources_unref(&g->sources);
	if (g->catalog != NULL)
		build_catalog_free(&g->catalog);
}

/* So that the workers need not go through ten thousand upstreams to find the one that went. */
static void
note_dropped(const struct build *b)
{
	struct gate *was = b->before->root;

	was->next = 0;
	was->n_dropped = 0;
	if (was->dropped == NULL)
		was->dropped = arena_zarray(b->before->arena, was->n_upstreams + 1,
		    sizeof *was->dropped);
	for (unsigned i = 0; i < was->n_upstreams; i++) {
		if (!proxy_has_upstream(b->gate, was->upstreams[i]))
			was->dropped[was->n_dropped++] = was->upstreams[i];
	}
	was->next = b->snap->generation;
}

struct snapshot *
build_take(struct build *b)
{
	struct arena_cleanup *cleanup;
	struct mem_trap trap;
	struct snapshot *s;

	CHECK_OBJ(b, BUILD_MAGIC);
	must(diag_is_ok(b->diag));
	if (MEM_TRAP_ENTER(&trap))
		return (NULL);
	cleanup = arena_znew(b->snap->arena, struct arena_cleanup);
	if (b->before != NULL)
		note_dropped(b);
	if (b->changes != NULL)
		build_changed_commit(b);
	mem_trap_leave(&trap);
	sources_close(b->sources);
	b->gate->sources = sources_ref(b->sources);
	b->gate->catalog = b->catalog;
	b->catalog = NULL;
	arena_on_reset(b->snap->arena, cleanup, forget, b->gate);
	s = b->snap;
	b->snap = NULL;
	return (s);
}

void
build_fini(struct build *b)
{
	CHECK_OBJ(b, BUILD_MAGIC);
	snapshot_discard(&b->snap);
	if (b->catalog != NULL)
		build_catalog_free(&b->catalog);
	if (b->arena != NULL)
		arena_free(&b->arena);
	if (b->sources != NULL)
		sources_unref(&b->sources);
	/* Most of what was read is not needed any more, and nothing else may be freed for long. */
	mem_give_back();
	b->magic = 0;
}

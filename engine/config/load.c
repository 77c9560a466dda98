/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/base/check.h"
#include "engine/config/diag.h"
#include "engine/config/load.h"
#include "engine/config/schema_impl.h"
#include "engine/mem/arena.h"
#include "engine/mem/vec.h"

/*
 * All files are read first, each to a tree of its own; then their top levels are merged, one key
 * after the other. Only pointers are gathered until a key is complete, so a thousand files cost
 * no more than one large file.
 */

struct load_file {
	struct load_file *next;
	const char *name;
	const struct node *root; /* NULL: not readable as YAML, or not read */
	struct source *source;   /* NULL: a text in memory */
	bool is_known;           /* what it says; not read */
	size_t group;            /* which of the paths given it came from */
	bool is_included;
	uint64_t dev, ino; /* 0: no regular file */
};

struct load_state {
	struct arena *arena;
	struct diag *diag;
	const struct schema_state *schema;
	struct sources *sources; /* NULL: texts in memory */
	yaml_lookup_fn lookup;
	void *lookup_arg;
	const char *reading; /* the file that is being read */
	uint64_t known;      /* rows whose values the caller has, where a file did not change */
	struct load_file *first;
	struct load_file **last;
	size_t total_bytes;
	/* glob() allocates for itself; given back should memory end meanwhile */
	glob_t globbed;
	bool has_glob;
	bool is_partial; /* something that was written is not in the tree */
	struct arena_cleanup cleanup, cleanup_sources;
};

/* ---- reading ---- */

struct slice
load_resolve(struct arena *arena, const char *from, struct slice path)
{
	const char *slash = from != NULL ? strrchr(from, '/') : NULL;

	if (slash == NULL || path.len == 0 || path.p[0] == '/')
		return (path);
	return (slice_str(
	    arena_printf(arena, "%.*s/" SLICE_FMT, (int)(slash - from), from, SLICE_ARG(path))));
}

/* What the top level of a file says, for the loads after this one. */
static void
note_keys(struct load_state *ld, struct source *s, const struct node *root)
{
	s->keys = 0;
	s->has_other_keys = false;
	for (uint32_t i = 0; root != NULL && root->kind == NODE_MAP && i < root->count; i++) {
		int row = schema_row_find(ld->schema, node_text(node_key(root, i)));

		if (row < 0)
			s->has_other_keys = true;
		else
			s->keys |= schema_bit((unsigned)row);
	}
}

static struct load_file *
add_text(struct load_state *ld, const char *name, struct slice text, struct sources_item *item)
{
	struct load_file *f = arena_znew(ld->arena, struct load_file);
	enum diag_kind before;

	f->name = name;
	f->source = item == NULL ? NULL : item->source;
	*ld->last = f;
	ld->last = &f->next;
	diag_add_source(ld->diag, name, text);
	ld->total_bytes += text.len;
	if (ld->total_bytes > YAML_ALL_BYTES_MAX) {
		diag_error(ld->diag, (struct mark){ .file = name },
		    "all files together are larger than 256MiB");
		ld->is_partial = true;
		return (f);
	}
	f->is_known = item != NULL && item->is_shared && !item->source->has_other_keys &&
	    (item->source->keys & ~ld->known) == 0 && ld->known != 0;
	if (f->is_known)
		return (f);
	ld->reading = name;
	f->root = yaml_read(ld->arena, ld->diag, name, text, ld->lookup, ld->lookup_arg);
	if (f->root != NULL && f->root->kind != NODE_MAP && !node_is_null(f->root)) {
		before = diag_set_kind(ld->diag, DIAG_TYPE);
		diag_add(ld->diag, DIAG_ERROR, f->root->mark, NULL, "a map is due",
		    "the file is %s", node_describe(f->root));
		(void)diag_set_kind(ld->diag, before);
		f->root = NULL;
	}
	ld->is_partial |= f->root == NULL;
	if (item == NULL)
		return (f);
	item->is_parsed = true;
	ld->sources->n_parsed++;
	note_keys(ld, item->source, f->root);
	return (f);
}

static bool
is_there(const struct load_state *ld, const struct stat *st)
{
	for (const struct load_file *f = ld->first; f != NULL; f = f->next)
		if (f->dev == st->st_dev && f->ino == st->st_ino && f->ino != 0)
			return (true);
	return (false);
}

/* NULL: there already, or not readable. `at` says who named it. */
static struct load_file *
add_file(struct load_state *ld, const char *path, size_t group, const struct load_file *from,
    struct mark at)
{
	bool is_regular;
	const char *why = NULL;
	struct sources_item *item;
	struct load_file *f;
	struct stat st;

	is_regular = stat(path, &st) == 0 && S_ISREG(st.st_mode);
	if ((is_regular && is_there(ld, &st)) || sources_find(ld->sources, path) != NULL)
		return (NULL);
	item = sources_read(ld->sources, path, YAML_FILE_BYTES_MAX, &why);
	if (item == NULL) {
		diag_error(ld->diag, at, "cannot read \"%s\": %s",
		    arena_cstr(ld->arena, slice_str(path)), why);
		ld->is_partial = true;
		return (NULL);
	}
	item->group = group;
	item->is_included = from != NULL;
	f = add_text(ld, item->source->name, item->source->text, item);
	f->group = group;
	f->is_included = from != NULL;
	f->dev = is_regular ? st.st_dev : 0;
	f->ino = is_regular ? st.st_ino : 0;
	return (f);
}

/* ---- include ---- */

static void
drop_glob(void *arg)
{
	struct load_state *ld = arg;

	if (ld->has_glob)
		globfree(&ld->globbed);
	ld->has_glob = false;
}

static size_t
find_paths(struct load_state *ld, const char *pattern)
{
	drop_glob(ld);
	memset(&ld->globbed, 0, sizeof(ld->globbed));
	ld->has_glob = true;
	if (glob(pattern, 0, NULL, &ld->globbed) != 0)
		ld->globbed.gl_pathc = 0;
	sources_looked_for(ld->sources, pattern, ld->globbed.gl_pathv, ld->globbed.gl_pathc);
	return (ld->globbed.gl_pathc);
}

static void
include_pattern(struct load_state *ld, const struct load_file *from, const struct node *n)
{
	struct slice pattern;
	size_t count;

	if (n->kind != NODE_SCALAR || n->count == 0) {
		diag_add(ld->diag, DIAG_ERROR, n->mark, "include", "a file name is due",
		    "an item of \"include\" is %s", node_describe(n));
		ld->is_partial = true;
		return;
	}
	pattern = load_resolve(ld->arena, from->name, node_text(n));
	count = find_paths(ld, arena_cstr(ld->arena, pattern));
	if (count == 0 && strpbrk(n->text, "*?[") == NULL) {
		diag_error(ld->diag, n->mark, "cannot read \"" SLICE_FMT "\": %s",
		    SLICE_ARG(pattern), strerror(ENOENT));
		ld->is_partial = true;
	}
	for (size_t i = 0; i < count; i++)
		(void)add_file(ld, ld->globbed.gl_pathv[i], from->group, from, n->mark);
}

static const struct node *
top_value(const struct load_file *f, const char *key)
{
	if (f->root == NULL || f->root->kind != NODE_MAP)
		return (NULL);
	return (node_get(f->root, slice_str(key)));
}

static void
include_files(struct load_state *ld, const struct load_file *from)
{
	const struct node *list = top_value(from, "include");

	if (list == NULL)
		return;
	if (list->kind != NODE_LIST) {
		diag_add(ld->diag, DIAG_ERROR, list->mark, "include",
		    "a list is due, such as [conf.d/*.yaml]", "\"include\" is %s",
		    node_describe(list));
		ld->is_partial = true;
		return;
	}
	for (uint32_t i = 0; i < list->count; i++)
		include_pattern(ld, from, node_item(list, i));
}

static void
refuse_nested(struct load_state *ld)
{
	const struct node *list;

	for (const struct load_file *f = ld->first; f != NULL; f = f->next) {
		list = f->is_included ? top_value(f, "include") : NULL;
		if (list == NULL)
			continue;
		diag_error(ld->diag, list[-1].mark, "an included file cannot include others");
		ld->is_partial = true;
	}
}

/* ---- roots ---- */

static void
add_root(struct load_state *ld, const char *path, size_t group)
{
	const struct load_file *f =
	    add_file(ld, path, group, NULL, (struct mark){ .file = NULL });

	if (f != NULL)
		include_files(ld, f);
}

static void
add_folder(struct load_state *ld, const char *path, size_t group)
{
	const char *pattern = arena_printf(ld->arena, "%s/*.yaml", path), **paths;
	size_t count = find_paths(ld, pattern);

	if (count == 0) {
		diag_error(
		    ld->diag, (struct mark){ .file = path }, "the folder has no *.yaml file");
		ld->is_partial = true;
		return;
	}
	/* Including will use glob() again. */
	paths = arena_alloc(ld->arena, count * sizeof(*paths));
	for (size_t i = 0; i < count; i++)
		paths[i] = arena_cstr(ld->arena, slice_str(ld->globbed.gl_pathv[i]));
	for (size_t i = 0; i < count; i++)
		add_root(ld, paths[i], group);
}

static bool
is_nearly_stated(const struct load_state *ld, const struct load_file *f, const char *key)
{
	if (f->is_known)
		return ((f->source->keys & schema_bit(schema_row_index(ld->schema, key))) != 0);
	for (uint32_t i = 0; f->root != NULL && f->root->kind == NODE_MAP && i < f->root->count;
	     i++)
		if (diag_nearest(node_text(node_key(f->root, i)), &key, 1) != NULL)
			return (true);
	return (f->root == NULL);
}

/* A key that every root must state; misspelt is reported elsewhere. */
static void
check_per_root(struct load_state *ld, const char *key, size_t group)
{
	const struct load_file *root = NULL;
	enum diag_kind before;

	for (const struct load_file *f = ld->first; f != NULL; f = f->next) {
		if (f->group != group || f->is_included)
			continue;
		if (is_nearly_stated(ld, f, key))
			return;
		if (root == NULL && !f->is_known)
			root = f;
	}
	before = diag_set_kind(ld->diag, DIAG_MISSING);
	if (root != NULL)
		diag_add(ld->diag, DIAG_ERROR, root->root->mark, key, NULL,
		    "\"%s\" is missing in %s", key, root->name);
	(void)diag_set_kind(ld->diag, before);
}

static void
check_roots(struct load_state *ld, size_t groups)
{
	for (unsigned i = 0; i < ld->schema->n_rows; i++)
		for (size_t g = 0; g < groups && (ld->schema->rows[i].flags & SCHEMA_PER_ROOT); g++)
			check_per_root(ld, ld->schema->rows[i].name, g);
}

/* ---- merging ---- */

struct load_key {
	struct load_key *next;
	const struct node *key; /* where it stands first; its value is the node behind it */
	VEC(const struct node *) values;
};

static void
gather(struct load_state *ld, struct load_key **keys, const struct node *root)
{
	struct load_key **at, *k;

	for (uint32_t i = 0; i < root->count; i++) {
		const struct node *key = node_key(root, i);

		if (slice_eq(node_text(key), SLICE("include")))
			continue;
		for (at = keys; *at != NULL; at = &(*at)->next)
			if (slice_eq(node_text((*at)->key), node_text(key)))
				break;
		if (*at == NULL) {
			k = arena_znew(ld->arena, struct load_key);
			k->key = key;
			vec_init(&k->values, ld->arena);
			*at = k;
		}
		vec_push(&(*at)->values, key + 1);
	}
}

static int
compare_keys(const void *a, const void *b)
{
	const struct node *x = *(const struct node *const *)a;
	const struct node *y = *(const struct node *const *)b;
	int c = slice_cmp(node_text(x), node_text(y));

	/* Neighbours in one array: of equal keys the first in the files comes first. */
	return (c != 0 ? c : x < y ? -1 : x > y);
}

/* The same name in two files; within one file the reader has looked already. */
static void
check_names(struct load_state *ld, const char *what, const struct node *map)
{
	const struct node **sorted = arena_alloc(ld->arena, map->count * sizeof(*sorted));

	for (uint32_t i = 0; i < map->count; i++)
		sorted[i] = node_key(map, i);
	qsort(sorted, map->count, sizeof(*sorted), compare_keys);
	for (uint32_t i = 1; i < map->count; i++) {
		const struct node *first = sorted[i - 1], *again = sorted[i];

		if (slice_eq(node_text(first), node_text(again)))
			diag_add(ld->diag, DIAG_ERROR, again->mark, what,
			    arena_printf(ld->arena, "it stands already in %s:%u:%u",
				first->mark.file, first->mark.line, first->mark.col),
			    "\"%s\" in \"%s\" is defined twice", again->text, what);
	}
}

/* Several maps or several lists in a row. */
static struct node
concat(struct load_state *ld, const struct load_key *k)
{
	struct node all = *k->values.v[0], *child;
	size_t width = all.kind == NODE_MAP ? 2 : 1, total = 0;

	for (size_t i = 0; i < k->values.n; i++)
		total += k->values.v[i]->count;
	if (total == 0)
		return (all);
	child = arena_alloc(ld->arena, total * width * sizeof(*child));
	all.child = child;
	all.count = (uint32_t)total;
	for (size_t i = 0; i < k->values.n; i++) {
		const struct node *from = k->values.v[i];

		if (from->count > 0)
			memcpy(child, from->child, from->count * width * sizeof(*child));
		child += from->count * width;
	}
	if (all.kind == NODE_MAP)
		check_names(ld, k->key->text, &all);
	return (all);
}

static void
refuse_second(
    struct load_state *ld, const struct load_key *k, const struct node *again, bool is_same)
{
	ld->is_partial = true;
	diag_add(ld->diag, DIAG_ERROR, again[-1].mark, k->key->text,
	    arena_printf(ld->arena, "it stands already in %s:%u:%u", k->key->mark.file,
		k->key->mark.line, k->key->mark.col),
	    "\"%s\" %s", k->key->text,
	    is_same ? "is not the same in all files" : "may stand in one file only");
}

static struct node
merge_key(struct load_state *ld, const struct load_key *k)
{
	int i = schema_row_find(ld->schema, node_text(k->key));
	const struct schema_row *row = i < 0 ? NULL : &ld->schema->rows[i];
	enum node_kind kind = row == NULL ? NODE_SCALAR :
	    row->type == SCHEMA_MAP       ? NODE_MAP :
	    row->type == SCHEMA_LIST      ? NODE_LIST :
					    NODE_SCALAR;
	bool is_mixed = kind == NODE_SCALAR;

	if (k->values.n == 1)
		return (*k->values.v[0]);
	for (size_t v = 0; v < k->values.n; v++)
		is_mixed |= k->values.v[v]->kind != kind;
	if (!is_mixed)
		return (concat(ld, k));
	for (size_t v = 1; v < k->values.n; v++)
		if (row == NULL || !(row->flags & SCHEMA_SAME) ||
		    !node_eq(k->values.v[0], k->values.v[v]))
			refuse_second(
			    ld, k, k->values.v[v], row != NULL && (row->flags & SCHEMA_SAME));
	return (*k->values.v[0]);
}

static const struct node *
merge(struct load_state *ld)
{
	struct node *root = arena_znew(ld->arena, struct node), *child;
	struct load_key *keys = NULL;
	uint32_t n = 0;

	for (const struct load_file *f = ld->first; f != NULL; f = f->next) {
		if (f->root == NULL)
			continue;
		if (root->mark.file == NULL)
			root->mark = f->root->mark;
		if (f->root->kind == NODE_MAP)
			gather(ld, &keys, f->root);
	}
	if (root->mark.file == NULL)
		return (NULL);
	for (const struct load_key *k = keys; k != NULL; k = k->next)
		n++;
	child = arena_alloc(ld->arena, (2 * (size_t)n + 1) * sizeof(*child));
	root->kind = NODE_MAP;
	root->flags = ld->is_partial ? NODE_BROKEN : 0;
	root->count = n;
	root->child = child;
	for (const struct load_key *k = keys; k != NULL; k = k->next) {
		*child++ = *k->key;
		*child++ = merge_key(ld, k);
	}
	return (root);
}

static struct load_state *
state_new(struct arena *arena, struct diag *diag, const struct schema *root)
{
	struct load_state *ld = arena_znew(arena, struct load_state);

	ld->arena = arena;
	ld->diag = diag;
	ld->schema = schema_state_of(root);
	ld->last = &ld->first;
	arena_on_reset(arena, &ld->cleanup, drop_glob, ld);
	return (ld);
}

static void
drop_sources(void *arg)
{
	struct load_state *ld = arg;

	sources_unref(&ld->sources);
}

/* yaml_lookup_fn: a variable belongs to the file that asks for it. */
static const char *
look_up(void *arg, const char *name)
{
	struct load_state *ld = arg;

	return (source_lookup(ld->sources, ld->reading, name));
}

static void
add_again(struct load_state *ld)
{
	const struct sources *before = ld->sources->before;

	for (size_t i = 0; i < before->v.n; i++) {
		struct sources_item *item = sources_take(ld->sources, &before->v.v[i]);
		struct load_file *f = add_text(ld, item->source->name, item->source->text, item);

		f->group = item->group;
		f->is_included = item->is_included;
	}
}

static void
add_paths(struct load_state *ld, const struct load_options *opt)
{
	struct stat st;

	for (size_t i = 0; i < opt->n_paths; i++) {
		if (stat(opt->paths[i], &st) == 0 && S_ISDIR(st.st_mode))
			add_folder(ld, opt->paths[i], i);
		else
			add_root(ld, opt->paths[i], i);
	}
	drop_glob(ld);
}

/* Rows that a file may have which is not parsed again. */
static uint64_t
known_rows(const struct schema_state *st, const char *const *names)
{
	uint64_t rows = 0;

	if (names == NULL)
		return (0);
	for (unsigned i = 0; i < st->n_rows; i++) {
		const struct schema_row *row = &st->rows[i];

		/* What all files must agree on, and can only agree on. */
		if ((row->flags & SCHEMA_SAME) && row->min == row->max && row->max != 0)
			rows |= schema_bit(i);
		for (const char *const *n = names; *n != NULL; n++)
			if (strcmp(*n, row->name) == 0)
				rows |= schema_bit(i);
	}
	return (rows);
}

const struct node *
load_files(struct arena *arena, struct diag *diag, const struct schema *root,
    const struct load_options *opt)
{
	struct load_state *ld = state_new(arena, diag, root);
	enum diag_kind before = diag_set_kind(diag, DIAG_SYNTAX);

	ld->sources = opt->sources != NULL ?
	    sources_ref(opt->sources) :
	    sources_new(NULL, opt->lookup, opt->lookup_arg);
	arena_on_reset(arena, &ld->cleanup_sources, drop_sources, ld);
	ld->known = known_rows(ld->schema, opt->known);
	ld->lookup = look_up;
	ld->lookup_arg = ld;
	if (ld->sources->is_again)
		add_again(ld);
	else
		add_paths(ld, opt);
	refuse_nested(ld);
	check_roots(ld, opt->n_paths);
	(void)diag_set_kind(diag, before);
	return (merge(ld));
}

const struct node *
load_texts(struct arena *arena, struct diag *diag, const struct schema *root,
    const struct load_text *texts, size_t n, yaml_lookup_fn lookup, void *lookup_arg)
{
	struct load_state *ld = state_new(arena, diag, root);
	enum diag_kind before = diag_set_kind(diag, DIAG_SYNTAX);
	struct load_file *f;

	ld->lookup = lookup;
	ld->lookup_arg = lookup_arg;
	for (size_t i = 0; i < n; i++) {
		f = add_text(ld, texts[i].name, texts[i].text, NULL);
		f->group = i;
		if (top_value(f, "include") != NULL)
			diag_error(diag, top_value(f, "include")[-1].mark,
			    "\"include\" needs files, this text has none beside it");
	}
	check_roots(ld, n);
	(void)diag_set_kind(diag, before);
	return (merge(ld));
}

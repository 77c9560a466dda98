/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/check.h"
#include "engine/base/clock.h"
#include "engine/base/siphash.h"
#include "engine/config/source.h"
#include "engine/mem/alloc.h"
#include "engine/mem/arena.h"

enum {
	READ_FIRST_BYTES = 4096,
	/* The coarsest grain of file times that is still in use. */
	GRAIN_S = 2
};

#define NS_PER_S INT64_C(1000000000)

/* ---- files ---- */

static int64_t
ns_of(struct timespec t)
{
	return ((int64_t)t.tv_sec * NS_PER_S + t.tv_nsec);
}

static struct source_id
id_of(const struct stat *st)
{
	int64_t now_ns = (int64_t)clock_wall_us() * 1000;
	struct source_id id = { .dev = st->st_dev,
		.ino = st->st_ino,
		.size = st->st_size,
		.mtime_ns = ns_of(st->st_mtim),
		.ctime_ns = ns_of(st->st_ctim) };

	/* What changes without being a regular file shows it by nothing. */
	id.is_settled = S_ISREG(st->st_mode) && id.mtime_ns < now_ns - GRAIN_S * NS_PER_S &&
	    id.ctime_ns < now_ns - GRAIN_S * NS_PER_S;
	return (id);
}

static bool
is_same_id(const struct source_id *a, const struct source_id *b)
{
	return (a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	    a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns);
}

/* How many bytes a file will have: what the system says, or a guess for pipes. */
static size_t
room_for(const struct stat *st, size_t max_bytes)
{
	if (S_ISREG(st->st_mode) && st->st_size > 0)
		return ((size_t)st->st_size + 1);
	return (max_bytes < READ_FIRST_BYTES ? max_bytes + 1 : READ_FIRST_BYTES);
}

static const char *
read_all(struct arena *a, int fd, size_t cap, size_t max_bytes, struct slice *r)
{
	size_t len = 0;
	char *p, *grown;
	ssize_t n;

	if (cap > max_bytes + 1)
		return ("it is too large");
	p = arena_alloc(a, cap + 1);
	while ((n = read(fd, p + len, cap - len)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return (strerror(errno));
		len += (size_t)n;
		if (len > max_bytes)
			return ("it is too large");
		if (len < cap)
			continue;
		grown = arena_alloc(a, cap * 2 + 1);
		memcpy(grown, p, len);
		p = grown;
		cap *= 2;
	}
	p[len] = '\0';
	*r = slice_of(p, len);
	return (NULL);
}

/* What was read is what the id says only if nothing was written meanwhile. */
static const char *
read_fd(struct arena *a, int fd, size_t max_bytes, struct slice *text_r, struct source_id *id_r)
{
	struct stat before, after;
	const char *why;

	if (fstat(fd, &before) != 0)
		return (strerror(errno));
	if (S_ISDIR(before.st_mode))
		return ("it is a folder");
	why = read_all(a, fd, room_for(&before, max_bytes), max_bytes, text_r);
	if (why != NULL)
		return (why);
	if (fstat(fd, &after) != 0)
		return (strerror(errno));
	*id_r = id_of(&before);
	if (id_r->is_settled) {
		struct source_id now = id_of(&after);

		id_r->is_settled = is_same_id(id_r, &now);
	}
	return (NULL);
}

static bool
slurp(struct arena *arena, const char *path, size_t max_bytes, struct slice *text_r,
    struct source_id *id_r, const char **why_r)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct mem_trap trap;

	*text_r = SLICE("");
	if (fd < 0) {
		*why_r = strerror(errno);
		return (false);
	}
	if (MEM_TRAP_ENTER(&trap)) {
		(void)close(fd);
		mem_failed(trap.wanted);
	}
	*why_r = read_fd(arena, fd, max_bytes, text_r, id_r);
	mem_trap_leave(&trap);
	(void)close(fd);
	return (*why_r == NULL);
}

bool
load_slurp(struct arena *arena, const char *path, size_t max_bytes, struct slice *text_r,
    const char **why_r)
{
	struct source_id id;

	return (slurp(arena, path, max_bytes, text_r, &id, why_r));
}

/* Is it the file that was read? Where its times are too young to tell, its content does. */
static bool
is_same_file(struct arena *scratch, const char *path, struct slice text, struct source_id *id)
{
	struct arena_mark mark;
	struct source_id now;
	struct slice is;
	const char *why;
	struct stat st;
	bool same;

	if (stat(path, &st) != 0)
		return (false);
	now = id_of(&st);
	if (id->is_settled && is_same_id(id, &now))
		return (true);
	mark = arena_mark(scratch);
	same = slurp(scratch, path, text.len, &is, &now, &why) && slice_eq(is, text);
	arena_rewind(scratch, &mark);
	if (same)
		*id = now;
	return (same);
}

/* ---- one source ---- */

static const char *
ask(const struct sources *ss, const char *name)
{
	return (ss->lookup != NULL ? ss->lookup(ss->lookup_arg, name) : getenv(name));
}

static bool
is_same_value(const char *a, const char *b)
{
	return (a == NULL || b == NULL ? a == b : strcmp(a, b) == 0);
}

/* Is the file what it was, with all that it names and looks up? */
static bool
is_same(const struct sources *ss, struct source *s)
{
	size_t at = 0;
	void *v;

	if (!is_same_file(ss->arena, s->name, s->text, &s->id))
		return (false);
	for (size_t i = 0; i < s->others.n; i++) {
		struct source_other *o = s->others.v[i];

		if (!is_same_file(ss->arena, o->path, o->text, &o->id))
			return (false);
	}
	while (map_next(&s->vars, &at, NULL, &v)) {
		const struct source_var *var = v;

		if (!is_same_value(var->value, ask(ss, var->name)))
			return (false);
	}
	return (true);
}

struct source *
source_ref(struct source *s)
{
	CHECK_OBJ(s, SOURCE_MAGIC);
	s->refs++;
	return (s);
}

void
source_unref(struct source **sp)
{
	struct source *s;
	struct arena *arena;

	TAKE_OBJ(s, sp, SOURCE_MAGIC);
	must(s->refs > 0);
	if (--s->refs > 0)
		return;
	s->magic = 0;
	arena = s->arena;
	arena_free(&arena);
}

/* ---- sets ---- */

struct sources *
sources_new(struct sources *before, yaml_lookup_fn lookup, void *lookup_arg)
{
	struct arena *arena = arena_new("sources");
	struct mem_trap trap;
	struct sources *ss;

	if (MEM_TRAP_ENTER(&trap)) {
		size_t wanted = trap.wanted;

		arena_free(&arena);
		mem_failed(wanted);
	}
	ss = arena_znew(arena, struct sources);
	mem_trap_leave(&trap);
	ss->magic = SOURCES_MAGIC;
	ss->refs = 1;
	ss->arena = arena;
	ss->before = before == NULL ? NULL : sources_ref(before);
	ss->lookup = lookup;
	ss->lookup_arg = lookup_arg;
	vec_init(&ss->v, arena);
	vec_init(&ss->patterns, arena);
	map_init(&ss->by_name, arena);
	return (ss);
}

static uint64_t
digest_names(char *const *paths, size_t n)
{
	uint8_t key[SIPHASH_KEY_BYTES] = { 0 };
	uint64_t h = n;

	for (size_t i = 0; i < n; i++) {
		memcpy(key, &h, sizeof(h));
		h = siphash(key, paths[i], strlen(paths[i]));
	}
	return (h);
}

void
sources_looked_for(struct sources *ss, const char *pattern, char *const *paths, size_t n)
{
	struct sources_pattern p = { .pattern = arena_cstr(ss->arena, slice_str(pattern)),
		.found = digest_names(paths, n) };

	vec_push(&ss->patterns, p);
}

struct sources *
sources_again(struct sources *of)
{
	struct sources *ss = sources_new(of, of->lookup, of->lookup_arg);

	ss->is_again = true;
	return (ss);
}

struct sources *
sources_ref(struct sources *ss)
{
	CHECK_OBJ(ss, SOURCES_MAGIC);
	ss->refs++;
	return (ss);
}

void
sources_close(struct sources *ss)
{
	CHECK_OBJ(ss, SOURCES_MAGIC);
	if (ss->before != NULL)
		sources_unref(&ss->before);
}

void
sources_unref(struct sources **sp)
{
	struct sources *ss;
	struct arena *arena;

	TAKE_OBJ(ss, sp, SOURCES_MAGIC);
	must(ss->refs > 0);
	if (--ss->refs > 0)
		return;
	sources_close(ss);
	for (size_t i = 0; i < ss->v.n; i++)
		source_unref(&ss->v.v[i].source);
	if (ss->making != NULL)
		arena_free(&ss->making);
	ss->magic = 0;
	arena = ss->arena;
	arena_free(&arena);
}

/* From here on it is the set's; needs no memory, for room was made. */
static struct sources_item *
add(struct sources *ss, struct sources_item item)
{
	ss->v.v[ss->v.n++] = item;
	(void)map_put(&ss->by_name, slice_str(item.source->name), item.source);
	return (&ss->v.v[ss->v.n - 1]);
}

struct sources_item *
sources_take(struct sources *ss, const struct sources_item *from)
{
	struct sources_item item = *from;

	vec_reserve(&ss->v, ss->v.n + 1);
	item.source = source_ref(from->source);
	item.is_shared = true;
	item.is_parsed = false;
	return (add(ss, item));
}

static struct source *
source_new(struct sources *ss, const char *path, size_t max_bytes, const char **why_r)
{
	struct source *s;

	/* In the set's care should memory end meanwhile. */
	ss->making = arena_new("source");
	s = arena_znew(ss->making, struct source);
	s->magic = SOURCE_MAGIC;
	s->refs = 1;
	s->arena = ss->making;
	s->name = arena_cstr(s->arena, slice_str(path));
	map_init(&s->vars, s->arena);
	vec_init(&s->others, s->arena);
	ss->n_read++;
	if (slurp(s->arena, path, max_bytes, &s->text, &s->id, why_r))
		return (s);
	arena_free(&ss->making);
	return (NULL);
}

struct sources_item *
sources_read(struct sources *ss, const char *path, size_t max_bytes, const char **why_r)
{
	struct source *s = ss->before == NULL ? NULL :
						map_get(&ss->before->by_name, slice_str(path));
	struct sources_item item = { .source = s, .is_shared = true };

	CHECK_OBJ(ss, SOURCES_MAGIC);
	if (s != NULL && is_same(ss, s))
		return (sources_take(ss, &item));
	vec_reserve(&ss->v, ss->v.n + 1);
	item.source = source_new(ss, path, max_bytes, why_r);
	item.is_shared = false;
	if (item.source == NULL)
		return (NULL);
	ss->making = NULL;
	return (add(ss, item));
}

struct source *
sources_find(struct sources *ss, const char *name)
{
	CHECK_OBJ(ss, SOURCES_MAGIC);
	/* One file after the other is decoded. */
	if (ss->last == NULL || ss->last->name != name)
		ss->last = map_get(&ss->by_name, slice_str(name));
	return (ss->last);
}

/* ---- is it all as it was read? ---- */

static bool
is_current_file(struct sources *ss, const char *path, struct slice text, struct source_id *id)
{
	struct stat st;

	/* Who reads a pipe takes something out of it. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return (true);
	return (is_same_file(ss->arena, path, text, id));
}

static bool
is_current_source(struct sources *ss, struct source *s)
{
	if (!is_current_file(ss, s->name, s->text, &s->id))
		return (false);
	for (size_t i = 0; i < s->others.n; i++) {
		struct source_other *o = s->others.v[i];

		if (!is_current_file(ss, o->path, o->text, &o->id))
			return (false);
	}
	return (true);
}

static bool
finds_the_same(const struct sources_pattern *p)
{
	uint64_t found = digest_names(NULL, 0);
	glob_t g = { 0 };

	if (glob(p->pattern, 0, NULL, &g) == 0)
		found = digest_names(g.gl_pathv, g.gl_pathc);
	globfree(&g);
	return (found == p->found);
}

bool
sources_are_current(struct sources *ss)
{
	CHECK_OBJ(ss, SOURCES_MAGIC);
	for (size_t i = 0; i < ss->v.n; i++) {
		if (!is_current_source(ss, ss->v.v[i].source))
			return (false);
	}
	for (size_t i = 0; i < ss->patterns.n; i++) {
		if (!finds_the_same(&ss->patterns.v[i]))
			return (false);
	}
	return (true);
}

/* ---- what a source looks up ---- */

static struct source *
find(struct sources *ss, const char *name)
{
	return (ss == NULL || name == NULL ? NULL : sources_find(ss, name));
}

bool
source_slurp(struct sources *ss, struct arena *arena, const char *from, const char *path,
    size_t max_bytes, struct slice *text_r, const char **why_r)
{
	struct source *s = find(ss, from);
	struct source_other *o;

	if (s == NULL)
		return (load_slurp(arena, path, max_bytes, text_r, why_r));
	for (size_t i = 0; i < s->others.n; i++) {
		o = s->others.v[i];
		if (strcmp(o->path, path) == 0 && o->text.len <= max_bytes) {
			*text_r = o->text;
			return (true);
		}
	}
	o = arena_znew(s->arena, struct source_other);
	o->path = arena_cstr(s->arena, slice_str(path));
	if (!slurp(s->arena, path, max_bytes, text_r, &o->id, why_r))
		return (false);
	o->text = *text_r;
	vec_push(&s->others, o);
	return (true);
}

const char *
source_lookup(struct sources *ss, const char *from, const char *name)
{
	struct source *s = find(ss, from);
	struct source_var *var;
	const char *value;

	if (s == NULL)
		return (ss != NULL ? ask(ss, name) : getenv(name));
	var = map_get(&s->vars, slice_str(name));
	if (var != NULL)
		return (var->value);
	value = ask(ss, name);
	var = arena_znew(s->arena, struct source_var);
	var->name = arena_cstr(s->arena, slice_str(name));
	var->value = value == NULL ? NULL : arena_cstr(s->arena, slice_str(value));
	(void)map_put(&s->vars, slice_str(var->name), var);
	return (var->value);
}

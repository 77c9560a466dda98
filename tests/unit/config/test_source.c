/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "engine/base/clock.h"
#include "engine/config/diag.h"
#include "engine/config/load.h"
#include "engine/mem/arena.h"
#include "tests/unit/config/shape.h"

/* What was read is kept: it is not read again while it stays as it is, and it can be decoded again
   when it has gone. */

#define ROUTE(name) "routes: [{ name: " name ", prefix: /, upstream: u }]\n"

enum {
	NAMES = 64
};

struct world {
	struct arena *arena;
	char dir[32];
	char names[4][NAMES];
	unsigned n_names;
	const char *value; /* of each variable */
	struct sources *ss;
};

static uint64_t ahead_us;

static uint64_t
real_us(clockid_t id)
{
	struct timespec t;

	(void)clock_gettime(id, &t);
	return ((uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000);
}

/* Files that were written a moment ago are old. */
static uint64_t
later(enum clock_kind kind)
{
	return (kind == CLOCK_MONO ? real_us(CLOCK_MONOTONIC) :
				     real_us(CLOCK_REALTIME) + ahead_us);
}

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->arena = arena_new("test");
	strcpy(w->dir, "source-XXXXXX");
	ahead_us = 10000000;
	clock_override(later);
	*state = w;
	return (mkdtemp(w->dir) == NULL);
}

static int
teardown(void **state)
{
	struct world *w = *state;

	clock_override(NULL);
	if (w->ss != NULL)
		sources_unref(&w->ss);
	for (unsigned i = 0; i < w->n_names; i++)
		(void)unlink(w->names[i]);
	(void)rmdir(w->dir);
	arena_free(&w->arena);
	free(w);
	return (0);
}

static const char *
put(struct world *w, const char *name, const char *text)
{
	char path[NAMES];
	unsigned i = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	while (i < w->n_names && strcmp(w->names[i], path) != 0)
		i++;
	assert_true(i < 4);
	strcpy(w->names[i], path);
	w->n_names = i == w->n_names ? i + 1 : w->n_names;
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	return (w->names[i]);
}

static const char *
look_up(void *arg, const char *name)
{
	struct world *w = arg;

	(void)name;
	return (w->value);
}

static const struct shape *
read_set(struct world *w, struct sources *ss)
{
	const char *paths[] = { w->dir };
	const struct load_options opt = { .paths = paths, .n_paths = 1, .sources = ss };
	const struct schema_reader rd = {
		.arena = w->arena, .diag = diag_new(w->arena), .sources = ss
	};
	const struct node *n = load_files(w->arena, rd.diag, &shape_schema, &opt);
	const struct schema_obj *o = schema_decode(&rd, &shape_schema, n);

	assert_true(diag_is_ok(rd.diag));
	return ((const struct shape *)(const void *)o);
}

/* As a reload does; how many files were read for it. */
static size_t
reload(struct world *w)
{
	struct sources *now = sources_new(w->ss, look_up, w);
	size_t n;

	(void)read_set(w, now);
	sources_close(now);
	if (w->ss != NULL)
		sources_unref(&w->ss);
	w->ss = now;
	n = now->n_read;
	return (n);
}

static void
test_reads_what_changed(void **state)
{
	struct world *w = *state;
	const struct source *kept;

	put(w, "a.yaml", "version: 1\n" ROUTE("a"));
	put(w, "b.yaml", ROUTE("b"));
	assert_int_equal(reload(w), 2);
	kept = w->ss->v.v[0].source;
	assert_int_equal(reload(w), 0);
	assert_ptr_equal(w->ss->v.v[0].source, kept);
	put(w, "b.yaml", ROUTE("c"));
	assert_int_equal(reload(w), 1);
	assert_ptr_equal(w->ss->v.v[0].source, kept);
	assert_non_null(strstr(w->ss->v.v[1].source->text.p, "name: c"));
}

/* Its times do not tell it from what was read: it is compared. */
static void
test_a_young_file_is_compared(void **state)
{
	struct world *w = *state;

	ahead_us = 0;
	put(w, "a.yaml", "version: 1\n" ROUTE("a"));
	assert_int_equal(reload(w), 1);
	assert_false(w->ss->v.v[0].source->id.is_settled);
	assert_int_equal(reload(w), 0);
	put(w, "a.yaml", "version: 1\n" ROUTE("b"));
	assert_int_equal(reload(w), 1);
	/* Once it is old its times are believed. */
	ahead_us = 10000000;
	assert_int_equal(reload(w), 0);
	assert_true(w->ss->v.v[0].source->id.is_settled);
}

static void
test_touched_but_the_same(void **state)
{
	struct world *w = *state;
	const struct source *kept;

	put(w, "a.yaml", "version: 1\n" ROUTE("a"));
	assert_int_equal(reload(w), 1);
	kept = w->ss->v.v[0].source;
	put(w, "a.yaml", "version: 1\n" ROUTE("a"));
	assert_int_equal(reload(w), 0);
	assert_ptr_equal(w->ss->v.v[0].source, kept);
}

static void
test_variables_belong_to_it(void **state)
{
	struct world *w = *state;

	put(w, "a.yaml", "version: 1\n" ROUTE("\"${A:-none}\""));
	put(w, "b.yaml", ROUTE("b"));
	assert_int_equal(reload(w), 2);
	assert_int_equal(reload(w), 0);
	w->value = "one";
	assert_int_equal(reload(w), 1);
	assert_int_equal(reload(w), 0);
	w->value = NULL;
	assert_int_equal(reload(w), 1);
}

static const char with_secret[] =
    "version: 1\n"
    "upstreams: { u: { servers: [\"a:1\"], tls: { password: { file: p } } } }\n";

static void
test_other_files_belong_to_it(void **state)
{
	struct world *w = *state;

	put(w, "p", "word\n");
	put(w, "a.yaml", with_secret);
	assert_int_equal(reload(w), 1);
	assert_int_equal(w->ss->v.v[0].source->others.n, 1);
	assert_int_equal(reload(w), 0);
	put(w, "p", "another\n");
	assert_int_equal(reload(w), 1);
}

static void
test_again_without_the_files(void **state)
{
	struct world *w = *state;
	const struct shape_upstream *u;
	struct sources *again;
	const struct shape *s;

	put(w, "p", "word\n");
	put(w, "a.yaml", with_secret);
	put(w, "b.yaml", ROUTE("\"x${A}\""));
	w->value = "yz";
	(void)reload(w);
	put(w, "a.yaml", "version: [\n");
	(void)unlink(w->names[0]);
	(void)unlink(w->names[2]);
	w->value = NULL;
	again = sources_again(w->ss);
	s = read_set(w, again);
	u = SCHEMA_OBJ_AT(struct shape_upstream, s->upstreams, 0);
	assert_true(slice_eq(u->tls->password.value, SLICE("word")));
	assert_true(slice_eq(
	    SCHEMA_OBJ_AT(struct shape_route, s->routes, 0)->name, SLICE("xyz")));
	assert_int_equal(again->n_read, 0);
	sources_unref(&again);
}

/* What was read may have changed before anybody watched it. */
static void
test_is_it_current(void **state)
{
	struct world *w = *state;

	put(w, "p", "word\n");
	put(w, "a.yaml", with_secret);
	(void)reload(w);
	assert_true(sources_are_current(w->ss));
	put(w, "p", "word\n");
	assert_true(sources_are_current(w->ss));
	put(w, "p", "WORD\n");
	assert_false(sources_are_current(w->ss));
	(void)reload(w);
	assert_true(sources_are_current(w->ss));
	/* One that the pattern finds now, one that it does not find any more. */
	put(w, "b.yaml", ROUTE("b"));
	assert_false(sources_are_current(w->ss));
	(void)reload(w);
	assert_true(sources_are_current(w->ss));
	assert_int_equal(unlink(put(w, "b.yaml", "")), 0);
	assert_false(sources_are_current(w->ss));
	(void)reload(w);
	put(w, "a.yaml", "version: 1\n" ROUTE("a"));
	assert_false(sources_are_current(w->ss));
}

static void
test_a_pipe_is_left_alone(void **state)
{
	struct world *w = *state;

	put(w, "p", "word\n");
	put(w, "a.yaml", with_secret);
	(void)reload(w);
	assert_int_equal(unlink(w->names[0]), 0);
	assert_int_equal(mkfifo(w->names[0], 0600), 0);
	/* Whoever opened it would wait for ever. */
	assert_true(sources_are_current(w->ss));
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_reads_what_changed),
		TEST(test_a_young_file_is_compared),
		TEST(test_touched_but_the_same),
		TEST(test_variables_belong_to_it),
		TEST(test_other_files_belong_to_it),
		TEST(test_again_without_the_files),
		TEST(test_is_it_current),
		TEST(test_a_pipe_is_left_alone),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

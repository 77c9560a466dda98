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
#include <unistd.h>
#include <cmocka.h>

#include "engine/config/diag.h"
#include "engine/config/load.h"
#include "engine/mem/alloc.h"
#include "engine/mem/arena.h"
#include "tests/unit/config/shape.h"

/* A folder of its own for each test; gone with it. */
struct world {
	struct arena *arena;
	struct diag *diag;
	char *dir;
	const char *files[8];
	size_t n_files;
};

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->arena = arena_new("test");
	w->diag = diag_new(w->arena);
	w->dir = strdup("load-XXXXXX");
	*state = w;
	return (mkdtemp(w->dir) == NULL);
}

static int
teardown(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < w->n_files; i++)
		(void)unlink(w->files[i]);
	(void)rmdir(w->dir);
	arena_free(&w->arena);
	free(w->dir);
	free(w);
	return (0);
}

static const char *
put(struct world *w, const char *name, const char *text)
{
	const char *path = arena_printf(w->arena, "%s/%s", w->dir, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	w->files[w->n_files++] = path;
	return (path);
}

static const struct shape *
load(struct world *w, const char *a, const char *b)
{
	const char *paths[] = { a, b };
	const struct load_options opt = { .paths = paths, .n_paths = b != NULL ? 2 : 1 };
	const struct schema_reader rd = { .arena = w->arena, .diag = w->diag };
	const struct node *n = load_files(w->arena, w->diag, &shape_schema, &opt);

	if (n == NULL)
		return (NULL);
	return ((const struct shape *)(const void *)schema_decode(&rd, &shape_schema, n));
}

static void
check_route(const struct shape *s, uint32_t i, const char *name)
{
	assert_true(i < s->routes.count);
	assert_true(
	    slice_eq(SCHEMA_OBJ_AT(struct shape_route, s->routes, i)->name, slice_str(name)));
}

static void
test_folder(void **state)
{
	struct world *w = *state;
	const struct shape *s;

	put(w, "b.yaml", "routes: [{ name: b, prefix: /b, upstream: u }]\n");
	put(w, "a.yaml", "version: 1\nroutes: [{ name: a, prefix: /a, upstream: u }]\n");
	put(w, "c.yml", "not: read\n");
	s = load(w, w->dir, NULL);
	assert_true(diag_is_ok(w->diag));
	assert_int_equal(s->routes.count, 2);
	check_route(s, 0, "a");
	check_route(s, 1, "b");
}

static void
test_two_roots(void **state)
{
	struct world *w = *state;
	const char *b = put(
	    w, "b.yaml", "version: 1\nroutes: [{ name: b, prefix: /b, upstream: u }]\n");
	const char *a = put(
	    w, "a.yaml", "version: 1\nroutes: [{ name: a, prefix: /a, upstream: u }]\n");
	const struct shape *s = load(w, b, a);

	assert_true(diag_is_ok(w->diag));
	check_route(s, 0, "b");
	check_route(s, 1, "a");
}

static void
test_each_root_states_its_version(void **state)
{
	struct world *w = *state;
	const char *b = put(w, "b.yaml", "version: 1\n");
	const char *a = put(w, "a.yaml", "workers: 2\n");

	(void)load(w, b, a);
	assert_int_equal(diag_errors(w->diag), 1);
	assert_ptr_equal(strstr(diag_at(w->diag, 0)->message, "\"version\" is missing"),
	    diag_at(w->diag, 0)->message);
}

/* The version of an included file does not count for the root. */
static void
test_included_version(void **state)
{
	struct world *w = *state;
	const char *root = put(w, "root.yaml", "include: [part.yaml]\n");

	put(w, "part.yaml", "version: 1\n");
	(void)load(w, root, NULL);
	assert_int_equal(diag_errors(w->diag), 1);
}

static void
test_same_file_twice(void **state)
{
	struct world *w = *state;
	const char *a = put(w, "a.yaml",
	    "version: 1\ninclude: [\"*.yaml\", b.yaml]\nroutes: [{ name: a, prefix: /, upstream: u }]\n");
	const struct shape *s;

	put(w, "b.yaml", "routes: [{ name: b, prefix: /b, upstream: u }]\n");
	s = load(w, a, NULL);
	assert_true(diag_is_ok(w->diag));
	assert_int_equal(s->routes.count, 2);
}

static void
test_not_there(void **state)
{
	struct world *w = *state;

	assert_null(load(w, "no-such-file.yaml", w->dir));
	assert_int_equal(diag_errors(w->diag), 2);
}

/* Where memory ends while a file is read, the file is closed all the same. */
static void
test_slurp_without_memory(void **state)
{
	struct world *w = *state;
	const char *path = put(w, "big.yaml", ""), *why = NULL;
	int fd = dup(STDIN_FILENO);
	struct mem_trap trap;
	struct slice text;

	assert_int_equal(truncate(path, 1 << 20), 0);
	/* The least descriptor that is free: open() will take it. */
	assert_int_equal(close(fd), 0);
	if (!MEM_TRAP_ENTER(&trap)) {
		mem_fail_at(1);
		(void)load_slurp(w->arena, path, 2 << 20, &text, &why);
		fail();
	}
	mem_fail_off();
	assert_int_equal(dup(STDIN_FILENO), fd);
	assert_int_equal(close(fd), 0);
	assert_true(load_slurp(w->arena, path, 2 << 20, &text, &why));
	assert_int_equal(text.len, 1 << 20);
}

static void
test_slurp_limit(void **state)
{
	struct world *w = *state;
	const char *path = put(w, "a.yaml", "12345678"), *why = NULL;
	struct slice text;

	assert_true(load_slurp(w->arena, path, 8, &text, &why));
	assert_true(slice_eq(text, SLICE("12345678")));
	assert_false(load_slurp(w->arena, path, 7, &text, &why));
	assert_string_equal(why, "it is too large");
	assert_false(load_slurp(w->arena, w->dir, 8, &text, &why));
	assert_true(load_slurp(w->arena, "/dev/null", 8, &text, &why));
	assert_int_equal(text.len, 0);
	assert_false(load_slurp(w->arena, "/dev/zero", 100000, &text, &why));
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_folder),
		TEST(test_two_roots),
		TEST(test_each_root_states_its_version),
		TEST(test_included_version),
		TEST(test_same_file_twice),
		TEST(test_not_there),
		TEST(test_slurp_without_memory),
		TEST(test_slurp_limit),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

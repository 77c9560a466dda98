/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "engine/config/diag.h"
#include "engine/mem/arena.h"

static void
test_distance(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned d;
	} rows[] = { { "upstream", "upstream", 0 }, { "upsteam", "upstream", 1 },
		{ "upstraem", "upstream", 1 }, { "uptsraem", "upstream", 2 }, { "", "ab", 2 },
		{ "", "abc", 3 }, { "kitten", "sitting", 3 }, { "ab", "ba", 1 }, { "", "", 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(
		    diag_distance(slice_str(rows[i].a), slice_str(rows[i].b)), rows[i].d);
		assert_int_equal(
		    diag_distance(slice_str(rows[i].b), slice_str(rows[i].a)), rows[i].d);
	}
}

static void
test_nearest(void **state)
{
	static const char *const names[] = { "to", "idle", "path", "prefix", "pool" };
	static const char *const alike[] = { "spl", "spl_by" };

	(void)state;
	assert_string_equal(diag_nearest(SLICE("pfefix"), names, 5), "prefix");
	assert_string_equal(diag_nearest(SLICE("ot"), names, 5), "to");
	assert_string_equal(diag_nearest(SLICE("pth"), names, 5), "path");
	assert_string_equal(diag_nearest(SLICE("spl_q"), alike, 2), "spl_by");
	assert_string_equal(diag_nearest(SLICE("spt"), alike, 2), "spl");
	assert_null(diag_nearest(SLICE("xyz"), names, 5));
	assert_null(diag_nearest(SLICE("x"), names, 5));
	assert_null(diag_nearest(SLICE(""), names, 5));
	assert_null(diag_nearest(SLICE("path"), names, 0));
}

static char *
printed(struct diag *d, void (*print)(struct diag *, FILE *))
{
	char *p = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&p, &n);

	assert_non_null(f);
	print(d, f);
	fclose(f);
	return (p);
}

static void
test_order(void **state)
{
	static const char a[] = "a.yaml", b[] = "b.yaml";
	struct arena *arena = arena_new("test");
	struct diag *d = diag_new(arena);
	char *text;

	(void)state;
	diag_add_source(d, b, SLICE("one\ntwo"));
	diag_add_source(d, a, SLICE("x\n"));
	diag_error(d, (struct mark){ a, 1, 1 }, "third");
	diag_error(d, (struct mark){ b, 2, 3 }, "second");
	diag_warn(d, (struct mark){ b, 2, 1 }, "%s", "first");
	diag_error(d, MARK_NONE, "before all");
	text = printed(d, diag_print);
	assert_string_equal(text,
	    "error: before all\n"
	    "b.yaml:2:1: warning: first\n    2 | two\n      | ^\n"
	    "b.yaml:2:3: error: second\n    2 | two\n      |   ^\n"
	    "a.yaml:1:1: error: third\n    1 | x\n      | ^\n");
	assert_int_equal(diag_errors(d), 3);
	assert_int_equal(diag_warnings(d), 1);
	free(text);
	arena_free(&arena);
}

static void
test_cap(void **state)
{
	struct arena *arena = arena_new("test");
	struct diag *d = diag_new(arena);
	char *text;

	(void)state;
	for (unsigned i = 0; i < 2 * DIAG_MAX; i++) {
		diag_error(d, (struct mark){ "f", i + 1, 1 }, "e");
		diag_warn(d, (struct mark){ "f", i + 1, 1 }, "w");
	}
	assert_int_equal(diag_errors(d), 2 * DIAG_MAX);
	assert_int_equal(diag_count(d), 2 * DIAG_MAX);
	text = printed(d, diag_print);
	assert_non_null(strstr(text, "and 50 more errors\n"));
	free(text);
	arena_free(&arena);
}

/* What is read once for each listener is wrong once; the same words elsewhere are another mistake. */
static void
test_same_is_told_once(void **state)
{
	struct arena *arena = arena_new("test");
	struct diag *d = diag_new(arena);

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		diag_error(d, (struct mark){ "f", 1, 1 }, "e");
		diag_error(d, (struct mark){ "f", 1, 2 }, "e");
		diag_error(d, (struct mark){ "f", 2, 1 }, "e");
		diag_error(d, (struct mark){ "g", 1, 1 }, "e");
		diag_error(d, (struct mark){ "f", 1, 1 }, "other");
		diag_warn(d, (struct mark){ "f", 1, 1 }, "e");
	}
	assert_int_equal(diag_errors(d), 5);
	assert_int_equal(diag_count(d), 6);
	diag_error(d, MARK_NONE, "e");
	diag_error(d, MARK_NONE, "e");
	assert_int_equal(diag_errors(d), 7);
	arena_free(&arena);
}

static void
test_json(void **state)
{
	struct arena *arena = arena_new("test");
	struct diag *d = diag_new(arena);
	char *text = printed(d, diag_print_json);

	(void)state;
	assert_string_equal(text, "[]\n");
	free(text);
	diag_add(
	    d, DIAG_ERROR, (struct mark){ "a\"b", 2, 3 }, "routes[0].x", "so", "bad \"%s\"", "q");
	assert_int_equal(diag_set_kind(d, DIAG_FORM), DIAG_RULE);
	diag_warn(d, MARK_NONE, "w");
	text = printed(d, diag_print_json);
	assert_non_null(strstr(text,
	    "{\"file\":\"a\\\"b\",\"line\":2,\"column\":3,\"level\":\"error\","
	    "\"kind\":\"rule\",\"path\":\"routes[0].x\",\"message\":\"bad \\\"q\\\"\",\"hint\":\"so\"}"));
	assert_non_null(strstr(text,
	    "{\"file\":null,\"line\":0,\"column\":0,\"level\":\"warning\","
	    "\"kind\":\"form\",\"path\":\"\",\"message\":\"w\",\"hint\":null}"));
	free(text);
	arena_free(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_distance),
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_cap),
		cmocka_unit_test(test_same_is_told_once),
		cmocka_unit_test(test_json),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

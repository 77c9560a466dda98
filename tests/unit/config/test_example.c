/* SPDX-License-Identifier: Apache-2.0 */
/* The example of engine/config/README.md, word for word, and what it does. */
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
#include "engine/config/load.h"
#include "engine/config/schema.h"
#include "engine/mem/arena.h"

struct ping {
	struct schema_obj obj;
	uint64_t every_ms;
	struct schema_list targets; /* struct scalar_server */
};

static const struct schema_row ping_rows[] = {
	SCHEMA_ROW("every", DURATION, struct ping, every_ms, .def = "5s", .min = 100,
	    .help = "from one ping to the next"),
	SCHEMA_ROW("targets", LIST, struct ping, targets, .elem = SCHEMA_SERVER,
	    .flags = SCHEMA_REQUIRED | SCHEMA_NOT_EMPTY, .help = "who is pinged"),
	SCHEMA_ROWS_END,
};
static struct schema ping_schema = SCHEMA_DEFINE("ping", struct ping, ping_rows);

struct top {
	struct schema_obj obj;
	const struct ping *ping; /* NULL: none */
};

static const struct schema_row top_rows[] = {
	SCHEMA_ROW("ping", OBJECT, struct top, ping, .sub = &ping_schema, .help = "pings servers"),
	SCHEMA_ROWS_END,
};
static struct schema top_schema = SCHEMA_DEFINE("", struct top, top_rows);

static const struct top *
read_top(struct arena *arena, struct diag *diag, const char *text)
{
	const struct load_text file = { .name = "a.yaml", .text = slice_str(text) };
	const struct schema_reader rd = { .arena = arena, .diag = diag };
	const struct node *node = load_texts(arena, diag, &top_schema, &file, 1, NULL, NULL);

	if (node == NULL)
		return (NULL);
	return ((const struct top *)(const void *)schema_decode(&rd, &top_schema, node));
}

static void
test_example(void **state)
{
	struct arena *arena = arena_new("test");
	struct diag *diag = diag_new(arena);
	const struct top *top = read_top(arena, diag, "ping: { targets: [users:80, 10.0.0.1:1] }");

	(void)state;
	assert_true(diag_is_ok(diag));
	assert_int_equal(top->ping->every_ms, 5000);
	assert_int_equal(top->ping->targets.count, 2);
	assert_true(SCHEMA_AT(struct scalar_server, top->ping->targets, 0).is_name);
	assert_int_equal(schema_item_mark(&top->ping->targets, 1).col, 29);
	top = read_top(arena, diag, "ping: { every: 5, targets: [] }");
	assert_int_equal(diag_errors(diag), 2);
	assert_string_equal(diag_at(diag, 0)->hint, "write 5ms, 5s or 5m");
	arena_free(&arena);
}

static char *
slurp(struct arena *arena, const char *name)
{
	const char *dir = getenv("WEIR_SRCDIR"), *why = NULL;
	struct slice text;

	assert_true(load_slurp(arena, arena_printf(arena, "%s/%s", dir != NULL ? dir : ".", name),
	    1 << 20, &text, &why));
	return (arena_cstr(arena, text));
}

/* Each line of the C in the README stands in this file. */
static void
test_readme_is_this(void **state)
{
	struct arena *arena = arena_new("test");
	const char *own = slurp(arena, "tests/unit/config/test_example.c");
	char *readme = slurp(arena, "engine/config/README.md"), *line, *save = NULL;
	unsigned lines = 0;
	bool is_c = false;

	(void)state;
	for (line = strtok_r(readme, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "```", 3) == 0) {
			is_c = strcmp(line, "```c") == 0;
			continue;
		}
		if (!is_c)
			continue;
		if (strstr(own, line) == NULL)
			fail_msg("not in this file: %s", line);
		lines++;
	}
	assert_in_range(lines, 15, 60);
	arena_free(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_readme_is_this),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

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

#include "engine/base/rnd.h"
#include "engine/config/diag.h"
#include "engine/config/load.h"
#include "engine/mem/arena.h"
#include "tests/unit/config/shape.h"

static void
test_scalar_kinds(void **state)
{
	static const struct {
		const char *text;
		enum node_scalar kind;
	} rows[] = { { "", NODE_NULL }, { "~", NODE_NULL }, { "null", NODE_NULL },
		{ "nUll", NODE_STRING }, { "true", NODE_BOOL }, { "False", NODE_BOOL },
		{ "yes", NODE_STRING }, { "on", NODE_STRING }, { "0", NODE_INT },
		{ "-12", NODE_INT }, { "+1", NODE_STRING }, { "0777", NODE_STRING },
		{ "0x1f", NODE_STRING }, { "22:22", NODE_STRING }, { "1_000", NODE_STRING },
		{ "1.5", NODE_FLOAT }, { "-.5e-3", NODE_FLOAT }, { ".", NODE_STRING },
		{ "-", NODE_STRING }, { "1e", NODE_STRING }, { "1e5", NODE_FLOAT },
		{ ".inf", NODE_FLOAT }, { "-.inf", NODE_FLOAT }, { ".nan", NODE_FLOAT },
		{ "2026-01-02", NODE_STRING }, { "1.2.3.4", NODE_STRING } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct node n = { .kind = NODE_SCALAR,
			.text = rows[i].text,
			.count = (uint32_t)strlen(rows[i].text) };

		if (node_scalar_kind(&n) != rows[i].kind)
			fail_msg("%s", rows[i].text);
		n.flags = NODE_QUOTED;
		assert_int_equal(node_scalar_kind(&n), NODE_STRING);
	}
}

static void
test_tree(void **state)
{
	static const char text[] =
	    "a: [x, 'y', \"z\\n\"]\nb: { c: &n { d: 1 } }\ne: *n\nf: |\n  long\n";
	struct arena *arena = arena_new("test");
	struct diag *diag = diag_new(arena);
	const struct node *n = yaml_read(arena, diag, "f", slice_str(text), NULL, NULL), *list;

	(void)state;
	assert_true(diag_is_ok(diag));
	assert_int_equal(n->count, 4);
	list = node_get(n, SLICE("a"));
	assert_int_equal(list->count, 3);
	assert_string_equal(node_item(list, 2)->text, "z\n");
	assert_int_equal(node_item(list, 0)->flags, 0);
	assert_int_equal(node_item(list, 1)->flags, NODE_QUOTED);
	assert_true(
	    node_eq(node_get(n, SLICE("e")), node_get(node_get(n, SLICE("b")), SLICE("c"))));
	assert_string_equal(node_get(n, SLICE("f"))->text, "long\n");
	assert_int_equal(node_get(n, SLICE("e"))->mark.line, 2);
	assert_null(node_get(n, SLICE("g")));
	arena_free(&arena);
}

/* Reads and decodes; only that it returns matters, and what the sanitizers see. */
static void
read_bytes(const char *p, size_t n)
{
	struct arena *arena = arena_new("test");
	struct diag *diag = diag_new(arena);
	const struct load_text text = { .name = "f", .text = slice_of(p, n) };
	const struct schema_reader rd = { .arena = arena, .diag = diag };
	const struct node *node = load_texts(arena, diag, &shape_schema, &text, 1, NULL, NULL);
	char *out = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&out, &len);
	const struct schema_obj *obj;

	if (node != NULL) {
		obj = schema_decode(&rd, &shape_schema, node);
		if (diag_is_ok(diag))
			schema_show(obj, f);
	} else {
		assert_false(diag_is_ok(diag));
	}
	diag_print(diag, f);
	diag_print_json(diag, f);
	fclose(f);
	free(out);
	arena_free(&arena);
}

/* A file of about a hundred lines with every shape of the language in it. */
static char *
make_file(size_t *n)
{
	char *p = NULL;
	FILE *f = open_memstream(&p, n);

	fputs("version: 1\nlisteners:\n  web: { listen: 8080, trusted_proxies: [10.0.0.0/8] }\n"
	      "upstreams:\n",
	    f);
	for (int i = 0; i < 20; i++)
		fprintf(f,
		    "  u%d:\n    servers: [127.0.0.1:%d, { address: \"a%d:1\", weight: 2 }]\n", i,
		    i + 1, i);
	fputs("  last: &last { servers: [unix:/x], balance: { hash: { header: X } }, tls: {} }\n"
	      "  again: *last\ndefaults: { timeout: { connect: 3s } }\nroutes:\n",
	    f);
	for (int i = 0; i < 12; i++)
		fprintf(f,
		    "  - name: r%d\n    hosts: [h%d.example.com]\n    prefix: '/p%d'\n"
		    "    split: { u1: 1, u2: 2 }\n",
		    i, i, i);
	fputs(
	    "  - { path: /x, respond: { status: 503, headers: { A: \"1\" }, body: \"\\u00e9\" } }\n",
	    f);
	fclose(f);
	return (p);
}

static void
test_every_byte(void **state)
{
	static const char bytes[] = { '\0', '\n', '\t', ' ', ':', '{', ']', '"', '&', '*', '$', '%',
		'-', '#', '\x80', '\xff' };
	struct rnd rnd;
	size_t n;
	char *file = make_file(&n), *copy = malloc(n);

	(void)state;
	rnd_init_seed(&rnd, 1);
	read_bytes(file, n);
	for (size_t i = 0; i < n; i++) {
		memcpy(copy, file, n);
		copy[i] = bytes[rnd_below(&rnd, sizeof(bytes))];
		read_bytes(copy, n);
	}
	free(copy);
	free(file);
}

static void
test_every_cut(void **state)
{
	size_t n;
	char *file = make_file(&n);

	(void)state;
	for (size_t i = 0; i < n; i += 3) {
		/* Its own block, so that reading past its end is seen. */
		char *copy = malloc(i + 1);

		memcpy(copy, file, i);
		read_bytes(copy, i);
		free(copy);
	}
	free(file);
}

static const char *
lookup(void *arg, const char *name)
{
	assert_ptr_equal(arg, &lookup);
	return (strcmp(name, "A") == 0 ? "x: y" : NULL);
}

/* A variable can change a value, never the structure around it. */
static void
test_variable_is_data(void **state)
{
	struct arena *arena = arena_new("test");
	struct diag *diag = diag_new(arena);
	const struct node *n = yaml_read(arena, diag, "f",
	    SLICE("a: ${A}\nb: pre-${A}-${B:-z}-$1-$${A}-$\n"), lookup, (void *)&lookup);

	(void)state;
	assert_true(diag_is_ok(diag));
	assert_string_equal(node_get(n, SLICE("a"))->text, "x: y");
	assert_int_equal(node_get(n, SLICE("a"))->flags, NODE_EXPANDED);
	assert_string_equal(node_get(n, SLICE("b"))->text, "pre-x: y-z-$1-${A}-$");
	arena_free(&arena);
}

/* The first collection that ends may be an empty one: nothing is on the stack then. */
static void
test_empty_first(void **state)
{
	static const char *const files[] = { "[]", "{}", "[{ }\nworkers: ${NONE:-3}\n", "- {}\n- []\n",
		"[[[]]]" };

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		read_bytes(files[i], strlen(files[i]));
}

static void
test_resolve(void **state)
{
	struct arena *arena = arena_new("test");

	(void)state;
	assert_true(slice_eq(load_resolve(arena, "a/b.yaml", SLICE("c")), SLICE("a/c")));
	assert_true(slice_eq(load_resolve(arena, "b.yaml", SLICE("c")), SLICE("c")));
	assert_true(slice_eq(load_resolve(arena, "/b.yaml", SLICE("c")), SLICE("/c")));
	assert_true(slice_eq(load_resolve(arena, "a/b.yaml", SLICE("/c")), SLICE("/c")));
	assert_true(slice_eq(load_resolve(arena, NULL, SLICE("c")), SLICE("c")));
	arena_free(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scalar_kinds),
		cmocka_unit_test(test_tree),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_variable_is_data),
		cmocka_unit_test(test_empty_first),
		cmocka_unit_test(test_resolve),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

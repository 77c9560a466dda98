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
#include "engine/config/load.h"
#include "engine/mem/alloc.h"
#include "engine/mem/arena.h"
#include "tests/unit/config/shape.h"

struct cache {
	struct schema_obj obj;
	uint64_t size_bytes;
};

static const struct schema_row cache_rows[] = {
	SCHEMA_ROW("size", BYTES, struct cache, size_bytes, .def = "1MiB", .help = "in memory"),
	SCHEMA_ROWS_END,
};
static struct schema cache_schema = SCHEMA_DEFINE("cache", struct cache, cache_rows);
static unsigned ext_cache;

/* What a filter does before the first file is read. */
static int
setup_group(void **state)
{
	static const struct schema_key_ext exts[] = {
		{ SCHEMA_EXT_ROW("cache", OBJECT, .sub = &cache_schema, .flags = SCHEMA_CAN_OFF,
		    .help = "keeps answers") },
		{ SCHEMA_EXT_ROW("tags", LIST, .elem = SCHEMA_STRING, .help = "for logs") },
		{ SCHEMA_EXT_ROW(
		    "marks", MAP, .key = SCHEMA_NAME, .elem = SCHEMA_INT, .help = "for tests") },
	};

	(void)state;
	ext_cache = schema_extend(&shape_policies_schema, exts, 3);
	return (0);
}

struct world {
	struct arena *arena;
	struct diag *diag;
};

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->arena = arena_new("test");
	w->diag = diag_new(w->arena);
	*state = w;
	return (0);
}

static int
teardown(void **state)
{
	struct world *w = *state;

	arena_free(&w->arena);
	free(w);
	return (0);
}

static const struct shape *
read_shape(struct world *w, const char *text)
{
	const struct load_text file = { .name = "a.yaml",
		.text = slice_str(arena_printf(w->arena, "version: 1\n%s", text)) };
	const struct schema_reader rd = { .arena = w->arena, .diag = w->diag };
	const struct node *n = load_texts(w->arena, w->diag, &shape_schema, &file, 1, NULL, NULL);

	assert_non_null(n);
	return ((const struct shape *)(const void *)schema_decode(&rd, &shape_schema, n));
}

static const struct shape *
read_good(struct world *w, const char *text)
{
	const struct shape *s = read_shape(w, text);

	if (!diag_is_ok(w->diag))
		diag_print(w->diag, stderr);
	assert_true(diag_is_ok(w->diag));
	return (s);
}

static const struct shape_policies *
merged(struct world *w, const struct shape *s, uint32_t route)
{
	const struct shape_route *r = SCHEMA_OBJ_AT(struct shape_route, s->routes, route);
	const struct schema_obj *below = s->defaults != NULL ? &s->defaults->policies.obj : NULL;
	const struct schema_obj *obj = schema_merge(w->arena, below, &r->policies.obj);

	return ((const struct shape_policies *)(const void *)obj);
}

static void
test_decode(void **state)
{
	const struct shape *s = read_good(*state,
	    "upstreams: { u: { servers: [127.0.0.1:1, { address: a:2, weight: 3 }], balance: random } }\n"
	    "routes: [{ hosts: [A.b], prefix: /, split: { u: 9 }, headers: { X: y } }]\n");
	const struct shape_upstream *u = SCHEMA_OBJ_AT(struct shape_upstream, s->upstreams, 0);
	const struct shape_route *r = SCHEMA_OBJ_AT(struct shape_route, s->routes, 0);

	assert_int_equal(s->workers, SCALAR_AUTO);
	assert_true(slice_eq(s->upstreams.keys[0], SLICE("u")));
	assert_int_equal(SCHEMA_OBJ_AT(struct shape_server, u->servers, 0)->weight, 1);
	assert_int_equal(SCHEMA_OBJ_AT(struct shape_server, u->servers, 1)->weight, 3);
	assert_int_equal(u->balance->policy, SHAPE_RANDOM);
	assert_int_equal(u->pool->idle, 64);
	assert_null(u->tls);
	assert_true(slice_eq(SCHEMA_AT(struct slice, r->hosts, 0), SLICE("a.b")));
	assert_int_equal(SCHEMA_AT(uint64_t, r->split, 0), 9);
	assert_true(slice_eq(SCHEMA_OBJ_AT(struct shape_match, r->headers, 0)->exact, SLICE("y")));
	assert_int_equal(r->policies.retry->on.count, 3);
	assert_int_equal(r->policies.body_limit, 16 << 20);
}

static void
test_marks(void **state)
{
	const struct shape *s = read_good(*state,
	    "upstreams:\n  u:\n    servers: [a:1, b:2]\n"
	    "routes:\n  - prefix: /\n    upstream: u\n"
	    "    timeout: { idle: 1s }\n");
	const struct shape_upstream *u = SCHEMA_OBJ_AT(struct shape_upstream, s->upstreams, 0);
	const struct shape_route *r = SCHEMA_OBJ_AT(struct shape_route, s->routes, 0);

	assert_int_equal(schema_mark(&r->obj, "upstream").line, 7);
	assert_int_equal(schema_mark(&r->obj, "upstream").col, 15);
	assert_int_equal(schema_key_mark(&r->obj, "upstream").col, 5);
	assert_int_equal(schema_key_mark(&r->obj, "timeout").line, 8);
	assert_int_equal(schema_mark(&r->obj, "path").line, schema_obj_mark(&r->obj).line);
	assert_int_equal(schema_item_mark(&u->servers, 1).col, 20);
	assert_int_equal(schema_entry_mark(&s->upstreams, 0).line, 3);
	assert_int_equal(schema_entry_value_mark(&s->upstreams, 0).line, 4);
	assert_true(schema_has(&r->obj, "timeout"));
	assert_false(schema_has(&r->obj, "retry"));
	assert_int_equal(schema_map_find(&s->upstreams, SLICE("u")), 0);
	assert_int_equal(schema_map_find(&s->upstreams, SLICE("v")), -1);
}

static const char layers[] = "defaults:\n"
			     "  timeout: { connect: 1s, idle: 2s }\n"
			     "  retry: { attempts: 5, on: [reset] }\n"
			     "  request_headers: { set: { A: a, B: b }, remove: [X, Y] }\n"
			     "  rewrite: { regex: a, with: b }\n"
			     "  ip: { deny: [10.0.0.0/8] }\n"
			     "routes:\n"
			     "  - { prefix: /, upstream: u }\n"
			     "  - prefix: /b\n"
			     "    upstream: u\n"
			     "    timeout: { idle: 9s }\n"
			     "    retry: { on: [connect, 503] }\n"
			     "    request_headers: { set: { B: c, C: d }, remove: [Z] }\n"
			     "    rewrite: { path: /x }\n"
			     "    ip: off\n";

static void
test_layers(void **state)
{
	const struct shape *s = read_good(*state, layers);
	const struct shape_policies *p = merged(*state, s, 1);
	const struct schema_map *set = &p->request_headers->set;

	assert_int_equal(p->timeout->connect_ms, 1000);
	assert_int_equal(p->timeout->idle_ms, 9000);
	assert_int_equal(p->timeout->first_byte_ms, 15000);
	assert_int_equal(p->retry->attempts, 5);
	assert_int_equal(p->retry->on.count, 2);
	assert_int_equal(set->count, 3);
	assert_true(slice_eq(SCHEMA_AT(struct slice, *set, 1), SLICE("c")));
	assert_true(slice_eq(set->keys[2], SLICE("C")));
	assert_int_equal(p->request_headers->remove.count, 1);
	assert_true(slice_eq(p->rewrite->path, SLICE("/x")));
	assert_int_equal(p->rewrite->regex.len, 0);
	assert_null(p->ip);
	assert_true(schema_is_off(&p->obj, "ip"));
	assert_int_equal(schema_mark(&p->timeout->obj, "connect").line, 3);
	assert_int_equal(schema_mark(&p->timeout->obj, "idle").line, 12);
	assert_int_equal(schema_key_mark(&p->timeout->obj, "connect").col, 14);
	assert_int_equal(schema_entry_mark(set, 0).line, 5);
	assert_int_equal(schema_entry_mark(set, 1).line, 14);
}

/* A route that adds nothing shares the layer below; the layer below never changes. */
static void
test_layers_share(void **state)
{
	const struct shape *s = read_good(*state, layers);
	uint64_t before[2], after[2];

	schema_digest(&s->defaults->policies.obj, before);
	assert_ptr_equal(merged(*state, s, 0), &s->defaults->policies);
	(void)merged(*state, s, 1);
	schema_digest(&s->defaults->policies.obj, after);
	assert_memory_equal(before, after, sizeof(before));
	assert_non_null(s->defaults->policies.ip);
}

static void
test_extension(void **state)
{
	const struct shape *s = read_good(*state,
	    "defaults: { cache: { size: 2MiB }, tags: [a, b], marks: { x: 1, y: 2 } }\n"
	    "routes:\n  - { prefix: /, upstream: u, cache: off }\n"
	    "  - { prefix: /b, upstream: u, cache: {}, tags: [c], marks: { y: 3, z: 4 } }\n");
	const struct shape_policies *none = merged(*state, s, 0), *both = merged(*state, s, 1);
	const struct cache *low = schema_ext_at(&s->defaults->policies.obj, ext_cache);
	const struct cache *high = schema_ext_at(&both->obj, ext_cache);
	const struct schema_list *tags = schema_ext_at(&both->obj, ext_cache + 1);
	const struct schema_map *marks = schema_ext_at(&both->obj, ext_cache + 2);
	uint64_t a[2], b[2];

	assert_int_equal(low->size_bytes, 2 << 20);
	assert_null(schema_ext_at(&none->obj, ext_cache));
	assert_true(schema_is_off(&none->obj, "cache"));
	assert_int_equal(high->size_bytes, 2 << 20);
	assert_int_equal(tags->count, 1);
	assert_int_equal(marks->count, 3);
	assert_int_equal(SCHEMA_AT(uint64_t, *marks, 1), 3);
	assert_false(schema_eq(&none->obj, &both->obj));
	schema_digest(&none->obj, a);
	schema_digest(&both->obj, b);
	assert_memory_not_equal(a, b, sizeof(a));
}

static void
check_same(struct world *w, const char *x, const char *y, bool is_same)
{
	const struct shape *a = read_good(w, x), *b = read_good(w, y);
	uint64_t da[2], db[2];

	schema_digest(&a->obj, da);
	schema_digest(&b->obj, db);
	if (schema_eq(&a->obj, &b->obj) != is_same || schema_eq(&b->obj, &a->obj) != is_same)
		fail_msg("equality of <%s> and <%s>", x, y);
	if ((memcmp(da, db, sizeof(da)) == 0) != is_same)
		fail_msg("digest of <%s> and <%s>", x, y);
}

static void
test_equality(void **state)
{
	struct world *w = *state;

	check_same(w, "workers: 2\n", "# c\n\nworkers: 2\n", true);
	check_same(w, "workers: auto\n", "", true);
	check_same(w, "workers: 2\n", "workers: 3\n", false);
	check_same(w, "listeners: { a: { listen: 1 }, b: { listen: 2 } }\n",
	    "listeners:\n  b: { listen: 2 }\n  a: { listen: 1, body_limit: 16MiB }\n", true);
	check_same(w, "listeners: { a: { listen: 80 } }",
	    "listeners: { a: { listen: \"[::]:80\" } }", false);
	check_same(w, "routes: [{ prefix: /, upstream: a }, { prefix: /b, upstream: a }]",
	    "routes: [{ prefix: /b, upstream: a }, { prefix: /, upstream: a }]", false);
	check_same(w, "extra: { a: 1, b: [x] }", "extra: { b: [x], a: 1 }", true);
	check_same(w, "extra: { a: 1 }", "extra: { a: \"1\" }", false);
	check_same(w, "extra: [~, null, ]", "extra: [null, Null]", true);
	check_same(w, "upstreams: { u: { servers: [a:1], tls: { password: x } } }",
	    "upstreams: { u: { servers: [a:1], tls: { password: y } } }", false);
	check_same(w, "upstreams: { u: { servers: [a:1], tls: {} } }",
	    "upstreams: { u: { servers: [a:1] } }", false);
	check_same(w, "upstreams: { u: { servers: [a:1], balance: random } }",
	    "upstreams: { u: { servers: [a:1] } }", false);
}

/* What show prints is YAML that decodes to the same. */
static void
test_show_reads_back(void **state)
{
	struct world *w = *state;
	const struct shape *
	    a = read_good(w,
	       "upstreams: { u: { servers: [a:1, unix:/x], balance: { hash: client_ip }, tls: {} } }\n"
	       "routes: [{ prefix: /, respond: { body: \"a: b\\n$${\\\"\\\\ \\xe9 # $1\" }, retry: off,\n"
	       "  rate_limit: { rate: 5/m, by: client_ip }, headers: { A: \"\", B: \"~\" } }]\n"),
	   *b;
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	schema_show(&a->obj, f);
	fclose(f);
	b = read_good(w, strchr(text, '\n') + 1);
	assert_true(schema_eq(&a->obj, &b->obj));
	free(text);
}

typedef void show_json_fn(const struct schema_obj *, unsigned indent, FILE *);

static char *
json_of(show_json_fn *fn, const struct shape *s, unsigned indent)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	assert_non_null(f);
	fn(&s->obj, indent, f);
	assert_int_equal(fclose(f), 0);
	return (text);
}

/* What is shown as JSON is a file that says the same. */
static void
test_json_reads_back(void **state)
{
	struct world *w = *state;
	const struct shape *
	    a = read_good(w,
	       "upstreams: { u: { servers: [a:1, unix:/x], balance: { hash: client_ip }, tls: {} },\n"
	       "  v: { servers: [\"b:2\"], balance: random } }\n"
	       "routes: [{ prefix: /, respond: { body: \"a: b\\n$${\\\"\\\\ \\xe9\\x85\\x7f\\t# $1\\u2028\" },\n"
	       "  retry: off, rate_limit: { rate: 5/m, by: client_ip },\n"
	       "  headers: { A: \"\", B: \"~\" } }]\n"),
	   *b;
	char *text = json_of(schema_show_json, a, 0);
	/* The reader of tests brings a version of its own, as the first key of a map without braces. */
	char *version = strstr(text, "\"version\": 1,");
	const struct load_text file = { .name = "a.json", .text = slice_str(text) };
	const struct schema_reader rd = { .arena = w->arena, .diag = w->diag };

	assert_non_null(version);
	b = (const void *)schema_decode(&rd, &shape_schema,
	    load_texts(w->arena, w->diag, &shape_schema, &file, 1, NULL, NULL));
	if (!diag_is_ok(w->diag))
		diag_print(w->diag, stderr);
	assert_true(diag_is_ok(w->diag));
	assert_true(schema_eq(&a->obj, &b->obj));
	free(text);
}

static void
assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("%s is not in %s", part, text);
}

/* Values of their own types, and pointers to where they come from. */
static void
test_json_says_where_from(void **state)
{
	struct world *w = *state;
	const struct shape *s = read_good(w,
	    "upstreams: { u: { servers: [a:1] } }\n"
	    "routes:\n"
	    "  - { prefix: /, upstream: u }\n"
	    "  - prefix: /x\n"
	    "    respond: { status: 204 }\n"
	    "    retry: off\n"
	    "    headers: { A-B: d }\n");
	char *config = json_of(schema_show_json, s, 4), *from = json_of(schema_show_json_origins, s, 4);

	assert_has(config, "\n          \"prefix\": \"/x\",");
	assert_has(config, "\"status\": 204");
	assert_has(config, "\"retry\": \"off\"");
	assert_int_equal(strncmp(config, "{\n      \"", 9), 0);
	assert_string_equal(config + strlen(config) - 6, "\n    }");
	assert_int_equal(strncmp(from, "{\n      \"/", 10), 0);
	assert_has(from, "\n      \"/routes/1/prefix\": \"a.yaml:5\",\n");
	assert_has(from, "\"/routes/0\": \"a.yaml:4\"");
	assert_has(from, "\"/routes/1/respond/status\": \"a.yaml:6\"");
	assert_has(from, "\"/routes/1/retry\": \"a.yaml:7\"");
	assert_has(from, "\"/routes/1/headers/A-B\": \"a.yaml:8\"");
	assert_has(from, "\": \"default\"");
	assert_string_equal(from + strlen(from) - 6, "\n    }");
	free(config);
	free(from);
}

/* A name of a file is any bytes, and no character of it is cut in two. */
static void
test_json_texts(void **state)
{
	char long_name[400], *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	(void)state;
	memset(long_name, 'x', sizeof(long_name));
	memcpy(long_name + 255, "\xc3\xa9", 2);
	assert_non_null(f);
	schema_print_json_text(SLICE("a\"\\\n\xff" "b"), f);
	schema_print_json_text(slice_of(long_name, sizeof(long_name)), f);
	schema_print_json_place((struct mark){ .file = "f\"", .line = 7 }, f);
	schema_print_json_place(MARK_NONE, f);
	assert_int_equal(fclose(f), 0);
	assert_has(text, "\"a\\\"\\\\\\n\xef\xbf\xbd" "b\"\"xxx");
	assert_has(text, "xx\xc3\xa9xx");
	assert_has(text, "xx\"\"f\\\":7\"\"default\"");
	free(text);
}

struct told {
	unsigned connect, first_byte, ip, lists;
};

static void
on_value(void *arg, const char *path, const char *value, struct mark where)
{
	struct told *t = arg;

	if (strcmp(path, "timeout.connect") == 0) {
		t->connect++;
		assert_string_equal(value, "1s");
		assert_int_equal(where.line, 3);
	} else if (strcmp(path, "timeout.first_byte") == 0) {
		t->first_byte++;
		assert_string_equal(value, "15s");
		assert_null(where.file);
	} else if (strcmp(path, "ip") == 0) {
		t->ip++;
		assert_string_equal(value, "off");
	}
	t->lists += strstr(path, "retry.on") != NULL || strstr(path, "request_headers.set") != NULL;
}

static void
test_each(void **state)
{
	struct world *w = *state;
	const struct shape *s = read_good(w, layers);
	struct told t = { 0 };

	schema_each(w->arena, &merged(w, s, 1)->obj, on_value, &t);
	assert_int_equal(t.connect, 1);
	assert_int_equal(t.first_byte, 1);
	assert_int_equal(t.ip, 1);
	assert_int_equal(t.lists, 0);
}

/* Each allocation fails in turn: everything is given up, nothing leaks, nothing is half done. */
static void
test_out_of_memory(void **state)
{
	const struct shape *s = read_good(*state, layers);
	volatile unsigned failures = 0;

	assert_non_null(s);
	for (volatile unsigned n = 1; n < 10000; n++) {
		struct world w;
		struct mem_trap trap;

		w.arena = arena_new("test");
		w.diag = diag_new(w.arena);
		if (MEM_TRAP_ENTER(&trap)) {
			failures++;
			mem_fail_off();
			arena_free(&w.arena);
			continue;
		}
		mem_fail_at(n);
		s = read_shape(&w, layers);
		(void)merged(&w, s, 1);
		mem_trap_leave(&trap);
		mem_fail_off();
		arena_free(&w.arena);
		if (!mem_fail_hit())
			break;
	}
	assert_true(failures > 1);
}

static char *
printed(void (*print)(struct schema *, FILE *))
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	print(&shape_schema, f);
	fclose(f);
	return (text);
}

static void
print_json(struct schema *schema, FILE *out)
{
	schema_print_json_schema(schema, "shape", out);
}

static void
test_documents(void **state)
{
	char *defaults = printed(schema_print_defaults), *page = printed(schema_print_reference);
	char *json = printed(print_json);

	(void)state;
	assert_non_null(strstr(defaults, "routes[].timeout.connect "));
	assert_non_null(strstr(defaults, "routes[].cache.size "));
	assert_null(strstr(defaults, ".policy "));
	assert_non_null(strstr(page,
	    "| `routes[].timeout.connect` | duration | 3s | 1ms..1h | connecting to a server"));
	assert_non_null(strstr(page, "least_request \\| round_robin"));
	assert_non_null(strstr(json, "\"connect\":{\"description\":"));
	assert_non_null(strstr(json, "\"required\":[\"servers\"]"));
	free(defaults);
	free(page);
	free(json);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_decode),
		TEST(test_marks),
		TEST(test_layers),
		TEST(test_layers_share),
		TEST(test_extension),
		TEST(test_equality),
		TEST(test_show_reads_back),
		TEST(test_json_reads_back),
		TEST(test_json_says_where_from),
		TEST(test_json_texts),
		TEST(test_each),
		TEST(test_out_of_memory),
		TEST(test_documents),
	};

	return (cmocka_run_group_tests(tests, setup_group, NULL));
}

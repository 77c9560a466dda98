/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "engine/base/rnd.h"
#include "engine/base/text.h"
#include "engine/mem/alloc.h"
#include "engine/mem/arena.h"
#include "engine/mem/err.h"
#include "engine/mem/map.h"
#include "engine/mem/vec.h"

static void
vec_fill(struct arena *a)
{
	VEC(unsigned) v;
	unsigned *p;
	unsigned sum = 0;

	vec_init(&v, a);
	VEC_FOREACH(p, &v)
		fail();
	for (unsigned i = 0; i < 1000; i++)
		vec_push(&v, i);
	vec_add(&v, p);
	assert_int_equal(*p, 0);
	assert_int_equal(v.n, 1001);
	VEC_FOREACH(p, &v)
		sum += *p;
	assert_int_equal(sum, 499500);
	vec_reserve(&v, 5000);
	assert_true(v.cap >= 5000);
	assert_int_equal(v.v[999], 999);
	vec_fini(&v);
	assert_int_equal(v.n, 0);
}

static void
test_vec(void **state)
{
	struct arena *a = arena_new("test");

	(void)state;
	vec_fill(NULL);
	vec_fill(a);
	arena_free(&a);
}

static void
map_few(struct arena *a)
{
	int one = 1;
	int two = 2;
	struct map m;

	map_init(&m, a);
	assert_null(map_get(&m, SLICE("a")));
	assert_null(map_del(&m, SLICE("a")));
	assert_null(map_put(&m, SLICE("a"), &one));
	assert_null(map_put(&m, SLICE(""), &two));
	assert_null(map_get(&m, SLICE("A")));
	assert_ptr_equal(map_get(&m, SLICE("a")), &one);
	assert_ptr_equal(map_get(&m, SLICE("")), &two);
	assert_ptr_equal(map_put(&m, SLICE("a"), &two), &one);
	assert_ptr_equal(map_get(&m, SLICE("a")), &two);
	assert_int_equal(map_count(&m), 2);
	assert_ptr_equal(map_del(&m, SLICE("a")), &two);
	assert_null(map_del(&m, SLICE("a")));
	assert_int_equal(map_count(&m), 1);
	map_fini(&m);
	map_init_fold(&m, a);
	map_put(&m, SLICE("Example.COM"), &one);
	assert_ptr_equal(map_get(&m, SLICE("example.com")), &one);
	assert_ptr_equal(map_put(&m, SLICE("EXAMPLE.com"), &two), &one);
	assert_int_equal(map_count(&m), 1);
	map_fini(&m);
}

static void
test_map_few(void **state)
{
	struct arena *a = arena_new("test");

	(void)state;
	map_few(NULL);
	map_few(a);
	arena_free(&a);
}

/* Against an array of flags, with deletions, in order. */
static void
test_map_random(void **state)
{
	enum { N = 500 };
	static char keys[N][8];
	static unsigned born[N]; /* 0: not there, else when it was put */
	unsigned now = 0;
	unsigned last = 0;
	struct map m;
	struct slice key;
	struct rnd r;
	size_t at = 0;
	size_t n = 0;
	void *value;

	(void)state;
	rnd_init_seed(&r, 5);
	map_init(&m, NULL);
	for (unsigned i = 0; i < 20000; i++) {
		unsigned k = (unsigned)rnd_below(&r, N);
		size_t len = text_u64_digits(keys[k], k);

		key = slice_of(keys[k], len);
		assert_int_equal(map_get(&m, key) != NULL, born[k] != 0);
		if (born[k] != 0 && i % 3 != 0) {
			assert_ptr_equal(map_del(&m, key), &born[k]);
			born[k] = 0;
		} else if (born[k] == 0) {
			assert_null(map_put(&m, key, &born[k]));
			born[k] = ++now;
		}
	}
	while (map_next(&m, &at, &key, &value)) {
		assert_true(*(unsigned *)value > last);
		last = *(unsigned *)value;
		n++;
	}
	assert_int_equal(n, map_count(&m));
	/* deleting the entry just seen is allowed */
	at = 0;
	while (map_next(&m, &at, &key, &value))
		assert_non_null(map_del(&m, key));
	assert_int_equal(map_count(&m), 0);
	assert_true(m.cap <= 2048);
	map_fini(&m);
}

static struct slice
format(const struct err *err, char *buf, size_t n)
{
	struct text t;

	text_init(&t, buf, n);
	err_format(err, &t);
	return (text_slice(&t));
}

static void
test_err(void **state)
{
	struct arena *a = arena_new("test");
	struct mark mark = {"gw.yaml", 3, 7};
	char buf[200];
	struct err *err;

	(void)state;
	err = err_new(a, ERR_UNKNOWN, mark, "unknown key \"%s\"", "upsteam");
	assert_true(slice_eq(format(err, buf, sizeof(buf)),
	    SLICE("gw.yaml:3:7: error: unknown key \"upsteam\"")));
	err = err_because(err, "route %d", 5);
	assert_int_equal(err->code, ERR_UNKNOWN);
	assert_true(slice_eq(format(err, buf, sizeof(buf)),
	    SLICE("gw.yaml:3:7: error: route 5: unknown key \"upsteam\"")));
	err = err_system(a, ENOENT, "open %s", "x");
	assert_int_equal(err->code, ERR_SYSTEM);
	assert_true(slice_eq(format(err, buf, sizeof(buf)),
	    SLICE("error: open x: No such file or directory")));
	mark.line = 0;
	err = err_new(a, ERR_SYNTAX, mark, "empty");
	assert_true(slice_eq(format(err, buf, sizeof(buf)), SLICE("gw.yaml: error: empty")));
	assert_string_equal(err_code_name(ERR_UNUSED), "unused");
	for (unsigned i = 0; i < ERR__MAX; i++)
		assert_non_null(err_code_name((enum err_code)i));
	arena_free(&a);
}

static void
test_err_no_memory(void **state)
{
	struct arena a;
	struct err *err;
	char buf[64];

	(void)state;
	arena_init(&a, NULL, 0, ARENA_TRY);
	mem_fail_at(1);
	err = err_new(&a, ERR_INVALID, MARK_NONE, "x");
	mem_fail_off();
	assert_ptr_equal(err, err_memory());
	assert_int_equal(err->code, ERR_MEMORY);
	assert_ptr_equal(err_because(err, "y"), err);
	assert_true(slice_eq(format(err, buf, sizeof(buf)), SLICE("error: out of memory")));
	arena_fini(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vec),
		cmocka_unit_test(test_map_few),
		cmocka_unit_test(test_map_random),
		cmocka_unit_test(test_err),
		cmocka_unit_test(test_err_no_memory),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

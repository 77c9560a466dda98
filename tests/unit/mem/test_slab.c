/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "engine/base/rnd.h"
#include "engine/mem/alloc.h"
#include "engine/mem/slab.h"

struct thing {
	unsigned magic;
	unsigned v;
	char fill[92];
};

static void
test_get_put(void **state)
{
	struct slab s;
	struct thing *a;
	struct thing *b;

	(void)state;
	slab_init(&s, "thing", sizeof(struct thing), 0);
	assert_int_equal(s.chunks, 0);
	a = slab_get(&s);
	b = slab_get(&s);
	assert_non_null(a);
	assert_ptr_not_equal(a, b);
	assert_int_equal((uintptr_t)a % 64, 0);
	assert_int_equal(s.in_use, 2);
	memset(a, 1, sizeof(*a));
	memset(b, 2, sizeof(*b));
	slab_put(&s, &a);
	assert_null(a);
	slab_put(&s, &b);
	assert_int_equal(s.in_use, 0);
	slab_fini(&s);
}

#if !CC_ASAN
static void
test_latest_first(void **state)
{
	struct slab s;
	struct thing *v[3];
	struct thing *was;

	(void)state;
	slab_init(&s, "thing", sizeof(struct thing), 0);
	for (unsigned i = 0; i < 3; i++)
		v[i] = slab_get(&s);
	was = v[1];
	slab_put(&s, &v[0]);
	slab_put(&s, &v[1]);
	v[1] = slab_get(&s);
	assert_ptr_equal(v[1], was);
	slab_put(&s, &v[1]);
	slab_put(&s, &v[2]);
	slab_fini(&s);
}

static void
test_chunks_go_back(void **state)
{
	enum { N = 1000 };
	static struct thing *v[N];
	struct mem_stats before;
	struct mem_stats after;
	struct slab s;

	(void)state;
	mem_stats(&before);
	slab_init(&s, "thing", sizeof(struct thing), 16);
	assert_true(s.per_chunk >= 16);
	for (unsigned i = 0; i < N; i++)
		v[i] = slab_get(&s);
	assert_int_equal(s.chunks, (N + s.per_chunk - 1) / s.per_chunk);
	assert_int_equal(s.total, s.chunks * s.per_chunk);
	for (unsigned i = 0; i < N; i++)
		slab_put(&s, &v[i]);
	assert_int_equal(s.chunks, 1);
	assert_int_equal(s.empty, 1);
	slab_fini(&s);
	mem_stats(&after);
	assert_int_equal(after.mapped, before.mapped);
}

/* Crossing a chunk's edge to and fro costs no system call. */
static void
test_spare(void **state)
{
	struct thing *v[200];
	struct thing *extra;
	struct slab s;
	uint64_t before;
	unsigned n;

	(void)state;
	slab_init(&s, "thing", sizeof(struct thing), 0);
	n = s.per_chunk;
	assert_in_range(n, 1, array_len(v));
	for (unsigned i = 0; i < n; i++)
		v[i] = slab_get(&s);
	extra = slab_get(&s);
	slab_put(&s, &extra);
	before = mem_alloc_count();
	for (unsigned i = 0; i < 100; i++) {
		extra = slab_get(&s);
		slab_put(&s, &extra);
	}
	assert_int_equal(mem_alloc_count(), before);
	assert_int_equal(s.chunks, 2);
	for (unsigned i = 0; i < n; i++)
		slab_put(&s, &v[i]);
	slab_fini(&s);
}
#endif

static void
test_limits(void **state)
{
	struct slab s;
	struct thing *a;
	struct thing *b;

	(void)state;
	slab_init(&s, "thing", sizeof(struct thing), 0);
	mem_fail_at(1);
	assert_null(slab_get(&s));
	mem_fail_off();
	assert_int_equal(s.in_use, 0);
	slab_set_limit(&s, 1);
	a = slab_get(&s);
	assert_non_null(a);
	assert_null(slab_get(&s));
	slab_set_limit(&s, 2);
	b = slab_get(&s);
	assert_non_null(b);
	slab_put(&s, &a);
	slab_put(&s, &b);
	slab_fini(&s);
}

/* Random gets and puts of each size; every object keeps its own bytes. */
static void
test_random(void **state)
{
	enum { N = 400 };
	static const size_t sizes[] = {1, 8, 16, 24, 48, 63, 64, 65, 700, 5000};
	static unsigned char *v[N];
	struct rnd r;

	(void)state;
	rnd_init_seed(&r, 3);
	for (size_t k = 0; k < array_len(sizes); k++) {
		size_t size = sizes[k];
		struct slab s;

		slab_init(&s, "bytes", size, 8);
		for (unsigned step = 0; step < 5000; step++) {
			unsigned i = (unsigned)rnd_below(&r, N);

			if (v[i] == NULL) {
				v[i] = slab_get(&s);
				memset(v[i], (int)(i & 255), size);
			} else {
				assert_int_equal(v[i][0], i & 255);
				assert_int_equal(v[i][size - 1], i & 255);
				slab_put(&s, &v[i]);
			}
		}
		for (unsigned i = 0; i < N; i++) {
			if (v[i] != NULL)
				slab_put(&s, &v[i]);
		}
		slab_fini(&s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get_put),
#if !CC_ASAN
		cmocka_unit_test(test_latest_first),
		cmocka_unit_test(test_chunks_go_back),
		cmocka_unit_test(test_spare),
#endif
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_random),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

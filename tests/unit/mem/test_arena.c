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
#include "engine/mem/arena.h"
#include "engine/mem/page.h"

static void
test_alignment(void **state)
{
	char first[301] CC_CACHELINE(16);
	struct arena a;

	(void)state;
	/* from an odd address to an odd end */
	arena_init(&a, first + 1, sizeof(first) - 1, ARENA_TRY);
	for (size_t n = 0; n < 100; n++) {
		char *p = arena_alloc(&a, n);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % (n >= 16 ? 16 : 8), 0);
		memset(p, (int)n, n);
	}
	arena_fini(&a);
}

static void
test_first_block_only(void **state)
{
	char first[4096] CC_CACHELINE(16);
	uint64_t before = mem_alloc_count();
	struct arena a;
	char *p;
	char *q;

	(void)state;
	arena_init(&a, first, sizeof(first), ARENA_TRY);
	p = arena_alloc(&a, 100);
	q = arena_zalloc(&a, 100);
	assert_true(p >= first && q > p && q < first + sizeof(first));
	assert_int_equal(q[99], 0);
	assert_true(arena_used(&a) >= 200);
	arena_reset(&a);
	assert_int_equal(arena_used(&a), 0);
	assert_ptr_equal(arena_alloc(&a, 100), p);
	arena_fini(&a);
	assert_int_equal(mem_alloc_count(), before);
}

/* Random sizes, each filled and checked at the end: no two overlap. */
static void
test_many(void **state)
{
	enum { N = 3000 };
	static unsigned char *at[N];
	static size_t len[N];
	char first[256] CC_CACHELINE(16);
	struct arena a;
	struct rnd r;

	(void)state;
	rnd_init_seed(&r, 7);
	arena_init(&a, first, sizeof(first), ARENA_X);
	for (unsigned round = 0; round < 3; round++) {
		size_t sum = 0;

		for (unsigned i = 0; i < N; i++) {
			len[i] = rnd_below(&r, i % 100 == 0 ? 30000 : 200);
			at[i] = arena_alloc(&a, len[i]);
			memset(at[i], (int)(i & 255), len[i]);
			sum += len[i];
		}
		assert_true(arena_used(&a) >= sum);
		for (unsigned i = 0; i < N; i++) {
			for (size_t k = 0; k < len[i]; k++) {
				if (at[i][k] != (i & 255))
					fail_msg("allocation %u changed at %zu", i, k);
			}
		}
		arena_reset(&a);
	}
	arena_fini(&a);
}

/* A large allocation does not end the block that small ones come from. */
static void
test_large_aside(void **state)
{
	struct arena *a = arena_new("test");
	char *before = arena_alloc(a, 16);
	char *large = arena_alloc(a, 100000);
	char *after = arena_alloc(a, 16);

	(void)state;
	memset(large, 1, 100000);
	assert_true(after > before && after < before + 4096);
	assert_true(arena_used(a) >= 100032);
	arena_free(&a);
	assert_null(a);
	arena_free(&a);
}

static void
test_no_memory(void **state)
{
	char first[64] CC_CACHELINE(16);
	struct arena a;

	(void)state;
	arena_init(&a, first, sizeof(first), ARENA_TRY);
	mem_fail_at(1);
	assert_null(arena_alloc(&a, 1000));
	assert_non_null(arena_alloc(&a, 16)); /* still fit for use */
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_null(arena_alloc(&a, SIZE_MAX - 40));
	assert_null(arena_zarray(&a, SIZE_MAX / 2, 3));
	assert_null(arena_zlines(&a, SIZE_MAX / 2, 3));
	assert_null(arena_zlines(&a, 1, SIZE_MAX - 3));
	mem_fail_at(1);
	assert_null(arena_zlines(&a, 1, 1000));
	mem_fail_at(1);
	assert_null(arena_cstr(&a, slice_of(first, 64)));
	mem_fail_at(1);
	assert_null(arena_printf(&a, "%0200d", 1));
	mem_fail_at(1);
	assert_null(arena_dup(&a, SLICE("0123456789012345678901234567890123456789012345678901234")).p);
	mem_fail_off();
	arena_fini(&a);
}

static void
test_text(void **state)
{
	struct arena *a = arena_new("test");
	char long_text[1000];
	char *p;

	(void)state;
	assert_string_equal(arena_cstr(a, SLICE("abc")), "abc");
	assert_string_equal(arena_cstr(a, SLICE_NONE), "");
	assert_true(slice_eq(arena_dup(a, SLICE("xyz")), SLICE("xyz")));
	assert_int_equal(arena_dup(a, SLICE_NONE).len, 0);
	assert_string_equal(arena_printf(a, "%d-%s", 1, "x"), "1-x");
	memset(long_text, 'y', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	p = arena_printf(a, "%s", long_text);
	assert_string_equal(p, long_text);
	arena_free(&a);
}

static int order;

static void
on_reset(void *arg)
{
	order = order * 10 + *(int *)arg;
}

static void
test_cleanups(void **state)
{
	struct arena *a = arena_new("test");
	struct arena_cleanup *nodes;
	struct arena_mark mark;
	int *numbers;

	(void)state;
	nodes = arena_zarray(a, 4, sizeof(*nodes));
	numbers = arena_zarray(a, 4, sizeof(*numbers));
	for (int i = 0; i < 4; i++)
		numbers[i] = i + 1;
	order = 0;
	arena_on_reset(a, &nodes[0], on_reset, &numbers[0]);
	arena_on_reset(a, &nodes[1], on_reset, &numbers[1]);
	mark = arena_mark(a);
	arena_on_reset(a, &nodes[2], on_reset, &numbers[2]);
	arena_on_reset(a, &nodes[3], on_reset, &numbers[3]);
	(void)arena_alloc(a, 10000);
	arena_rewind(a, &mark);
	assert_int_equal(order, 43);
	arena_reset(a);
	assert_int_equal(order, 4321);
	arena_free(&a);
	assert_int_equal(order, 4321);
}

static void
test_lines(void **state)
{
	struct arena *a = arena_new("test");

	(void)state;
	for (unsigned n = 1; n < 300; n += 7) {
		unsigned char *p;

		(void)arena_alloc(a, n);
		p = arena_zlines(a, n, 3);
		assert_int_equal((uintptr_t)p % 64, 0);
		for (unsigned i = 0; i < n * 3; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, (size_t)n * 3);
	}
	arena_free(&a);
}

static void
test_marks(void **state)
{
	struct arena *a = arena_new("test");
	size_t used[4];
	struct arena_mark marks[4];
	char *keep = arena_alloc(a, 32);

	(void)state;
	memcpy(keep, "kept", 5);
	for (unsigned i = 0; i < 4; i++) {
		used[i] = arena_used(a);
		marks[i] = arena_mark(a);
		memset(arena_alloc(a, 3000), 1, 3000);
		memset(arena_alloc(a, 50000), 2, 50000);
	}
	for (unsigned i = 4; i-- > 0;) {
		arena_rewind(a, &marks[i]);
		assert_int_equal(arena_used(a), used[i]);
	}
	assert_string_equal(keep, "kept");
	memset(arena_alloc(a, 3000), 3, 3000);
	assert_string_equal(keep, "kept");
	arena_free(&a);
}

/* Overflow goes to pages and comes back; a block that no page holds is a large page. */
static void
test_over_pages(void **state)
{
	char first[512] CC_CACHELINE(16);
	struct page_stats stats;
	struct page_pool pool;
	struct arena a;
	uint64_t before;

	(void)state;
	page_pool_init(&pool, 8);
	arena_init(&a, first, sizeof(first), ARENA_TRY);
	arena_set_blocks(&a, page_pool_blocks(&pool));
	memset(arena_alloc(&a, 400), 1, 400);
	memset(arena_alloc(&a, 1000), 2, 1000);
	page_pool_stats(&pool, &stats);
	assert_int_equal(stats.in_use, 1);
	arena_reset(&a);
	before = mem_alloc_count();
	for (unsigned i = 0; i < 20; i++)
		memset(arena_alloc(&a, 4000), 3, 4000);
	assert_int_equal(mem_alloc_count(), before); /* pages only */
	page_pool_stats(&pool, &stats);
	assert_in_range(stats.in_use, 5, 7);
	while (arena_alloc(&a, 4000) != NULL)
		continue;
	page_pool_stats(&pool, &stats);
	assert_int_equal(stats.in_use, 8);
	arena_reset(&a);
	memset(arena_alloc(&a, 40000), 4, 40000);
	page_pool_stats(&pool, &stats);
	assert_int_equal(stats.in_use, PAGE_BIG_BYTES / PAGE_BYTES);
	arena_fini(&a);
	page_pool_stats(&pool, &stats);
	assert_int_equal(stats.in_use, 0);
	page_pool_fini(&pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alignment),
		cmocka_unit_test(test_first_block_only),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_large_aside),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_cleanups),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_over_pages),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

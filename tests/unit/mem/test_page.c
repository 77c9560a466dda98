/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/mman.h>

#include <string.h>
#include <unistd.h>

#include "engine/mem/alloc.h"
#include "engine/mem/page.h"

static void
test_get_unref(void **state)
{
	struct page_pool pool;
	struct page *page;
	struct page *again;
	struct page *other;

	(void)state;
	page_pool_init(&pool, 100);
	page = page_get(&pool);
	assert_non_null(page);
	assert_int_equal(page->cap, PAGE_BYTES);
	assert_int_equal((uintptr_t)page->data % 4096, 0);
	memset(page->data, 1, PAGE_BYTES);
	again = page_ref(page);
	page_unref(&page);
	assert_null(page);
	assert_int_equal(pool.in_use, 1);
	assert_int_equal(again->data[PAGE_BYTES - 1], 1);
	other = page_get(&pool);
	assert_ptr_not_equal(other, again);
	page = again;
	page_unref(&again);
	page_unref(&other);
	/* latest first */
	again = page_get(&pool);
	assert_ptr_not_equal(again, page);
	other = page_get(&pool);
	assert_ptr_equal(other, page);
	page_unref(&again);
	page_unref(&other);
	page_pool_fini(&pool);
}

static void
test_limit(void **state)
{
	struct page_pool pool;
	struct page *v[70];
	struct page *large;

	(void)state;
	page_pool_init(&pool, 70);
	for (unsigned i = 0; i < 70; i++) {
		v[i] = page_get(&pool);
		assert_non_null(v[i]);
		memset(v[i]->data, (int)i, PAGE_BYTES);
	}
	assert_null(page_get(&pool));
	for (unsigned i = 0; i < 70; i++) {
		assert_int_equal((unsigned char)v[i]->data[0], i);
		assert_int_equal((unsigned char)v[i]->data[PAGE_BYTES - 1], i);
	}
	for (unsigned i = 0; i < 5; i++)
		page_unref(&v[i]);
	assert_null(page_get_large(&pool, PAGE_BIG_BYTES + 1));
	large = page_get_large(&pool, 4 * PAGE_BYTES);
	assert_non_null(large);
	assert_null(page_get(&pool));
	assert_int_equal(large->cap, PAGE_BIG_BYTES);
	memset(large->data, 9, large->cap);
	page_unref(&large);
	assert_int_equal(pool.in_use, 65);
	for (unsigned i = 5; i < 70; i++)
		page_unref(&v[i]);
	page_pool_fini(&pool);
}

/* What a bulk read gave back serves the next one, and goes when nobody has wanted it for a while. */
static void
test_big_is_kept(void **state)
{
	struct page_pool pool;
	struct page *first, *again;
	uint64_t before;

	(void)state;
	page_pool_init(&pool, 16);
	first = again = page_get_large(&pool, PAGE_BYTES + 1);
	assert_non_null(first);
	assert_int_equal(first->cap, PAGE_BIG_BYTES);
	page_unref(&again);
	before = mem_alloc_count();
	again = page_get_large(&pool, PAGE_BIG_BYTES);
	assert_ptr_equal(again, first);
	assert_int_equal(mem_alloc_count(), before);
	page_unref(&again);
	assert_int_equal(pool.big_free, 1);
	page_pool_tick(&pool);
	assert_int_equal(pool.big_free, 0);
	page_pool_fini(&pool);
}

static void
test_large(void **state)
{
	struct page_pool pool;
	struct page *page;

	(void)state;
	page_pool_init(&pool, 5000);
	page = page_get_large(&pool, 100);
	assert_int_equal(page->cap, PAGE_BYTES);
	page_unref(&page);
	assert_null(page_get_large(&pool, SIZE_MAX));
	assert_null(page_get_large(&pool, (16 << 20) + 1));
	mem_fail_at(1);
	assert_null(page_get_large(&pool, 20000));
	mem_fail_off();
	page = page_get_large(&pool, 16 << 20);
	assert_non_null(page);
	page_unref(&page);
	assert_int_equal(pool.in_use, 0);
	page_pool_fini(&pool);
}

static void
test_no_memory(void **state)
{
	struct page_pool pool;
	struct page *page;

	(void)state;
	page_pool_init(&pool, 10);
	mem_fail_at(1);
	assert_null(page_get(&pool));
	mem_fail_off();
	page = page_get(&pool);
	assert_non_null(page);
	page_unref(&page);
	page_pool_fini(&pool);
}

/* Is any part of the page in memory? */
static bool
is_resident(const struct page *page)
{
	unsigned char in[PAGE_BYTES / 4096];

	assert_int_equal(mincore(page->data, PAGE_BYTES, in), 0);
	return ((in[0] | in[1] | in[2] | in[3]) & 1);
}

static void
test_trim(void **state)
{
	struct page_pool pool;
	struct page *v[40];
	struct page *first;
	struct page_stats stats;

	(void)state;
	page_pool_init(&pool, 100);
	for (unsigned i = 0; i < 40; i++) {
		v[i] = page_get(&pool);
		memset(v[i]->data, 1, PAGE_BYTES);
	}
	first = v[0];
	for (unsigned i = 0; i < 40; i++)
		page_unref(&v[i]);
	assert_true(is_resident(first));
	page_pool_trim(&pool, 10);
	page_pool_stats(&pool, &stats);
	assert_int_equal(stats.free_warm, 10);
	assert_int_equal(stats.free_cold, 53);
	assert_int_equal(stats.in_use, 0);
#if !CC_ASAN
	assert_false(is_resident(first)); /* freed first, so coldest */
#endif
	for (unsigned i = 0; i < 40; i++) {
		v[i] = page_get(&pool);
		memset(v[i]->data, 2, PAGE_BYTES);
	}
	for (unsigned i = 0; i < 40; i++)
		page_unref(&v[i]);
	page_pool_fini(&pool);
}

/* What was needed since the last tick stays; what was not goes by halves. */
static void
test_tick(void **state)
{
	struct page_pool pool;
	struct page *v[40];

	(void)state;
	page_pool_init(&pool, 100);
	page_pool_tick(&pool);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 40; i++)
			v[i] = page_get(&pool);
		for (unsigned i = 0; i < 40; i++)
			page_unref(&v[i]);
		page_pool_tick(&pool);
		assert_int_equal(pool.warm, 40);
	}
	for (unsigned i = 0; i < 10; i++)
		v[i] = page_get(&pool);
	for (unsigned i = 0; i < 10; i++)
		page_unref(&v[i]);
	page_pool_tick(&pool);
	assert_int_equal(pool.warm, 25);
	for (unsigned i = 0; i < 10; i++)
		page_pool_tick(&pool);
	assert_int_equal(pool.warm, 0);
	page_pool_fini(&pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get_unref),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_big_is_kept),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_tick),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

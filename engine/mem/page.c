/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/mem/page.h"

#include <sys/mman.h>

#include <string.h>

#include "engine/mem/alloc.h"
#include "engine/mem/poison.h"

#define PAGE_CHUNK_MAGIC	0x9a9e0002u

enum {
	PAGE_CHUNK_BYTES = 1 << 20,
	PAGE_PER_CHUNK = PAGE_CHUNK_BYTES / PAGE_BYTES - 1, /* the first slot holds descriptors */
	PAGE_LARGE_MAX = 16 << 20,
	PAGE_BIG_KEPT = 32, /* free big pages: 2.5 MiB a worker at most, given back one a tick */
	PAGE_TICK_MAX = 128 /* pages given back in one tick: bounds the time it takes */
};

/* At the head of its memory, which is aligned to its size: data finds its descriptor that way. */
struct page_chunk {
	unsigned magic;
	struct list link CC_CACHELINE(16);
	struct page pages[PAGE_PER_CHUNK];
};

_Static_assert(sizeof(struct page) == 64, "a descriptor is a cache line");
_Static_assert(sizeof(struct page_chunk) <= 4096, "descriptors of a chunk touch one system page");

static void *page_block_get(void *ctx, size_t min, size_t *got_r);
static void page_block_put(void *ctx, void *block, size_t size);

void
page_pool_init(struct page_pool *pool, uint32_t max_pages)
{
	memset(pool, 0, sizeof(*pool));
	pool->magic = PAGE_POOL_MAGIC;
	pool->max = max_pages;
	list_init(&pool->big_list);
	list_init(&pool->warm_list);
	list_init(&pool->cold_list);
	list_init(&pool->chunks);
	pool->arena_src = (struct arena_blocks){page_block_get, page_block_put, pool};
}

static void
page_drop_big(struct page_pool *pool)
{
	struct page *page;

	page = list_entry(pool->big_list.prev, struct page, link);
	list_del(&page->link);
	unpoison_bytes(page->data, PAGE_BIG_BYTES);
	pool->big_free--;
	xfree(page);
}

void
page_pool_fini(struct page_pool *pool)
{
	struct page_chunk *c;
	struct page_chunk *next;

	CHECK_OBJ(pool, PAGE_POOL_MAGIC);
	must(pool->in_use == 0);
	while (pool->big_free > 0)
		page_drop_big(pool);
	LIST_FOREACH_SAFE(c, next, &pool->chunks, struct page_chunk, link) {
		CHECK_OBJ(c, PAGE_CHUNK_MAGIC);
		c->magic = 0;
		unpoison_bytes(c, PAGE_CHUNK_BYTES);
		mem_unmap(c, PAGE_CHUNK_BYTES);
	}
	pool->magic = 0;
}

static bool
page_grow(struct page_pool *pool)
{
	struct page_chunk *c = mem_try_map(PAGE_CHUNK_BYTES, PAGE_CHUNK_BYTES);

	if (c == NULL)
		return (false);
	/* Huge pages would keep memory that trimming gives back; failure changes nothing. */
	(void)madvise(c, PAGE_CHUNK_BYTES, MADV_NOHUGEPAGE);
	c->magic = PAGE_CHUNK_MAGIC;
	list_add_tail(&pool->chunks, &c->link);
	for (unsigned i = 0; i < PAGE_PER_CHUNK; i++) {
		struct page *page = &c->pages[i];

		page->cap = PAGE_BYTES;
		page->data = (char *)c + (size_t)(i + 1) * PAGE_BYTES;
		page->pool = pool;
		list_add_tail(&pool->cold_list, &page->link);
		poison_bytes(page->data, PAGE_BYTES);
	}
	pool->cold += PAGE_PER_CHUNK;
	return (true);
}

struct page *
page_get(struct page_pool *pool)
{
	struct page *page;

	CHECK_OBJ(pool, PAGE_POOL_MAGIC);
	if (unlikely(pool->in_use >= pool->max))
		return (NULL);
	if (likely(pool->warm > 0)) {
		page = list_entry(pool->warm_list.next, struct page, link);
		if (--pool->warm < pool->warm_least)
			pool->warm_least = pool->warm;
	} else {
		if (pool->cold == 0 && !page_grow(pool))
			return (NULL);
		page = list_entry(pool->cold_list.next, struct page, link);
		pool->cold--;
		pool->warm_least = 0;
	}
	list_del(&page->link);
	must(page->refs == 0);
	page->refs = 1;
	pool->in_use++;
	unpoison_bytes(page->data, PAGE_BYTES);
	return (page);
}

static uint32_t
page_units(size_t bytes)
{
	return ((uint32_t)((bytes + PAGE_BYTES - 1) / PAGE_BYTES));
}

struct page *
page_get_large(struct page_pool *pool, size_t bytes)
{
	struct page *page;
	uint32_t units;

	CHECK_OBJ(pool, PAGE_POOL_MAGIC);
	if (bytes <= PAGE_BYTES)
		return (page_get(pool));
	if (bytes > PAGE_LARGE_MAX)
		return (NULL);
	if (bytes < PAGE_BIG_BYTES)
		bytes = PAGE_BIG_BYTES;
	units = page_units(bytes);
	if (units > pool->max || pool->in_use > pool->max - units)
		return (NULL);
	if (bytes == PAGE_BIG_BYTES && pool->big_free > 0) {
		page = list_entry(pool->big_list.next, struct page, link);
		list_del(&page->link);
		pool->big_free--;
		unpoison_bytes(page->data, PAGE_BIG_BYTES);
	} else {
		page = mem_try_aligned(sizeof(struct page), sizeof(struct page) + bytes);
		if (page == NULL)
			return (NULL);
		memset(page, 0, sizeof(*page));
		page->cap = (uint32_t)bytes;
		page->data = (char *)(page + 1);
		page->pool = pool;
		list_init(&page->link);
	}
	page->refs = 1;
	pool->in_use += units;
	pool->large += units;
	return (page);
}

void
page_release_(struct page *page)
{
	struct page_pool *pool = page->pool;
	uint32_t units;

	CHECK_OBJ(pool, PAGE_POOL_MAGIC);
	must(page->refs == 0);
	if (unlikely(page->cap > PAGE_BYTES)) {
		units = page_units(page->cap);
		must(pool->in_use >= units && pool->large >= units);
		pool->in_use -= units;
		pool->large -= units;
		if (page->cap == PAGE_BIG_BYTES && pool->big_free < PAGE_BIG_KEPT) {
			pool->big_free++;
			list_add_head(&pool->big_list, &page->link);
			poison_bytes(page->data, PAGE_BIG_BYTES);
		} else {
			xfree(page);
		}
		return;
	}
	must(pool->in_use > 0);
	pool->in_use--;
	pool->warm++;
	list_add_head(&pool->warm_list, &page->link);
	poison_bytes(page->data, PAGE_BYTES);
}

/* The page that was warm longest ago. */
static void
page_chill(struct page_pool *pool)
{
	struct page *page = list_entry(pool->warm_list.prev, struct page, link);

	list_del(&page->link);
	/* on failure the memory merely stays */
	(void)madvise(page->data, PAGE_BYTES, MADV_DONTNEED);
	list_add_head(&pool->cold_list, &page->link);
	pool->warm--;
	pool->cold++;
}

void
page_pool_trim(struct page_pool *pool, uint32_t keep)
{
	CHECK_OBJ(pool, PAGE_POOL_MAGIC);
	while (pool->big_free > keep)
		page_drop_big(pool);
	while (pool->warm > keep)
		page_chill(pool);
	if (pool->warm_least > pool->warm)
		pool->warm_least = pool->warm;
}

void
page_pool_tick(struct page_pool *pool)
{
	uint32_t n;

	CHECK_OBJ(pool, PAGE_POOL_MAGIC);
	if (pool->big_free > 0)
		page_drop_big(pool);
	n = (pool->warm_least + 1) / 2;
	if (n > PAGE_TICK_MAX)
		n = PAGE_TICK_MAX;
	for (; n > 0; n--)
		page_chill(pool);
	pool->warm_least = pool->warm;
}

void
page_pool_stats(const struct page_pool *pool, struct page_stats *stats_r)
{
	CHECK_OBJ(pool, PAGE_POOL_MAGIC);
	*stats_r = (struct page_stats){pool->in_use, pool->warm, pool->cold, pool->max};
}

static void *
page_block_get(void *ctx, size_t min, size_t *got_r)
{
	struct page_pool *pool;
	struct page *page;

	CAST_OBJ(pool, ctx, PAGE_POOL_MAGIC);
	page = page_get_large(pool, min);
	if (page == NULL)
		return (NULL);
	*got_r = page->cap;
	return (page->data);
}

static void
page_block_put(void *ctx, void *block, size_t size)
{
	size_t in_chunk = (uintptr_t)block & (PAGE_CHUNK_BYTES - 1);
	struct page_pool *pool;
	struct page_chunk *c;
	struct page *page;

	CAST_OBJ(pool, ctx, PAGE_POOL_MAGIC);
	if (size > PAGE_BYTES) {
		page = (struct page *)block - 1;
	} else {
		c = (struct page_chunk *)(void *)((char *)block - in_chunk);
		CHECK_OBJ(c, PAGE_CHUNK_MAGIC);
		page = &c->pages[in_chunk / PAGE_BYTES - 1];
	}
	must(page->pool == pool && page->data == block);
	page_unref(&page);
}

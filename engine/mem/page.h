/* SPDX-License-Identifier: Apache-2.0 */
/*
 * I/O pages: 16 KiB of bytes, counted references within one worker, never moved.
 *
 * The data part is exactly PAGE_BYTES and aligned to the system's pages: four make a 64 KiB read,
 * and the memory of a free page can go back to the system while its descriptor stays.  The
 * descriptors (one cache line each) lie together at the head of a chunk of 63 pages.
 *
 * Free pages are handed out latest first (warm).  Nothing in get and unref makes a system call,
 * but for a new chunk; page_pool_tick(), about once a second, gives back what was not needed.
 * One thread.
 */
#ifndef WEIR_MEM_PAGE_H
#define WEIR_MEM_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/cc.h"
#include "engine/base/check.h"
#include "engine/base/list.h"
#include "engine/mem/arena.h"

#define PAGE_POOL_MAGIC	0x9a9e0001u

enum {
	PAGE_BYTES = 16384,
	PAGE_BIG_BYTES = 5 * PAGE_BYTES	/* for bulk reads: 64 KiB of body and the head before it */
};

struct page_pool;

/* No magic: tiny and hot; refs is 0 only while the page is free. */
struct page {
	uint32_t refs;
	uint32_t cap;		/* bytes at data: PAGE_BYTES, more for a large page */
	char *data;
	struct page_pool *pool;
	struct list link;	/* private: while free */
} CC_CACHELINE(64);

struct page_pool {
	unsigned magic;
	uint32_t max;		/* pages in use at most; large ones count by their size */
	uint32_t in_use;
	uint32_t warm;		/* free, memory still there */
	uint32_t cold;		/* free, memory given back */
	uint32_t warm_least;	/* least warm since the last tick */
	uint32_t large;		/* of in_use: held by large pages */
	uint32_t big_free;	/* pages of PAGE_BIG_BYTES kept for the next bulk read */
	struct list big_list;	/* latest freed first */
	struct list warm_list;	/* latest freed first */
	struct list cold_list;
	struct list chunks;
	struct arena_blocks arena_src;
};

struct page_stats {
	uint64_t in_use;	/* pages; a large page counts as several */
	uint64_t free_warm;
	uint64_t free_cold;
	uint64_t max;
};

/* Nothing is allocated yet. */
void page_pool_init(struct page_pool *pool, uint32_t max_pages);

/* All pages must be back. */
void page_pool_fini(struct page_pool *pool);

/* A page with one reference, contents undefined; NULL at the limit or without memory. */
struct page *page_get(struct page_pool *pool) CC_MUST_USE;

/* One page of at least `bytes`, at most 16 MiB: for bulk reads and heads that outgrow a page.
   Up to PAGE_BIG_BYTES it has that size and comes from a few kept ones; larger ones come from
   the allocator, so not for the common case.  NULL as above. */
struct page *page_get_large(struct page_pool *pool, size_t bytes) CC_MUST_USE;

void page_release_(struct page *page);

static inline struct page *
page_ref(struct page *page)
{
	page->refs++;
	return (page);
}

/* Drops the reference held by *pp, which becomes NULL. */
static inline void
page_unref(struct page **pp)
{
	struct page *page = *pp;

	*pp = NULL;
	must(page->refs > 0);
	if (--page->refs == 0)
		page_release_(page);
}

/* Gives memory of free pages back to the system at once until at most keep are warm. */
void page_pool_trim(struct page_pool *pool, uint32_t keep);

/* Gives back half of the pages that nobody needed since the last call.  From a timer. */
void page_pool_tick(struct page_pool *pool);

void page_pool_stats(const struct page_pool *pool, struct page_stats *stats_r);

/* Blocks for arenas out of this pool; valid as long as the pool. */
static inline const struct arena_blocks *
page_pool_blocks(struct page_pool *pool)
{
	return (&pool->arena_src);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/mem/arena.h"

#include <stdarg.h>
#include <stdio.h>

#include "engine/base/check.h"
#include "engine/mem/alloc.h"
#include "engine/mem/poison.h"

/* Stands at the head of each block after the first; its size keeps the room aligned. */
struct arena_block {
	struct arena_block *prev;
	size_t size;
} CC_CACHELINE(16);

enum {
	ARENA_BLOCK_MIN = 4096,		/* first block from the allocator */
	ARENA_BLOCK_MAX = 1 << 20,	/* blocks double up to this */
	ARENA_NEW_BYTES = 4096,		/* arena_new(): the arena and its first block */
	ARENA_LINE = 64,		/* bytes of a cache line */
	ARENA_GAP = CC_ASAN ? 16 : 0	/* poisoned bytes between allocations */
};

static char *
arena_room(struct arena_block *b)
{
	return ((char *)(b + 1));
}

/* Makes b (NULL: the first block) current, with everything from p on free. */
static void
arena_enter(struct arena *a, struct arena_block *b, char *p)
{
	a->block = b;
	a->p = p;
	if (b != NULL) {
		a->base = arena_room(b);
		a->end = (char *)b + b->size;
	} else {
		a->base = a->first;
		a->end = a->first == NULL ? NULL : a->first + a->first_size;
	}
	if (p != NULL)
		poison_bytes(p, (size_t)(a->end - p));
}

void
arena_init(struct arena *a, void *first, size_t size, enum arena_flags flags)
{
	must(first != NULL || size == 0);
	memset(a, 0, sizeof(*a));
	a->magic = ARENA_MAGIC;
	a->flags = (uint8_t)flags;
	a->first = first;
	a->first_size = size;
	arena_enter(a, NULL, first);
}

void
arena_set_blocks(struct arena *a, const struct arena_blocks *src)
{
	CHECK_OBJ(a, ARENA_MAGIC);
	must(a->block == NULL && a->large == NULL);
	a->src = src;
}

static void *
arena_no_memory(const struct arena *a, size_t n)
{
	if ((a->flags & ARENA_TRY) == 0)
		mem_failed(n);
	return (NULL);
}

/* Size of the next block from the allocator: a big allocation gets one of its own. */
static size_t
arena_next_size(const struct arena *a, size_t need)
{
	size_t size = a->block == NULL ? ARENA_BLOCK_MIN : a->block->size * 2;

	if (size > ARENA_BLOCK_MAX)
		size = ARENA_BLOCK_MAX;
	return (need > size / 4 ? need : size);
}

/* A block with room for at least n bytes at any alignment up to 16. */
static struct arena_block *
arena_block_get(const struct arena *a, size_t n)
{
	size_t need = sizeof(struct arena_block) + n;
	size_t size = need;
	struct arena_block *b;

	if (a->src != NULL) {
		b = a->src->get(a->src->ctx, need, &size);
	} else {
		size = arena_next_size(a, need);
		b = mem_try_aligned(16, size);
	}
	if (b == NULL)
		return (NULL);
	must(size >= need && ((uintptr_t)b & 15) == 0);
	b->size = size;
	return (b);
}

static void
arena_block_put(const struct arena *a, struct arena_block *b)
{
	unpoison_bytes(b, b->size);
	if (a->src != NULL)
		a->src->put(a->src->ctx, b, b->size);
	else
		xfree(b);
}

/* From the current block; NULL when it is too full. */
static void *
arena_bump(struct arena *a, size_t n)
{
	size_t pad = (0 - (uintptr_t)a->p) & (n >= 16 ? 15u : 7u);
	size_t room = (size_t)(a->end - a->p);
	char *at;

	if (a->p == NULL || n > room || pad > room - n)
		return (NULL);
	at = a->p + pad;
	a->p = at + n;
	unpoison_bytes(at, n);
#if CC_ASAN
	a->p += a->end - a->p < ARENA_GAP ? a->end - a->p : ARENA_GAP;
#endif
	return (at);
}

/*
 * A new block becomes the current one, unless the current one has more room left than the new one
 * will have: then the new one is put aside, and small allocations go on where they were.
 */
void *
arena_alloc_slow_(struct arena *a, size_t n)
{
	struct arena_block *b;
	void *p;

	CHECK_OBJ(a, ARENA_MAGIC);
	if (n == 0)
		n = 1;
	p = arena_bump(a, n);
	if (p != NULL)
		return (p);
	if (n > SIZE_MAX / 2)
		return (arena_no_memory(a, n));
	b = arena_block_get(a, n + ARENA_GAP);
	if (b == NULL)
		return (arena_no_memory(a, n));
	if (b->size - sizeof(*b) - n < (size_t)(a->end - a->p)) {
		b->prev = a->large;
		a->large = b;
		a->used_before += n;
		poison_bytes(arena_room(b) + n, b->size - sizeof(*b) - n);
		return (arena_room(b));
	}
	a->used_before += (size_t)(a->p - a->base);
	b->prev = a->block;
	arena_enter(a, b, arena_room(b));
	return (arena_bump(a, n));
}

struct arena_mark
arena_mark(const struct arena *a)
{
	CHECK_OBJ(a, ARENA_MAGIC);
	return ((struct arena_mark){a->p, a->block, a->large, a->cleanups, a->used_before});
}

void
arena_rewind(struct arena *a, const struct arena_mark *m)
{
	struct arena_cleanup *c;
	struct arena_block *b;

	CHECK_OBJ(a, ARENA_MAGIC);
	while ((c = a->cleanups) != m->cleanups) {
		must(c != NULL);
		a->cleanups = c->next;
		c->fn(c->arg);
	}
	while ((b = a->large) != m->large) {
		a->large = b->prev;
		arena_block_put(a, b);
	}
	while ((b = a->block) != m->block) {
		must(b != NULL);
		a->block = b->prev;
		arena_block_put(a, b);
	}
	a->used_before = m->used_before;
	arena_enter(a, m->block, m->p);
}

void
arena_reset(struct arena *a)
{
	struct arena_mark start = {a->first, NULL, NULL, NULL, 0};

	/* the common case of the data path: one block, no clean-up */
	if (likely(!CC_ASAN && a->cleanups == NULL && a->block == NULL && a->large == NULL)) {
		a->p = a->first;
		return;
	}
	arena_rewind(a, &start);
}

void
arena_fini(struct arena *a)
{
	CHECK_OBJ(a, ARENA_MAGIC);
	arena_reset(a);
	if (a->first != NULL)
		unpoison_bytes(a->first, a->first_size);
	a->magic = 0;
}

struct arena *
arena_new(const char *name)
{
	struct arena *a = xmalloc(ARENA_NEW_BYTES);
	size_t head = (sizeof(*a) + 15) & ~(size_t)15;

	arena_init(a, (char *)a + head, ARENA_NEW_BYTES - head, ARENA_X);
	a->name = name;
	return (a);
}

void
arena_free(struct arena **ap)
{
	struct arena *a = *ap;

	*ap = NULL;
	if (a == NULL)
		return;
	arena_fini(a);
	xfree(a);
}

void
arena_on_reset(struct arena *a, struct arena_cleanup *node, void (*fn)(void *), void *arg)
{
	CHECK_OBJ(a, ARENA_MAGIC);
	*node = (struct arena_cleanup){a->cleanups, fn, arg};
	a->cleanups = node;
}

void *
arena_zarray(struct arena *a, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		return (arena_no_memory(a, SIZE_MAX));
	return (arena_zalloc(a, bytes));
}

void *
arena_zlines(struct arena *a, size_t n, size_t size)
{
	size_t bytes;
	char *p;

	if (__builtin_mul_overflow(n, size, &bytes) ||
	    __builtin_add_overflow(bytes, ARENA_LINE - 1, &bytes))
		return (arena_no_memory(a, SIZE_MAX));
	p = arena_zalloc(a, bytes);
	return (p == NULL ? NULL : p + ((0 - (uintptr_t)p) & (ARENA_LINE - 1)));
}

struct slice
arena_dup(struct arena *a, struct slice s)
{
	char *p;

	if (s.len == 0)
		return (s);
	p = arena_alloc(a, s.len);
	if (p == NULL)
		return (SLICE_NONE);
	memcpy(p, s.p, s.len);
	return (slice_of(p, s.len));
}

char *
arena_cstr(struct arena *a, struct slice s)
{
	char *p = s.len == SIZE_MAX ? arena_no_memory(a, s.len) : arena_alloc(a, s.len + 1);

	if (p == NULL)
		return (NULL);
	if (s.len > 0)
		memcpy(p, s.p, s.len);
	p[s.len] = '\0';
	return (p);
}

char *
arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
	char buf[256];
	va_list again;
	size_t len;
	char *p;
	int n;

	va_copy(again, ap);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	must(n >= 0);
	len = (size_t)n;
	if (len < sizeof(buf)) {
		p = arena_cstr(a, slice_of(buf, len));
	} else {
		p = arena_alloc(a, len + 1);
		if (p != NULL)
			(void)vsnprintf(p, len + 1, fmt, again);
	}
	va_end(again);
	return (p);
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;

	va_start(ap, fmt);
	p = arena_vprintf(a, fmt, ap);
	va_end(ap);
	return (p);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arenas: memory that is given back all at once.
 *
 * arena_alloc() moves a pointer.  When the first block is full, more blocks come from the
 * allocator or from a block source (pages of a worker).  One thread at a time owns an arena.
 * Results are aligned to 16 bytes, to 8 when smaller than 16.
 *
 * An arena either never returns NULL (failure: see alloc.h, x functions) or, made with ARENA_TRY,
 * returns NULL when there is no memory.  Every function that allocates says "NULL" in that sense.
 */
#ifndef WEIR_MEM_ARENA_H
#define WEIR_MEM_ARENA_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/cc.h"
#include "engine/base/slice.h"

#define ARENA_MAGIC	0xa7e4a001u

enum arena_flags {
	ARENA_X = 0,	/* never NULL */
	ARENA_TRY = 1	/* NULL on failure */
};

/*
 * Where further blocks come from.  get: at least min bytes, aligned to 16; *got_r says how many;
 * NULL when there are none.  put: the block back, with the size that get said.
 */
struct arena_blocks {
	void *(*get)(void *ctx, size_t min, size_t *got_r);
	void (*put)(void *ctx, void *block, size_t size);
	void *ctx;
};

/* Run when the arena is reset, rewound past it or freed; the latest first. */
struct arena_cleanup {
	struct arena_cleanup *next;
	void (*fn)(void *arg);
	void *arg;
};

struct arena_block; /* private: head of a block that came after the first */

struct arena {
	unsigned magic;
	uint8_t flags;
	char *p;			/* next free byte of the current block */
	char *end;
	char *base;			/* start of the current block's room */
	struct arena_block *block;	/* current block, NULL: the first */
	struct arena_block *large;	/* blocks made for one big allocation */
	struct arena_cleanup *cleanups;
	const struct arena_blocks *src;	/* NULL: the allocator */
	char *first;
	size_t first_size;
	size_t used_before;		/* bytes handed out from earlier and large blocks */
	const char *name;
};

/* A place to rewind to. */
struct arena_mark {
	char *p;
	struct arena_block *block;
	struct arena_block *large;
	struct arena_cleanup *cleanups;
	size_t used_before;
};

/* In place, over first (size bytes, may be NULL and 0), which stays the caller's and must live
   until arena_fini(). */
void arena_init(struct arena *a, void *first, size_t size, enum arena_flags flags);

/* Before the first allocation.  src is the caller's and outlives the arena. */
void arena_set_blocks(struct arena *a, const struct arena_blocks *src);

/* Runs clean-ups, gives back all blocks; the arena is unusable after. */
void arena_fini(struct arena *a);

/* On the heap, ARENA_X; name is a literal, for dumps. */
struct arena *arena_new(const char *name);
void arena_free(struct arena **ap); /* *ap may be NULL */

void *arena_alloc_slow_(struct arena *a, size_t n);

/* Not zeroed. */
static inline void *
arena_alloc(struct arena *a, size_t n)
{
	size_t pad = (0 - (uintptr_t)a->p) & (n >= 16 ? 15u : 7u);
	size_t room = (size_t)(a->end - a->p);
	char *at;

	if (CC_ASAN || unlikely(n > room || pad > room - n || n == 0))
		return (arena_alloc_slow_(a, n));
	at = a->p + pad;
	a->p = at + n;
	return (at);
}

static inline void *
arena_zalloc(struct arena *a, size_t n)
{
	void *p = arena_alloc(a, n);

	if (likely(p != NULL))
		memset(p, 0, n);
	return (p);
}

/* n elements of size bytes each, zeroed; the product is checked (an overflow is "no memory"). */
void *arena_zarray(struct arena *a, size_t n, size_t size);

/* The same, beginning at a cache line. */
void *arena_zlines(struct arena *a, size_t n, size_t size);

#define arena_znew(a, type)	((type *)arena_zalloc((a), sizeof(type)))

/* A copy of s; p is NULL on failure.  The empty slice stays as it is. */
struct slice arena_dup(struct arena *a, struct slice s);

/* A copy of s with a NUL behind it. */
char *arena_cstr(struct arena *a, struct slice s);

char *arena_printf(struct arena *a, const char *fmt, ...) CC_PRINTF(2, 3);
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap) CC_PRINTF(2, 0);

/* Back to where arena_mark() was called: what was allocated since is gone, clean-ups registered
   since have run.  Marks nest; a mark is void after a rewind to an earlier one or a reset. */
struct arena_mark arena_mark(const struct arena *a);
void arena_rewind(struct arena *a, const struct arena_mark *m);

/* Back to the start.  The first block is kept, the others go back. */
void arena_reset(struct arena *a);

/* fn(arg) will run once.  The node is the caller's and lives as long as the arena's contents
   (usually it is in the arena).  fn may use memory of the arena, may not allocate from it. */
void arena_on_reset(struct arena *a, struct arena_cleanup *node, void (*fn)(void *), void *arg);

/* Bytes handed out since the start or the last reset, padding included. */
static inline size_t
arena_used(const struct arena *a)
{
	return (a->used_before + (size_t)(a->p - a->base));
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only door to the system's allocator.
 *
 * x* never return NULL.  On failure they jump to the innermost trap of the calling thread (below)
 * or, when there is none, print one line and exit with status 3.  For start-up and configuration.
 * mem_try_* return NULL on failure, for the data path, where a request then ends in `overloaded`.
 * Memory of both is given back with xfree().  A size of 0 gives a valid pointer.  Any thread.
 */
#ifndef WEIR_MEM_ALLOC_H
#define WEIR_MEM_ALLOC_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/cc.h"

void *xmalloc(size_t n) CC_MUST_USE;
void *xcalloc(size_t n, size_t size) CC_MUST_USE; /* zeroed; n * size is checked */
void *xrealloc(void *p, size_t n) CC_MUST_USE;
void xfree(void *p); /* NULL is fine */

void *mem_try_malloc(size_t n) CC_MUST_USE;
void *mem_try_calloc(size_t n, size_t size) CC_MUST_USE;
void *mem_try_realloc(void *p, size_t n) CC_MUST_USE; /* on NULL, p is still valid */
void *mem_try_aligned(size_t align, size_t n) CC_MUST_USE; /* align a power of two, >= 8 */

/* Fresh zeroed pages of the system, aligned to align (a power of two, at least 4096; n is a
   multiple of it); counted like other allocations.  NULL on failure. */
void *mem_try_map(size_t align, size_t n) CC_MUST_USE;

/* Gives back all n bytes of one mem_try_map().  Cannot fail. */
void mem_unmap(void *p, size_t n);

/*
 * A trap lets a whole piece of work fail when memory ends, without a check at each allocation:
 *
 *	struct mem_trap trap;
 *	struct arena *a = arena_new("snapshot");	(before the trap; freed by the catcher)
 *
 *	if (MEM_TRAP_ENTER(&trap)) {
 *		arena_free(&a);				(an allocation failed: all is given up)
 *		return (err_memory());
 *	}
 *	build(a);
 *	mem_trap_leave(&trap);
 *
 * Rules.  (1) Everything built between ENTER and leave lives in arenas that the catcher frees, or
 * is registered for clean-up in one: a jump runs no other code.  (2) No locks and no half-changed
 * shared state in between.  (3) As with any setjmp: a local variable of the function that calls
 * ENTER, changed after ENTER and read in the failure branch, must be volatile; variables set
 * before ENTER and not changed after it need nothing (`a` above).  (4) Traps nest; the innermost
 * one catches, and is left already when the failure branch runs.  (5) The function that entered
 * does not return before it left.  (6) One thread: traps are thread-local.
 */
struct mem_trap {
	unsigned magic;
	size_t wanted;		/* in the failure branch: bytes that were asked for */
	struct mem_trap *outer;
	jmp_buf env;
};

jmp_buf *mem_trap_push_(struct mem_trap *trap);

/* False when entered; true, later, when an allocation inside failed. */
#define MEM_TRAP_ENTER(trap)	(setjmp(*mem_trap_push_(trap)) != 0)

void mem_trap_leave(struct mem_trap *trap);

/* As a failed x*: for allocators built on top.  n is the number of bytes asked for. */
CC_NORETURN CC_COLD void mem_failed(size_t n);

/* Fault injection, per thread: the nth allocation from now fails, once (1: the next one). */
void mem_fail_at(uint64_t n);
void mem_fail_off(void);

/* Was the failure asked for with mem_fail_at() delivered since? */
bool mem_fail_hit(void);

/* Calls of this thread that asked for memory through this folder, whether they got it or not. */
uint64_t mem_alloc_count(void);

/* Gives what was freed back to the system now; the allocator by itself waits for more to do, which
   after a reload may never come.  Control plane: takes locks, and time by what there is. */
void mem_give_back(void);

struct mem_stats {
	uint64_t allocated;	/* bytes in use by the program */
	uint64_t resident;	/* bytes that the allocator keeps in memory */
	uint64_t mapped;	/* bytes of mem_try_map(): slabs and pages */
};

/* From jemalloc when it is linked, else from the C library.  Control plane: takes locks. */
void mem_stats(struct mem_stats *stats_r);

#endif

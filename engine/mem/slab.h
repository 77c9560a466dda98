/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of one size, one slab a type and worker.  The object given back last is handed out
 * first within its chunk.  Chunks come straight from the system; one that empties goes back, but
 * for one spare.  One thread.
 *
 * With WEIR_DEBUG free objects are filled with 0xDB, and a write to one is found when it is handed
 * out again; with AddressSanitizer each object is its own allocation, so the tool sees every one.
 */
#ifndef WEIR_MEM_SLAB_H
#define WEIR_MEM_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/cc.h"
#include "engine/base/list.h"

#define SLAB_MAGIC	0x51ab0001u

enum { SLAB_PER_CHUNK = 64, SLAB_POISON = 0xDB };

struct slab {
	unsigned magic;
	uint32_t obj_size;	/* rounded up to 16 */
	uint32_t per_chunk;
	uint32_t limit;		/* objects in use at most; 0: no limit */
	size_t chunk_bytes;	/* a power of two; chunks are aligned to it */
	struct list partial;	/* chunks with a free object */
	struct list full;
	size_t in_use;		/* objects handed out */
	size_t total;		/* objects in all chunks */
	uint32_t chunks;
	uint32_t empty;		/* chunks without an object in use: 0 or 1 */
	const char *name;
};

/* name is a literal.  per_chunk is the least number of objects in a chunk, 0: SLAB_PER_CHUNK;
   the size is rounded up to a power of two and the room is used.  Nothing is allocated yet. */
void slab_init(struct slab *s, const char *name, size_t obj_size, unsigned per_chunk);

/* All objects must be back. */
void slab_fini(struct slab *s);

static inline void
slab_set_limit(struct slab *s, uint32_t limit)
{
	s->limit = limit;
}

/* An object, not zeroed, aligned to 16; NULL when there is no memory or at the limit. */
void *slab_get(struct slab *s) CC_MUST_USE;

void slab_put_(struct slab *s, void *obj);

/* Gives back *(pp), which becomes NULL. */
#define slab_put(s, pp)                                                                            \
	do {                                                                                       \
		slab_put_((s), *(pp));                                                             \
		*(pp) = NULL;                                                                      \
	} while (0)

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash map from slices to pointers that are not NULL, iterated in order of insertion.
 * Open addressing; SipHash under a seed drawn once a process.  For configuration and control.
 * Keys are not copied: their bytes live as long as the map (arena_dup() them).
 * Failure as in alloc.h (x functions); the arena must not be ARENA_TRY.  One thread writes; a map
 * that nobody changes may be read by all.
 */
#ifndef WEIR_MEM_MAP_H
#define WEIR_MEM_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/cc.h"
#include "engine/base/slice.h"

#define MAP_MAGIC	0x3a900001u

struct arena;

struct map_entry {
	struct slice key;
	void *value;		/* NULL: deleted */
	uint64_t hash;
};

struct map {
	unsigned magic;
	bool fold;		/* keys differ by more than ASCII case */
	uint32_t n;		/* live entries */
	uint32_t used;		/* entries, deleted ones included */
	uint32_t cap;		/* of entries */
	uint32_t mask;		/* slots of index - 1 */
	uint32_t *index;	/* entry number + 1; 0: empty slot */
	struct map_entry *entries;
	struct arena *arena;
};

/* arena may be NULL: memory of alloc.h, given back by map_fini().  Nothing is allocated yet. */
void map_init(struct map *m, struct arena *arena);

/* The same for keys that are equal without regard to ASCII case. */
void map_init_fold(struct map *m, struct arena *arena);
void map_fini(struct map *m);

static inline size_t
map_count(const struct map *m)
{
	return (m->n);
}

/* NULL when there is none. */
void *map_get(const struct map *m, struct slice key);

/* Adds or replaces (the key kept is the older one, in its place).  Returns the value that was
   there, or NULL. */
void *map_put(struct map *m, struct slice key, void *value);

/* Takes out; returns the value that was there, or NULL. */
void *map_del(struct map *m, struct slice key);

/*
 * In order of insertion:	size_t at = 0;
 *				while (map_next(m, &at, &key, &value)) ...
 * Deleting the entry just returned is fine, adding is not.  key_r may be NULL.
 */
bool map_next(const struct map *m, size_t *at, struct slice *key_r, void **value_r);

#endif

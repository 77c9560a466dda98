/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/mem/map.h"

#include <pthread.h>
#include <string.h>

#include "engine/base/check.h"
#include "engine/base/rnd.h"
#include "engine/base/siphash.h"
#include "engine/mem/alloc.h"
#include "engine/mem/arena.h"

enum { MAP_FIRST = 8 };

static uint8_t map_key[SIPHASH_KEY_BYTES];
static pthread_once_t map_key_once = PTHREAD_ONCE_INIT;

static void
map_key_draw(void)
{
	rnd_bytes(map_key, sizeof(map_key));
}

void
map_init(struct map *m, struct arena *arena)
{
	(void)pthread_once(&map_key_once, map_key_draw);
	memset(m, 0, sizeof(*m));
	m->magic = MAP_MAGIC;
	m->arena = arena;
}

void
map_init_fold(struct map *m, struct arena *arena)
{
	map_init(m, arena);
	m->fold = true;
}

static void
map_release(struct map *m)
{
	if (m->arena != NULL)
		return;
	xfree(m->index);
	xfree(m->entries);
}

void
map_fini(struct map *m)
{
	CHECK_OBJ(m, MAP_MAGIC);
	map_release(m);
	memset(m, 0, sizeof(*m));
}

static uint64_t
map_hash(const struct map *m, struct slice key)
{
	return (m->fold ? siphash_fold(map_key, key.p, key.len) :
	    siphash(map_key, key.p, key.len));
}

static bool
map_is_key(const struct map *m, const struct map_entry *e, uint64_t hash, struct slice key)
{
	if (e->hash != hash || e->value == NULL)
		return (false);
	return (m->fold ? slice_eq_fold(e->key, key) : slice_eq(e->key, key));
}

static struct map_entry *
map_find(const struct map *m, uint64_t hash, struct slice key)
{
	if (m->n == 0)
		return (NULL);
	for (uint32_t at = (uint32_t)hash & m->mask; m->index[at] != 0; at = (at + 1) & m->mask) {
		struct map_entry *e = &m->entries[m->index[at] - 1];

		if (map_is_key(m, e, hash, key))
			return (e);
	}
	return (NULL);
}

/* The index has two slots for each entry there may be, so a free one is near. */
static void
map_index_add(struct map *m, uint32_t number)
{
	uint32_t at = (uint32_t)m->entries[number].hash & m->mask;

	while (m->index[at] != 0)
		at = (at + 1) & m->mask;
	m->index[at] = number + 1;
}

static void *
map_array(struct map *m, size_t n, size_t size)
{
	void *p = m->arena == NULL ? xcalloc(n, size) : arena_zarray(m->arena, n, size);

	must(p != NULL);
	return (p);
}

/* New tables: twice as large, or of the same size when half of the entries are deleted ones. */
static void
map_rebuild(struct map *m)
{
	struct map old = *m;
	uint32_t cap = old.n > old.cap / 2 || old.cap == 0 ? old.cap * 2 : old.cap;
	struct map_entry *entries;
	uint32_t *index;

	must(cap < UINT32_MAX / 4);
	cap = cap < MAP_FIRST ? MAP_FIRST : cap;
	/* Both or none: m stays whole, and nothing is lost, should one of them jump to a trap. */
	entries = map_array(m, cap, sizeof(*m->entries));
	if (m->arena == NULL) {
		index = mem_try_calloc((size_t)cap * 2, sizeof(*index));
		if (unlikely(index == NULL)) {
			xfree(entries);
			mem_failed((size_t)cap * 2 * sizeof(*index));
		}
	} else {
		index = map_array(m, (size_t)cap * 2, sizeof(*index));
	}
	m->entries = entries;
	m->index = index;
	m->cap = cap;
	m->mask = cap * 2 - 1;
	m->used = 0;
	for (uint32_t i = 0; i < old.used; i++) {
		if (old.entries[i].value == NULL)
			continue;
		m->entries[m->used] = old.entries[i];
		map_index_add(m, m->used++);
	}
	map_release(&old);
}

void *
map_get(const struct map *m, struct slice key)
{
	struct map_entry *e;

	CHECK_OBJ(m, MAP_MAGIC);
	if (m->n == 0)
		return (NULL);
	e = map_find(m, map_hash(m, key), key);
	return (e == NULL ? NULL : e->value);
}

void *
map_put(struct map *m, struct slice key, void *value)
{
	struct map_entry *e;
	uint64_t hash;
	void *old;

	CHECK_OBJ(m, MAP_MAGIC);
	must(value != NULL);
	hash = map_hash(m, key);
	e = map_find(m, hash, key);
	if (e != NULL) {
		old = e->value;
		e->value = value;
		return (old);
	}
	if (m->used == m->cap)
		map_rebuild(m);
	m->entries[m->used] = (struct map_entry){key, value, hash};
	map_index_add(m, m->used);
	m->used++;
	m->n++;
	return (NULL);
}

void *
map_del(struct map *m, struct slice key)
{
	struct map_entry *e;
	void *old;

	CHECK_OBJ(m, MAP_MAGIC);
	e = m->n == 0 ? NULL : map_find(m, map_hash(m, key), key);
	if (e == NULL)
		return (NULL);
	old = e->value;
	/* the entry stays as a stepping stone for those behind it, until a rebuild */
	e->value = NULL;
	m->n--;
	return (old);
}

bool
map_next(const struct map *m, size_t *at, struct slice *key_r, void **value_r)
{
	CHECK_OBJ(m, MAP_MAGIC);
	while (*at < m->used) {
		const struct map_entry *e = &m->entries[(*at)++];

		if (e->value == NULL)
			continue;
		if (key_r != NULL)
			*key_r = e->key;
		*value_r = e->value;
		return (true);
	}
	return (false);
}

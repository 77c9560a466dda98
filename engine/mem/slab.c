/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/mem/slab.h"

#include <string.h>

#include "engine/base/bits.h"
#include "engine/base/check.h"
#include "engine/mem/alloc.h"

#define SLAB_CHUNK_MAGIC	0x51ab0002u

enum { SLAB_LINE = 64, SLAB_CHUNK_MIN = 4096 };

/* A free object: only the link means anything. */
struct slab_free {
	struct slab_free *next;
};

/*
 * Lies at the head of its memory, which is aligned to its size: an object finds its chunk by
 * clearing low bits.  Objects from number fresh on were never handed out, so their memory is
 * untouched and costs nothing.
 */
struct slab_chunk {
	unsigned magic;
	uint32_t used;
	uint32_t fresh;
	struct slab *slab;
	struct slab_free *free;
	struct list link;
} CC_CACHELINE(SLAB_LINE);

void
slab_init(struct slab *s, const char *name, size_t obj_size, unsigned per_chunk)
{
	size_t bytes;

	must(obj_size > 0 && obj_size <= 1 << 20);
	memset(s, 0, sizeof(*s));
	s->magic = SLAB_MAGIC;
	s->name = name;
	/* objects of a line or more begin on a line: hot fields share one */
	s->obj_size = (uint32_t)bits_round_up(obj_size, obj_size < SLAB_LINE ? 16 : SLAB_LINE);
	if (per_chunk == 0)
		per_chunk = SLAB_PER_CHUNK;
	bytes = sizeof(struct slab_chunk) + (size_t)per_chunk * s->obj_size;
	s->chunk_bytes = bytes < SLAB_CHUNK_MIN ? SLAB_CHUNK_MIN : bits_ceil_pow2(bytes);
	s->per_chunk = (uint32_t)((s->chunk_bytes - sizeof(struct slab_chunk)) / s->obj_size);
	list_init(&s->partial);
	list_init(&s->full);
}

#if CC_ASAN

/* Each object on its own, so that the tool knows its bounds and its death. */
void *
slab_get(struct slab *s)
{
	void *obj;

	CHECK_OBJ(s, SLAB_MAGIC);
	if (s->limit != 0 && s->in_use >= s->limit)
		return (NULL);
	obj = mem_try_aligned(s->obj_size < SLAB_LINE ? 16 : SLAB_LINE, s->obj_size);
	if (obj == NULL)
		return (NULL);
	memset(obj, SLAB_POISON, s->obj_size);
	s->in_use++;
	s->total++;
	return (obj);
}

void
slab_put_(struct slab *s, void *obj)
{
	CHECK_OBJ(s, SLAB_MAGIC);
	must(obj != NULL && s->in_use > 0);
	s->in_use--;
	s->total--;
	xfree(obj);
}

#else

static struct slab_chunk *
slab_chunk_of(const struct slab *s, void *obj)
{
	return ((struct slab_chunk *)(void *)((char *)obj -
	    ((uintptr_t)obj & (s->chunk_bytes - 1))));
}

static struct slab_chunk *
slab_grow(struct slab *s)
{
	struct slab_chunk *c = mem_try_map(s->chunk_bytes, s->chunk_bytes);

	if (c == NULL)
		return (NULL);
	c->magic = SLAB_CHUNK_MAGIC;
	c->slab = s;
	list_add_head(&s->partial, &c->link);
	s->chunks++;
	s->empty++;
	s->total += s->per_chunk;
	return (c);
}

static void
slab_shrink(struct slab *s, struct slab_chunk *c)
{
	list_del(&c->link);
	s->chunks--;
	s->empty--;
	s->total -= s->per_chunk;
	c->magic = 0;
	mem_unmap(c, s->chunk_bytes);
}

#ifdef WEIR_DEBUG
static void
slab_mark_free(const struct slab *s, void *obj)
{
	memset(obj, SLAB_POISON, s->obj_size);
}

static void
slab_check_free(const struct slab *s, const void *obj)
{
	const uint8_t *p = obj;

	for (size_t i = sizeof(struct slab_free); i < s->obj_size; i++)
		must(p[i] == SLAB_POISON); /* somebody wrote to an object after its slab_put() */
}
#else
static inline void
slab_mark_free(const struct slab *s, void *obj)
{
	(void)s;
	(void)obj;
}

static inline void
slab_check_free(const struct slab *s, const void *obj)
{
	(void)s;
	(void)obj;
}
#endif

void *
slab_get(struct slab *s)
{
	struct slab_chunk *c;
	struct slab_free *f;

	CHECK_OBJ(s, SLAB_MAGIC);
	if (unlikely(s->limit != 0 && s->in_use >= s->limit))
		return (NULL);
	if (unlikely(list_is_empty(&s->partial)))
		c = slab_grow(s);
	else
		c = list_entry(s->partial.next, struct slab_chunk, link);
	if (unlikely(c == NULL))
		return (NULL);
	f = c->free;
	if (likely(f != NULL)) {
		c->free = f->next;
		slab_check_free(s, f);
	} else {
		f = (struct slab_free *)(void *)((char *)(c + 1) + (size_t)c->fresh * s->obj_size);
		c->fresh++;
	}
	if (c->used++ == 0)
		s->empty--;
	if (unlikely(c->used == s->per_chunk)) {
		list_del(&c->link);
		list_add_head(&s->full, &c->link);
	}
	s->in_use++;
	return (f);
}

void
slab_put_(struct slab *s, void *obj)
{
	struct slab_chunk *c;
	struct slab_free *f = obj;

	CHECK_OBJ(s, SLAB_MAGIC);
	must(obj != NULL);
	c = slab_chunk_of(s, obj);
	CHECK_OBJ(c, SLAB_CHUNK_MAGIC);
	must(c->slab == s && c->used > 0);
	slab_mark_free(s, obj);
	f->next = c->free;
	c->free = f;
	s->in_use--;
	if (unlikely(c->used == s->per_chunk)) {
		list_del(&c->link);
		list_add_head(&s->partial, &c->link);
	}
	if (unlikely(--c->used == 0)) {
		s->empty++;
		if (s->empty > 1) {
			slab_shrink(s, c);
		} else {
			/* the spare: last to be used, so that it stays empty */
			list_del(&c->link);
			list_add_tail(&s->partial, &c->link);
		}
	}
}

#endif

void
slab_fini(struct slab *s)
{
	CHECK_OBJ(s, SLAB_MAGIC);
	must(s->in_use == 0);
#if !CC_ASAN
	while (!list_is_empty(&s->partial))
		slab_shrink(s, list_entry(s->partial.next, struct slab_chunk, link));
#endif
	must(s->chunks == 0);
	s->magic = 0;
}

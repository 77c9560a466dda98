/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Typed growable arrays, for configuration time.
 *
 *	VEC(struct route *) routes;		also as a member: VEC(int) ports;
 *
 *	vec_init(&routes, arena);		arena, or NULL for memory of alloc.h
 *	vec_push(&routes, r);
 *	for (size_t i = 0; i < routes.n; i++) use(routes.v[i]);
 *	vec_fini(&routes);			needed without an arena only
 *
 * All zero is a valid empty vector without an arena.  Growing moves the elements: keep indexes,
 * not pointers.  Failure as in alloc.h (x functions); the arena must not be ARENA_TRY.
 */
#ifndef WEIR_MEM_VEC_H
#define WEIR_MEM_VEC_H

#include <stddef.h>
#include <string.h>

#include "engine/base/cc.h"

struct arena;

#define VEC(type)                                                                                  \
	struct {                                                                                   \
		type *v;                                                                           \
		size_t n;                                                                          \
		size_t cap;                                                                        \
		struct arena *arena;                                                               \
	}

/* Room for at least need elements of size bytes; *cap is changed.  Returns the new array. */
void *vec_grow_(void *v, size_t *cap, size_t n, size_t need, size_t size, struct arena *arena);
void vec_free_(void *v, struct arena *arena);

#define vec_init(vec, arena_or_null)                                                               \
	((vec)->v = NULL, (vec)->n = 0, (vec)->cap = 0, (vec)->arena = (arena_or_null))

#define vec_reserve(vec, need)                                                                     \
	do {                                                                                       \
		if ((vec)->cap < (need))                                                           \
			(vec)->v = vec_grow_((vec)->v, &(vec)->cap, (vec)->n, (need),              \
			    sizeof(*(vec)->v), (vec)->arena);                                      \
	} while (0)

#define vec_push(vec, value)                                                                       \
	do {                                                                                       \
		vec_reserve(vec, (vec)->n + 1);                                                    \
		(vec)->v[(vec)->n++] = (value);                                                    \
	} while (0)

/* A new zeroed element at the end; its address goes to ptr. */
#define vec_add(vec, ptr)                                                                          \
	do {                                                                                       \
		vec_reserve(vec, (vec)->n + 1);                                                    \
		(ptr) = memset(&(vec)->v[(vec)->n++], 0, sizeof(*(vec)->v));                       \
	} while (0)

#define VEC_FOREACH(pos, vec)                                                                      \
	for ((pos) = (vec)->v; (vec)->n > 0 && (pos) < (vec)->v + (vec)->n; (pos)++)

#define vec_fini(vec)                                                                              \
	do {                                                                                       \
		vec_free_((vec)->v, (vec)->arena);                                                 \
		vec_init(vec, (vec)->arena);                                                       \
	} while (0)

#endif

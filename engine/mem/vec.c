/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/mem/vec.h"

#include <stdint.h>

#include "engine/base/check.h"
#include "engine/mem/alloc.h"
#include "engine/mem/arena.h"

enum { VEC_FIRST = 8 };

void *
vec_grow_(void *v, size_t *cap, size_t n, size_t need, size_t size, struct arena *arena)
{
	size_t want = *cap < VEC_FIRST ? VEC_FIRST : *cap;
	size_t bytes;
	void *bigger;

	must(n <= *cap);
	while (want < need) {
		if (__builtin_mul_overflow(want, 2u, &want))
			mem_failed(SIZE_MAX);
	}
	if (__builtin_mul_overflow(want, size, &bytes))
		mem_failed(SIZE_MAX);
	if (arena == NULL) {
		bigger = xrealloc(v, bytes);
	} else {
		bigger = arena_alloc(arena, bytes);
		must(bigger != NULL);
		if (n > 0)
			memcpy(bigger, v, n * size);
	}
	*cap = want;
	return (bigger);
}

void
vec_free_(void *v, struct arena *arena)
{
	if (arena == NULL)
		xfree(v);
}

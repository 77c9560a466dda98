/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Powers of two, alignment, and small bit sets in arrays of 64-bit words.
 */
#ifndef WEIR_BASE_BITS_H
#define WEIR_BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool
bits_is_pow2(uint64_t v)
{
	return (v != 0 && (v & (v - 1)) == 0);
}

/* v up to a multiple of to, a power of two; the caller knows that it does not overflow. */
static inline size_t
bits_round_up(size_t v, size_t to)
{
	return ((v + to - 1) & ~(to - 1));
}

/* The least power of two that is at least v; 1 for 0; 0 when there is none in 64 bits. */
static inline uint64_t
bits_ceil_pow2(uint64_t v)
{
	if (v <= 1)
		return (1);
	if (v > (uint64_t)1 << 63)
		return (0);
	return ((uint64_t)1 << (64 - __builtin_clzll(v - 1)));
}

static inline unsigned
bits_popcount(uint64_t v)
{
	return ((unsigned)__builtin_popcountll(v));
}

/* Index of the lowest and of the highest set bit; v is not 0. */
static inline unsigned
bits_lowest(uint64_t v)
{
	return ((unsigned)__builtin_ctzll(v));
}

static inline unsigned
bits_highest(uint64_t v)
{
	return (63u - (unsigned)__builtin_clzll(v));
}

/* A bit set: uint64_t seen[BITS_WORDS(100)] = {0}; the caller keeps i below the size. */
#define BITS_WORDS(nbits)	(((nbits) + 63u) / 64u)

static inline void
bits_set(uint64_t *words, size_t i)
{
	words[i / 64] |= (uint64_t)1 << (i % 64);
}

static inline void
bits_clear(uint64_t *words, size_t i)
{
	words[i / 64] &= ~((uint64_t)1 << (i % 64));
}

static inline bool
bits_test(const uint64_t *words, size_t i)
{
	return ((words[i / 64] >> (i % 64) & 1) != 0);
}

/* Number of set bits in nwords words. */
static inline size_t
bits_count(const uint64_t *words, size_t nwords)
{
	size_t n = 0;

	for (size_t i = 0; i < nwords; i++)
		n += bits_popcount(words[i]);
	return (n);
}

/* Index of the first set bit at or after from, or nwords * 64 when there is none. */
static inline size_t
bits_next(const uint64_t *words, size_t nwords, size_t from)
{
	for (size_t w = from / 64; w < nwords; w++) {
		uint64_t v = words[w];

		if (w == from / 64)
			v &= ~(uint64_t)0 << (from % 64);
		if (v != 0)
			return (w * 64 + bits_lowest(v));
	}
	return (nwords * 64);
}

#endif

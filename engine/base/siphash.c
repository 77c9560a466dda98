/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/base/siphash.h"

#include <stdbool.h>
#include <string.h>

#include "engine/base/cc.h"
#include "engine/base/slice.h"

struct siphash_state {
	uint64_t v0;
	uint64_t v1;
	uint64_t v2;
	uint64_t v3;
};

static CC_ALWAYS_INLINE uint64_t
siphash_rotl(uint64_t x, unsigned k)
{
	return (x << k | x >> (64 - k));
}

/* Little-endian, as the algorithm wants it. */
static CC_ALWAYS_INLINE uint64_t
siphash_word(const uint8_t *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof(x));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	x = __builtin_bswap64(x);
#endif
	return (x);
}

static CC_ALWAYS_INLINE void
siphash_rounds(struct siphash_state *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		s->v0 += s->v1;
		s->v2 += s->v3;
		s->v1 = siphash_rotl(s->v1, 13) ^ s->v0;
		s->v3 = siphash_rotl(s->v3, 16) ^ s->v2;
		s->v0 = siphash_rotl(s->v0, 32);
		s->v2 += s->v1;
		s->v0 += s->v3;
		s->v1 = siphash_rotl(s->v1, 17) ^ s->v2;
		s->v3 = siphash_rotl(s->v3, 21) ^ s->v0;
		s->v2 = siphash_rotl(s->v2, 32);
	}
}

static CC_ALWAYS_INLINE void
siphash_absorb(struct siphash_state *s, uint64_t word, unsigned rounds)
{
	s->v3 ^= word;
	siphash_rounds(s, rounds);
	s->v0 ^= word;
}

/* One body for all three; the constants fold away. */
static CC_ALWAYS_INLINE uint64_t
siphash_any(const uint8_t *key, const uint8_t *p, size_t n, unsigned c, unsigned d, bool fold)
{
	uint64_t k0 = siphash_word(key);
	uint64_t k1 = siphash_word(key + 8);
	struct siphash_state s = {
		k0 ^ 0x736f6d6570736575u,
		k1 ^ 0x646f72616e646f6du,
		k0 ^ 0x6c7967656e657261u,
		k1 ^ 0x7465646279746573u,
	};
	uint64_t last = 0;
	size_t i = 0;

	for (; n - i >= 8; i += 8) {
		uint64_t word = siphash_word(p + i);

		siphash_absorb(&s, fold ? slice_lower8(word) : word, c);
	}
	for (unsigned shift = 0; i < n; i++, shift += 8)
		last |= (uint64_t)p[i] << shift;
	if (fold)
		last = slice_lower8(last);
	siphash_absorb(&s, last | (uint64_t)n << 56, c);
	s.v2 ^= 0xff;
	siphash_rounds(&s, d);
	return (s.v0 ^ s.v1 ^ s.v2 ^ s.v3);
}

uint64_t
siphash(const uint8_t key[SIPHASH_KEY_BYTES], const void *p, size_t n)
{
	return (siphash_any(key, p, n, 1, 3, false));
}

uint64_t
siphash_fold(const uint8_t key[SIPHASH_KEY_BYTES], const void *p, size_t n)
{
	return (siphash_any(key, p, n, 1, 3, true));
}

uint64_t
siphash_24(const uint8_t key[SIPHASH_KEY_BYTES], const void *p, size_t n)
{
	return (siphash_any(key, p, n, 2, 4, false));
}

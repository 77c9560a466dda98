/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fast random numbers, one generator a worker: xoshiro256** by D. Blackman and S. Vigna
 * ("Scrambled linear pseudorandom number generators", 2018), seeded through splitmix64.
 * Not for secrets: keys and seeds of hashes come from rnd_bytes().
 */
#ifndef WEIR_BASE_RND_H
#define WEIR_BASE_RND_H

#include <stddef.h>
#include <stdint.h>

struct rnd {
	uint64_t s[4];
};

void rnd_init(struct rnd *r);				/* from the kernel */
void rnd_init_seed(struct rnd *r, uint64_t seed);	/* the same seed, the same numbers */

static inline uint64_t
rnd_rotl_(uint64_t v, unsigned k)
{
	return (v << k | v >> (64 - k));
}

static inline uint64_t
rnd_u64(struct rnd *r)
{
	uint64_t out = rnd_rotl_(r->s[1] * 5, 7) * 9;
	uint64_t t = r->s[1] << 17;

	r->s[2] ^= r->s[0];
	r->s[3] ^= r->s[1];
	r->s[1] ^= r->s[2];
	r->s[0] ^= r->s[3];
	r->s[2] ^= t;
	r->s[3] = rnd_rotl_(r->s[3], 45);
	return (out);
}

/* Evenly spread over 0 to n - 1; n is not 0. */
uint64_t rnd_below(struct rnd *r, uint64_t n);

/* Evenly spread over lo to hi, both included; for jitter.  lo is at most hi. */
uint64_t rnd_range_ms(struct rnd *r, uint64_t lo_ms, uint64_t hi_ms);

/* n bytes from the kernel's generator (getrandom); ends the process if there are none. */
void rnd_bytes(void *buf, size_t n);

#endif

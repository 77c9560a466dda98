/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/base/rnd.h"

#include <sys/random.h>

#include <errno.h>

#include "engine/base/check.h"

void
rnd_bytes(void *buf, size_t n)
{
	unsigned char *p = buf;

	while (n > 0) {
		ssize_t got = getrandom(p, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		must(got > 0);
		p += got;
		n -= (size_t)got;
	}
}

/* splitmix64, by S. Vigna: spreads one seed over the state, which must not be all zero. */
static uint64_t
rnd_split(uint64_t *x)
{
	uint64_t z = (*x += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31));
}

void
rnd_init_seed(struct rnd *r, uint64_t seed)
{
	for (unsigned i = 0; i < 4; i++)
		r->s[i] = rnd_split(&seed);
}

void
rnd_init(struct rnd *r)
{
	do {
		rnd_bytes(r->s, sizeof(r->s));
	} while ((r->s[0] | r->s[1] | r->s[2] | r->s[3]) == 0);
}

/*
 * The high half of a 128-bit product; the few low halves that would make some results more likely
 * than others are drawn again (D. Lemire, "Fast random integer generation in an interval", 2019).
 */
uint64_t
rnd_below(struct rnd *r, uint64_t n)
{
	unsigned __int128 product;
	uint64_t biased;

	must(n > 0);
	product = (unsigned __int128)rnd_u64(r) * n;
	if ((uint64_t)product >= n)
		return ((uint64_t)(product >> 64));
	biased = (0 - n) % n;
	while ((uint64_t)product < biased)
		product = (unsigned __int128)rnd_u64(r) * n;
	return ((uint64_t)(product >> 64));
}

uint64_t
rnd_range_ms(struct rnd *r, uint64_t lo_ms, uint64_t hi_ms)
{
	must(lo_ms <= hi_ms);
	if (hi_ms - lo_ms == UINT64_MAX)
		return (rnd_u64(r));
	return (lo_ms + rnd_below(r, hi_ms - lo_ms + 1));
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_STATS_HIST_H
#define WEIR_STATS_HIST_H

/*
 * A log-linear histogram of fixed size: nine buckets a decade, each a digit wide, so that the
 * bounds that people read (1, 2 and 5 of a decade) are exact. Values are whole microseconds, up to
 * 1,000 seconds; above that there is one last bucket.
 *
 * Bucket 0 holds 0 and 1; bucket i (below 10) holds i + 1; further on each holds the values v with
 * d * 10^k < v <= (d + 1) * 10^k.
 *
 * Written by one thread, read by any: relaxed atomics. No magic: it lies inside other objects.
 */
#include <stdint.h>

#include "engine/base/cc.h"

enum {
	HIST_DECADES = 8,			/* above the first, which has ten buckets */
	HIST_LAST = 10 + HIST_DECADES * 9,	/* everything above 10^9 */
	HIST_BUCKETS = HIST_LAST + 1
};

struct hist {
	uint64_t	 sum;
	uint64_t	 bucket[HIST_BUCKETS];
};

extern const uint32_t hist_pow10_[HIST_DECADES + 2];

/* Which bucket holds v. */
static inline unsigned
hist_index(uint64_t v)
{
	uint32_t x;
	unsigned k;

	if (v <= 10)
		return (v == 0 ? 0 : (unsigned)v - 1);
	if (unlikely(v > hist_pow10_[HIST_DECADES + 1]))
		return (HIST_LAST);
	x = (uint32_t)(v - 1);
	/* log10 from log2: 1233 / 4096 is just below log10(2); one too many shows in the table. */
	k = ((32u - (unsigned)__builtin_clz(x)) * 1233) >> 12;
	k -= x < hist_pow10_[k];
	return (10 + (k - 1) * 9 + x / hist_pow10_[k] - 1);
}

/* The largest value of a bucket; UINT64_MAX for the last. */
uint64_t hist_upper(unsigned bucket);

static inline void
hist_bump_(uint64_t *p, uint64_t n)
{
	__atomic_store_n(p, __atomic_load_n(p, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static inline void
hist_add(struct hist *h, uint64_t v)
{
	hist_bump_(&h->sum, v);
	hist_bump_(&h->bucket[hist_index(v)], 1);
}

/* Adds what `from` holds now to `to`, which is the caller's own. */
void	hist_merge(struct hist *to, const struct hist *from);

/* How many values were at most v, which must be the largest of a bucket (hist_upper). */
uint64_t hist_count_upto(const struct hist *, uint64_t v);
uint64_t hist_count(const struct hist *);

#endif

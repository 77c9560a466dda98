/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/base/check.h"
#include "engine/stats/hist.h"

const uint32_t hist_pow10_[HIST_DECADES + 2] = { 1, 10, 100, 1000, 10000, 100000, 1000000, 10000000,
	100000000, 1000000000 };

uint64_t
hist_upper(unsigned bucket)
{
	unsigned at;

	must(bucket < HIST_BUCKETS);
	if (bucket < 10)
		return (bucket + 1);
	if (bucket == HIST_LAST)
		return (UINT64_MAX);
	at = bucket - 10;
	return ((uint64_t)hist_pow10_[at / 9 + 1] * (at % 9 + 2));
}

void
hist_merge(struct hist *to, const struct hist *from)
{
	to->sum += __atomic_load_n(&from->sum, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		to->bucket[i] += __atomic_load_n(&from->bucket[i], __ATOMIC_RELAXED);
}

uint64_t
hist_count_upto(const struct hist *h, uint64_t v)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < HIST_BUCKETS && hist_upper(i) <= v; i++)
		n += h->bucket[i];
	return (n);
}

uint64_t
hist_count(const struct hist *h)
{
	return (hist_count_upto(h, UINT64_MAX));
}

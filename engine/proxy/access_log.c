/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/base/log.h"
#include "engine/base/rnd.h"
#include "engine/mem/alloc.h"
#include "engine/proxy/access_log.h"
#include "engine/proxy/access_log_line.h"
#include "engine/proxy/access_log_ring.h"
#include "engine/proxy/facts.h"
#include "engine/stats/stats.h"

struct access_log {
	unsigned			 magic;
#define ACCESS_LOG_MAGIC	0x6ac1f09e
	const struct access_log_plan	*plan;		/* NULL: off */
	struct stats_series		*dropped;
	struct rnd			 rnd;		/* which lines a sample is made of */
	struct access_log_stamp		 stamp;
	struct access_log_ring		 ring;
	char				 line[ACCESS_LOG_LINE_BYTES];
};

struct access_log *
access_log_new(struct stats_shard *sh)
{
	struct access_log *log = mem_try_aligned(64, sizeof *log);

	if (log == NULL)
		return (NULL);
	memset(log, 0, offsetof(struct access_log, line));
	log->magic = ACCESS_LOG_MAGIC;
	access_log_stamp_init(&log->stamp);
	rnd_init(&log->rnd);
	log->dropped = stats_plain(sh, STATS_LOG_DROPPED);
	log->ring.p = mem_try_map(4096, ACCESS_LOG_RING_BYTES);
	if (log->ring.p == NULL || !access_log_writer_add(&log->ring)) {
		if (log->ring.p != NULL)
			mem_unmap(log->ring.p, ACCESS_LOG_RING_BYTES);
		xfree(log);
		return (NULL);
	}
	return (log);
}

void
access_log_use(struct access_log *log, const struct access_log_plan *plan)
{
	CHECK_OBJ(log, ACCESS_LOG_MAGIC);
	log->plan = plan != NULL && plan->to != ACCESS_LOG_OFF ? plan : NULL;
}

void
access_log_plan_default(struct access_log_plan *plan)
{
	memset(plan, 0, sizeof *plan);
	plan->magic = ACCESS_LOG_PLAN_MAGIC;
	plan->to = ACCESS_LOG_STDOUT;
	plan->level = LOG_LEVEL_INFO;
	for (uint8_t i = 0; i < ACCESS_LOG_NAMED; i++) {
		if (i != ACCESS_LOG_QUERY)
			plan->fields[plan->n_fields++] = i;
	}
}

/* ---- the ring ---- */

bool
access_log_ring_put(struct access_log_ring *r, struct slice s)
{
	uint64_t put = atomic_load_explicit(&r->put, memory_order_relaxed), used = put - r->seen;
	size_t at = put % ACCESS_LOG_RING_BYTES, first = ACCESS_LOG_RING_BYTES - at;

	if (used + s.len > ACCESS_LOG_RING_BYTES || used >= ACCESS_LOG_WAKE_BYTES) {
		r->seen = atomic_load_explicit(&r->taken, memory_order_acquire);
		used = put - r->seen;
		if (used + s.len > ACCESS_LOG_RING_BYTES)
			return (false);
	}
	if (first > s.len)
		first = s.len;
	memcpy(r->p + at, s.p, first);
	memcpy(r->p, s.p + first, s.len - first);
	atomic_store_explicit(&r->put, put + s.len, memory_order_release);
	if (used < ACCESS_LOG_WAKE_BYTES && used + s.len >= ACCESS_LOG_WAKE_BYTES)
		access_log_writer_wake();
	return (true);
}

void
access_log_ring_free(struct access_log_ring *r)
{
	struct access_log *log = container_of(r, struct access_log, ring);

	CHECK_OBJ(log, ACCESS_LOG_MAGIC);
	mem_unmap(r->p, ACCESS_LOG_RING_BYTES);
	log->magic = 0;
	xfree(log);
}

static CC_COLD bool
is_chosen(struct access_log *log, const struct facts *f)
{
	enum { ALL_PPM = 1000000 };
	uint32_t ppm = log->plan->sample[access_log_class(f)].ppm;

	return (ppm == ALL_PPM || rnd_below(&log->rnd, ALL_PPM) < ppm);
}

void
access_log_write(struct access_log *log, const struct facts *f)
{
	size_t n;

	CHECK_OBJ(log, ACCESS_LOG_MAGIC);
	if (log->plan == NULL)
		return;
	if (unlikely(log->plan->sample != NULL) && !is_chosen(log, f))
		return;
	n = access_log_line(&log->stamp, log->plan, f, log->line);
	if (unlikely(!access_log_ring_put(&log->ring, slice_of(log->line, n))))
		stats_add(log->dropped, 1);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/base/text.h"
#include "engine/mem/alloc.h"
#include "engine/proxy/facts.h"
#include "engine/proxy/gate.h"
#include "engine/proxy/proxy_stats.h"
#include "engine/proxy/route.h"
#include "engine/stats/stats.h"
#include "engine/upstream/upstream.h"

enum {
	MEMOS = 512	/* combinations remembered; a power of two */
};

/*
 * What a combination of objects and outcome was counted under the last time. Objects are compared
 * by address: one may be freed and another of a different name made at its place, but only for a
 * generation that comes after, and with each generation all is forgotten.
 */
struct memo {
	const struct listener	*listener;
	const struct route	*route;
	const struct upstream	*upstream;
	uint16_t		 status;
	uint16_t		 reason;
	struct stats_series	*requests;	/* NULL: an empty place */
	struct stats_series	*duration;
	struct stats_series	*bytes_in, *bytes_out;
};

struct proxy_stats {
	unsigned		 magic;
#define PROXY_STATS_MAGIC	0x2f91b8d3
	uint64_t		 generation;	/* of what is remembered */
	struct worker		*worker;
	struct stats_series	*turns;
	struct turn_hook	 hook;
	struct memo		 memos[MEMOS];
};

static void
on_turn_end(void *arg)
{
	struct proxy_stats *ps;

	CAST_OBJ(ps, arg, PROXY_STATS_MAGIC);
	stats_observe(ps->turns, loop_last_turn_us(ps->worker->loop));
}

struct err *
proxy_stats_enter(struct worker *w, struct proxy_stats **r)
{
	struct proxy_stats *ps;

	*r = NULL;
	if (w->stats == NULL)
		return (NULL);
	ps = mem_try_calloc(1, sizeof *ps);
	if (ps == NULL)
		return (err_memory());
	ps->magic = PROXY_STATS_MAGIC;
	ps->worker = w;
	ps->turns = stats_plain(w->stats, STATS_WORKER_LOOP);
	turn_hook_init(&ps->hook, on_turn_end, ps);
	loop_on_turn_end(w->loop, &ps->hook);
	*r = ps;
	return (NULL);
}

void
proxy_stats_leave(struct proxy_stats **r)
{
	struct proxy_stats *ps;

	if (*r == NULL)
		return;
	TAKE_OBJ(ps, r, PROXY_STATS_MAGIC);
	turn_hook_remove(&ps->hook);
	ps->magic = 0;
	xfree(ps);
}

static void
fill(struct memo *m, struct stats_shard *sh, const struct facts *f)
{
	char code[TEXT_U64_MAX];
	const struct slice labels[] = {
		f->listener != NULL ? f->listener->name : SLICE(""),
		f->route != NULL ? f->route->name : SLICE(""),
		f->upstream != NULL ? f->upstream->part.name : SLICE(""),
		slice_of(code, text_u64_digits(code, f->status)),
		reason_info(f->reason)->name,
	};

	m->listener = f->listener;
	m->route = f->route;
	m->upstream = f->upstream;
	m->status = f->status;
	m->reason = (uint16_t)f->reason;
	m->requests = stats_series(sh, STATS_REQUESTS, labels);
	m->duration = stats_series(sh, STATS_REQUEST_DURATION, labels);
	m->bytes_in = stats_series(sh, STATS_REQUEST_BYTES, labels);
	m->bytes_out = stats_series(sh, STATS_RESPONSE_BYTES, labels);
}

static inline bool
is_for(const struct memo *m, const struct facts *f)
{
	return (m->requests != NULL && m->route == f->route && m->status == f->status &&
	    m->reason == (uint16_t)f->reason && m->upstream == f->upstream &&
	    m->listener == f->listener);
}

static inline unsigned
place(const struct facts *f)
{
	uint64_t h = (uintptr_t)f->listener;

	h = (h ^ (uintptr_t)f->route) * 0x9e3779b97f4a7c15u;
	h = (h ^ (h >> 29) ^ (uintptr_t)f->upstream) * 0xbf58476d1ce4e5b9u;
	h = (h ^ (h >> 32) ^ ((uint64_t)f->status << 16 | (unsigned)f->reason)) *
	    0x94d049bb133111ebu;
	return ((unsigned)(h >> 40) % MEMOS);
}

void
proxy_stats_request(struct worker *w, const struct facts *f)
{
	struct proxy_stats *ps = proxy_of(w)->stats;
	uint64_t generation = w->snap != NULL ? w->snap->snap->generation : 0;
	struct memo *m;

	if (ps == NULL)
		return;
	if (unlikely(ps->generation != generation)) {
		memset(ps->memos, 0, sizeof ps->memos);
		ps->generation = generation;
	}
	m = &ps->memos[place(f)];
	if (unlikely(!is_for(m, f)))
		fill(m, w->stats, f);
	stats_add(m->requests, 1);
	stats_observe(m->duration, f->duration_us);
	stats_add(m->bytes_in, (int64_t)f->bytes_in);
	stats_add(m->bytes_out, (int64_t)f->bytes_out);
}

void
proxy_stats_retried(struct worker *w, const struct facts *f, uint32_t retries, bool answered)
{
	struct slice labels[] = { f->upstream->part.name, SLICE("ok") };

	if (answered)
		stats_add(stats_series(w->stats, STATS_RETRIES, labels), 1);
	labels[1] = SLICE("failed");
	if (retries > answered)
		stats_add(stats_series(w->stats, STATS_RETRIES, labels), retries - answered);
}

static void
find_series(struct listener_local *local)
{
	struct stats_shard *sh = local->worker->stats;

	local->n_open = stats_series(sh, STATS_CONNECTIONS, &local->listener->name);
	local->n_opened = stats_series(sh, STATS_CONNECTIONS_OPENED, &local->listener->name);
}

void
proxy_stats_opened(struct listener_local *local)
{
	if (unlikely(local->n_open == NULL))
		find_series(local);
	stats_add(local->n_open, 1);
	stats_add(local->n_opened, 1);
}

void
proxy_stats_closed(struct listener_local *local)
{
	stats_add(local->n_open, -1);
}

void
proxy_stats_renamed(struct listener_local *local, uint32_t n_open)
{
	if (local->n_open == NULL)
		return;
	stats_add(local->n_open, -(int64_t)n_open);
	find_series(local);
	stats_add(local->n_open, n_open);
}

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
	/* combinations for which there is room; powers of two */
	MEMOS_MIN = 512,
	MEMOS_MAX = 8192,
	PROBES = 8	/* places that a combination may take, side by side */
};

/*
 * What a combination of objects and outcome was counted under the last time. Objects are compared
 * by address: one may be freed and another of a different name made at its place, but only for a
 * generation that comes after, and with each generation all is forgotten.
 */
struct memo_key {
	const struct listener	*listener;
	const struct route	*route;
	const struct upstream	*upstream;
	uint16_t		 status;
	uint16_t		 reason;
};

/* A cache line. */
struct memo {
	struct memo_key		 key;
	struct stats_series	*requests;	/* NULL: an empty place */
	struct hist		*duration;
	struct stats_series	*bytes_in, *bytes_out;
} CC_CACHELINE(64);

struct proxy_stats {
	unsigned		 magic;
#define PROXY_STATS_MAGIC	0x2f91b8d3
	unsigned		 n_memos;	/* a power of two */
	unsigned		 n_filled;
	uint64_t		 generation;	/* of what is remembered */
	struct worker		*worker;
	struct stats_series	*turns;
	struct turn_hook	 hook;
	struct memo		*memos;
};

static void
on_turn_end(void *arg)
{
	struct proxy_stats *ps;

	CAST_OBJ(ps, arg, PROXY_STATS_MAGIC);
	stats_observe(ps->turns, loop_last_turn_us(ps->worker->loop));
}

/* Empty ones, or NULL. */
static struct memo *
make_memos(unsigned n)
{
	struct memo *v = mem_try_aligned(sizeof *v, n * sizeof *v);

	if (v != NULL)
		memset(v, 0, n * sizeof *v);
	return (v);
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
	ps->memos = make_memos(MEMOS_MIN);
	if (ps->memos == NULL) {
		xfree(ps);
		return (err_memory());
	}
	ps->magic = PROXY_STATS_MAGIC;
	ps->n_memos = MEMOS_MIN;
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
	xfree(ps->memos);
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

	m->requests = stats_series(sh, STATS_REQUESTS, labels);
	m->duration = stats_series(sh, STATS_REQUEST_DURATION, labels)->hist;
	m->bytes_in = stats_series(sh, STATS_REQUEST_BYTES, labels);
	m->bytes_out = stats_series(sh, STATS_RESPONSE_BYTES, labels);
}

static inline bool
is_same(const struct memo_key *a, const struct memo_key *b)
{
	return (a->route == b->route && a->status == b->status && a->reason == b->reason &&
	    a->upstream == b->upstream && a->listener == b->listener);
}

static inline uint64_t
hash(const struct memo_key *k)
{
	uint64_t h = (uintptr_t)k->listener;

	h = (h ^ (uintptr_t)k->route) * 0x9e3779b97f4a7c15u;
	h = (h ^ (h >> 29) ^ (uintptr_t)k->upstream) * 0xbf58476d1ce4e5b9u;
	h = (h ^ (h >> 32) ^ ((uint64_t)k->status << 16 | k->reason)) * 0x94d049bb133111ebu;
	return (h >> 40);
}

/* The place for what is not remembered yet: a free one, or somebody's. */
static struct memo *
take_place(struct proxy_stats *ps, uint64_t at)
{
	for (unsigned i = 0; i < PROBES; i++) {
		struct memo *m = &ps->memos[(at + i) & (ps->n_memos - 1)];

		if (m->requests == NULL) {
			ps->n_filled++;
			return (m);
		}
	}
	return (&ps->memos[at & (ps->n_memos - 1)]);
}

/*
 * A table that is a quarter full gives way to a larger one, so that who has few routes pays for
 * few. Without memory it stays.
 */
static void
grow(struct proxy_stats *ps)
{
	struct memo *old = ps->memos, *v;
	unsigned n = ps->n_memos;

	if (ps->n_filled < n / 4 || n == MEMOS_MAX || (v = make_memos(2 * n)) == NULL)
		return;
	ps->memos = v;
	ps->n_memos = 2 * n;
	ps->n_filled = 0;
	for (unsigned i = 0; i < n; i++) {
		if (old[i].requests != NULL)
			*take_place(ps, hash(&old[i].key)) = old[i];
	}
	xfree(old);
}

static CC_COLD struct memo *
learn(struct proxy_stats *ps, const struct facts *f, const struct memo_key *key)
{
	struct memo *m;

	grow(ps);
	m = take_place(ps, hash(key));
	m->key = *key;
	fill(m, ps->worker->stats, f);
	return (m);
}

static inline struct memo *
recall(struct proxy_stats *ps, const struct facts *f)
{
	const struct memo_key key = { f->listener, f->route, f->upstream, f->status,
		(uint16_t)f->reason };
	uint64_t at = hash(&key);

	for (unsigned i = 0; i < PROBES; i++) {
		struct memo *m = &ps->memos[(at + i) & (ps->n_memos - 1)];

		if (m->requests == NULL)
			break;
		if (likely(is_same(&m->key, &key)))
			return (m);
	}
	return (learn(ps, f, &key));
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
		memset(ps->memos, 0, ps->n_memos * sizeof *ps->memos);
		ps->n_filled = 0;
		ps->generation = generation;
	}
	m = recall(ps, f);
	stats_add(m->requests, 1);
	hist_add(m->duration, f->duration_us);
	/* A body that was none leaves a line of memory alone. */
	if (f->bytes_in > 0)
		stats_add(m->bytes_in, (int64_t)f->bytes_in);
	if (f->bytes_out > 0)
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

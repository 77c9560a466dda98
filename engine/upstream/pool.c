/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/mem/alloc.h"
#include "engine/stats/stats.h"
#include "engine/upstream/balancer.h"
#include "engine/upstream/pool.h"
#include "engine/upstream/up_impl.h"
#include "engine/upstream/upstream.h"

enum {
	/* What is learned from a server that closed an idle connection after n ms: keep ours for
	   less,
	   by this much, since its FIN may be on its way when we write. */
	POOL_LEARN_MARGIN_MS = 1000,
	POOL_LEARN_LEAST_MS = 500
};

/* ---- the worker's slabs ---- */

struct err *
upstream_worker_enter(struct worker *w)
{
	struct up_worker *uw = mem_try_calloc(1, sizeof *uw);

	if (uw == NULL)
		return (err_memory());
	uw->magic = UP_WORKER_MAGIC;
	slab_init(&uw->conns, "up_conn", sizeof(struct up_conn), SLAB_PER_CHUNK);
	slab_init(&uw->streams, "up_stream", sizeof(struct up_stream), SLAB_PER_CHUNK);
	w->slot[WORKER_SLOT_UPSTREAM] = uw;
	return (NULL);
}

void
upstream_worker_leave(struct worker *w)
{
	struct up_worker *uw = up_of(w);

	if (uw == NULL)
		return;
	slab_fini(&uw->conns);
	slab_fini(&uw->streams);
	w->slot[WORKER_SLOT_UPSTREAM] = NULL;
	xfree(uw);
}

/* ---- peers ---- */

static void
peer_free(struct up_peer *peer)
{
	endset_unref(&peer->set);
	peer->magic = 0;
	xfree(peer);
}

void
pool_forget(struct up_peer *peer)
{
	CHECK_OBJ(peer, UP_PEER_MAGIC);
	must(peer->n_conns > 0);
	peer->n_conns--;
	if (peer->gone && peer->n_conns == 0 && peer->active == 0)
		peer_free(peer);
}

/* No endset names it: its idle connections go, the busy ones when they are done. */
static void
peer_retire(struct up_peer *peer)
{
	struct up_conn *uc, *tmp;

	peer->gone = true;
	LIST_FOREACH_SAFE(uc, tmp, &peer->idle, struct up_conn, link)
		up_conn_close(uc, CLOSE_CLEAN);
	if (peer->n_conns == 0 && peer->active == 0)
		peer_free(peer);
}

static struct up_peer *
peer_new(struct up_local *local, struct endset *set, unsigned i)
{
	struct up_peer *peer = mem_try_calloc(1, sizeof *peer);

	if (peer == NULL)
		return (NULL);
	peer->magic = UP_PEER_MAGIC;
	peer->set = endset_ref(set);
	peer->server = &set->v[i];
	peer->local = local;
	list_init(&peer->idle);
	up_stats_begin(peer);
	return (peer);
}

static struct up_peer *
find_peer(const struct up_local *local, const struct server *s)
{
	for (unsigned i = 0; i < local->n_peers; i++) {
		struct up_peer *peer = local->peers[i];

		if (peer->server != NULL && addr_eq(&peer->server->addr, &s->addr))
			return (peer);
	}
	return (NULL);
}

static void
drop_balance(struct up_local *local)
{
	const struct balancer_ops *ops = local->upstream->balancer;

	if (ops->drop != NULL && local->balance != NULL)
		ops->drop(local);
	local->balance = NULL;
}

/* Peers of addresses that stay keep their connections and load. */
bool
pool_swap(struct up_local *local, struct endset *set)
{
	struct up_peer **peers = mem_try_calloc(set->n + 1, sizeof(struct up_peer *)), **old;
	unsigned n_old = local->n_peers;
	const struct balancer_ops *ops = local->upstream->balancer;

	if (peers == NULL)
		return (false);
	for (unsigned i = 0; i < set->n; i++) {
		peers[i] = find_peer(local, &set->v[i]);
		if (peers[i] == NULL && (peers[i] = peer_new(local, set, i)) == NULL) {
			xfree(peers);
			return (false);
		}
	}
	drop_balance(local);
	old = local->peers;
	for (unsigned i = 0; i < n_old; i++)
		old[i]->kept = false;
	local->weight_sum = 0;
	for (unsigned i = 0; i < set->n; i++) {
		struct endset *was = peers[i]->set;

		peers[i]->kept = true;
		peers[i]->set = endset_ref(set);
		peers[i]->server = &set->v[i];
		peers[i]->rr_current = 0;
		local->weight_sum += set->v[i].weight;
		endset_unref(&was);
	}
	local->peers = peers;
	local->n_peers = set->n;
	for (unsigned i = 0; i < n_old; i++) {
		if (!old[i]->kept)
			peer_retire(old[i]);
	}
	xfree(old);
	if (local->set != NULL)
		endset_unref(&local->set);
	local->set = set;
	return (ops->build == NULL || ops->build(local));
}

struct up_local *
pool_local(struct worker *w, struct upstream *u)
{
	struct up_local *local = u->per_worker[w->index];

	if (likely(local != NULL))
		return (local);
	local = mem_try_calloc(1, sizeof *local);
	if (local == NULL)
		return (NULL);
	local->magic = UP_LOCAL_MAGIC;
	local->worker = w;
	local->upstream = u;
	local->first_byte = stats_series(w->stats, STATS_UPSTREAM_DURATION, &u->part.name);
	if (!pool_swap(local, endset_ref(u->first_set))) {
		xfree(local);
		return (NULL);
	}
	u->per_worker[w->index] = local;
	return (local);
}

void
pool_free(struct up_local **lp)
{
	struct up_local *local;

	if (*lp == NULL)
		return;
	TAKE_OBJ(local, lp, UP_LOCAL_MAGIC);
	drop_balance(local);
	for (unsigned i = 0; i < local->n_peers; i++)
		peer_retire(local->peers[i]);
	xfree(local->peers);
	endset_unref(&local->set);
	local->magic = 0;
	xfree(local);
}

/* ---- idle connections ---- */

void
pool_unlist(struct up_conn *uc)
{
	list_del(&uc->link);
	uc->peer->n_idle--;
	stats_add(uc->peer->stats.idle, -1);
}

struct up_conn *
pool_take(struct up_peer *peer)
{
	struct up_conn *uc;

	if (list_is_empty(&peer->idle))
		return (NULL);
	uc = list_first_entry(&peer->idle, struct up_conn, link);
	CHECK_OBJ(uc, UP_CONN_MAGIC);
	pool_unlist(uc);
	stats_add(peer->stats.active, 1);
	uc->state = UP_CONN_BUSY;
	return (uc);
}

void
pool_give(struct up_conn *uc)
{
	struct up_peer *peer = uc->peer;
	uint64_t now = loop_now_ms(uc->worker->loop);

	if (peer->gone || peer->n_idle >= peer->local->upstream->pool.idle ||
	    now >= uc->age_end_ms || uc->idle_limit_ms == 0) {
		up_conn_close(uc, CLOSE_CLEAN);
		return;
	}
	uc->state = UP_CONN_IDLE;
	uc->idle_since_ms = now;
	list_add_head(&peer->idle, &uc->link);
	peer->n_idle++;
	stats_add(peer->stats.idle, 1);
	stats_add(peer->stats.active, -1);
	timer_set(uc->worker->loop, &uc->timer, now + uc->idle_limit_ms);
}

void
pool_ended_idle(struct up_conn *uc)
{
	uint64_t after = loop_now_ms(uc->worker->loop) - uc->idle_since_ms;
	uint32_t limit;

	if (after >= uc->idle_limit_ms)
		return;
	limit = after > 2 * POOL_LEARN_MARGIN_MS ? (uint32_t)after - POOL_LEARN_MARGIN_MS :
	    (uint32_t)after / 2;
	if (limit < POOL_LEARN_LEAST_MS)
		limit = POOL_LEARN_LEAST_MS;
	if (uc->peer->learned_ms == 0 || limit < uc->peer->learned_ms)
		uc->peer->learned_ms = limit;
}

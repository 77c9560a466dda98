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
	/* What is learned from closes is never less. */
	POOL_LEARN_LEAST_MS = 500,
	/* Two closes at the same age teach, one does not: a server that restarts closes at any age.
	   Closes within POOL_LEARN_APART_MS of each other count as one, since a restart closes all
	   connections at once. Equal is: within an eighth and this much. */
	POOL_LEARN_APART_MS = 1000,
	POOL_LEARN_SLACK_MS = 250,
	/* Then it is tried again with the configured limit: the server may have been changed. */
	POOL_LEARN_HOLDS_MS = 10 * 60 * 1000
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
	list_init(&uw->locals);
	w->slot[WORKER_SLOT_UPSTREAM] = uw;
	return (NULL);
}

static void
free_locals(struct up_worker *uw)
{
	while (!list_is_empty(&uw->locals)) {
		struct up_local *local = list_first_entry(&uw->locals, struct up_local, link);

		pool_free(&local->upstream->per_worker[local->worker->index]);
	}
}

void
upstream_forget(struct worker *w)
{
	free_locals(up_of(w));
}

void
upstream_worker_leave(struct worker *w)
{
	/* Connections that were closed are given back by deferred calls. */
	enum { TURNS = 8 };
	struct up_worker *uw = up_of(w);

	if (uw == NULL)
		return;
	free_locals(uw);
	for (unsigned i = 0; i < TURNS && uw->conns.in_use > 0; i++) {
		loop_turn(w->loop, false);
		free_locals(uw);	/* mail may have brought one */
	}
	slab_fini(&uw->conns);
	slab_fini(&uw->streams);
	w->slot[WORKER_SLOT_UPSTREAM] = NULL;
	uw->magic = 0;
	xfree(uw);
}

/* ---- peers ---- */

void
pool_peer_release(struct up_peer *peer)
{
	CHECK_OBJ(peer, UP_PEER_MAGIC);
	if (!peer->gone || peer->n_conns > 0 || peer->active > 0 || peer->holds > 0)
		return;
	peer->magic = peer->server.magic = 0;
	xfree(peer);
}

void
pool_forget(struct up_peer *peer)
{
	CHECK_OBJ(peer, UP_PEER_MAGIC);
	must(peer->n_conns > 0);
	peer->n_conns--;
	pool_peer_release(peer);
}

/* No endset names it: its idle connections go now, the busy ones when they are done. */
static void
peer_retire(struct up_peer *peer)
{
	struct up_conn *uc, *tmp;

	LIST_FOREACH_SAFE(uc, tmp, &peer->idle, struct up_conn, link)
		up_conn_close(uc, CLOSE_CLEAN);
	peer->gone = true;
	peer->local = NULL;
	pool_peer_release(peer);
}

static struct slice
put_text(char **at, struct slice s)
{
	char *p = *at;

	*at = mempcpy(p, s.p, s.len);
	return (slice_of(p, s.len));
}

static struct up_peer *
peer_new(struct up_local *local, const struct server *s)
{
	struct up_peer *peer = mem_try_calloc(1, sizeof *peer + s->name.len + s->address.len);
	char *at;

	if (peer == NULL)
		return (NULL);
	at = (char *)(peer + 1);
	peer->magic = UP_PEER_MAGIC;
	peer->local = local;
	peer->server = *s;
	peer->server.name = put_text(&at, s->name);
	peer->server.address = put_text(&at, s->address);
	list_init(&peer->idle);
	up_stats_begin(peer);
	return (peer);
}

static struct up_peer *
peer_of(const struct server *s)
{
	struct up_peer *peer = container_of((struct server *)(uintptr_t)s, struct up_peer, server);

	CHECK_OBJ(peer, UP_PEER_MAGIC);
	return (peer);
}

const struct server *
up_server_hold(const struct server *s)
{
	peer_of(s)->holds++;
	return (s);
}

void
up_server_drop(const struct server **sp)
{
	struct up_peer *peer = peer_of(*sp);

	*sp = NULL;
	must(peer->holds > 0);
	peer->holds--;
	pool_peer_release(peer);
}

/* ---- another list of servers ---- */

/* The peers that are there, by address: open addressing, at most half full. */
struct peer_table {
	struct up_peer	**slot;
	size_t		 mask;
};

static const uint8_t table_key[16];	/* no stranger chooses the addresses */

static size_t
table_find(const struct peer_table *t, const struct server *s)
{
	size_t i = (size_t)addr_hash(&s->addr, table_key) & t->mask;

	/* Metrics go by name: an address that came under another name is another server. */
	while (t->slot[i] != NULL && (!addr_eq(&t->slot[i]->server.addr, &s->addr) ||
	    !slice_eq(t->slot[i]->server.name, s->name)))
		i = (i + 1) & t->mask;
	return (i);
}

static bool
table_fill(struct peer_table *t, const struct up_local *local)
{
	size_t cap = 4;

	while (cap < 2 * (size_t)local->n_peers)
		cap *= 2;
	t->mask = cap - 1;
	t->slot = mem_try_calloc(cap, sizeof(struct up_peer *));
	for (unsigned i = 0; t->slot != NULL && i < local->n_peers; i++) {
		local->peers[i]->kept = false;
		t->slot[table_find(t, &local->peers[i]->server)] = local->peers[i];
	}
	return (t->slot != NULL);
}

/* Peers of the first n servers that were made for this list are of no use. */
static void
undo(struct up_peer **peers, unsigned n)
{
	for (unsigned i = 0; peers != NULL && i < n; i++) {
		if (!peers[i]->kept)
			peer_retire(peers[i]);
	}
	xfree(peers);
}

/* The peers of this list, those that are there and new ones; NULL: no memory, nothing changed. */
static struct up_peer **
match(struct up_local *local, const struct endset *set)
{
	struct up_peer **peers = mem_try_calloc(set->n + 1, sizeof(struct up_peer *));
	struct peer_table t = { 0 };
	bool filled = peers != NULL && table_fill(&t, local);
	unsigned i = 0;

	for (; filled && i < set->n; i++) {
		peers[i] = t.slot[table_find(&t, &set->v[i])];
		if (peers[i] != NULL)
			peers[i]->kept = true;
		else if ((peers[i] = peer_new(local, &set->v[i])) == NULL)
			break;
	}
	xfree(t.slot);
	if (filled && i == set->n)
		return (peers);
	undo(peers, i);
	return (NULL);
}

/* Peers of addresses that stay keep their connections and load. */
bool
pool_swap(struct up_local *local, const struct endset *set)
{
	const struct balancer_ops *ops = local->upstream->balancer;
	struct up_peer **peers = match(local, set), **old = local->peers;
	unsigned n_old = local->n_peers;
	void *balance = NULL;

	if (peers == NULL)
		return (false);
	/* The new weights first, since the balancer is built from them. */
	for (unsigned i = 0; i < set->n; i++)
		peers[i]->server.weight = set->v[i].weight;
	if (ops->build != NULL && !ops->build(local, peers, set->n, &balance)) {
		undo(peers, set->n);
		return (false);
	}
	xfree(local->balance);
	local->balance = balance;
	local->peers = peers;
	local->n_peers = set->n;
	for (unsigned i = 0; i < n_old; i++) {
		if (!old[i]->kept)
			peer_retire(old[i]);
	}
	xfree(old);
	return (true);
}

/* ---- the worker's end ---- */

static CC_COLD struct up_local *
make_local(struct worker *w, struct upstream *u)
{
	struct up_local *local = mem_try_calloc(1, sizeof *local);

	if (local == NULL)
		return (NULL);
	local->magic = UP_LOCAL_MAGIC;
	local->worker = w;
	local->upstream = u;
	if (w->stats != NULL)
		local->first_byte = stats_series(w->stats, STATS_UPSTREAM_DURATION,
		    &u->part.name);
	if (!pool_swap(local, u->first_set)) {
		xfree(local);
		return (NULL);
	}
	list_add_tail(&up_of(w)->locals, &local->link);
	u->per_worker[w->index] = local;
	return (local);
}

struct up_local *
pool_local(struct worker *w, struct upstream *u)
{
	struct up_local *local = u->per_worker[w->index];

	return (likely(local != NULL) ? local : make_local(w, u));
}

void
pool_free(struct up_local **lp)
{
	struct up_local *local;

	if (*lp == NULL)
		return;
	TAKE_OBJ(local, lp, UP_LOCAL_MAGIC);
	for (unsigned i = 0; i < local->n_peers; i++)
		peer_retire(local->peers[i]);
	list_del(&local->link);
	xfree(local->balance);
	xfree(local->peers);
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

/* What the peer has learned since the connection was made holds for it too. */
static uint32_t
idle_limit(const struct up_conn *uc)
{
	uint32_t learned = uc->peer->learned_ms;

	return (learned != 0 && learned < uc->idle_limit_ms ? learned : uc->idle_limit_ms);
}

void
pool_give(struct up_conn *uc)
{
	struct up_peer *peer = uc->peer;
	uint64_t now = loop_now_ms(uc->worker->loop);
	uint32_t limit = idle_limit(uc);

	if (peer->gone || peer->n_idle >= peer->local->upstream->pool.idle ||
	    now >= uc->age_end_ms || limit == 0) {
		up_conn_close(uc, CLOSE_CLEAN);
		return;
	}
	uc->state = UP_CONN_IDLE;
	uc->idle_since_ms = now;
	uc->idle_end_ms = now + limit < uc->age_end_ms ? now + limit : uc->age_end_ms;
	list_add_head(&peer->idle, &uc->link);
	peer->n_idle++;
	stats_add(peer->stats.idle, 1);
	stats_add(peer->stats.active, -1);
	timer_set(uc->worker->loop, &uc->timer, uc->idle_end_ms);
}

static bool
is_same_age(uint32_t a, uint32_t b)
{
	uint32_t slack = POOL_LEARN_SLACK_MS + (a > b ? a : b) / 8;

	return ((a > b ? a - b : b - a) <= slack);
}

void
pool_ended_idle(struct up_conn *uc)
{
	struct up_peer *peer = uc->peer;
	uint64_t now = loop_now_ms(uc->worker->loop);
	uint32_t after = (uint32_t)(now - uc->idle_since_ms), least, limit;

	if (peer->seen_at_ms != 0 && now - peer->seen_at_ms < POOL_LEARN_APART_MS)
		return;
	if (peer->seen_at_ms != 0 && is_same_age(after, peer->seen_after_ms)) {
		least = after < peer->seen_after_ms ? after : peer->seen_after_ms;
		limit = up_keep_ms(least);
		peer->learned_ms = limit > POOL_LEARN_LEAST_MS ? limit : POOL_LEARN_LEAST_MS;
		peer->learned_until_ms = now + POOL_LEARN_HOLDS_MS;
	}
	peer->seen_after_ms = after;
	peer->seen_at_ms = now;
}

uint32_t
pool_learned_ms(struct up_peer *peer, uint64_t now_ms)
{
	if (peer->learned_ms != 0 && now_ms >= peer->learned_until_ms) {
		peer->learned_ms = 0;
		peer->seen_at_ms = 0;
	}
	return (peer->learned_ms);
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_UPSTREAM_POOL_H
#define WEIR_UPSTREAM_POOL_H

/*
 * What one worker keeps of an upstream: for each server a peer with its idle connections (last in,
 * first out, so that the warmest serves) and its load. All of it belongs to the worker; nothing is
 * locked. A peer that no list of servers names any more loses its idle connections at once, and
 * goes when the last busy one, and the last request that remembers its server, are done. Peers may
 * outlive the up_local, and then even the part.
 */
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/list.h"
#include "engine/upstream/endset.h"

struct balancer_ops;
struct stats_series;
struct up_conn;
struct upstream;
struct worker;

/* A server's series in the worker's shard (engine/stats), which outlives all that is here. */
struct up_stats {
	struct stats_series	*idle, *active;		/* connections */
	struct stats_series	*connects_ok, *connects_failed, *connects_timeout;
	struct stats_series	*first_byte;		/* of the whole upstream */
	/* of the status that came last, so that the usual case needs no search; UINT_MAX: none */
	struct stats_series	*answers;
	unsigned		 answers_status;
};

struct up_peer {
	unsigned		 magic;
#define UP_PEER_MAGIC	0x61c4f20b
	uint32_t		 active;	/* requests in progress: what balancers compare */
	struct list		 idle;		/* struct up_conn.link, warmest first */
	uint32_t		 n_idle;
	uint32_t		 n_conns;	/* all: idle, busy, connecting, being freed */
	uint32_t		 holds;		/* up_server_hold */
	bool			 gone;		/* no endset names it any more; local is NULL */
	bool			 kept;		/* while lists are swapped */
	struct up_local		*local;
	struct up_stats		 stats;
	/*
	 * The server's own idle limit as observed: 0 while unknown, or for how long we keep
	 * connections, until learned_until_ms. seen_*: the last close that was taken note of.
	 */
	uint32_t		 learned_ms;
	uint32_t		 seen_after_ms;
	uint64_t		 seen_at_ms;
	uint64_t		 learned_until_ms;
	struct server		 server;	/* a copy; its texts lie behind the peer */
};

struct up_local {
	unsigned		 magic;
#define UP_LOCAL_MAGIC	0x4f3390de
	unsigned		 n_peers;
	struct up_peer		**peers;	/* as the endset */
	void			*balance;	/* the balancer's own */
	struct worker		*worker;
	struct upstream		*upstream;
	struct stats_series	*first_byte;	/* metric */
	struct list		 link;		/* in up_worker.locals */
};

/* The worker's end of this upstream, made on first use. NULL: no memory. */
struct up_local	*pool_local(struct worker *, struct upstream *);
/* Worker thread: another list of servers; no address stands in it twice. False: no memory, the old
   one stays. */
bool		 pool_swap(struct up_local *, const struct endset *);
/*
 * Closes what is idle and frees it; NULL is fine. What is busy goes when it is done. Worker thread,
 * with the part or at the worker's end.
 */
void		 pool_free(struct up_local **);

/* The warmest idle connection, taken out, or NULL. Its timer and age were looked after. */
struct up_conn	*pool_take(struct up_peer *);
/* Back to the idle ones; closes it instead where limits say so. */
void		 pool_give(struct up_conn *);
/* A connection of this peer is gone. */
void		 pool_forget(struct up_peer *);
/* Frees a peer that is gone once nothing hangs on it: to be called when something was let go. */
void		 pool_peer_release(struct up_peer *);

#endif

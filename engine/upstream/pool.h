/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_UPSTREAM_POOL_H
#define WEIR_UPSTREAM_POOL_H

/*
 * What one worker keeps of an upstream: for each server a peer with its idle connections (last in,
 * first out, so that the warmest serves), its load and its counters. All of it belongs to the
 * worker; nothing is locked. Peers, and their connections, outlive an endset that no longer
 * names them until nothing hangs on them.
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

/* A server's series in the worker's shard (engine/stats). */
struct up_stats {
	struct stats_series	*idle, *active;		/* connections */
	struct stats_series	*connects_ok, *connects_failed, *connects_timeout;
	/* of the status that came last, so that the usual case needs no search; UINT_MAX: none */
	struct stats_series	*answers;
	unsigned		 answers_status;
};

struct up_peer {
	unsigned		 magic;
#define UP_PEER_MAGIC	0x61c4f20b
	uint32_t		 active;	/* requests in progress: what balancers compare */
	const struct server	*server;	/* in `set` */
	struct endset		*set;		/* the reference that keeps `server` */
	struct up_local		*local;
	struct list		 idle;		/* struct up_conn.link, warmest first */
	uint32_t		 n_idle;
	uint32_t		 n_conns;	/* all: idle, busy, connecting */
	/* the server's own idle limit as seen or said; 0: not known */
	uint32_t		 learned_ms;
	bool			 gone;		/* no endset names it any more */
	bool			 kept;		/* while lists are swapped */
	int64_t			 rr_current;	/* smooth round robin's own */
	struct up_stats		 stats;
};

struct up_local {
	unsigned		 magic;
#define UP_LOCAL_MAGIC	0x4f3390de
	struct worker		*worker;
	struct upstream		*upstream;
	struct endset		*set;
	struct up_peer		**peers;	/* as set->v */
	unsigned		 n_peers;
	uint64_t		 weight_sum;
	struct stats_series	*first_byte;	/* metric */
	void			*balance;	/* the balancer's own */
};

/* The worker's end of this upstream, made on first use. NULL: no memory. */
struct up_local	*pool_local(struct worker *, struct upstream *);
/* Worker thread: another list of servers. Takes over the reference. False: no memory, the old
   stays. */
bool		 pool_swap(struct up_local *, struct endset *);
/* Closes what is idle and frees it; nothing may be in use. Worker thread, at its end or with the
   part. */
void		 pool_free(struct up_local **);

/* The warmest idle connection, taken out, or NULL. Its timer and age were looked after. */
struct up_conn	*pool_take(struct up_peer *);
/* Back to the idle ones; closes it instead where limits say so. */
void		 pool_give(struct up_conn *);
/* A connection of this peer is gone. */
void		 pool_forget(struct up_peer *);

#endif

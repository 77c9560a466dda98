/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_GATE_H
#define WEIR_PROXY_GATE_H

/*
 * What a generation means to the proxy: its listeners, routes and upstreams, compiled. Immutable
 * once published; snapshot.root points to a struct gate in the snapshot's own arena. And what a
 * worker keeps of the proxy: slabs, and its listening sockets.
 */
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/addr.h"
#include "engine/base/list.h"
#include "engine/http/codec.h"
#include "engine/http/date.h"
#include "engine/mem/slab.h"
#include "engine/net/listener.h"
#include "engine/worker/snapshot.h"
#include "engine/worker/worker.h"

struct access_log;
struct access_log_plan;
struct build_catalog;
struct filter_ops;
struct gate_room;
struct proxy_stats;
struct regex_work;
struct route_file;
struct router;
struct sources;
struct stats_series;
struct upstream;

enum {
	LISTENER_ADDRS_MAX = 8,		/* sockets of one listener */
	GATE_LISTENERS_MAX = 63,	/* so that a rule's listeners fit in one word */
	GATE_LISTENER_GONE = 63		/* index of one that the file has no more */
};

/* Limits and times of client connections; ms, 0: none. From the file's listener block. */
struct listener_limits {
	struct codec_limits	 codec;
	uint32_t		 headers_ms;	/* a request's head complete within, then 408 */
	uint32_t		 body_idle_ms;
	uint32_t		 write_idle_ms;
	uint32_t		 keepalive_ms;
	uint32_t		 min_rate;	/* bytes a second, both ways; 0: none */
	uint32_t		 min_rate_grace_ms;
	uint32_t		 requests;	/* per connection; 0: unlimited */
	uint32_t		 age_ms;	/* of a connection, +-10 %; 0: unlimited */
};

/* A listener as configured: a part, PART_LISTENER. */
struct listener {
	struct part		 part;
	struct slice		 name;
	unsigned		 index;		/* in its gate: the bit in router_rule.listeners */
	struct addr		 addrs[LISTENER_ADDRS_MAX];
	unsigned		 n_addrs;
	bool			 is_dual;	/* IPv6's any address, which takes IPv4 too */
	struct listener_limits	 limits;
	const struct cidr_set	*trusted;	/* trusted_proxies; NULL: none */
};

struct gate {
	unsigned		 magic;
#define GATE_MAGIC	0x39f0c4d8
	struct listener		**listeners;
	unsigned		 n_listeners;
	const struct router	*router;
	const struct access_log_plan *log;
	struct route_file	**files;	/* in the order in which they were read */
	unsigned		 n_files;
	const uint32_t		*first_of;	/* how many routes stand in the files before each */
	uint32_t		 n_routes;	/* that the files have written */
	struct upstream		**by_slot;	/* gate_upstream() */
	unsigned		 n_slots;
	struct upstream		**upstreams;	/* in the order of the files */
	struct upstream		**upstreams_sorted; /* the same by their place in memory */
	/* Once `next` is about to be published: those that it has not. */
	struct upstream		**dropped;
	unsigned		 n_dropped;
	uint64_t		 next;
	unsigned		 n_upstreams;
	uint64_t		 max_connections; /* of the process */
	/* main thread: what it was read from; and for who builds the next one, or NULL */
	struct sources		*sources;
	struct build_catalog	*catalog;
	const int		*fds;		/* new sockets: gate_fd() */
	struct gate_room	**rooms;	/* of each worker, until it has applied; private */
	unsigned		 n_workers;
};

/*
 * The upstream that a route names by slot. A name keeps its slot while generations follow one
 * another that share unchanged files, whatever becomes of the upstream behind it.
 */
static inline struct upstream *
gate_upstream(const struct gate *g, uint32_t slot)
{
	return (g->by_slot[slot]);
}

bool	proxy_has_upstream(const struct gate *, const struct upstream *);

/* The socket that worker w is to accept from; -1: it has one for this address already. */
static inline int
gate_fd(const struct gate *g, unsigned listener, unsigned addr, unsigned w)
{
	return (g->fds[(listener * LISTENER_ADDRS_MAX + addr) * g->n_workers + w]);
}

/* A worker's end of a listener. Outlives reloads, and the listener, while it has connections. */
struct listener_local {
	unsigned		 magic;
#define LISTENER_LOCAL_MAGIC	0x70d2b51a
	struct list		 link;		/* in proxy_local.listeners */
	struct worker		*worker;
	/* of the worker's current generation, or the last that had it */
	const struct listener	*listener;
	struct listener_limits	 limits;	/* a copy: connections point to it across reloads */
	unsigned		 index;		/* in the current gate, or GATE_LISTENER_GONE */
	uint32_t		 refs;		/* connections, and one while it accepts */
	struct stats_series	*n_open, *n_opened; /* proxy_stats.h; NULL until the first */
};

/* One of a worker's sockets: known by its address, whatever listener it belongs to. */
struct proxy_socket {
	unsigned		 magic;
#define PROXY_SOCKET_MAGIC	0x2c5ae19f
	bool			 is_kept;	/* while a generation is applied */
	bool			 is_dual;
	struct list		 link;		/* in proxy_local.sockets */
	struct addr		 addr;
	struct listener_local	*local;		/* its arg: moved by a reload, not opened anew */
	struct listener_socket	 sock;
};

/* worker->slot[WORKER_SLOT_PROXY] */
struct proxy_local {
	unsigned		 magic;
#define PROXY_LOCAL_MAGIC	0x5d81ee07
	struct slab		 conns;		/* struct down_conn */
	struct slab		 exchanges;
	struct slab		 mirror_slab;	/* mirror.c */
	struct list		 mirrors;	/* all there are */
	struct list		 listeners;
	struct list		 sockets;
	struct list		 open;		/* all client connections, for drains */
	void			**filter_state;	/* by index in the program's filter table */
	unsigned		 n_filters;
	struct date_cache	 date;		/* the Date field, formatted once a second */
	struct access_log	*log;		/* this worker's end of it; NULL: off */
	struct proxy_stats	*stats;		/* NULL: nothing is counted */
	struct regex_work	*regex;		/* for regex_search() on this worker */
};

struct proxy_program {		/* what a program gives the proxy */
	const struct filter_ops *const *filters; /* in the order in which they run */
	unsigned		 n_filters;
	/* the order of responses, where it is another (registry.h) */
	const struct filter_ops *const *responses;
	unsigned		 n_responses;
	/* the line that is added to a request, by the version that it came in (RFC 9110, 7.6.3) */
	struct slice		 via, via_1_0;
	struct slice		 server_name;	/* of Proxy-Status: "weir-gateway" */
};
extern const struct proxy_program *proxy_program;	/* set before workers start */

/* Worker thread: at its start and end. */
struct err	*proxy_worker_enter(struct worker *);
void		 proxy_worker_leave(struct worker *);
/* Main thread: snapshot_publish() of a generation whose root is a gate. What the workers need to
   take it over is got first. False: no memory, and no worker has it. */
bool		 proxy_publish(struct snapshot *, struct worker *const *workers, unsigned n,
		    struct worker *main);
/* Worker thread, after the swap (snapshot_applied_fn): listeners come and go, sockets of addresses
   that stay are kept. */
void		 proxy_apply(struct worker *, struct snapshot *now);
/* Worker thread (snapshot_retired_fn): upstreams that the current generation has not are let go. */
void		 proxy_retired(struct worker *, struct snapshot *gone);
/* A connection of this listener is gone. */
void	proxy_listener_unref(struct listener_local *);
/* Worker thread: stop accepting, end idle connections, say close on the others. */
void		 proxy_drain(struct worker *);

/* Of a worker that drains: nothing is left to wait for. */
bool		 proxy_is_drained(const struct worker *);

static inline struct proxy_local *
proxy_of(const struct worker *w)
{
	return (w->slot[WORKER_SLOT_PROXY]);
}

#endif

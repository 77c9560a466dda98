/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_MIRROR_H
#define WEIR_PROXY_MIRROR_H

/*
 * A copy of a request for another upstream, whose answer is read and thrown away. It leaves when
 * the client's request is whole, and from then on knows nothing of the exchange: neither can slow,
 * fail or change the other. Its head is copied, its body shared by reference with the pages it was
 * read into; what would take more than the bounds below is not copied but counted. Worker thread.
 */
#include <stdint.h>

struct exchange;
struct mirror;
struct proxy_local;
struct worker;

enum {
	MIRROR_BODY_MAX = 64 * 1024,	/* of a request: with a longer body none is copied */
	MIRROR_MAX = 256		/* in flight, of a worker */
};

struct route_mirror {		/* of a route: its policy's */
	uint32_t	 upstream;	/* slot in the gate: gate_upstream() */
	uint32_t	 share_ppm;
};

/* What became of one: the label of weir_mirror_total. */
enum mirror_result {
	MIRROR_OK,		/* an answer came, whole */
	MIRROR_FAILED,		/* no connection, or it broke, or what came was no answer */
	MIRROR_TIMEOUT,		/* by the route's times */
	MIRROR_TOO_LARGE,	/* the body; nothing was sent */
	MIRROR_CUT_SHORT,	/* the exchange ended before the request was whole; likewise */
	MIRROR_DROPPED		/* MIRROR_MAX are in flight, or no memory, or the worker ends */
};

/* Of a worker's proxy_local. */
void	mirror_init(struct proxy_local *);
/* Of an exchange about to be forwarded whose route has a mirror: copies it, or chance says no. What
   it keeps in ex->mirror waits for the rest of the body. */
void	mirror_begin(struct exchange *);
/* The exchange ends, and ex->mirror is set: that one is not to be. */
void	mirror_leave(struct exchange *);
/* The worker ends: all that are in flight. */
void	mirror_cut(struct worker *);

#endif

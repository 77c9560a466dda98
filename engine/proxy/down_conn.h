/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_DOWN_CONN_H
#define WEIR_PROXY_DOWN_CONN_H

/*
 * One client connection: a conn, its codec, and the exchange that runs on it (HTTP/1: at most
 * one). An idle one holds nothing but this struct, at most 1 KiB with what the loop keeps.
 *
 * Worker thread, all of it. Only the exchange that ends may free itself in a call of these; the
 * struct itself is given back by a deferred call after down_conn_close, so that whoever has it on
 * the stack may still look at conn.is_closed. Nothing else of it may be used then.
 */
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/list.h"
#include "engine/h1/h1.h"
#include "engine/loop/timer.h"
#include "engine/net/conn.h"

struct exchange;
struct listener_local;
struct worker;

struct down_conn {
	unsigned		 magic;
#define DOWN_CONN_MAGIC	0x27c8f36d
	bool			 closing:1;	/* no further request; close when all is written */
	/* our FIN is out; what comes is thrown away until the peer's */
	bool			 lingering:1;
	uint32_t		 n_requests;
	uint32_t		 linger_left;	/* bytes that may still be thrown away */
	struct worker		*worker;
	struct listener_local	*local;
	struct exchange		*ex;
	/* first byte of the request that is coming in; 0: none */
	uint64_t		 begin_us;
	uint64_t		 idle_ms;	/* since when no request runs */
	uint64_t		 age_end_ms;	/* UINT64_MAX: no limit */
	struct timer		 timer;
	/* gives the struct back, when nothing is on the stack */
	struct deferred		 gone;
	struct list		 link;		/* in proxy_local.open */
	struct addr		 peer;
	uint8_t			 peer_len;
	char			 peer_text[ADDR_IP_TEXT_MAX]; /* of the peer, for X-Forwarded-For */
	struct conn		 conn;
	struct h1		 h1;
};

/* What becomes of a connection whose exchange is over. */
enum down_next {
	DOWN_NEXT_REQUEST,	/* it may carry another */
	DOWN_NEXT_CLOSE,	/* the client said that this was its last */
	DOWN_NEXT_LINGER	/* it ends, and the client may still be sending */
};

/* Once a worker, before its first connection: how one is dumped when a check fails. */
void	down_conn_register(void);
/* listener_accept_fn; arg is the listener_local. */
void	down_conn_accept(void *local, int fd, const struct addr *peer);
/* The exchange is over and freed. */
void	down_conn_next(struct down_conn *, enum down_next);
/* Close now, with what was sent delivered, or with RST. */
void	down_conn_close(struct down_conn *, enum close_how);
/* Ends it if it is idle, else says close with the response that is under way. */
void	down_conn_drain(struct down_conn *);

#endif

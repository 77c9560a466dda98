/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_UPSTREAM_UP_CONN_H
#define WEIR_UPSTREAM_UP_CONN_H

/*
 * One connection to a server: transport and codec. Idle in its peer's pool, or carrying one
 * up_stream (HTTP/1). Private to engine/upstream.
 */
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/list.h"
#include "engine/h1/h1.h"
#include "engine/loop/timer.h"
#include "engine/net/conn.h"

struct up_peer;
struct up_stream;

enum up_conn_state {
	UP_CONN_CONNECTING,
	UP_CONN_BUSY,
	UP_CONN_IDLE,
	UP_CONN_DOUBT,		/* ended; a reset may prove the request unseen */
	UP_CONN_RELEASED,	/* its stream is done; what was read is still being fed */
	UP_CONN_CLOSED
};

struct up_conn {
	unsigned		 magic;
#define UP_CONN_MAGIC	0x1d0f6b92
	uint8_t			 state;		/* enum up_conn_state */
	/* of this connection: ours, or below the server's */
	uint32_t		 idle_limit_ms;
	struct worker		*worker;
	struct up_peer		*peer;
	struct up_stream	*us;		/* whom it serves; NULL when idle */
	uint64_t		 idle_since_ms;
	uint64_t		 idle_end_ms;	/* idle: when it is let go */
	uint64_t		 age_end_ms;
	struct timer		 timer;		/* connecting, in doubt: the limit; idle: above */
	struct deferred		 gone;
	struct deferred		 release;	/* decides on RELEASED, when nothing feeds */
	struct list		 link;		/* in the peer's idle list */
	struct conn		 conn;
	struct h1		 h1;
};

/* Starts one. NULL: no memory (errno is ENOMEM), or failed at once (errno tells). It tells its
   stream (up_stream_*) what comes. */
struct up_conn	*up_conn_connect(struct worker *, struct up_peer *, struct up_stream *,
		    uint32_t connect_ms);
void		 up_conn_close(struct up_conn *, enum close_how);
/* Its stream is done with it: to the pool when both messages are whole and nothing on it is in
   doubt, else closed. `whole`: the stream saw both ends. */
void		 up_conn_release(struct up_conn *, bool whole);
/* Seconds, as the server said in Keep-Alive: timeout. */
void		 up_conn_learn(struct up_conn *, uint32_t keep_alive_s);

#endif

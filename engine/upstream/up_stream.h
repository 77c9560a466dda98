/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_UPSTREAM_UP_STREAM_H
#define WEIR_UPSTREAM_UP_STREAM_H

/*
 * One request to a server, and all that the proxy knows about backends. up_open picks a server,
 * takes an idle connection or starts a new one; events tell what became of it. The connection
 * goes back to its pool, or is closed, by itself.
 *
 * Events never come from within a call of these functions by the same exchange; they come from
 * the loop. Worker's thread only.
 */
#include <stdbool.h>
#include <stdint.h>

#include "engine/http/codec.h"
#include "engine/http/msg.h"
#include "engine/http/pipe.h"
#include "engine/http/reason.h"

struct server;
struct up_stream;
struct upstream;
struct worker;

enum {
	/* Servers that a request is taken to in all, each after the connect to the one before
	   failed: enough to get round a bad one, and a dead upstream is found out soon. */
	UP_CONNECT_TRIES = 3,
	UP_TRIED_MAX = 4	/* servers that a request can remember to avoid */
};

/* What balancing may look at, and what an earlier try forbids. */
struct pick {
	const struct msg_req	*req;		/* for hash by header, cookie, path */
	const struct addr	*client;	/* for hash by client address */
	/* servers that failed this request (held): avoided while others are left */
	const struct server	*tried[UP_TRIED_MAX];
	uint8_t			 n_tried;
	bool			 fresh;		/* no reused connection: this is a replay */
};

struct up_fault {
	enum reason	 reason;
	const struct server *server;	/* NULL: none was picked */
	bool		 replay;	/* a reused connection died and the rule of up_replay.c
					   allows one replay on a fresh one */
	bool		 connect;	/* no connection came about: another server may be tried */
	unsigned	 n_servers;	/* that the upstream has */
};

struct up_events {
	/* A new connection is there: up_send may be called. Not raised where up_is_open() was true
	   when up_open returned (an idle connection): the usual case costs no event. */
	void	(*on_open)(void *ex, struct up_stream *, const struct server *);
	/* 1xx heads other than 101. */
	void	(*on_info)(void *ex, struct msg_resp *);
	/* Gives the message to fill for the response: made by the exchange, in its arena. */
	struct msg *(*on_begin)(void *ex);
	/* The head page is referenced by the exchange. Body bytes follow in the pipe of
	   up_receive. */
	void	(*on_head)(void *ex, struct msg_resp *, struct page *head, bool end);
	/* The response is complete (the pipe has its end). */
	void	(*on_end)(void *ex);
	/* The request has been written whole. */
	void	(*on_sent)(void *ex);
	/* It is over. No further event; the up_stream is gone. After on_head the response pipe is
	   broken too. */
	void	(*on_fail)(void *ex, const struct up_fault *);
};

/*
 * NULL: no memory. Otherwise it is open already, or on_open or on_fail will come, later.
 * connect_ms is the time limit of a new connection, 0: none. The pick is not kept.
 */
struct up_stream *up_open(struct worker *, struct upstream *, const struct pick *,
		    uint32_t connect_ms, const struct up_events *, void *ex);
/* After on_open, once. The body pipe may be NULL (none). False: no memory. */
bool		 up_send(struct up_stream *, const struct msg_req *, struct pipe *body);
/* Where the response's body goes; before on_head returns at the latest. */
void		 up_receive(struct up_stream *, struct pipe *body);
/* Done with it, in any state, nulls. A complete exchange gives the connection back; an incomplete
   one cuts it. Drops everything that could call back. */
void		 up_close(struct up_stream **);

bool		 up_is_open(const struct up_stream *);
/* Valid while the stream lives, as in events while they run; up_server_hold for longer. */
const struct server *up_server(const struct up_stream *);
/* A server that came from here stays until it is dropped, also when the name it belongs to has
   other addresses by then. Drop nulls. */
const struct server *up_server_hold(const struct server *);
void		 up_server_drop(const struct server **);
bool		 up_is_reused(const struct up_stream *);
/* Loop times at which the connection last read, and wrote, a byte. */
uint64_t	 up_read_ms(const struct up_stream *);
uint64_t	 up_wrote_ms(const struct up_stream *);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_NET_CONN_H
#define WEIR_NET_CONN_H

/*
 * A connection that speaks a codec: what client and upstream connections have in common.
 * transport --pages--> codec --events--> owner, and back: codec gathers, transport writes.
 *
 * Reads once a turn in the usual case: a read that came back short, with no IO_CLOSED seen, says
 * that the kernel has no more (edge-triggered). Holds a page only while bytes are waiting in it.
 * Writes are put off to the end of the turn (conn_want_flush) so that a head and the body bytes
 * that follow it in the same turn leave in one system call, and so that nothing re-enters.
 *
 * Owner's callbacks run on the worker's thread from the loop, never from within conn_*() calls
 * but conn_flush and the io callback itself. They may call conn_close; the struct must then stay
 * allocated until the owner's deferred clean-up (conn_close unlinks all that could call back).
 */
#include <stdbool.h>
#include <stdint.h>

#include "engine/http/codec.h"
#include "engine/loop/loop.h"
#include "engine/net/transport.h"

struct page_pool;
struct conn;

enum conn_end {
	CONN_END_EOF,		/* the peer ended its direction, between messages or not */
	CONN_END_RESET,		/* dead */
	CONN_END_CODEC,		/* the codec refused what came; its on_error has said why */
	CONN_END_NO_MEMORY	/* or a head that outgrew what the codec says is its room */
};

struct conn_events {
	/* The peer has ended its direction, but bytes that came before may still wait to be fed.
	   For a server: the client may have gone. May be NULL. */
	void	(*on_eof_seen)(struct conn *);
	/* It is over: in turn after an end (the codec has been told by feed_eof), at once after a
	   reset, an error of the codec, or when there is no memory. */
	void	(*on_end)(struct conn *, enum conn_end);
	/* All that the codec had to write has been taken by the kernel. May be NULL. */
	void	(*on_flushed)(struct conn *);
	/* The kernel takes no more for now. May be NULL. */
	void	(*on_stalled)(struct conn *);
};

struct conn {
	unsigned			 magic;
#define CONN_MAGIC	0x5c0aa6e3
	bool				 readable:1;	/* the edge was seen and not used up */
	bool				 closed_seen:1;	/* IO_CLOSED: read on to the end */
	bool				 writable:1;
	bool				 blocked:1;	/* the codec takes no more for now */
	bool				 in_eof:1;	/* read to the end */
	bool				 eof_told:1;
	uint8_t				 bulk;		/* reads left into big pages */
	bool				 is_closed:1;
	bool				 in_feed:1;
	struct codec			*codec;
	struct page			*in;		/* bytes not used yet; NULL: none */
	uint32_t			 in_start, in_end;
	struct page_pool		*pages;
	struct loop			*loop;
	const struct conn_events	*events;
	void				*owner;
	struct deferred			 flush;		/* write what the codec has */
	struct deferred			 again;		/* read or feed on */
	struct transport		 t;
	uint64_t			 bytes_in, bytes_out;	/* of the connection's life */
	uint64_t			 read_ms, wrote_ms;	/* when bytes last moved */
};

/* io callback for tcp_accept_fd and tcp_connect; arg is the conn. */
void	conn_on_io(void *conn, unsigned what);

/* All but the transport, which tcp_accept_fd() or tcp_connect() sets up, before or after. What is
   given stays its owner's and outlives the connection. */
void	conn_init(struct conn *, struct loop *, struct page_pool *, struct codec *,
	    const struct conn_events *, void *owner);
/* Something is to be written: done at the end of this turn. Idempotent. */
void	conn_want_flush(struct conn *);
/* Writes now what there is to write (a deferred call does it; tests may). */
void	conn_flush(struct conn *);
/* The owner can take bodies again, or the codec another message: feed what waits, then read. */
void	conn_resume(struct conn *);

/* Bytes that were read and wait to be fed. */
static inline uint32_t
conn_waiting(const struct conn *c)
{
	return (c->in_end - c->in_start);
}

/* Bytes are likely there though no event said so: reads at the end of this turn. Not once
   closed. */
void	conn_try_read(struct conn *);
/* Stops everything, closes the socket, lets the pages go. Idempotent; frees nothing else. */
void	conn_close(struct conn *, enum close_how);

#endif

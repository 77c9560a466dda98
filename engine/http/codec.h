/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_HTTP_CODEC_H
#define WEIR_HTTP_CODEC_H

/*
 * What HTTP/1 and HTTP/2 both are to the rest: bytes in, events out; messages in, bytes out.
 * A codec does no I/O, owns no socket, knows no clock. The owner is a connection (net/conn.h)
 * that feeds it what was read and writes what it gathers.
 *
 * Server role: the peer sends requests, we send responses. Client role: the other way round.
 * In HTTP/1 there is one stream, used again for each message; in HTTP/2 as many as are open.
 *
 * Order of events for a stream: on_begin, [on_info, on_begin]*, on_head, on_body*, on_end, or
 * on_error at any point, and then nothing more of that direction. on_end always follows on_head,
 * also where `end` was set. In the client role a stream begins with send, so on_error may come
 * without on_begin. An event may call any codec function but `feed`, `feed_eof`, `gather` and
 * `wrote`; `fini` from any but on_begin, which returns NULL instead. The call that raised the event
 * then raises no other and returns, so the codec and its connection must not be freed before that
 * (defer it).
 *
 * A tunnel (101) goes on with the same stream: on_body, and on_end when the peer ends its
 * direction; the pipe given with `send` carries the other way.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "engine/http/msg.h"
#include "engine/http/pipe.h"
#include "engine/http/reason.h"

struct codec;

enum codec_role {
	CODEC_SERVER,
	CODEC_CLIENT
};

enum codec_rc {
	CODEC_MORE,	/* all used, or what is left is a part of a head: keep it, read more */
	CODEC_BLOCKED,	/* will take no more until something here is finished or resumed:
			   HTTP/1 pipelining (the response is not out yet), a paused body */
	CODEC_ERROR,	/* the connection cannot go on; on_error has said why, with a stream open */
	CODEC_TUNNEL	/* from here on bytes are opaque and go by on_body */
};

struct codec_stream {
	struct codec	*codec;
	void		*owner;		/* the events' own word; NULL until they set it */
};

/* Implemented by whoever holds the connection. */
struct codec_events {
	/*
	 * A message begins: the head is complete in memory (HTTP/1) or has begun (HTTP/2). Returns
	 * the message to fill, initialised with its arena, or NULL when there is no memory: the
	 * codec then ends with CODEC_ERROR. For the client role it is the response's; it is
	 * called again after each 1xx.
	 */
	struct msg *(*on_begin)(struct codec_stream *);
	/* Client role: a 1xx head other than 101. The message is the one from on_begin. */
	void	(*on_info)(struct codec_stream *, struct msg_resp *);
	/* The head is complete and sound. `end`: no body follows. Slices lie in `head`, a page
	   that the owner must take a reference of. */
	void	(*on_head)(struct codec_stream *, struct msg *, struct page *head, bool end);
	/* Bytes of the body; the span carries one page reference, now the owner's. Returns false to
	   ask for a pause: feed then returns CODEC_BLOCKED until `resume`. */
	bool	(*on_body)(struct codec_stream *, struct span);
	/* The message is complete. Trailers are in msg.trailers. */
	void	(*on_end)(struct codec_stream *);
	/* Server: a request that must be refused, with the reason to answer. Client: the response
	   is unusable. No further event for this stream. */
	void	(*on_error)(struct codec_stream *, enum reason);
	/* Our own message has been gathered and written whole. */
	void	(*on_sent)(struct codec_stream *);
};

struct codec_ops {
	const char	*name;		/* as ALPN says it: "http/1.1", "h2" */
	/*
	 * `in` is a run of bytes inside `page`, beginning where the last call left off. *used_r
	 * says how many are done with; the rest must be fed again, at the same place in the same
	 * page or moved as a whole to another page (nothing refers to bytes that are not used yet).
	 */
	enum codec_rc	(*feed)(struct codec *, struct page *page, const char *p, size_t n,
			    size_t *used_r);
	/*
	 * The peer ended its direction; what was fed and not used is lost. Ends a body that runs
	 * until close, or a tunnel (CODEC_MORE). CODEC_ERROR in the middle of a message: on_error
	 * says CLIENT_CLOSED or UPSTREAM_CLOSED where a stream was open.
	 */
	enum codec_rc	(*feed_eof)(struct codec *);
	/* How many bytes a part of a head may grow to: the page size that a reader needs. */
	size_t		(*head_room)(const struct codec *);

	/*
	 * Up to `cap` (at least 4) pieces of what is to be written now; returns how many.
	 * Asking again without wrote() gives the same bytes, perhaps more. When our own message
	 * cannot be ended as promised it is cut: after the bytes that are sound on_error is raised
	 * from here (REASON_NONE: the pipe broke, the owner knows why; REASON_INTERNAL_ERROR: it
	 * ended before the length promised) and the connection must be closed, by a reset where the
	 * peer could take what it has for the whole. May raise on_sent too: a body without a length
	 * is over when its pipe has ended and nothing is left to write.
	 */
	unsigned	(*gather)(struct codec *, struct iovec *v, unsigned cap);
	/* The first n bytes of what was gathered have been written. May raise on_sent. False: until
	   something is sent gather would give nothing. */
	bool		(*wrote)(struct codec *, size_t n);

	/*
	 * The head of our message; the body, if the message has one, comes from the pipe (its sink
	 * wake-up is the owner's to set; kept until on_sent, on_error or fini; NULL: none). The
	 * head is formatted now: the message may change after. False: no memory.
	 * After on_error of a server's stream a response may still be sent; it closes.
	 */
	bool		(*send)(struct codec_stream *, const struct msg *, struct pipe *body);
	bool		(*send_info)(struct codec_stream *, const struct msg_resp *);
	/* After on_body returned false. The owner feeds again afterwards. */
	void		(*resume)(struct codec_stream *);
	/* No message is to follow those that are open; our next head says so where it can
	   (Connection: close, GOAWAY). Idempotent. */
	void		(*drain)(struct codec *);
	/* No message is open in either direction: the connection is between messages. */
	bool		(*is_idle)(const struct codec *);
	/* May this connection carry another message? (keep-alive on both sides, framing sound) */
	bool		(*can_reuse)(const struct codec *);
	/* Gives up what is open, in both directions, with no event; once. What it has of pages goes
	   back. */
	void		(*fini)(struct codec *);
};

struct codec {
	unsigned			 magic;
#define CODEC_MAGIC	0x0c0dec11
	uint8_t				 role;		/* enum codec_role */
	const struct codec_ops		*ops;
	const struct codec_events	*events;
	void				*owner;		/* the connection's holder */
};

/* What a codec accepts at most. 0 is a limit too: there is no way to say "unlimited". */
struct codec_limits {
	uint32_t	 head_bytes;	/* whole head, each field with + 32 (RFC 9113, 6.5.2) */
	uint32_t	 line_bytes;	/* first line and each field line, their CR LF included */
	uint16_t	 fields;
	uint16_t	 chunk_ext;	/* bytes of chunk extensions; more is refused */
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads of HTTP/1 messages, from the model to bytes. Private to the folder.
 *
 * Runs of untouched fields are one copy of their raw bytes; edited fields are formatted. What
 * frames the message is never copied but written from struct h1_framing.
 */
#ifndef WEIR_H1_WRITE_H
#define WEIR_H1_WRITE_H

#include <stddef.h>

#include "engine/http/msg.h"

/* How the message goes out, decided by the codec. */
struct h1_framing {
	int64_t		 length;	/* Content-Length; -1: none is written */
	bool		 chunked;
	bool		 close;		/* Connection: close */
	bool		 keep_alive;	/* Connection: keep-alive, which HTTP/1.0 clients need */
	bool		 te_trailers;	/* TE: trailers, and Connection: TE; not with an upgrade */
	struct slice	 upgrade;	/* Connection: upgrade and Upgrade; or empty */
};

/* Room that is enough for the head. */
size_t	h1_request_bound(const struct msg_req *, const struct h1_framing *);
size_t	h1_response_bound(const struct msg_resp *, const struct h1_framing *);

/*
 * Writes the head and returns its end. NULL: the target or a phrase holds bytes that may not
 * stand there (an edit gone wrong); nothing may be sent. A field edited to hold such bytes is left
 * out.
 */
char	*h1_put_request(char *, const struct msg_req *, const struct h1_framing *);
char	*h1_put_response(char *, const struct msg_resp *, const struct h1_framing *);

/* The live fields alone, as for trailers; headers_wire_len() is room enough. */
char	*h1_put_fields(char *, const struct headers *);

#endif

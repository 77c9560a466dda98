/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two halves of the codec, to each other. Private to the folder.
 *
 *           server role                               client role
 *
 *   +---> HEAD --head--> body states --+      WAIT --send--> HEAD --head--> body states --+
 *   |                                  |       ^              ^ |1xx                      |
 *   |   response out               end |       |              +-+                         |
 *   +------------------- WAIT <--------+       +----------------- end --------------------+
 *
 *   body states: LENGTH, CHUNK <-> CHUNK_DATA, then TRAILERS; CLOSE (client); TUNNEL after 101
 *
 * Invariants: (1) `in` is set from on_begin to on_end or on_error, and only then; (2) in WAIT no
 * byte is used; (3) a server's HEAD implies that nothing of an earlier exchange is left to write;
 * (4) in DISCARD and ERROR no event is raised; (5) a message whose bytes fall short is never
 * followed by anything.
 */
#ifndef WEIR_H1_H1_IN_H
#define WEIR_H1_H1_IN_H

#include "engine/h1/h1.h"

enum h1_in_state {
	H1_IN_HEAD,
	H1_IN_LENGTH,
	H1_IN_CHUNK,
	H1_IN_CHUNK_DATA,
	H1_IN_TRAILERS,
	H1_IN_CLOSE,
	H1_IN_TUNNEL,
	H1_IN_WAIT,		/* a whole message was read, or none is expected */
	H1_IN_DISCARD,		/* the connection ends; what comes is thrown away */
	H1_IN_ERROR
};

enum h1_out_state {
	H1_OUT_IDLE,
	H1_OUT_HEAD,		/* a message without a body */
	H1_OUT_LENGTH,
	H1_OUT_CHUNKED,
	H1_OUT_CLOSE,		/* a body that the connection's end ends */
	H1_OUT_TUNNEL,
	H1_OUT_BROKEN		/* nothing can be sent any more */
};

enum codec_rc	h1_feed(struct codec *, struct page *, const char *, size_t, size_t *used_r);
enum codec_rc	h1_feed_eof(struct codec *);

unsigned	h1_gather(struct codec *, struct iovec *, unsigned cap);
bool		h1_wrote(struct codec *, size_t);
bool		h1_send(struct codec_stream *, const struct msg *, struct pipe *);
bool		h1_send_info(struct codec_stream *, const struct msg_resp *);
/* Drops all that was to be written; nothing more can be sent. */
void		h1_out_break(struct h1 *);
/* Client role, after a 101 has come: the pipe of the request carries bytes from now on. */
bool		h1_out_tunnel(struct h1 *);

static inline struct h1 *
h1_of(struct codec *c)
{
	return (container_of(c, struct h1, c));
}

#endif

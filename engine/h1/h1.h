/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_H1_H1_H
#define WEIR_H1_H1_H

/*
 * HTTP/1.0 and 1.1 (RFC 9112) as a codec, for both roles. Embedded by value in a connection.
 * Strict, with no switch to loosen it. What is refused: on requests REASON_REQUEST_MALFORMED
 * (400, close) or the limit's own reason; on responses REASON_UPSTREAM_MALFORMED (502, close).
 *
 * One message at a time in each direction. A server codec that has read a whole request reads
 * no further (CODEC_BLOCKED) until its response is written, so pipelined requests wait in the
 * reader's page. After an error it reads nothing more at all.
 */
#include "engine/http/codec.h"

struct page_pool;

struct h1 {
	struct codec		 c;
	struct codec_stream	 s;		/* the one stream, used again for each message */
	const struct codec_limits *limits;	/* immutable, outlives the codec */
	struct page_pool	*pages;		/* for heads that go out */
	struct msg		*in;		/* the message being read, between on_begin and on_end */
	const struct msg	*out;		/* ours, between send and on_sent */
	struct pipe		*out_body;
	struct page		*out_page;	/* holds out_head; released when it is written */
	uint32_t		 out_off, out_len;	/* what of out_page is still to be written */
	uint32_t		 scanned;	/* bytes of an incomplete head already looked at */
	uint64_t		 in_left;	/* of the body or of the chunk */
	uint64_t		 out_left;	/* of a body with a length: promise kept to the byte */
	uint32_t		 out_chunk_left;/* of the chunk that is on its way out */
	uint16_t		 line_bytes;	/* of the chunk-size line or trailers so far */
	uint8_t			 in_state, out_state;
	uint8_t			 req_method;	/* of the request that a response answers (HEAD, CONNECT) */
	uint8_t			 req_version;	/* server role: 1.0 clients get no chunked */
	uint8_t			 n_info;	/* 1xx seen for this request, bounded */
	uint8_t			 scratch_len;
	char			 scratch[20];	/* chunk-size line going out */
	bool			 in_keep:1;	/* the peer's message lets the connection live on */
	bool			 out_keep:1;	/* so does ours */
	bool			 draining:1;
	bool			 paused:1;	/* on_body asked for a pause */
	bool			 failed:1;
	bool			 close_said:1;
};

/* `limits` and `pages` outlive it. No allocation. */
void	h1_init(struct h1 *, enum codec_role, const struct codec_events *, void *owner,
	    const struct codec_limits *limits, struct page_pool *pages);

/*
 * Server role: the last response says "Connection: close" from now on (the connection has used
 * up its requests or its age).
 */
void	h1_close_after(struct h1 *);

#endif

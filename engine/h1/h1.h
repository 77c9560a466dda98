/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_H1_H1_H
#define WEIR_H1_H1_H

/*
 * HTTP/1.0 and 1.1 (RFC 9112) as a codec, for both roles. Embedded by value in a connection.
 * Strict, with no switch to loosen it. What is refused: on requests REASON_REQUEST_MALFORMED
 * (400, close) or the limit's own reason; on responses REASON_UPSTREAM_MALFORMED (502, close).
 *
 * One message at a time in each direction. A server codec that has read a whole request takes
 * no further bytes (CODEC_BLOCKED) until its response is written, so pipelined requests wait in
 * the reader's page. After an error it reads nothing more at all, but a response may still go out.
 * A response that is out before its request is in closes: what else comes is thrown away.
 *
 * A tunnel: the client codec must have been given a pipe with the request that asks for the
 * upgrade, the server codec with the 101; both carry bytes from then on.
 */
#include "engine/http/codec.h"

struct page_pool;

enum {
	/*
	 * Interim responses to one request. 100 and a few 103 are what servers send; more is a
	 * loop in the server, or an attempt to keep us busy.
	 */
	H1_INFO_MAX = 8,
	/* Body bytes up to this many are copied behind the head: cheaper than a second piece. */
	H1_COPY_MAX = 1024
};

/* Where we are in a chunked body that comes in; no magic: part of struct h1. */
struct h1_chunk_in {
	uint64_t	 left;		/* of the chunk's data */
	uint16_t	 seen;		/* digits or extension bytes of the line */
	uint8_t		 state;
};

struct h1 {
	struct codec		 c;
	struct codec_stream	 s;		/* the one stream, used again for each message */
	const struct codec_limits *limits;	/* immutable, outlives the codec */
	struct page_pool	*pages;		/* for heads that go out */

	struct msg		*in;		/* being read, between on_begin and on_end */
	uint64_t		 in_left;	/* of a body with a length */
	struct h1_chunk_in	 in_chunk;
	uint32_t		 scanned;	/* bytes of an incomplete head already looked at */
	uint8_t			 in_state;

	uint8_t			 out_state;
	uint8_t			 req_method;	/* of the request that a response answers */
	uint8_t			 req_version;	/* server role: 1.0 clients get no chunked */
	uint8_t			 n_info;	/* 1xx seen for this request */
	uint8_t			 line_len;	/* `line`: from line_off on it is to be written */
	uint8_t			 line_off;
	uint8_t			 tail_len;	/* static bytes behind the chunk */
	uint32_t		 out_off;	/* out_page: from here to out_len to be written */
	uint32_t		 out_len;
	struct page		*out_page;
	struct pipe		*out_body;
	uint64_t		 out_left;	/* of a body with a length, or of the chunk */
	const char		*tail;
	struct slice		 asked_upgrade;	/* client role: what 101 may switch to */
	char			 line[18];

	bool			 in_keep:1;	/* the peer's message lets the connection live on */
	bool			 out_keep:1;	/* so does ours */
	bool			 draining:1;
	bool			 paused:1;	/* on_body asked for a pause */
	bool			 empty_line:1;	/* the one let pass before a request was seen */
	bool			 last_chunk:1;	/* it is in what is being written */
};

/* `limits` and `pages` outlive it. No allocation. */
void	h1_init(struct h1 *, enum codec_role, const struct codec_events *, void *owner,
	    const struct codec_limits *limits, struct page_pool *pages);

/* Bytes that the chunk which is coming in has still to bring, as its size line said; else 0. */
uint64_t h1_chunk_left(const struct h1 *);

#endif

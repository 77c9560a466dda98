/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_HTTP_MSG_H
#define WEIR_HTTP_MSG_H

/*
 * Heads of requests and responses, the same for HTTP/1 and HTTP/2 (and for what comes later).
 * All slices point into pages that the exchange pins, into its arena, or at static text; they
 * are valid until the exchange finishes. The framing stands here as a fact about the message
 * (none, a length, a stream); codecs write their own framing from it and never copy
 * Content-Length, Transfer-Encoding, Connection, Keep-Alive, Upgrade or Trailer lines.
 */
#include "engine/http/headers.h"
#include "engine/http/method.h"

struct page;

enum http_version {
	HTTP_1_0 = 10,
	HTTP_1_1 = 11,
	HTTP_2 = 20
};

enum msg_body {
	MSG_BODY_NONE,		/* no content (HEAD, 204, 304, or no framing) */
	MSG_BODY_LENGTH,	/* exactly content_length bytes */
	MSG_BODY_STREAM,	/* until its own end: chunked, END_STREAM */
	MSG_BODY_CLOSE,		/* responses of HTTP/1 only: until the connection ends */
	MSG_BODY_TUNNEL		/* after 101, or 2xx to CONNECT: opaque bytes both ways */
};

/* What requests and responses share; first member of both. */
struct msg {
	unsigned	 magic;
#define MSG_MAGIC	0x3d51a7c2
	uint8_t		 version;	/* enum http_version, as received */
	uint8_t		 body;		/* enum msg_body */
	bool		 keep_alive:1;	/* HTTP/1: the peer lets the connection live on */
	bool		 is_request:1;
	int64_t		 content_length;/* -1: unknown. Also set for HEAD and 304 answers */
	struct headers	 headers;
	/* set at the end of the body; NULL: none; made in the exchange's arena by the codec */
	struct headers	*trailers;
	uint32_t	 head_bytes;	/* as received, first and empty line included */
};

struct msg_req {
	struct msg	 m;
	uint8_t		 method;	/* enum http_method; METHOD_OTHER: see method_text */
	uint8_t		 form;		/* enum target_form */
	bool		 scheme_https:1;
	bool		 expect_continue:1; /* Expect: 100-continue, and the client waits */
	bool		 te_trailers:1;	/* TE names trailers: who asks reads them */
	struct slice	 method_text;
	struct slice	 target;	/* as received */
	struct slice	 authority;	/* host[:port] as received; 1.0 may have none */
	struct slice	 host;		/* without port and trailing dot; case as received */
	/* as received, and forwarded unless rewritten; canonical where that strays (uri.h) */
	struct slice	 path_raw;
	struct slice	 path;		/* canonical, for matching; equals path_raw where it is */
	struct slice	 query;		/* without '?'; see has_query */
	bool		 has_query;	/* "/?" and "/" differ on the wire */
	struct slice	 upgrade;	/* the one protocol asked for by Upgrade, or empty */
};

/* RFC 9112, 3.2 */
enum target_form {
	TARGET_ORIGIN,		/* /path?query */
	TARGET_ABSOLUTE,	/* http://host/path */
	TARGET_ASTERISK,	/* *, OPTIONS only */
	TARGET_AUTHORITY	/* host:port, CONNECT only */
};

struct msg_resp {
	struct msg	 m;
	uint16_t	 status;
	struct slice	 phrase;	/* as received; empty: the codec writes the usual one */
	struct slice	 upgrade;	/* with 101 */
	uint32_t	 keep_alive_s;	/* Keep-Alive: timeout=N of the server; 0: not said */
};

void	msg_req_init(struct msg_req *, struct arena *);
void	msg_resp_init(struct msg_resp *, struct arena *);

/* The usual phrase of a status ("OK"), or "" for an unknown one. */
const char *status_phrase(unsigned status);

#endif

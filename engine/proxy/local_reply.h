/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_LOCAL_REPLY_H
#define WEIR_PROXY_LOCAL_REPLY_H

/*
 * The only place where a reason, or a configured answer, becomes a response: problem+json
 * (RFC 9457), Proxy-Status (RFC 9209), Retry-After on every 429 and 503. For gRPC requests a
 * trailers-only answer.
 */
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/slice.h"
#include "engine/http/reason.h"

struct exchange;
struct worker;

/* Seconds; said on 429 and 503 where nothing better is known. */
#define LOCAL_REPLY_RETRY_AFTER	"1"

/* For Allow: what is served, and passed on whatever the server then says of it. TRACE is passed on
   too, and not offered: what it brings to light is seldom meant to be seen. */
#define LOCAL_REPLY_ALLOW	"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

/* Fills ex->resp and ex->resp_body from the reason. False: no memory, cut the connection. */
bool	local_reply_reason(struct exchange *, enum reason);
/* Fills them with a given status, type and body (bytes that outlive the exchange, or are in its
   arena). Empty content_type: no body. Header fields may be added to ex->resp afterwards. */
bool	local_reply_make(struct exchange *, unsigned status, struct slice content_type,
	    struct slice body);

/*
 * Where there is no exchange: a connection is refused, or memory is short for a head. The whole
 * answer, for a reason whose status is 503; the slices lie in the struct.
 */
enum {
	LOCAL_REPLY_ID_BYTES = 32,
	LOCAL_REPLY_WORDS_BYTES = 1536
};
struct local_reply_words {
	struct slice	 all;
	struct slice	 request_id;
	uint32_t	 body_bytes;
	char		 id[LOCAL_REPLY_ID_BYTES + 1];
	char		 bytes[LOCAL_REPLY_WORDS_BYTES];
};
void	local_reply_last_words(struct local_reply_words *, struct worker *, enum reason);

#endif

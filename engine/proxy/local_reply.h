/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_LOCAL_REPLY_H
#define WEIR_PROXY_LOCAL_REPLY_H

/*
 * The only place where a reason, or a configured answer, becomes a response: problem+json
 * (RFC 9457), Proxy-Status (RFC 9209), Retry-After on every 429 and 503. For gRPC requests a
 * trailers-only answer.
 */
#include <stdbool.h>

#include "engine/base/slice.h"
#include "engine/http/reason.h"

struct exchange;

/* Seconds; said on 429 and 503 where nothing better is known. */
#define LOCAL_REPLY_RETRY_AFTER	"1"

/* Fills ex->resp and ex->resp_body from the reason. False: no memory, cut the connection. */
bool	local_reply_reason(struct exchange *, enum reason);
/* Fills them with a given status, type and body (bytes that outlive the exchange, or are in its
   arena). Empty content_type: no body. Header fields may be added to ex->resp afterwards. */
bool	local_reply_make(struct exchange *, unsigned status, struct slice content_type,
	    struct slice body);

/* Bytes to send before an exchange exists (no memory, shed at accept): whole, static. */
struct slice local_reply_bytes(enum reason);

#endif

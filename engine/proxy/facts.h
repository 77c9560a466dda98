/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_FACTS_H
#define WEIR_PROXY_FACTS_H

/*
 * What is known of a request when it ends: the one source of the access log's line, the metrics
 * and the filters' on_log. Slices are valid during the call only.
 */
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/addr.h"
#include "engine/base/slice.h"
#include "engine/http/msg.h"
#include "engine/http/reason.h"

struct listener;
struct route;
struct server;
struct upstream;

/* Where a request's time went. What never came about took none. */
enum facts_phase {
	FACTS_HEADERS,		/* from its first byte until its head was whole */
	FACTS_AUTH,		/* its policies, with what they waited for */
	FACTS_QUEUE,		/* until a connection was free for it or could be made */
	FACTS_CONNECT,		/* the making of connections, those that failed too */
	FACTS_FIRST_BYTE,	/* with a server, until the head of an answer came */
	FACTS_BODY,		/* the rest; of an answer of ours all of it */
	FACTS_PHASE__MAX
};

struct facts {
	uint64_t		 wall_us;	/* when it began */
	/* first byte of the request to the last of the response */
	uint64_t		 duration_us;
	uint64_t		 phase_us[FACTS_PHASE__MAX];	/* they add up to duration_us */
	/* method and target may be empty if it was malformed */
	const struct msg_req	*req;
	/* as received, where another was put in its place (req->path_raw); or empty */
	struct slice		 path;
	const struct addr	*client;	/* as trusted proxies named it */
	const struct listener	*listener;
	const struct route	*route;		/* NULL: none matched */
	const struct upstream	*upstream;	/* NULL: none was asked */
	const struct server	*server;	/* the last one tried */
	const struct headers	*resp_headers;	/* NULL: no answer was begun */
	struct slice		 request_id;
	uint16_t		 status;	/* 0: none was sent */
	enum reason		 reason;
	uint32_t		 attempts;
	uint64_t		 bytes_in, bytes_out; /* of the bodies, without framing */
};

#endif

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

struct facts {
	uint64_t		 wall_us;	/* when it began */
	/* first byte of the request to the last of the response */
	uint64_t		 duration_us;
	struct {				/* parts of duration_us; they add up to it */
		uint64_t	 headers_us, auth_us, queue_us, connect_us, first_byte_us, body_us;
	}			 phases;
	/* method and target may be empty if it was malformed */
	const struct msg_req	*req;
	const struct addr	*client;	/* as trusted proxies named it */
	const struct listener	*listener;
	const struct route	*route;		/* NULL: none matched */
	const struct upstream	*upstream;	/* NULL: none was asked */
	const struct server	*server;	/* the last one tried */
	struct slice		 request_id;
	uint16_t		 status;	/* 0: none was sent */
	enum reason		 reason;
	uint32_t		 attempts;
	uint64_t		 bytes_in, bytes_out; /* of the bodies, without framing */
};

#endif

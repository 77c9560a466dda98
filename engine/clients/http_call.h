/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_CLIENTS_HTTP_CALL_H
#define WEIR_CLIENTS_HTTP_CALL_H

/*
 * One HTTP request to an upstream on behalf of a filter, done when its pending is: balanced,
 * pooled and limited like any other request to that upstream. Worker's thread only.
 *
 * Everything lives in the caller's arena, which must be that of an exchange or live as long. A
 * cancelled pending (http_call arms it) drops the request and cuts its connection.
 */
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/slice.h"
#include "engine/http/msg.h"
#include "engine/http/reason.h"
#include "engine/worker/pending.h"

struct arena;
struct upstream;
struct worker;

struct http_call_field {
	struct slice	 name, value;
};

struct http_call_request {
	enum http_method		 method;
	struct slice			 target;	/* path, and query behind '?' */
	struct slice			 host;		/* of the Host field, with port if any */
	const struct http_call_field	*fields;	/* beside Host and the framing */
	unsigned			 n_fields;
	bool				 has_body;
	struct slice			 body;		/* outlives the call */
	const struct addr		*client;	/* for balancing by client; may be NULL */
	uint32_t			 connect_ms;
	uint32_t			 timeout_ms;	/* of all of it, tries included; not 0 */
	uint32_t			 max_body;	/* a longer answer is RESPONSE_TOO_LARGE */
};

/* Valid once the pending is done, as long as the arena. */
struct http_call_result {
	/* REASON_NONE: there is an answer, whatever its status */
	enum reason		 reason;
	const struct msg_resp	*resp;		/* NULL with a reason */
	struct slice		 body;
};

/*
 * Slices of the request outlive the call. False: no memory, and the pending is not armed. The
 * result is filled before the pending is done, whose error is set exactly if the reason is. A
 * server that cannot be connected is replaced by another, twice; a reused connection that dies is
 * replaced by the rule of up_stream.h.
 */
bool	http_call_start(struct arena *, struct worker *, struct upstream *,
	    const struct http_call_request *, struct pending *, struct http_call_result *);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_HTTP_REASON_H
#define WEIR_HTTP_REASON_H

/*
 * Why a request ended as it did (reason.def is the list). Constant tables; any thread.
 */
#include "engine/base/slice.h"

enum reason {
#define REASON(NAME, name, http, grpc, proxy, blame, retry, title) REASON_##NAME,
#include "engine/http/reason.def"
#undef REASON
	REASON__MAX
};

enum reason_blame {
	REASON_BLAME_NOBODY,
	REASON_BLAME_CLIENT,
	REASON_BLAME_UPSTREAM,
	REASON_BLAME_US
};

enum reason_retry {
	REASON_RETRY_NO,
	REASON_RETRY_YES,	/* nothing reached the server */
	REASON_RETRY_REUSED	/* by the rule for dead reused connections */
};

/* https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
enum grpc_status {
	GRPC_OK = 0,
	GRPC_CANCELLED = 1,
	GRPC_DEADLINE_EXCEEDED = 4,
	GRPC_PERMISSION_DENIED = 7,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_UNIMPLEMENTED = 12,
	GRPC_INTERNAL = 13,
	GRPC_UNAVAILABLE = 14,
	GRPC_UNAUTHENTICATED = 16
};

struct reason_info {
	struct slice		name;		/* as logs, metrics and problem+json say it */
	struct slice		proxy_error;	/* RFC 9209 error type; empty: none */
	struct slice		title;
	uint16_t		status;		/* of the answer; 0: none can be given */
	uint8_t			grpc;		/* enum grpc_status */
	uint8_t			blame;		/* enum reason_blame */
	uint8_t			retry;		/* enum reason_retry */
};

/* Never NULL for a value of the enum. */
const struct reason_info *reason_info(enum reason);

#endif

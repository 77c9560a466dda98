/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_FILTER_H
#define WEIR_PROXY_FILTER_H

/*
 * Everything that a filter may see.
 *
 * The story of a waiting filter. The runner calls on_req_headers of a filter that needs an answer
 * from elsewhere. The filter starts the operation with fc->pending and returns FILTER_WAIT. The
 * runner keeps the cursor and leaves; the worker serves others. The answer comes, the service
 * calls pending_done(), the runner is queued, and calls on_req_headers of the same filter again
 * with fc->woken set; now it returns FILTER_NEXT and the cursor moves on. Had the client gone
 * meanwhile, the engine would have cancelled the operation and called on_gone. Had nothing come
 * within the filter's time-out, it would be woken with fc->timed_out set.
 *
 * Filters run on the worker of their exchange. They return where they stand; only the runner
 * moves. Returning FILTER_WAIT with no armed operation is a bug and ends in internal_error, as do
 * more than 1,000 activations of one exchange.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/addr.h"
#include "engine/base/slice.h"
#include "engine/config/schema.h"
#include "engine/http/msg.h"
#include "engine/http/pipe.h"
#include "engine/http/reason.h"
#include "engine/mem/arena.h"
#include "engine/mem/err.h"
#include "engine/worker/pending.h"

struct exchange;
struct snapshot_build;
struct worker;

enum filter_verdict {
	FILTER_NEXT,	/* done here; go on */
	FILTER_WAIT,	/* fc->pending is armed; call me again when it is done */
	FILTER_REPLY,	/* I called filter_reply(); skip to the response phases */
	FILTER_FAULT	/* I called filter_fault(); the answer is the reason's */
};

struct filter_call {			/* lives in the exchange, one per filter in the chain */
	unsigned		 magic;
#define FILTER_CALL_MAGIC	0x57e0b3d8
	bool			 woken:1;
	bool			 timed_out:1;
	const struct filter_ops	*ops;
	const void		*conf;		/* typed, merged for this route, immutable */
	void			*ctx;		/* ctx_size zeroed bytes, mine until on_log returns */
	void			*worker_state;	/* what worker_start made */
	struct worker		*worker;
	struct exchange		*ex;		/* opaque; see filter_*() */
	struct arena		*arena;		/* of the exchange; NULL from it: return FILTER_FAULT */
	struct pending		 pending;	/* the one operation that I may wait for */
	struct err		*pending_err;	/* why it failed; NULL: it did not */
};

/* A piece of a body on its way past a watching filter. */
struct body_view {
	struct span	*v;
	unsigned	 n;
	bool		 end;
};

enum body_mode {
	BODY_STREAM,	/* every piece, as it passes */
	BODY_WHOLE	/* once, when all of it is here, up to the route's body limit */
};

struct facts;

struct filter_ops {
	const char		*name;		/* the key in the file, prefix of its statistics */
	size_t			 conf_size, ctx_size;
	const struct schema	*schema;	/* decodes the route's block into conf */
	uint32_t		 timeout_ms;	/* for waiting; 0: it never waits */

	/* Main thread, while a snapshot is built: resolve names, precompute. */
	struct err *(*compile)(void *conf, struct snapshot_build *);
	struct err *(*worker_start)(void **state_r, struct worker *);
	void	    (*worker_stop)(void *state);

	enum filter_verdict (*on_req_headers)(struct filter_call *, struct msg_req *);
	enum filter_verdict (*on_req_body)(struct filter_call *, struct body_view *);
	enum filter_verdict (*on_resp_headers)(struct filter_call *, struct msg_resp *);
	enum filter_verdict (*on_resp_body)(struct filter_call *, struct body_view *);
	void		    (*on_log)(struct filter_call *, const struct facts *);
	void		    (*on_gone)(struct filter_call *);	/* the exchange died while I waited */
};

/* The answer is this, from here; then return FILTER_REPLY. The body is copied when `copy`. */
void	filter_reply(struct filter_call *, unsigned status, struct slice content_type, struct slice body);
/* The same with header fields to add: filled by the filter after the call, before it returns. */
struct msg_resp *filter_reply_head(struct filter_call *);
void	filter_fault(struct filter_call *, enum reason);
void	filter_watch_req_body(struct filter_call *, enum body_mode);
void	filter_watch_resp_body(struct filter_call *, enum body_mode);

/* Overrides for what the proxy does next; slices live in the exchange's arena. */
void	filter_set_body_limit(struct filter_call *, uint64_t bytes);	/* UINT64_MAX: none */
void	filter_set_request_id(struct filter_call *, struct slice);
/* Path and query as the upstream shall see them. False: no memory. */
bool	filter_set_target(struct filter_call *, struct slice target);

/* What is known of the client. Address: the peer's, or the one that trusted proxies named. */
const struct addr *filter_client(const struct filter_call *);
const struct addr *filter_peer(const struct filter_call *);
/* The prefix that the route matched, canonical; empty for other matches. */
struct slice	 filter_matched_prefix(const struct filter_call *);

#endif

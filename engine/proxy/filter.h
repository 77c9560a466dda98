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
#include <stdio.h>

#include "engine/base/addr.h"
#include "engine/base/slice.h"
#include "engine/config/schema.h"
#include "engine/http/msg.h"
#include "engine/http/pipe.h"
#include "engine/http/reason.h"
#include "engine/mem/arena.h"
#include "engine/mem/err.h"
#include "engine/regex/regex.h"
#include "engine/worker/pending.h"

struct diag;
struct exchange;
struct worker;

/*
 * What compile() is given, while a generation is built. Main thread. Mistakes go to the diag, at
 * schema_mark(); the generation is then given up, so compile() need not undo anything.
 */
struct snapshot_build {
	unsigned		 magic;
#define SNAPSHOT_BUILD_MAGIC	0x6d14b07f
	struct arena		*arena;		/* of the part; never fails */
	struct diag		*diag;
	struct slice		 path;		/* of the route, as written; for messages */
	bool			 has_prefix;	/* it is written, be it wrong, */
	bool			 is_below_root;	/* and is not `/` */
	const struct regex	*regex;		/* that the route matches paths by; NULL: none */
	struct slice		 route;		/* its name, for messages */
	const struct schema_obj	*own;		/* those on the route itself, not inherited */
	const struct schema_obj	*policies;	/* all of them; set by registry_chain() */
};

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
	/* the runner's: it faulted, and is left out of what follows; done while nobody waited */
	bool			 failed:1;
	bool			 done_unseen:1;
	bool			 watch_req:1;
	bool			 watch_resp:1;
	const struct filter_ops	*ops;
	const void		*conf;		/* typed, merged for this route, immutable */
	void			*ctx;		/* ctx_size bytes, zeroed; until on_log */
	void			*worker_state;	/* what worker_start made */
	struct worker		*worker;
	struct exchange		*ex;		/* opaque; see filter_*() */
	/* of the exchange; NULL from it: filter_fault(REASON_OVERLOADED) */
	struct arena		*arena;
	struct pending		 pending;	/* the one operation that I may wait for */
	/* why it failed; NULL: it did not. Lives in the exchange's arena, or for ever */
	struct err		*pending_err;
	struct chain_wait	*wait;		/* the runner's: where it waits, or NULL */
};

/*
 * A piece of a body on its way past a watching filter; what it holds when FILTER_NEXT is returned
 * goes on. A filter may cut spans, leave some out (len 0, or a smaller n), or point v to spans of
 * its own, in fc->arena, whose bytes lie there or are static (page NULL). It neither takes nor
 * drops page references of spans that it passes on or leaves out; bytes that it holds back beyond
 * its return it must reference (page_ref) or copy. `end`: nothing comes behind; called once with
 * it, perhaps with no bytes.
 */
struct body_view {
	struct span	*v;
	unsigned	 n;
	bool		 end;
};

/* If one filter of a direction wants it whole, all that watch it get it so. */
enum body_mode {
	BODY_STREAM,	/* every piece, as it passes; it is forwarded without a known length */
	BODY_WHOLE	/* once, when all of it is here, up to the route's body limit */
};

enum filter_preflight {
	PREFLIGHT_NONE,
	PREFLIGHT_OWN,
	PREFLIGHT_OTHER		/* another route would, or none */
};

/* May it meet a request that nobody sent (dry.h)? */
enum filter_dry {
	FILTER_DRY_NO,
	/* Yes: its header phases only judge and edit the message, wait for nothing, and leave
	   nothing behind. It has no phase of bodies. */
	FILTER_DRY,
	FILTER_DRY_CLIENT	/* yes, if the client's address is known */
};

struct chain_wait;
struct facts;

struct filter_ops {
	const char		*name;		/* the key in the file, prefix of its statistics */
	size_t			 ctx_size;
	/*
	 * conf_size is at least the size of what key decodes to (an OBJECT's struct, or the struct
	 * schema_list or schema_map); what lies behind it is zeroed for compile() to fill.
	 */
	size_t			 conf_size;
	/* the row of its key; an OBJECT may be SCHEMA_ALWAYS. NULL: none, it is on everywhere */
	const struct schema_key_ext *key;
	uint32_t		 timeout_ms;	/* for one wait; 0: no limit of its own */
	/* It answers preflights: they are routed by the request that they announce (router.h). */
	bool			 answers_preflight;

	/*
	 * Main thread, while a snapshot is built: check, resolve, precompute. conf is a copy of
	 * what was decoded, the filter's own until it returns, then immutable. What it keeps must
	 * lie in b->arena: decoded texts do not outlive the build. Routes share the outcome for
	 * which the flags in b, the decoded values, and which keys of b->own and b->policies
	 * are present or `off` are the same: texts of the route serve messages only. *needed_r
	 * (true before) false: nothing to do on this route, leave the filter out. NULL: none of
	 * this is wanted.
	 */
	void	    (*compile)(void *conf, const struct snapshot_build *b, bool *needed_r);
	/* Where nothing is served (dry.h) the worker's stats are NULL. */
	struct err *(*worker_start)(void **state_r, struct worker *);
	void	    (*worker_stop)(void *state);

	enum filter_verdict (*on_req_headers)(struct filter_call *, struct msg_req *);
	enum filter_verdict (*on_req_body)(struct filter_call *, struct body_view *);
	enum filter_verdict (*on_resp_headers)(struct filter_call *, struct msg_resp *);
	enum filter_verdict (*on_resp_body)(struct filter_call *, struct body_view *);
	void		    (*on_log)(struct filter_call *, const struct facts *);
	/* What I waited for was cancelled: the client is gone, or a time limit ran out. */
	void		    (*on_gone)(struct filter_call *);

	enum filter_dry		 dry;
	/*
	 * Main thread: what it does with this request, for people, in a few words on one line.
	 * `met`: the request has met on_req_headers and fc->ctx is as that left it, else it is
	 * zeroed. The verdict is told beside it. NULL: there is nothing to say.
	 */
	void		    (*explain)(const struct filter_call *, bool met, FILE *out);
};

/*
 * The answer is this, from here; then return FILTER_REPLY. The body is not copied: it is static,
 * configuration, or lies in fc->arena. In a response phase the upstream's answer is dropped, and
 * the filters behind this one see the new answer.
 */
void	filter_reply(struct filter_call *, unsigned status, struct slice content_type,
	    struct slice body);
/* The answer's head, to add fields to, after filter_reply() and before the return. */
struct msg_resp *filter_reply_head(struct filter_call *);
/* Then return FILTER_FAULT. Without this call the reason is internal_error, or filter_timeout. */
void	filter_fault(struct filter_call *, enum reason);
/* From the header phase of the same direction; the phase of the body runs only after it. */
void	filter_watch_req_body(struct filter_call *, enum body_mode);
void	filter_watch_resp_body(struct filter_call *, enum body_mode);

/* Overrides for what the proxy does next. Slices outlive the exchange or lie in fc->arena. */
void	filter_set_request_id(struct filter_call *, struct slice);
/* Path and query as the upstream shall see them; log and filters keep the received ones. */
void	filter_set_target(struct filter_call *, struct slice path, struct slice query,
	    bool has_query);

/* The request, edited as far as it came; for other phases than the one that is given it. */
const struct msg_req *filter_request(const struct filter_call *);
/* Is it a preflight (Fetch, 4.8), and would this route also serve the request that it announces? */
enum filter_preflight filter_preflight(const struct filter_call *);
/* The longest that may be: what the listener takes of a request's first line, in bytes. */
size_t	filter_target_max(const struct filter_call *);
/* regex_search() with what this worker keeps for it. REGEX_LIMIT: fault with REASON_MATCH_LIMIT. */
enum regex_result filter_search(const struct filter_call *, const struct regex *,
	    struct slice subject, struct regex_captures *captures_r);

/* What is known of the client. Address: the peer's, or the one that trusted proxies named. */
const struct addr *filter_client(const struct filter_call *);
/* Is the peer one of the listener's trusted proxies? */
bool		 filter_is_trusted(const struct filter_call *);
/* The prefix that the route matched, canonical, without a slash at its end; empty: none or `/`. */
struct slice	 filter_matched_prefix(const struct filter_call *);

#endif

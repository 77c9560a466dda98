/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_CHAIN_H
#define WEIR_PROXY_CHAIN_H

/*
 * A route's filters, compiled: one array per phase that holds only the filters that have it, so
 * that an absent phase costs nothing, and the layout of their contexts. And the runner: the only
 * one that moves from filter to filter.
 */
#include <stdbool.h>
#include <stdint.h>

#include "engine/loop/loop.h"
#include "engine/loop/timer.h"
#include "engine/proxy/filter.h"

struct chain_body;
struct exchange;
struct pipe;

enum chain_phase {
	CHAIN_REQ_HEADERS,
	CHAIN_REQ_BODY,
	CHAIN_RESP_HEADERS,
	CHAIN_RESP_BODY,
	CHAIN_LOG,
	CHAIN__MAX
};

struct chain_link {
	const struct filter_ops	*ops;
	const void		*conf;		/* merged for this route */
	uint32_t		 ctx_off;	/* of its context in the allocation */
	uint16_t		 call;		/* index of its filter_call */
	uint16_t		 filter;	/* index in the program's table */
};

struct chain {
	unsigned		 magic;
#define CHAIN_MAGIC	0x0e4fa8b5
	uint16_t		 n_calls;	/* 0: no filters at all */
	bool			 answers_preflight; /* one of its filters does */
	uint32_t		 bytes;		/* of the allocation: calls, contexts */
	struct {
		const struct chain_link	*v;
		uint16_t		 n;
	}			 phase[CHAIN__MAX];
};

enum chain_dir {
	CHAIN_REQ,
	CHAIN_RESP,
	CHAIN_DIRS
};

/* One filter that waits: of the header phases, or of a body's. */
struct chain_wait {
	struct filter_call	*fc;		/* NULL: none does */
	struct deferred		*pump;		/* of the body; NULL: the exchange is woken */
	struct timer		 timer;
};

struct chain_run {			/* in the exchange */
	const struct chain	*chain;
	struct filter_call	*calls;
	struct exchange		*ex;
	uint16_t		 cursor;	/* in the phase that runs */
	uint16_t		 activations;
	uint8_t			 phase;		/* enum chain_phase; CHAIN__MAX: none */
	bool			 replied;	/* filter_reply() was called in this activation */
	bool			 watch[CHAIN_DIRS];	/* some filter watches this body */
	bool			 whole[CHAIN_DIRS];	/* and wants it whole */
	enum reason		 reason;	/* with FILTER_FAULT; else REASON_NONE */
	struct chain_wait	 wait;		/* of the header phases */
	struct chain_body	*body[CHAIN_DIRS]; /* on its way; NULL: not watched */
};

/* One merged filter of a route, in the program's order; conf NULL: not in this route. */
struct chain_item {
	const struct filter_ops	*ops;
	const void		*conf;
	uint16_t		 filter;
	/* response phases run by rank, low first (registry.h) */
	uint16_t		 resp_rank;
};
/*
 * Main thread. Never NULL (arena's rules hold). The items are not kept; confs are. Request phases
 * and the log run in the order of the items.
 */
const struct chain *chain_build(struct arena *, const struct chain_item *, unsigned n);

/*
 * The run lies in the exchange, zeroed; every function below is fine with one that never began.
 * False: no memory. With an empty chain nothing is allocated.
 */
bool			chain_begin(struct chain_run *, const struct chain *, struct exchange *);
/*
 * Run on from where the phase stands. FILTER_NEXT: through. FILTER_WAIT: exchange_wake() will come;
 * calling again before is harmless. FILTER_REPLY: the response is there; in the response phase call
 * again for the filters that are left. FILTER_FAULT: run->reason says why, never REASON_NONE.
 */
enum filter_verdict	chain_req_headers(struct chain_run *, struct msg_req *);
enum filter_verdict	chain_resp_headers(struct chain_run *, struct msg_resp *);
void			chain_log(struct chain_run *, const struct facts *);
/*
 * Bodies. A watched body goes through a second pipe: `in` is filled by its source as ever, the
 * filters are run over what it holds, by a deferred call, and what they let pass goes on in a pipe
 * of the chain's. These say which pipe the sender shall read; without a watcher it is `in`. Known
 * once the header phase is through. With BODY_WHOLE that phase lasts until the body is complete.
 */
struct pipe		*chain_body_pipe(struct chain_body *);

static inline struct pipe *
chain_pipe(const struct chain_run *run, enum chain_dir dir, struct pipe *in)
{
	return (run->body[dir] == NULL ? in : chain_body_pipe(run->body[dir]));
}

/* Are bytes, or a filter, between `in` and the reader of the response? */
bool			chain_resp_busy(const struct chain_run *);
/* The response that was begun is replaced by another: forgets what was watched of it. */
void			chain_forget_response(struct chain_run *);

/*
 * What was waited for is given up, at the end or because a fault came from elsewhere: cancels,
 * calls on_gone of the waiter. The response phase may still run on the answer that tells the fault,
 * from its first filter on. Idempotent.
 */
void			chain_end(struct chain_run *);

#endif

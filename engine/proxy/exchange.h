/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_EXCHANGE_H
#define WEIR_PROXY_EXCHANGE_H

/*
 * One request and its response, from the head to the log line. See exchange.c for the steps, the
 * diagram and the invariants.
 */
#include <stdbool.h>
#include <stdint.h>

#include "engine/http/msg.h"
#include "engine/http/pipe.h"
#include "engine/http/reason.h"
#include "engine/loop/loop.h"
#include "engine/loop/timer.h"
#include "engine/mem/arena.h"
#include "engine/proxy/chain.h"
#include "engine/proxy/facts.h"
#include "engine/upstream/up_stream.h"

struct down_conn;
struct mirror;
struct route;
struct snapshot_use;

enum ex_step {
#define STEP(NAME, fn) EX_##NAME,
#include "engine/proxy/steps.def"
#undef STEP
	EX__MAX
};

enum step_rc {
	STEP_MORE,	/* the step set ex->step; go on */
	STEP_WAIT,	/* something will wake the exchange, and a deadline is armed */
	STEP_DONE	/* the exchange is gone */
};

/* One phase runs at any time, so what they took adds up to the whole. Loop times. */
struct ex_times {
	uint64_t	 begin;			/* first byte of the request */
	uint64_t	 since;			/* what is not yet in us[] */
	uint64_t	 us[FACTS_PHASE__MAX];
	uint8_t		 phase;			/* enum facts_phase: the one that runs */
};

enum {
	/* inside the exchange: header rows of a usual request and response */
	EX_ARENA_BYTES = 3584
};

struct exchange {
	unsigned		 magic;
#define EXCHANGE_MAGIC	0x6a19c05e
	uint8_t			 step;		/* enum ex_step */
	uint8_t			 reason;	/* enum reason: why it ended, REASON_NONE so far */
	uint8_t			 n_tried;
	bool			 running:1;	/* a step is on the stack */
	bool			 wake_again:1;
	bool			 req_done:1;	/* the whole request has come */
	bool			 reply_begun:1;	/* a byte of the response may have left */
	bool			 reply_sent:1;	/* all of it has */
	bool			 up_done:1;	/* the upstream's response is complete */
	bool			 client_gone:1;
	bool			 local:1;	/* the response is ours */
	bool			 replayed:1;
	bool			 resp_ready:1;
	bool			 resp_forwarded:1; /* our own response fields are set */
	bool			 opened:1;	/* a connection is there for this try */
	bool			 reused:1;	/* it had served before */
	bool			 up_sent:1;	/* the upstream's socket has the whole request */
	unsigned		 preflight:2;	/* enum filter_preflight */
	struct worker		*worker;
	struct down_conn	*down;
	struct codec_stream	*stream;	/* of the client's codec */
	struct snapshot_use	*snap;
	const struct route	*route;
	struct upstream		*upstream;
	struct up_stream	*up;
	const struct server	*server;	/* held; of the last try, for the log */
	struct page		*req_page, *resp_page;	/* where the slices lie */
	uint64_t		 deadline_ms[2];/* of the phase, and total; 0: none */
	enum reason		 deadline_reason;
	uint64_t		 body_limit;
	struct slice		 request_id;
	struct slice		 path;		/* that came, once another is sent; or empty */
	struct ex_times		 t;
	struct chain_run	 chain;
	uint32_t		 attempts;
	uint64_t		 bytes_in;	/* of the request's body */
	/* windows of the least rate: when they began, and the bytes that had moved by then */
	uint64_t		 body_since_ms, body_seen;
	uint64_t		 reply_since_ms, reply_seen;	/* 0: the client takes what comes */
	/* of the connection, acknowledged: when the window began, and now; and when that grew */
	uint64_t		 acked_seen, acked, acked_ms;	/* acked_ms 0: not looked yet */
	const struct addr	*client;	/* the peer, or whom trusted proxies named */
	/* From here on each has an init of its own, or a number of those that are there. */
	const struct server	*tried[UP_TRIED_MAX];	/* n_tried of them, held */
	struct mirror		*mirror;	/* waits for the rest of the body; NULL: none */
	struct deferred		 wake;
	struct timer		 timer;
	struct pipe		 req_body, resp_body;
	struct msg_req		 req;
	struct msg_resp		 resp;
	struct arena		 arena;
	char			 arena_bytes[EX_ARENA_BYTES];
};

/* Once a worker, before its first exchange: how one is dumped when a check fails. */
void		 exchange_register(void);
/* A new one for a request that begins on this stream, whose owner it is until its end. NULL: no
   memory. */
struct exchange	*exchange_new(struct down_conn *, struct codec_stream *);
/* The request's head is there: run. */
void		 exchange_start(struct exchange *);
/* Something that it waited for has come: it runs on at the end of this turn. */
void		 exchange_wake(struct exchange *);
/* Forgets what a response had begun to be (its head and body), before another takes its place. */
void		 exchange_reset_response(struct exchange *);
/* Bytes of the request's body; takes over the span. False: stop reading for now. */
bool		 exchange_body(struct exchange *, struct span);
void		 exchange_body_end(struct exchange *);
/* A filter has made the response while a body passed it: what else was going on is dropped. */
void		 exchange_replied(struct exchange *);
/* The response has been written whole. The exchange may be gone afterwards. */
void		 exchange_sent(struct exchange *);
/* End it with this reason: answered if no byte of the response has left, cut otherwise. */
void		 exchange_fault(struct exchange *, enum reason);
/* The client is gone: nothing can be answered. */
void		 exchange_abort(struct exchange *, enum reason);

#endif

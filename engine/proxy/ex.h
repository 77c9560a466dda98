/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_EX_H
#define WEIR_PROXY_EX_H

/*
 * Private to the files of the exchange: its steps (steps.def) and what they share.
 */
#include "engine/proxy/exchange.h"
#include "engine/proxy/facts.h"
#include "engine/proxy/route.h"
#include "engine/worker/worker.h"

#define STEP(NAME, fn) enum step_rc fn(struct exchange *);
#include "engine/proxy/steps.def"
#undef STEP

/* What happens from now on is part of this phase. */
static inline void
ex_phase(struct exchange *ex, enum facts_phase next)
{
	uint64_t now = loop_now_us(ex->worker->loop);

	ex->t.us[ex->t.phase] += now - ex->t.since;
	ex->t.since = now;
	ex->t.phase = (uint8_t)next;
}

/* From a step: the exchange ends with this reason; returns what the step returns. */
enum step_rc	ex_fault(struct exchange *, enum reason);
/* The wait that begins now ends with this reason after ms (0: only the total time limits it). */
void		ex_deadline(struct exchange *, uint32_t ms, enum reason);
/* Sets ex->step and returns STEP_MORE. */
enum step_rc	ex_go(struct exchange *, enum ex_step);
/* Runs steps until one waits; no step may be on the stack. */
void		ex_run(struct exchange *);
/* Runs now if no step is on the stack, else once the one that is has returned. */
void		ex_poke(struct exchange *);

struct router_request;
/* ex_request.c: what ROUTE asks the router, before it has asked. False: the path is refused. */
bool		ex_asked(struct exchange *, struct router_request *);

/* ex_forward.c: the fields that a gateway owes, on the way in and out. False: no memory. */
bool		ex_forward_request(struct exchange *);
bool		ex_forward_response(struct exchange *);
/* The client, as trusted proxies named it; set by ex_forward_request. */
const struct addr *ex_client(const struct exchange *);

/* ex_response.c: does its Content-Type say gRPC, of whatever kind? */
bool		ex_is_grpc(const struct headers *);

#define EX_NO_LIMIT	UINT64_MAX
/* ex_response.c: what is left (ms) of the limit that was armed, by what this exchange is and by
   when bytes last moved. 0: nothing, or the step has no such limit. EX_NO_LIMIT: it may wait. */
uint64_t	ex_idle_left(struct exchange *, uint64_t now_ms);

/* ex_upstream.c. `host: upstream`: the server as the file names it, so again for each that is
   tried. */
void		ex_name_server(struct msg_req *, const struct server *);
void		ex_drop_upstream(struct exchange *);
/* Forgets which servers were tried: at the end, after the log. */
void		ex_drop_servers(struct exchange *);

/* ex_finish.c: all that it holds goes, and it with that. It has no stream to a server any more. */
void		ex_release(struct exchange *);

#endif

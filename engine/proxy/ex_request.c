/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/base/check.h"
#include "engine/http/uri.h"
#include "engine/proxy/down_conn.h"
#include "engine/proxy/ex.h"
#include "engine/proxy/gate.h"
#include "engine/proxy/local_reply.h"
#include "engine/proxy/redirect.h"
#include "engine/proxy/router.h"

/* Steps of the request's half: from the head to the decision what to do with it. */

static const struct gate *
gate_of(const struct exchange *ex)
{
	return (ex->snap->snap->root);
}

/* One meaning for the path: its canonical form is what routes and policies see. */
static enum reason
read_path(struct exchange *ex, bool *encoded_slash_r)
{
	*encoded_slash_r = false;
	if (slice_eq(ex->req.path_raw, SLICE("*"))) {
		/* OPTIONS * asks the server as a whole: it goes where `/` goes. */
		ex->req.path = SLICE("/");
		return (REASON_NONE);
	}
	switch (uri_canonical(ex->req.path_raw, &ex->arena, &ex->req.path)) {
	case URI_OK:
		return (REASON_NONE);
	case URI_ENCODED_SLASH:
		*encoded_slash_r = true;
		return (REASON_NONE);
	case URI_MALFORMED:
		return (REASON_PATH_REFUSED);
	case URI_NO_MEMORY:
		return (REASON_OVERLOADED);
	}
	never("uri_rc");
}

enum step_rc
ex_step_route(struct exchange *ex)
{
	const struct gate *gate = gate_of(ex);
	const struct route *r;
	enum reason reason;
	bool encoded_slash;

	reason = read_path(ex, &encoded_slash);
	if (reason != REASON_NONE)
		return (ex_fault(ex, reason));
	r = router_find(gate->router, ex->req.host, ex->req.path, ex->req.method,
	    ex->req.method_text, ex->down->local->index);
	if (r == NULL)
		return (ex_fault(ex, encoded_slash ? REASON_PATH_REFUSED : REASON_NO_ROUTE));
	ex->route = r;
	ex->body_limit = r->body_limit;
	if (encoded_slash && !r->allow_encoded_slash)
		return (ex_fault(ex, REASON_PATH_REFUSED));
	if (r->timeout.total != 0)
		ex->deadline_ms[1] = loop_now_ms(ex->worker->loop) + r->timeout.total;
	if (!ex_forward_request(ex) || !chain_begin(&ex->chain, r->chain, ex))
		return (ex_fault(ex, REASON_OVERLOADED));
	return (ex_go(ex, EX_REQ_FILTERS));
}

enum step_rc
ex_step_req_filters(struct exchange *ex)
{
	switch (chain_req_headers(&ex->chain, &ex->req)) {
	case FILTER_NEXT:
		ex_phase(ex, FACTS_QUEUE);
		/* Known before a byte of it was asked for. */
		if (ex->req.m.content_length > 0 &&
		    (uint64_t)ex->req.m.content_length > ex->body_limit)
			return (ex_fault(ex, REASON_BODY_TOO_LARGE));
		return (ex_go(ex, EX_ACT));
	case FILTER_WAIT:
		/* What it waits for has a limit of its own; the whole request's runs too. */
		ex_deadline(ex, 0, REASON_TOTAL_TIMEOUT);
		return (STEP_WAIT);
	case FILTER_REPLY:
		ex->local = true;
		return (ex_go(ex, EX_RESP_FILTERS));
	case FILTER_FAULT:
		return (ex_fault(ex, ex->chain.reason));
	}
	never("filter_verdict");
}

static struct upstream *
split_upstream(struct exchange *ex)
{
	const struct route *r = ex->route;
	uint32_t at = (uint32_t)rnd_below(&ex->worker->rnd, r->split[r->n_split - 1].upto);
	unsigned i = 0;

	while (at >= r->split[i].upto)
		i++;
	return (r->split[i].upstream);
}

enum step_rc
ex_step_act(struct exchange *ex)
{
	const struct route *r = ex->route;
	bool ok;

	switch ((enum route_action)r->action) {
	case ROUTE_UPSTREAM:
		ex->upstream = r->upstream;
		return (ex_go(ex, EX_OPEN));
	case ROUTE_SPLIT:
		ex->upstream = split_upstream(ex);
		return (ex_go(ex, EX_OPEN));
	case ROUTE_REDIRECT:
		ok = redirect_make(ex);
		break;
	case ROUTE_RESPOND:
		ok = respond_make(ex);
		break;
	default:
		never("route_action");
	}
	if (!ok)
		return (ex_fault(ex, REASON_OVERLOADED));
	ex->local = true;
	return (ex_go(ex, EX_RESP_FILTERS));
}

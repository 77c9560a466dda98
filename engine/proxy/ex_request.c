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
		break;
	case URI_ENCODED_SLASH:
		*encoded_slash_r = true;
		break;
	case URI_MALFORMED:
		return (REASON_PATH_REFUSED);
	case URI_NO_MEMORY:
		return (REASON_OVERLOADED);
	}
	return (REASON_NONE);
}

/* What servers could read in another way leaves in the one meaning that it has here. */
static void
send_one_meaning(struct exchange *ex)
{
	if (likely(ex->req.path.p == ex->req.path_raw.p) || !uri_strays(ex->req.path_raw))
		return;
	ex->path = ex->req.path_raw;
	ex->req.path_raw = ex->req.path;
}

static struct router_request
asked_with(const struct exchange *ex, unsigned method, struct slice method_text)
{
	return ((struct router_request){
		.host = ex->req.host,
		.path = ex->req.path,
		.query = ex->req.query,
		.method_text = method_text,
		.headers = &ex->req.m.headers,
		.regex = proxy_of(ex->worker)->regex,
		.method = method,
		.listener = ex->down->local->index,
	});
}

static enum router_rc
find_route(const struct exchange *ex, unsigned method, struct slice method_text,
    const struct route **route_r)
{
	struct router_request req = asked_with(ex, method, method_text);

	return (router_find(gate_of(ex)->router, &req, route_r));
}

/*
 * A preflight (Fetch, 4.8) asks on behalf of a request that comes next, so the route of that one
 * answers it where it has a policy for that, whether it takes OPTIONS or not. Elsewhere it is an
 * OPTIONS request like any other; but no policy of a route may answer for another route.
 */
static enum router_rc
find_preflight(struct exchange *ex, struct slice announced, const struct route **route_r)
{
	const struct route *target = NULL;
	enum router_rc rc = find_route(ex, method_of(announced), announced, &target);

	ex->preflight = PREFLIGHT_OWN;
	*route_r = target;
	if (rc == ROUTER_LIMIT || (target != NULL && target->policy->chain->answers_preflight))
		return (rc);
	*route_r = NULL;
	rc = find_route(ex, ex->req.method, ex->req.method_text, route_r);
	if (target != *route_r)
		ex->preflight = PREFLIGHT_OTHER;
	return (rc);
}

/* The method that a preflight announces; empty: it is none. */
static struct slice
announced_method(const struct msg_req *req)
{
	const struct hdr *h;

	if (headers_get(&req->m.headers, HDR_ORIGIN) == NULL || req->form == TARGET_ASTERISK)
		return (SLICE(""));
	h = headers_get(&req->m.headers, HDR_ACCESS_CONTROL_REQUEST_METHOD);
	return (h == NULL || headers_next(&req->m.headers, h) != NULL ? SLICE("") : hdr_value(h));
}

static enum router_rc
route_of(struct exchange *ex, const struct route **route_r)
{
	struct slice announced = SLICE("");

	if (unlikely(ex->req.method == METHOD_OPTIONS))
		announced = announced_method(&ex->req);
	if (unlikely(announced.len > 0))
		return (find_preflight(ex, announced, route_r));
	return (find_route(ex, ex->req.method, ex->req.method_text, route_r));
}

bool
ex_asked(struct exchange *ex, struct router_request *req_r)
{
	const struct route *r = NULL;
	struct slice announced;
	bool encoded_slash;

	if (read_path(ex, &encoded_slash) != REASON_NONE)
		return (false);
	(void)route_of(ex, &r);
	announced = ex->preflight == PREFLIGHT_OWN && r != NULL &&
	    r->policy->chain->answers_preflight ? announced_method(&ex->req) : SLICE("");
	*req_r = announced.len > 0 ? asked_with(ex, method_of(announced), announced) :
	    asked_with(ex, ex->req.method, ex->req.method_text);
	return (true);
}

/*
 * Servers that know parameters of segments (`/admin;x`) take them for no part of the path, others
 * do. What is served is only what is the same route to both, or what the route itself names.
 */
static enum reason
check_parameters(struct exchange *ex)
{
	struct slice path = ex->req.path;
	unsigned preflight = ex->preflight;
	const struct route *other = NULL;
	enum router_rc rc;

	if (likely(!uri_has_parameters(path)) || ex->route->names_parameters)
		return (REASON_NONE);
	if (!uri_without_parameters(path, &ex->arena, &ex->req.path))
		return (REASON_OVERLOADED);
	rc = route_of(ex, &other);
	ex->req.path = path;
	if (rc == ROUTER_LIMIT)
		return (REASON_MATCH_LIMIT);
	return (other == ex->route && ex->preflight == preflight ? REASON_NONE :
	    REASON_PATH_REFUSED);
}

enum step_rc
ex_step_route(struct exchange *ex)
{
	const struct route_policy *policy;
	const struct route *r = NULL;
	enum router_rc rc;
	enum reason reason;
	bool encoded_slash;

	reason = read_path(ex, &encoded_slash);
	if (reason != REASON_NONE)
		return (ex_fault(ex, reason));
	rc = route_of(ex, &r);
	if (rc == ROUTER_LIMIT)
		return (ex_fault(ex, REASON_MATCH_LIMIT));
	if (rc == ROUTER_NONE)
		return (ex_fault(ex, encoded_slash ? REASON_PATH_REFUSED : REASON_NO_ROUTE));
	ex->route = r;
	reason = check_parameters(ex);
	if (reason != REASON_NONE)
		return (ex_fault(ex, reason));
	policy = r->policy;
	ex->body_limit = policy->body_limit;
	if (encoded_slash && !policy->allow_encoded_slash)
		return (ex_fault(ex, REASON_PATH_REFUSED));
	send_one_meaning(ex);
	if (policy->timeout.total != 0)
		ex->deadline_ms[1] = loop_now_ms(ex->worker->loop) + policy->timeout.total;
	if (!ex_forward_request(ex) || !chain_begin(&ex->chain, policy->chain, ex))
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
	const struct route_split *s = ex->route->split;
	unsigned side = route_split_pick(s, &ex->req, ex_client(ex), &ex->worker->rnd);

	return (gate_upstream(gate_of(ex), s->v[side].upstream));
}

/* All digits; what is too large for the type is as good as the largest. */
static bool
read_count(struct slice text, uint64_t *n_r)
{
	uint64_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return (false);
		n = n > UINT32_MAX ? n : n * 10 + (uint64_t)(text.p[i] - '0');
	}
	*n_r = n;
	return (text.len > 0);
}

/* The answer of who is asked last. To TRACE it would be the request itself, with whatever proxies
   before us put into it: that is refused. */
static enum step_rc
answer_last(struct exchange *ex)
{
	if (ex->req.method == METHOD_TRACE)
		return (ex_fault(ex, REASON_METHOD_REFUSED));
	if (!local_reply_make(ex, 204, SLICE(""), SLICE("")) ||
	    !headers_set_id(&ex->resp.m.headers, HDR_ALLOW, SLICE(LOCAL_REPLY_ALLOW)))
		return (ex_fault(ex, REASON_OVERLOADED));
	ex->local = true;
	return (ex_go(ex, EX_RESP_FILTERS));
}

static enum step_rc
ask(struct exchange *ex, struct upstream *u)
{
	ex->upstream = u;
	return (ex_go(ex, EX_OPEN));
}

/* RFC 9110, 7.6.2: how many may pass an OPTIONS or a TRACE on; other methods do not count. */
static enum step_rc
count_forwards(struct exchange *ex, struct upstream *u, const struct hdr *row)
{
	struct headers *hs = &ex->req.m.headers;
	const char *less;
	uint64_t n;

	if (headers_next(hs, row) != NULL || !read_count(hdr_value(row), &n))
		return (ex_fault(ex, REASON_REQUEST_MALFORMED));
	if (n == 0)
		return (answer_last(ex));
	less = arena_printf(&ex->arena, "%llu", (unsigned long long)(n - 1));
	if (less == NULL || !headers_set_id(hs, HDR_MAX_FORWARDS, slice_str(less)))
		return (ex_fault(ex, REASON_OVERLOADED));
	return (ask(ex, u));
}

static enum step_rc
forward(struct exchange *ex, struct upstream *u)
{
	const struct hdr *row;

	if (unlikely(ex->req.method == METHOD_OPTIONS || ex->req.method == METHOD_TRACE)) {
		row = headers_get(&ex->req.m.headers, HDR_MAX_FORWARDS);
		if (row != NULL)
			return (count_forwards(ex, u, row));
	}
	return (ask(ex, u));
}

enum step_rc
ex_step_act(struct exchange *ex)
{
	const struct route *r = ex->route;
	enum reason reason;

	switch ((enum route_action)r->action) {
	case ROUTE_UPSTREAM:
		return (forward(ex, gate_upstream(gate_of(ex), r->upstream)));
	case ROUTE_SPLIT:
		return (forward(ex, split_upstream(ex)));
	case ROUTE_REDIRECT:
		reason = redirect_make(ex);
		break;
	case ROUTE_RESPOND:
		reason = respond_make(ex);
		break;
	default:
		never("route_action");
	}
	if (reason != REASON_NONE)
		return (ex_fault(ex, reason));
	ex->local = true;
	return (ex_go(ex, EX_RESP_FILTERS));
}

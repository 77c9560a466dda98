/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/base/check.h"
#include "engine/http/field.h"
#include "engine/proxy/down_conn.h"
#include "engine/proxy/ex.h"
#include "engine/proxy/gate.h"
#include "engine/proxy/proxy_limits.h"

/* Steps of the response's half. */

/*
 * What is armed is the limit of a plain exchange, which is the shortest. Only when it has passed is
 * it looked up what kind of exchange this is (ex_idle_left).
 */
static uint32_t
plain_idle(const struct exchange *ex)
{
	return (ex->route != NULL && !ex->local ? ex->route->policy->timeout.idle : 0);
}

enum step_rc
ex_step_resp_filters(struct exchange *ex)
{
	if (!ex->resp_forwarded) {
		ex->resp_forwarded = true;
		if (!ex_forward_response(ex))
			return (ex_fault(ex, REASON_OVERLOADED));
	}
	switch (chain_resp_headers(&ex->chain, &ex->resp)) {
	case FILTER_NEXT:
		return (ex_go(ex, EX_REPLY));
	case FILTER_WAIT:
		/* For an operation, which has a time limit of its own, or for the whole body. */
		ex_deadline(ex, plain_idle(ex), REASON_UPSTREAM_IDLE);
		return (STEP_WAIT);
	case FILTER_REPLY:
		/* It takes the place of the upstream's; the filters that are left see it. */
		ex_drop_upstream(ex);
		return (ex_go(ex, EX_RESP_FILTERS));
	case FILTER_FAULT:
		/* A local answer that its own filters stop is a fault that cannot be told. */
		if (ex->local)
			ex->reply_begun = true;
		return (ex_fault(ex, ex->chain.reason));
	}
	never("filter_verdict");
}

enum step_rc
ex_step_reply(struct exchange *ex)
{
	const struct codec_ops *ops = ex->stream->codec->ops;
	struct pipe *body = ex->resp.m.body == MSG_BODY_NONE ? NULL :
	    chain_pipe(&ex->chain, CHAIN_RESP, &ex->resp_body);

	if (ex->reply_begun) {
		if (!ex->reply_sent)
			return (STEP_WAIT);
		return (ex_go(ex, EX_FINISH));
	}
	ex->reply_begun = true;
	if (ex->worker->draining || proxy_limits_shed())
		ops->drain(ex->stream->codec);
	if (!ops->send(ex->stream, &ex->resp.m, body))
		return (ex_fault(ex, REASON_OVERLOADED));
	if (ex->resp.m.body == MSG_BODY_TUNNEL) {
		ex->body_limit = UINT64_MAX;
		conn_resume(&ex->down->conn);	/* what came behind the request is for the tunnel */
	}
	conn_want_flush(&ex->down->conn);
	ex_deadline(ex, plain_idle(ex), REASON_UPSTREAM_IDLE);
	return (STEP_WAIT);
}

/* ---- how long a silence may last ---- */

bool
ex_is_grpc(const struct headers *hs)
{
	const struct hdr *h = headers_get(hs, HDR_CONTENT_TYPE);

	return (h != NULL && slice_has_prefix_fold(hdr_value(h), SLICE("application/grpc")));
}

/* The media type of a list's element or of a field, whatever its parameters. */
static bool
is_event_stream(struct slice type)
{
	struct slice name;

	return (field_part_next(&type, &name) && slice_eq_fold(name, SLICE("text/event-stream")));
}

/* Does the client ask for what may be long in coming? */
static bool
asks_for_stream(const struct msg_req *r)
{
	const struct headers *hs = &r->m.headers;

	for (const struct hdr *h = headers_get(hs, HDR_ACCEPT); h != NULL;
	    h = headers_next(hs, h)) {
		struct slice rest = hdr_value(h), type;

		while (field_list_next(&rest, &type)) {
			if (is_event_stream(type))
				return (true);
		}
	}
	return (r->upgrade.len > 0 || ex_is_grpc(hs));
}

static uint32_t
first_byte_limit(const struct exchange *ex)
{
	return (asks_for_stream(&ex->req) ? ex->route->policy->timeout.stream_first_byte :
	    ex->route->policy->timeout.first_byte);
}

static uint32_t
idle_limit(const struct exchange *ex)
{
	const struct headers *hs = &ex->resp.m.headers;
	const struct hdr *type = headers_get(hs, HDR_CONTENT_TYPE);

	if (plain_idle(ex) == 0)
		return (0);
	/* A tunnel with one end closed waits for the other as any body is waited for. */
	if (ex->resp.m.body == MSG_BODY_TUNNEL && ex->req_body.end == PIPE_OPEN)
		return (ex->route->policy->timeout.tunnel_idle);
	if (ex_is_grpc(hs) || (type != NULL && is_event_stream(hdr_value(type))))
		return (ex->route->policy->timeout.stream_idle);
	return (plain_idle(ex));
}

static uint64_t
left_of(uint64_t limit_ms, uint64_t since_ms, uint64_t now_ms)
{
	return (since_ms + limit_ms > now_ms ? since_ms + limit_ms - now_ms : 0);
}

/*
 * While it is the client that we wait for nothing is used up: its own limits run. A server that
 * drips the fields of its head gains no time by it.
 */
static uint64_t
await_left(const struct exchange *ex, uint64_t now)
{
	uint64_t limit = first_byte_limit(ex);

	if (limit == 0)
		return (EX_NO_LIMIT);
	if (!ex->up_sent && !ex->req_done && ex->req_body.queued == 0)
		return (limit);
	return (left_of(limit, up_wrote_ms(ex->up), now));
}

uint64_t
ex_idle_left(struct exchange *ex, uint64_t now)
{
	const struct pipe *out = chain_pipe(&ex->chain, CHAIN_RESP, &ex->resp_body);
	bool is_tunnel = ex->resp.m.body == MSG_BODY_TUNNEL;
	uint64_t idle;

	if (ex->step == EX_AWAIT && ex->up != NULL)
		return (await_left(ex, now));
	if (ex->step != EX_REPLY && ex->step != EX_RESP_FILTERS)
		return (0);
	idle = idle_limit(ex);
	if (idle == 0)
		return (EX_NO_LIMIT);
	/* A filter that waits has a limit of its own, as the client has. */
	if (out->queued > 0 || ex->up == NULL || chain_resp_busy(&ex->chain))
		return (idle);
	return (left_of(idle, ex->up_sent && !is_tunnel ? up_read_ms(ex->up) :
	    up_read_ms(ex->up) > up_wrote_ms(ex->up) ? up_read_ms(ex->up) :
	    up_wrote_ms(ex->up), now));
}

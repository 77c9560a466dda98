/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/base/addr.h"
#include "engine/base/check.h"
#include "engine/mem/page.h"
#include "engine/proxy/down_conn.h"
#include "engine/proxy/ex.h"
#include "engine/proxy/mirror.h"
#include "engine/upstream/upstream.h"

/* Steps that talk to the upstream, and the events that come back from it. */

static const struct up_events up_events;

static struct exchange *
of(void *arg)
{
	struct exchange *ex;

	CAST_OBJ(ex, arg, EXCHANGE_MAGIC);
	return (ex);
}

/* The server of the last try stays for the log, whatever becomes of its name's addresses. */
static void
note_server(struct exchange *ex, const struct server *s)
{
	if (s == NULL || s == ex->server)
		return;
	if (ex->server != NULL)
		up_server_drop(&ex->server);
	ex->server = up_server_hold(s);
}

void
ex_drop_servers(struct exchange *ex)
{
	if (ex->server != NULL)
		up_server_drop(&ex->server);
	while (ex->n_tried > 0)
		up_server_drop(&ex->tried[--ex->n_tried]);
}

void
ex_drop_upstream(struct exchange *ex)
{
	if (ex->up == NULL)
		return;
	pipe_release(chain_pipe(&ex->chain, CHAIN_REQ, &ex->req_body));
	up_close(&ex->up);
}

enum step_rc
ex_step_open(struct exchange *ex)
{
	struct pick pick = { .req = &ex->req, .client = ex_client(ex), .n_tried = ex->n_tried,
		.fresh = ex->replayed };
	uint32_t connect_ms = ex->route->policy->timeout.connect;

	must(ex->up == NULL);
	for (unsigned i = 0; i < ex->n_tried; i++)
		pick.tried[i] = ex->tried[i];
	if (unlikely(ex->route->policy->mirror != NULL) && ex->attempts == 0)
		mirror_begin(ex);
	ex->attempts++;
	ex->up_sent = false;
	ex->opened = false;
	ex->step = EX_SEND;
	ex->up = up_open(ex->worker, ex->upstream, &pick, connect_ms, &up_events, ex);
	if (ex->up == NULL)
		return (ex_fault(ex, REASON_OVERLOADED));
	if (up_is_open(ex->up)) {
		ex->opened = true;
		ex->reused = up_is_reused(ex->up);
		note_server(ex, up_server(ex->up));
	} else {
		ex_phase(ex, FACTS_CONNECT);
	}
	return (STEP_MORE);
}

/*
 * A connection that was idle may be dead: what leaves of the body is kept until the server begins
 * to answer. Without memory it is not, and the request then cannot be sent again.
 */
static void
keep_body(struct exchange *ex, struct pipe *body)
{
	struct pipe_kept *room;

	if (!ex->reused || ex->req.m.body == MSG_BODY_NONE || ex->req.m.content_length == 0)
		return;
	room = arena_alloc(&ex->arena, sizeof *room);
	if (room != NULL)
		pipe_keep(body, room);
}

/* A Unix socket has no name that a host could be. */
void
ex_name_server(struct msg_req *req, const struct server *s)
{
	(void)headers_remove_id(&req->m.headers, HDR_HOST);
	req->authority = addr_is_ip(&s->addr) ? s->name : SLICE("localhost");
}

enum step_rc
ex_step_send(struct exchange *ex)
{
	struct pipe *body = ex->req.m.body == MSG_BODY_NONE && ex->req.upgrade.len == 0 ? NULL :
	    chain_pipe(&ex->chain, CHAIN_REQ, &ex->req_body);

	if (!ex->opened) {
		/* The upstream's own connect limit runs; ours is the whole request's. */
		ex_deadline(ex, 0, REASON_TOTAL_TIMEOUT);
		return (STEP_WAIT);
	}
	ex_phase(ex, FACTS_FIRST_BYTE);
	if (body != NULL)
		keep_body(ex, body);
	if (unlikely(ex->route->policy->host_upstream))
		ex_name_server(&ex->req, up_server(ex->up));
	if (!up_send(ex->up, &ex->req, body))
		return (ex_fault(ex, REASON_OVERLOADED));
	up_receive(ex->up, &ex->resp_body);
	ex_deadline(ex, ex->route->policy->timeout.first_byte, REASON_UPSTREAM_TIMEOUT);
	return (ex_go(ex, EX_AWAIT));
}

enum step_rc
ex_step_await(struct exchange *ex)
{
	return (ex->resp_ready ? ex_go(ex, EX_RESP_FILTERS) : STEP_WAIT);
}

/* ---- events ---- */

static void
on_open(void *arg, struct up_stream *up, const struct server *server)
{
	struct exchange *ex = of(arg);

	ex->up = up;
	note_server(ex, server);
	ex->opened = true;
	ex->reused = false;
	ex_poke(ex);
}

static struct msg *
on_begin(void *arg)
{
	struct exchange *ex = of(arg);

	pipe_release(chain_pipe(&ex->chain, CHAIN_REQ, &ex->req_body));
	/* Fresh as it was made, unless an interim response has been here. */
	if (ex->resp.status != 0)
		msg_resp_init(&ex->resp, &ex->arena);
	return (&ex->resp.m);
}

static void
on_info(void *arg, struct msg_resp *info)
{
	struct exchange *ex = of(arg);

	/* HTTP/1.0 knows no interim answers. */
	if (ex->req.m.version == HTTP_1_0 || ex->reply_begun)
		return;
	if (ex->stream->codec->ops->send_info(ex->stream, info))
		conn_want_flush(&ex->down->conn);
}

static void
on_head(void *arg, struct msg_resp *resp, struct page *head, bool end)
{
	struct exchange *ex = of(arg);

	(void)resp;
	ex->resp_page = page_ref(head);
	ex->up_done = end;
	ex->resp_ready = true;
	ex_phase(ex, FACTS_BODY);
	ex_poke(ex);
}

static void
on_end(void *arg)
{
	struct exchange *ex = of(arg);

	ex->up_done = true;
	/* The connection is free for others now, not when our client has read the last byte. */
	if (ex->up != NULL && ex->up_sent)
		up_close(&ex->up);
}

static void
on_sent(void *arg)
{
	struct exchange *ex = of(arg);

	ex->up_sent = true;
	/* The client has ended its half of a tunnel: the other is waited for as any body is. */
	if (ex->step == EX_REPLY && ex->resp.m.body == MSG_BODY_TUNNEL)
		ex_deadline(ex, ex->route->policy->timeout.idle, REASON_UPSTREAM_IDLE);
	if (ex->step == EX_AWAIT && ex->req.m.body != MSG_BODY_NONE)
		ex_deadline(ex, ex->route->policy->timeout.first_byte, REASON_UPSTREAM_TIMEOUT);
}

static bool
remember_tried(struct exchange *ex, const struct server *s)
{
	if (s == NULL || ex->n_tried == sizeof ex->tried / sizeof ex->tried[0])
		return (false);
	ex->tried[ex->n_tried++] = up_server_hold(s);
	return (true);
}

/* May the request be tried again? What has left of a body must have been kept; it is put back. */
static bool
try_again(struct exchange *ex, const struct up_fault *f)
{
	struct pipe *body = chain_pipe(&ex->chain, CHAIN_REQ, &ex->req_body);

	if (f->connect)
		return (ex->n_tried + 1u < UP_CONNECT_TRIES && ex->n_tried + 1u < f->n_servers &&
		    remember_tried(ex, f->server));
	if (!f->replay || ex->replayed)
		return (false);
	if (!pipe_rewind(body) && body->total != body->queued)
		return (false);
	ex->replayed = true;
	return (true);
}

static void
on_fail(void *arg, const struct up_fault *f)
{
	struct exchange *ex = of(arg);

	ex->up = NULL;
	note_server(ex, f->server);
	if (ex->resp_ready) {
		/* The pipe is broken; what has come goes out, then the client is cut. */
		if (ex->reason == REASON_NONE)
			ex->reason = (uint8_t)f->reason;
		if (ex->reply_begun)
			conn_want_flush(&ex->down->conn);
		else
			exchange_fault(ex, f->reason);
		return;
	}
	if (try_again(ex, f)) {
		ex_phase(ex, FACTS_QUEUE);
		ex->step = EX_OPEN;
		ex_poke(ex);
		return;
	}
	exchange_fault(ex, f->reason);
}

static const struct up_events up_events = {
	.on_open = on_open,
	.on_info = on_info,
	.on_begin = on_begin,
	.on_head = on_head,
	.on_end = on_end,
	.on_sent = on_sent,
	.on_fail = on_fail,
};

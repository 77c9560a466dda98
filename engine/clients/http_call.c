/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/clients/http_call.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/http/pipe.h"
#include "engine/loop/loop.h"
#include "engine/loop/timer.h"
#include "engine/mem/arena.h"
#include "engine/mem/err.h"
#include "engine/mem/page.h"
#include "engine/upstream/up_stream.h"
#include "engine/worker/worker.h"

enum {
	CALL_FIRST_BYTES = 1024		/* of a body whose length is not said */
};

struct http_call {
	unsigned			 magic;
#define HTTP_CALL_MAGIC	0x68a3d10b
	bool				 replayed;
	bool				 over;	/* told, or cancelled: nothing is held any more */
	struct arena			*arena;
	struct worker			*worker;
	struct upstream			*upstream;
	struct pending			*pending;
	struct http_call_result		*result;
	struct http_call_request	 ask;
	struct msg_req			 req;
	struct msg_resp			 resp;
	struct up_stream		*up;
	struct pick			 pick;
	struct page			*head;	/* where the slices of resp lie */
	struct pipe			 out, in;
	struct timer			 timer;
	struct deferred			 more;	/* bytes are in `in` */
	struct arena_cleanup		 cleanup;
	char				*body;
	size_t				 body_len, body_cap;
};

static const struct up_events events;

/* ---- the end ---- */

static void
stop(struct http_call *hc)
{
	hc->over = true;
	while (hc->pick.n_tried > 0)
		up_server_drop(&hc->pick.tried[--hc->pick.n_tried]);
	if (hc->up != NULL)
		up_close(&hc->up);
	timer_clear(&hc->timer);
	deferred_cancel(&hc->more);
	pipe_fini(&hc->out);
	pipe_fini(&hc->in);
}

static void
finish(struct http_call *hc, enum reason reason)
{
	/* Never written to, so all workers may share it; the reason is in the result. */
	static struct err failed = { .code = ERR_SYSTEM, .what = "the HTTP call failed" };

	stop(hc);
	hc->result->reason = reason;
	hc->result->resp = reason == REASON_NONE ? &hc->resp : NULL;
	hc->result->body = slice_of(hc->body, reason == REASON_NONE ? hc->body_len : 0);
	pending_done(hc->pending, reason == REASON_NONE ? NULL : &failed);
}

static void
on_cancel(struct pending *p)
{
	struct http_call *hc;

	CAST_OBJ(hc, p->service, HTTP_CALL_MAGIC);
	stop(hc);
}

static void
on_arena_reset(void *arg)
{
	struct http_call *hc;

	CAST_OBJ(hc, arg, HTTP_CALL_MAGIC);
	if (!hc->over)
		stop(hc);
	if (hc->head != NULL)
		page_unref(&hc->head);
	hc->magic = 0;
}

static void
on_timeout(void *arg)
{
	struct http_call *hc;

	CAST_OBJ(hc, arg, HTTP_CALL_MAGIC);
	finish(hc, REASON_UPSTREAM_TIMEOUT);
}

/* ---- the request ---- */

/* False: no memory. */
static bool
send_request(struct http_call *hc)
{
	pipe_fini(&hc->out);
	pipe_init(&hc->out, PIPE_LOW, PIPE_HIGH);
	if (hc->ask.has_body) {
		if (hc->ask.body.len > 0)
			(void)pipe_put(&hc->out, (struct span){ .p = hc->ask.body.p,
				.len = (uint32_t)hc->ask.body.len });
		pipe_put_end(&hc->out, NULL);
	}
	if (!up_send(hc->up, &hc->req, hc->ask.has_body ? &hc->out : NULL))
		return (false);
	up_receive(hc->up, &hc->in);
	return (true);
}

/* False: no memory; nothing is open then. */
static bool
try_server(struct http_call *hc)
{
	hc->up = up_open(hc->worker, hc->upstream, &hc->pick, hc->ask.connect_ms, &events, hc);
	if (hc->up == NULL)
		return (false);
	return (!up_is_open(hc->up) || send_request(hc));
}

static bool
make_request(struct http_call *hc)
{
	const struct http_call_request *ask = &hc->ask;
	struct msg_req *r = &hc->req;
	ssize_t mark = slice_find_byte(ask->target, '?');

	msg_req_init(r, hc->arena);
	r->method = (uint8_t)ask->method;
	r->method_text = method_name(ask->method);
	r->target = r->path_raw = r->path = ask->target;
	if (mark >= 0) {
		r->path_raw = r->path = slice_of(ask->target.p, (size_t)mark);
		r->query = slice_skip(ask->target, (size_t)mark + 1);
		r->has_query = true;
	}
	/* What was configured or put together is no received text: the codec looks at it. */
	r->target = SLICE_NONE;
	r->authority = r->host = ask->host;
	r->m.body = ask->has_body ? MSG_BODY_LENGTH : MSG_BODY_NONE;
	r->m.content_length = ask->has_body ? (int64_t)ask->body.len : -1;
	for (unsigned i = 0; i < ask->n_fields; i++) {
		if (!headers_add(&r->m.headers, ask->fields[i].name, ask->fields[i].value))
			return (false);
	}
	return (true);
}

/* ---- the answer ---- */

static enum reason
keep(struct http_call *hc, const char *p, size_t n)
{
	if (n > hc->ask.max_body - hc->body_len)
		return (REASON_RESPONSE_TOO_LARGE);
	if (n > hc->body_cap - hc->body_len) {
		size_t cap = hc->body_cap * 2;
		char *body;

		if (cap < CALL_FIRST_BYTES)
			cap = CALL_FIRST_BYTES;
		if (hc->body_cap == 0 && hc->resp.m.content_length > 0 &&
		    hc->resp.m.content_length <= hc->ask.max_body)
			cap = (size_t)hc->resp.m.content_length;
		if (cap < hc->body_len + n)
			cap = hc->body_len + n;
		body = arena_alloc(hc->arena, cap);
		if (body == NULL)
			return (REASON_OVERLOADED);
		if (hc->body_len > 0)
			memcpy(body, hc->body, hc->body_len);
		hc->body = body;
		hc->body_cap = cap;
	}
	memcpy(hc->body + hc->body_len, p, n);
	hc->body_len += n;
	return (REASON_NONE);
}

static enum reason
take_bytes(struct http_call *hc)
{
	struct span v[PIPE_SPANS];
	unsigned n = pipe_peek(&hc->in, v, PIPE_SPANS);

	for (unsigned i = 0; i < n; i++) {
		enum reason reason = keep(hc, v[i].p, v[i].len);

		if (reason != REASON_NONE)
			return (reason);
		pipe_consume(&hc->in, v[i].len);
	}
	pipe_wait(&hc->in);
	return (REASON_NONE);
}

static void
on_more(void *arg)
{
	struct http_call *hc;
	enum reason reason;

	CAST_OBJ(hc, arg, HTTP_CALL_MAGIC);
	reason = take_bytes(hc);
	if (reason != REASON_NONE)
		finish(hc, reason);
}

static void
on_bytes(void *arg)
{
	struct http_call *hc;

	CAST_OBJ(hc, arg, HTTP_CALL_MAGIC);
	loop_defer(hc->worker->loop, &hc->more);
}

/* ---- events of the stream ---- */

static struct http_call *
of(void *arg)
{
	struct http_call *hc;

	CAST_OBJ(hc, arg, HTTP_CALL_MAGIC);
	return (hc);
}

static void
on_open(void *arg, struct up_stream *up, const struct server *server)
{
	struct http_call *hc = of(arg);

	(void)up;
	(void)server;
	if (!send_request(hc))
		finish(hc, REASON_OVERLOADED);
}

static void
on_info(void *arg, struct msg_resp *resp)
{
	(void)arg;
	(void)resp;
}

static struct msg *
on_begin(void *arg)
{
	struct http_call *hc = of(arg);

	msg_resp_init(&hc->resp, hc->arena);
	return (&hc->resp.m);
}

static void
on_head(void *arg, struct msg_resp *resp, struct page *head, bool end)
{
	struct http_call *hc = of(arg);

	(void)resp;
	(void)end;
	hc->head = page_ref(head);
}

static void
on_end(void *arg)
{
	struct http_call *hc = of(arg);

	finish(hc, take_bytes(hc));
}

static void
on_sent(void *arg)
{
	(void)arg;
}

static void
on_fail(void *arg, const struct up_fault *f)
{
	struct http_call *hc = of(arg);
	struct pick *pick = &hc->pick;
	bool again = false;

	hc->up = NULL;
	if (f->connect && f->server != NULL && pick->n_tried + 1 < UP_CONNECT_TRIES &&
	    pick->n_tried + 1u < f->n_servers) {
		pick->tried[pick->n_tried++] = up_server_hold(f->server);
		again = true;
	} else if (f->replay && !hc->replayed) {
		hc->replayed = pick->fresh = true;
		again = true;
	}
	if (!again)
		finish(hc, f->reason);
	else if (!try_server(hc))
		finish(hc, REASON_OVERLOADED);
}

static const struct up_events events = {
	.on_open = on_open,
	.on_info = on_info,
	.on_begin = on_begin,
	.on_head = on_head,
	.on_end = on_end,
	.on_sent = on_sent,
	.on_fail = on_fail,
};

/* ---- the beginning ---- */

bool
http_call_start(struct arena *arena, struct worker *w, struct upstream *u,
    const struct http_call_request *ask, struct pending *pending, struct http_call_result *result)
{
	struct http_call *hc = arena_zalloc(arena, sizeof *hc);

	must(ask->timeout_ms != 0);
	memset(result, 0, sizeof *result);
	if (hc == NULL)
		return (false);
	hc->magic = HTTP_CALL_MAGIC;
	hc->arena = arena;
	hc->worker = w;
	hc->upstream = u;
	hc->pending = pending;
	hc->result = result;
	hc->ask = *ask;
	hc->pick = (struct pick){ .req = &hc->req, .client = ask->client };
	pipe_init(&hc->out, PIPE_LOW, PIPE_HIGH);
	pipe_init(&hc->in, PIPE_LOW, PIPE_HIGH);
	pipe_set_sink(&hc->in, on_bytes, hc);
	pipe_wait(&hc->in);
	timer_init(&hc->timer, on_timeout, hc);
	deferred_init(&hc->more, on_more, hc);
	arena_on_reset(arena, &hc->cleanup, on_arena_reset, hc);
	if (!make_request(hc) || !try_server(hc)) {
		stop(hc);
		return (false);
	}
	pending_arm(pending, on_cancel, hc);
	timer_set(w->loop, &hc->timer, loop_now_ms(w->loop) + ask->timeout_ms);
	return (true);
}

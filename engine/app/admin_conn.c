/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <unistd.h>

#include "engine/app/admin_impl.h"
#include "engine/base/check.h"
#include "engine/mem/alloc.h"
#include "engine/mem/page.h"
#include "engine/net/tcp.h"
#include "engine/worker/worker.h"

/* One connection to the admin listener: a request, its answer, the next. */

static const struct codec_limits limits = {
	.head_bytes = 16 * 1024,
	.line_bytes = 8 * 1024,
	.fields = 100,
	.chunk_ext = 256,
};

enum {
	LINGER_BYTES = 256 * 1024,
	LINGER_MS = 2000
};

static void on_reloaded(struct reload_wait *, const struct reload_end *);
static const struct conn_events conn_events;
static const struct codec_events codec_events;

static struct loop *
loop_of(const struct admin_conn *ac)
{
	return (ac->admin->worker->loop);
}

static void
arm(struct admin_conn *ac, uint64_t ms)
{
	timer_set(loop_of(ac), &ac->timer, loop_now_ms(loop_of(ac)) + ms);
}

/* What belongs to the request, not to the connection. */
static void
forget_request(struct admin_conn *ac)
{
	prom_text_free(&ac->reply.body);
	pipe_fini(&ac->pipe);
	if (ac->head != NULL)
		page_unref(&ac->head);
	arena_reset(&ac->arena);
	ac->busy = ac->answered = false;
	ac->body_bytes = 0;
}

static void
shut_down(struct admin_conn *ac)
{
	timer_clear(&ac->timer);
	list_del(&ac->wait.link);
	deferred_cancel(&ac->done);
	ac->h1.c.ops->fini(&ac->h1.c);
	conn_close(&ac->conn, CLOSE_CLEAN);
	list_del(&ac->link);
	ac->admin->n_conns--;
}

void
admin_conn_free(struct admin_conn *ac)
{
	CHECK_OBJ(ac, ADMIN_CONN_MAGIC);
	if (!ac->conn.is_closed)
		shut_down(ac);
	deferred_cancel(&ac->gone);
	forget_request(ac);
	arena_fini(&ac->arena);
	ac->magic = 0;
	xfree(ac);
}

static void
on_gone(void *arg)
{
	struct admin_conn *ac;

	CAST_OBJ(ac, arg, ADMIN_CONN_MAGIC);
	admin_conn_free(ac);
}

static void
close_conn(struct admin_conn *ac)
{
	if (ac->conn.is_closed)
		return;
	shut_down(ac);
	/* Whoever called may have it on the stack. */
	loop_defer(loop_of(ac), &ac->gone);
}

/* Reads and forgets. False: it is over. */
static bool
linger_read(struct admin_conn *ac)
{
	char waste[4096];

	for (;;) {
		struct iovec v = { waste, sizeof waste };
		size_t n = 0;

		switch (transport_read(&ac->conn.t, &v, 1, &n)) {
		case IO_OK:
			if (n >= ac->linger_left)
				return (false);
			ac->linger_left -= (uint32_t)n;
			break;
		case IO_AGAIN:
			return (true);
		default:
			return (false);
		}
	}
}

/* A close with bytes unread is a reset, which may overtake the answer: so first our FIN, then
   theirs, for a moment. */
static void
start_close(struct admin_conn *ac)
{
	if (ac->conn.is_closed)
		return;
	ac->lingering = true;
	ac->linger_left = LINGER_BYTES;
	ac->conn.t.ops->shut(&ac->conn.t);
	if (ac->conn.in_eof || !linger_read(ac))
		close_conn(ac);
	else
		arm(ac, LINGER_MS);
}

static void
on_io(void *arg, unsigned what)
{
	struct admin_conn *ac;

	CAST_OBJ(ac, arg, ADMIN_CONN_MAGIC);
	if (!ac->lingering)
		conn_on_io(&ac->conn, what);
	else if (!linger_read(ac))
		close_conn(ac);
}

static void
on_timer(void *arg)
{
	struct admin_conn *ac;

	CAST_OBJ(ac, arg, ADMIN_CONN_MAGIC);
	close_conn(ac);
}

/* ---- the answer ---- */

static void
wake_writer(void *arg)
{
	struct admin_conn *ac;

	CAST_OBJ(ac, arg, ADMIN_CONN_MAGIC);
	conn_want_flush(&ac->conn);
}

static bool
add_fields(struct headers *hs, const struct admin_reply *r)
{
	struct slice type = r->type.len > 0 ? r->type : SLICE("text/plain; charset=utf-8");

	return (headers_set_id(hs, HDR_CONTENT_TYPE, type) &&
	    headers_set_id(hs, HDR_CACHE_CONTROL, SLICE("no-store")) &&
	    (r->allow.len == 0 || headers_set_id(hs, HDR_ALLOW, r->allow)));
}

static bool
send_reply(struct admin_conn *ac)
{
	const struct admin_reply *r = &ac->reply;
	struct msg_resp resp;

	msg_resp_init(&resp, &ac->arena);
	resp.m.keep_alive = true;
	resp.status = (uint16_t)r->status;
	resp.m.body = MSG_BODY_LENGTH;
	resp.m.content_length = (int64_t)r->body.len;
	if (!add_fields(&resp.m.headers, r))
		return (false);
	pipe_init(&ac->pipe, PIPE_LOW, PIPE_HIGH);
	pipe_set_sink(&ac->pipe, wake_writer, ac);
	if (ac->req.method == METHOD_HEAD)
		resp.m.body = MSG_BODY_NONE;
	else if (r->body.len > 0)
		(void)pipe_put(&ac->pipe, (struct span){ NULL, r->body.p, (uint32_t)r->body.len });
	pipe_put_end(&ac->pipe, NULL);
	return (ac->h1.c.ops->send(&ac->h1.s, &resp.m, &ac->pipe));
}

static void
answer(struct admin_conn *ac, bool ok)
{
	ac->answered = true;
	list_del(&ac->wait.link);
	if (!ok || ac->reply.body.failed || ac->reply.body.len > UINT32_MAX || !send_reply(ac)) {
		close_conn(ac);
		return;
	}
	arm(ac, ADMIN_IDLE_MS);
	conn_want_flush(&ac->conn);
}

static void
on_done(void *arg)
{
	struct admin_conn *ac;

	CAST_OBJ(ac, arg, ADMIN_CONN_MAGIC);
	forget_request(ac);
	if (ac->closing || !ac->h1.c.ops->can_reuse(&ac->h1.c)) {
		start_close(ac);
		return;
	}
	arm(ac, ADMIN_IDLE_MS);
	conn_resume(&ac->conn);
}

/* ---- events of the codec ---- */

static struct admin_conn *
of_stream(struct codec_stream *s)
{
	struct admin_conn *ac;

	CAST_OBJ(ac, s->codec->owner, ADMIN_CONN_MAGIC);
	return (ac);
}

static struct msg *
on_begin(struct codec_stream *s)
{
	struct admin_conn *ac = of_stream(s);

	/* A client that is quick has read the answer, and asks again, before on_done() has run. */
	if (deferred_is_queued(&ac->done) && !ac->closing) {
		deferred_cancel(&ac->done);
		forget_request(ac);
	}
	if (ac->busy)
		return (NULL);
	ac->busy = true;
	msg_req_init(&ac->req, &ac->arena);
	memset(&ac->reply, 0, sizeof ac->reply);
	arm(ac, ADMIN_HEAD_MS);
	return (&ac->req.m);
}

static void
on_head(struct codec_stream *s, struct msg *m, struct page *head, bool end)
{
	(void)m;
	(void)end;
	of_stream(s)->head = page_ref(head);
}

static bool
on_body(struct codec_stream *s, struct span span)
{
	struct admin_conn *ac = of_stream(s);

	if (span.page != NULL)
		page_unref(&span.page);
	ac->body_bytes += span.len;
	if (ac->body_bytes <= ADMIN_BODY_MAX)
		return (true);
	if (!ac->answered) {
		ac->closing = true;
		ac->h1.c.ops->drain(&ac->h1.c);
		answer(ac, admin_problem(&ac->reply, 413, SLICE("the body is too large")));
	}
	return (false);
}

static void
on_message_end(struct codec_stream *s)
{
	struct admin_conn *ac = of_stream(s);
	bool ok;

	if (ac->answered)
		return;
	ok = admin_answer(ac->admin, ac->is_unix || ac->admin->write, &ac->req, &ac->wait,
	    &ac->reply);
	if (!ac->reply.is_later)
		answer(ac, ok);
	else if (!ac->answered)
		timer_clear(&ac->timer);	/* a reload ends by itself */
}

static void
on_reloaded(struct reload_wait *wait, const struct reload_end *end)
{
	struct admin_conn *ac = container_of(wait, struct admin_conn, wait);

	CHECK_OBJ(ac, ADMIN_CONN_MAGIC);
	answer(ac, admin_say_reloaded(ac->admin, end, &ac->reply));
}

static void
on_error(struct codec_stream *s, enum reason reason)
{
	struct admin_conn *ac = of_stream(s);
	const struct reason_info *info = reason_info(reason);

	ac->closing = true;
	if (ac->answered || info->status < 400)
		close_conn(ac);
	else
		answer(ac, admin_problem(&ac->reply, info->status, info->title));
}

static void
on_sent(struct codec_stream *s)
{
	struct admin_conn *ac = of_stream(s);

	/* The request may not be read to its end: then the connection has no next one. */
	loop_defer(loop_of(ac), &ac->done);
}

static const struct codec_events codec_events = {
	.on_begin = on_begin,
	.on_head = on_head,
	.on_body = on_body,
	.on_end = on_message_end,
	.on_error = on_error,
	.on_sent = on_sent,
};

/* ---- events of the connection ---- */

static void
on_end(struct conn *c, enum conn_end why)
{
	struct admin_conn *ac;
	bool has_answer;

	CAST_OBJ(ac, c->owner, ADMIN_CONN_MAGIC);
	ac->closing = true;
	has_answer = ac->answered || list_is_linked(&ac->wait.link);
	/* One that is on its way still goes out to a client that only shut its side. */
	if (!has_answer || why == CONN_END_RESET || why == CONN_END_NO_MEMORY)
		close_conn(ac);
}

static const struct conn_events conn_events = {
	.on_end = on_end,
};

void
admin_conn_accept(void *arg, int fd, const struct addr *peer)
{
	struct admin_door *door;
	struct admin_conn *ac;
	struct admin *a;

	(void)peer;
	CAST_OBJ(door, arg, ADMIN_DOOR_MAGIC);
	a = door->admin;
	ac = a->n_conns < ADMIN_CONNS_MAX ? mem_try_calloc(1, sizeof *ac) : NULL;
	if (ac == NULL) {
		(void)close(fd);
		return;
	}
	if (!tcp_accept_fd(&ac->conn.t, a->worker->loop, fd, on_io, ac)) {
		xfree(ac);
		return;
	}
	ac->magic = ADMIN_CONN_MAGIC;
	ac->is_unix = door->is_unix;
	ac->admin = a;
	arena_init(&ac->arena, NULL, 0, ARENA_TRY);
	timer_init(&ac->timer, on_timer, ac);
	deferred_init(&ac->done, on_done, ac);
	deferred_init(&ac->gone, on_gone, ac);
	list_init(&ac->wait.link);
	ac->wait.done = on_reloaded;
	pipe_init(&ac->pipe, PIPE_LOW, PIPE_HIGH);
	h1_init(&ac->h1, CODEC_SERVER, &codec_events, ac, &limits, &a->worker->pages);
	conn_init(&ac->conn, a->worker->loop, &a->worker->pages, &ac->h1.c, &conn_events, ac);
	list_add_tail(&a->conns, &ac->link);
	a->n_conns++;
	arm(ac, ADMIN_HEAD_MS);
}

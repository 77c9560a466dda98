/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <limits.h>

#include "engine/base/check.h"
#include "engine/http/method.h"
#include "engine/mem/page.h"
#include "engine/stats/stats.h"
#include "engine/upstream/balancer.h"
#include "engine/upstream/up_impl.h"
#include "engine/upstream/upstream.h"

static void
on_late(void *arg)
{
	struct up_stream *us;

	CAST_OBJ(us, arg, UP_STREAM_MAGIC);
	up_stream_failed(us, us->late_reason);
}

static void
fail_later(struct up_stream *us, enum reason reason)
{
	us->late_reason = reason;
	loop_defer(us->worker->loop, &us->late);
}

/* It is not the server's fault that there is no connection. */
static bool
is_our_limit(int number)
{
	return (number == ENOMEM || number == ENOBUFS || number == EMFILE || number == ENFILE);
}

struct up_stream *
up_open(struct worker *w, struct upstream *u, const struct pick *pick, uint32_t connect_ms,
    const struct up_events *events, void *ex)
{
	struct up_local *local = pool_local(w, u);
	struct up_stream *us = local == NULL ? NULL : slab_get(&up_of(w)->streams);

	if (us == NULL)
		return (NULL);
	*us = (struct up_stream){ .magic = UP_STREAM_MAGIC, .worker = w, .events = events,
		.ex = ex, .open_us = loop_now_us(w->loop) };
	deferred_init(&us->late, on_late, us);
	us->peer = local->n_peers == 0 ? NULL : u->balancer->pick(local, pick);
	if (us->peer == NULL) {
		fail_later(us, u->has_names && local->n_peers == 0 ? REASON_UPSTREAM_UNRESOLVED :
		    REASON_UPSTREAM_NONE_HEALTHY);
		return (us);
	}
	us->peer->active++;
	us->uc = pick->fresh ? NULL : pool_take(us->peer);
	if (us->uc != NULL) {
		us->reused = us->open = true;
		us->uc->us = us;
		us->bytes_in_before = us->uc->conn.bytes_in;
		us->bytes_out_before = us->uc->conn.bytes_out;
		return (us);
	}
	us->uc = up_conn_connect(w, us->peer, us, connect_ms);
	if (us->uc == NULL)
		fail_later(us, is_our_limit(errno) ? REASON_OVERLOADED :
		    REASON_UPSTREAM_CONNECT_FAILED);
	else if (us->uc->state == UP_CONN_BUSY)
		us->open = true;
	return (us);
}

bool
up_is_open(const struct up_stream *us)
{
	return (us->open);
}

void
up_stream_opened(struct up_stream *us)
{
	CHECK_OBJ(us, UP_STREAM_MAGIC);
	us->open = true;
	us->events->on_open(us->ex, us, &us->peer->server);
}

/* ---- the request's way ---- */

static void
wake_writer(void *arg)
{
	struct up_conn *uc;

	CAST_OBJ(uc, arg, UP_CONN_MAGIC);
	conn_want_flush(&uc->conn);
}

static void
wake_reader(void *arg)
{
	struct up_conn *uc;

	CAST_OBJ(uc, arg, UP_CONN_MAGIC);
	uc->h1.c.ops->resume(&uc->h1.s);
	conn_resume(&uc->conn);
}

bool
up_send(struct up_stream *us, const struct msg_req *req, struct pipe *body)
{
	struct up_conn *uc = us->uc;

	CHECK_OBJ(us, UP_STREAM_MAGIC);
	must(us->open);
	us->req = req;
	us->out = body;
	if (body != NULL)
		pipe_set_sink(body, wake_writer, uc);
	if (!uc->h1.c.ops->send(&uc->h1.s, &req->m, body))
		return (false);
	conn_want_flush(&uc->conn);
	return (true);
}

void
up_receive(struct up_stream *us, struct pipe *body)
{
	CHECK_OBJ(us, UP_STREAM_MAGIC);
	us->in = body;
	pipe_set_source(body, wake_reader, us->uc);
}

/* ---- the end ---- */

static void
release_pipes(struct up_stream *us)
{
	if (us->out != NULL)
		pipe_set_sink(us->out, NULL, NULL);
	if (us->in != NULL)
		pipe_set_source(us->in, NULL, NULL);
	us->out = us->in = NULL;
}

static void
stream_free(struct up_stream *us)
{
	struct slab *slab = &up_of(us->worker)->streams;
	struct up_peer *peer = us->peer;

	deferred_cancel(&us->late);
	release_pipes(us);
	if (us->req != NULL && !us->head_seen)
		up_stats_answer(peer, 0);
	if (us->uc != NULL)
		up_conn_release(us->uc, us->done && us->sent);
	us->magic = 0;
	slab_put(slab, &us);
	if (peer == NULL)
		return;
	peer->active--;
	if (unlikely(peer->gone))
		pool_peer_release(peer);
}

void
up_close(struct up_stream **up)
{
	struct up_stream *us;

	TAKE_OBJ(us, up, UP_STREAM_MAGIC);
	stream_free(us);
}

/*
 * It may have failed without having been seen: then the connection stays a moment, to find out.
 * True: what becomes of it is told later, or was told.
 */
static bool
settle_later(struct up_stream *us, enum reason reason, enum up_replay verdict)
{
	struct up_conn *uc = us->uc;

	if (verdict != UP_REPLAY_WAIT || us->doubt)
		return (false);
	us->doubt = true;
	us->reason = reason;
	us->doubt_unacked = (uint64_t)uc->conn.t.ops->unacked(&uc->conn.t);
	release_pipes(us);
	up_conn_doubt(uc);
	return (true);
}

void
up_stream_failed(struct up_stream *us, enum reason reason)
{
	const struct up_events *events = us->events;
	void *ex = us->ex;
	struct up_fault f = { .reason = us->reason != REASON_NONE ? us->reason : reason };

	CHECK_OBJ(us, UP_STREAM_MAGIC);
	if (us->peer != NULL) {
		enum up_replay verdict = us->open ? up_replay_verdict(us, f.reason) : UP_REPLAY_NO;

		if (settle_later(us, f.reason, verdict))
			return;
		f.server = up_server_hold(&us->peer->server);
		f.connect = !us->open;
		f.n_servers = us->peer->local != NULL ? us->peer->local->n_peers : UINT_MAX;
		f.replay = verdict == UP_REPLAY_YES || us->unseen;
	}
	if (us->in != NULL && us->head_seen)
		pipe_break(us->in);
	us->done = false;
	stream_free(us);
	events->on_fail(ex, &f);
	if (f.server != NULL)
		up_server_drop(&f.server);
}

const struct server *
up_server(const struct up_stream *us)
{
	return (us->peer != NULL ? &us->peer->server : NULL);
}

bool
up_is_reused(const struct up_stream *us)
{
	return (us->reused);
}

uint64_t
up_read_ms(const struct up_stream *us)
{
	return (us->uc == NULL ? 0 : us->uc->conn.read_ms);
}

uint64_t
up_wrote_ms(const struct up_stream *us)
{
	return (us->uc == NULL ? 0 : us->uc->conn.wrote_ms);
}

/* ---- the response's way: events of the codec ---- */

/* NULL: nobody is waiting, so what came is a mistake of the server's. */
static struct up_stream *
of_stream(struct codec_stream *s)
{
	struct up_conn *uc;

	CAST_OBJ(uc, s->codec->owner, UP_CONN_MAGIC);
	return (uc->us);
}

static struct msg *
on_begin(struct codec_stream *s)
{
	struct up_stream *us = of_stream(s);

	if (us == NULL)
		return (NULL);
	us->resp = us->events->on_begin(us->ex);
	return (us->resp);
}

static void
on_info(struct codec_stream *s, struct msg_resp *info)
{
	struct up_stream *us = of_stream(s);

	if (us != NULL)
		us->events->on_info(us->ex, info);
}

static void
on_head(struct codec_stream *s, struct msg *m, struct page *head, bool end)
{
	struct up_stream *us = of_stream(s);
	struct msg_resp *resp = (struct msg_resp *)m;

	if (us == NULL)
		return;
	us->head_seen = true;
	us->upgraded = m->body == MSG_BODY_TUNNEL;
	if (resp->keep_alive_s != 0)
		up_conn_learn(us->uc, resp->keep_alive_s);
	up_stats_answer(us->peer, resp->status);
	stats_observe(us->peer->stats.first_byte, loop_now_us(us->worker->loop) - us->open_us);
	if (us->upgraded)
		conn_want_flush(&us->uc->conn);	/* the client's bytes go out from now on */
	us->events->on_head(us->ex, resp, head, end);
}

static bool
on_body(struct codec_stream *s, struct span span)
{
	struct up_stream *us = of_stream(s);

	if (us == NULL || us->in == NULL) {
		if (span.page != NULL)
			page_unref(&span.page);
		return (us == NULL);
	}
	return (pipe_put(us->in, span));
}

static void
on_end(struct codec_stream *s)
{
	struct up_stream *us = of_stream(s);

	if (us == NULL)
		return;
	us->done = true;
	if (us->in != NULL)
		pipe_put_end(us->in, us->resp->trailers);
	us->events->on_end(us->ex);
}

static void
on_sent(struct codec_stream *s)
{
	struct up_stream *us = of_stream(s);

	if (us == NULL)
		return;
	us->sent = true;
	if (us->upgraded)
		us->uc->conn.t.ops->shut(&us->uc->conn.t);
	us->events->on_sent(us->ex);
}

/* What came is unusable: the connection's end follows (CONN_END_CODEC). What goes out is:
   on_flushed follows. Told there. */
static void
on_error(struct codec_stream *s, enum reason reason)
{
	struct up_stream *us = of_stream(s);

	if (us == NULL)
		return;
	us->reason = reason;
	us->cut = true;
}

const struct codec_events up_codec_events = {
	.on_begin = on_begin,
	.on_info = on_info,
	.on_head = on_head,
	.on_body = on_body,
	.on_end = on_end,
	.on_error = on_error,
	.on_sent = on_sent,
};

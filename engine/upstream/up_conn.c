/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>

#include "engine/base/check.h"
#include "engine/mem/page.h"
#include "engine/net/tcp.h"
#include "engine/stats/stats.h"
#include "engine/upstream/pool.h"
#include "engine/upstream/up_conn.h"
#include "engine/upstream/up_impl.h"
#include "engine/upstream/upstream.h"

/*
 *	             connected           released, whole
 *	CONNECTING ------------> BUSY ---------------------> IDLE
 *	     |                   ^ | | |                     |  |
 *	     |                   | | | |                     |  |
 *	     |                   `-|-|-|------- taken -------'  |
 *	     |                     | | |                        |
 *	     |                     | | `--> RELEASED -----------|--> IDLE or CLOSED, when what was
 *	     |                     | |                          |    read has been fed
 *	     |                     | `----> DOUBT --.           |
 *	     | failed, or its      | failed,        | settled,  | ended, or its
 *	     v time is up          v or cut         v or late   v time is up
 *	                           CLOSED
 *
 * Invariants:
 *  1. In CONNECTING, BUSY and DOUBT it has a stream (us), which has it; in no other state.
 *  2. It is in its peer's list of idle ones exactly in IDLE.
 *  3. Metrics count it once: as idle in IDLE, as active in every other state but CLOSED.
 *  4. The timer means something in CONNECTING, DOUBT and IDLE; elsewhere it may be left over, and
 *     firing changes nothing.
 *  5. CLOSED is the end: nothing calls back from it, and the struct lives until `gone` gives it
 *     back and lets the peer go.
 *  6. Telling the stream (up_stream_opened, _failed) may close it: the state is looked at again, or
 *     nothing follows.
 */

enum {
	/* A response's head may be larger than a request's (facts: 64 KiB and 200 fields). */
	UP_HEAD_BYTES = 64 * 1024,
	UP_HEAD_FIELDS = 200,
	UP_CHUNK_EXT = 256,
	AGE_JITTER_PERCENT = 10
};

static const struct codec_limits up_limits = {
	.head_bytes = UP_HEAD_BYTES,
	.line_bytes = UP_HEAD_BYTES,
	.fields = UP_HEAD_FIELDS,
	.chunk_ext = UP_CHUNK_EXT,
};

static const struct conn_events up_conn_events;

static void
on_gone(void *arg)
{
	struct up_conn *uc;
	struct up_peer *peer;
	struct slab *slab;

	CAST_OBJ(uc, arg, UP_CONN_MAGIC);
	peer = uc->peer;
	slab = &up_of(uc->worker)->conns;
	uc->magic = 0;
	slab_put(slab, &uc);
	pool_forget(peer);
}

void
up_conn_close(struct up_conn *uc, enum close_how how)
{
	CHECK_OBJ(uc, UP_CONN_MAGIC);
	if (uc->state == UP_CONN_CLOSED)
		return;
	if (uc->state == UP_CONN_IDLE)
		pool_unlist(uc);
	else
		stats_add(uc->peer->stats.active, -1);
	uc->state = UP_CONN_CLOSED;
	uc->us = NULL;
	timer_clear(&uc->timer);
	deferred_cancel(&uc->release);
	uc->h1.c.ops->fini(&uc->h1.c);
	conn_close(&uc->conn, how);
	/* Its own code may be on the stack. */
	loop_defer(uc->worker->loop, &uc->gone);
}

/* All that came was read; where that is not known (the last read filled its page) a read tells. */
static bool
is_dry(struct conn *c)
{
	struct iovec v;
	size_t n;
	char byte;

	if (!c->readable)
		return (true);
	v = (struct iovec){ .iov_base = &byte, .iov_len = 1 };
	if (transport_read(&c->t, &v, 1, &n) != IO_AGAIN)
		return (false);
	c->readable = false;
	return (true);
}

static void
settle(struct up_conn *uc)
{
	const struct codec *codec = &uc->h1.c;

	if (codec->ops->can_reuse(codec) && conn_waiting(&uc->conn) == 0 && !uc->conn.in_eof &&
	    !uc->conn.closed_seen && is_dry(&uc->conn))
		pool_give(uc);
	else
		up_conn_close(uc, CLOSE_CLEAN);
}

static void
on_release(void *arg)
{
	struct up_conn *uc;

	CAST_OBJ(uc, arg, UP_CONN_MAGIC);
	if (uc->state == UP_CONN_RELEASED)
		settle(uc);
}

void
up_conn_release(struct up_conn *uc, bool whole)
{
	CHECK_OBJ(uc, UP_CONN_MAGIC);
	uc->us = NULL;
	if (!whole || uc->state != UP_CONN_BUSY) {
		up_conn_close(uc, whole ? CLOSE_CLEAN : CLOSE_RESET);
	} else if (uc->conn.in_feed) {
		/* Surplus bytes may follow in the same page: wait until all of it was looked at. */
		uc->state = UP_CONN_RELEASED;
		loop_defer(uc->worker->loop, &uc->release);
	} else {
		settle(uc);
	}
}

static void
on_timer(void *arg)
{
	struct up_conn *uc;

	CAST_OBJ(uc, arg, UP_CONN_MAGIC);
	switch ((enum up_conn_state)uc->state) {
	case UP_CONN_CONNECTING:
		stats_add(uc->peer->stats.connects_timeout, 1);
		up_stream_failed(uc->us, REASON_UPSTREAM_CONNECT_TIMEOUT);
		return;
	case UP_CONN_IDLE:
		/* It may be left over from an earlier time of idleness. */
		if (loop_now_ms(uc->worker->loop) >= uc->idle_end_ms)
			up_conn_close(uc, CLOSE_CLEAN);
		else
			timer_set(uc->worker->loop, &uc->timer, uc->idle_end_ms);
		return;
	case UP_CONN_DOUBT:
		/* No reset came. */
		up_stream_failed(uc->us, REASON_UPSTREAM_CLOSED);
		return;
	case UP_CONN_BUSY:
	case UP_CONN_RELEASED:
	case UP_CONN_CLOSED:
		return;
	}
}

static void
on_connected(struct up_conn *uc)
{
	timer_clear(&uc->timer);
	uc->state = UP_CONN_BUSY;
	stats_add(uc->peer->stats.connects_ok, 1);
	up_stream_opened(uc->us);
}

static void
connect_io(struct up_conn *uc, unsigned what)
{
	switch (uc->conn.t.ops->connected(&uc->conn.t)) {
	case IO_OK:
		on_connected(uc);
		break;
	case IO_AGAIN:
		return;
	case IO_EOF:
	case IO_RESET:
		stats_add(uc->peer->stats.connects_failed, 1);
		up_stream_failed(uc->us, REASON_UPSTREAM_CONNECT_FAILED);
		return;
	}
	/* Bytes that came with the connection are the server's mistake; the codec says so. */
	if (uc->state != UP_CONN_CLOSED && what & (IO_READ | IO_CLOSED))
		conn_on_io(&uc->conn, what & ~(unsigned)IO_WRITE);
}

/* It ended, or spoke, before a byte of the request was written: whatever came is no answer to it,
   and must not become one. */
static bool
is_premature(const struct up_conn *uc, unsigned what)
{
	return (what & (IO_READ | IO_CLOSED) && uc->us != NULL &&
	    uc->conn.bytes_out == uc->us->bytes_out_before &&
	    (uc->us->reused || uc->us->req != NULL));
}

/* In doubt: a reset that comes behind the end shows as an error of the socket, not in a read. */
static void
doubt_io(struct up_conn *uc)
{
	struct transport *t = &uc->conn.t;
	int64_t unacked;

	if (t->ops->connected(t) != IO_RESET)
		return;
	unacked = t->ops->unacked(t);
	uc->us->unseen = unacked >= 0 && (uint64_t)unacked >= uc->us->doubt_unacked;
	up_stream_failed(uc->us, REASON_UPSTREAM_CLOSED);
}

void
up_conn_doubt(struct up_conn *uc)
{
	struct loop *loop = uc->worker->loop;

	uc->state = UP_CONN_DOUBT;
	uc->conn.writable = false;
	uc->conn.readable = false;
	uc->conn.blocked = true;
	timer_clear(&uc->timer);
	timer_set(loop, &uc->timer, loop_now_ms(loop) + UP_REPLAY_WAIT_MS);
	doubt_io(uc);	/* the reset may be there already, without an edge to come */
}

static void
on_io(void *arg, unsigned what)
{
	struct up_conn *uc;

	CAST_OBJ(uc, arg, UP_CONN_MAGIC);
	switch ((enum up_conn_state)uc->state) {
	case UP_CONN_BUSY:
	case UP_CONN_RELEASED:
		if (unlikely(is_premature(uc, what))) {
			up_stream_failed(uc->us, REASON_UPSTREAM_CLOSED);
			return;
		}
		conn_on_io(&uc->conn, what);
		/* Now rather than deferred: a request of this same turn may use it. */
		if (uc->state == UP_CONN_RELEASED) {
			deferred_cancel(&uc->release);
			settle(uc);
		}
		return;
	case UP_CONN_CONNECTING:
		connect_io(uc, what);
		return;
	case UP_CONN_IDLE:
		/* An end, or bytes that nobody asked for: not to be used again. */
		if (what & (IO_READ | IO_CLOSED)) {
			pool_ended_idle(uc);
			up_conn_close(uc, CLOSE_CLEAN);
		}
		return;
	case UP_CONN_DOUBT:
		doubt_io(uc);
		return;
	case UP_CONN_CLOSED:
		return;
	}
}

static uint64_t
age_end(struct worker *w, uint64_t age_ms)
{
	uint64_t spread = age_ms * AGE_JITTER_PERCENT / 100;

	if (age_ms == 0 || age_ms >= UINT32_MAX)
		return (UINT64_MAX);
	return (loop_now_ms(w->loop) + age_ms - spread + rnd_below(&w->rnd, 2 * spread + 1));
}

struct up_conn *
up_conn_connect(struct worker *w, struct up_peer *peer, struct up_stream *us, uint32_t connect_ms)
{
	struct up_conn *uc = slab_get(&up_of(w)->conns);
	const struct upstream_pool_limits *conf = &peer->local->upstream->pool;
	uint32_t learned;
	enum io_rc rc;

	if (uc == NULL) {
		errno = ENOMEM;
		return (NULL);
	}
	rc = tcp_connect(&uc->conn.t, w->loop, &peer->server.addr, on_io, uc);
	if (rc != IO_OK && rc != IO_AGAIN) {
		slab_put(&up_of(w)->conns, &uc);
		stats_add(peer->stats.connects_failed, 1);
		return (NULL);
	}
	uc->magic = UP_CONN_MAGIC;
	uc->state = rc == IO_OK ? UP_CONN_BUSY : UP_CONN_CONNECTING;
	uc->idle_limit_ms = conf->idle_timeout_ms;
	learned = pool_learned_ms(peer, loop_now_ms(w->loop));
	if (learned != 0 && learned < uc->idle_limit_ms)
		uc->idle_limit_ms = learned;
	uc->worker = w;
	uc->peer = peer;
	uc->us = us;
	uc->age_end_ms = age_end(w, conf->max_age_ms);
	timer_init(&uc->timer, on_timer, uc);
	deferred_init(&uc->gone, on_gone, uc);
	deferred_init(&uc->release, on_release, uc);
	list_init(&uc->link);
	h1_init(&uc->h1, CODEC_CLIENT, &up_codec_events, uc, &up_limits, &w->pages);
	conn_init(&uc->conn, w->loop, &w->pages, &uc->h1.c, &up_conn_events, uc);
	peer->n_conns++;
	stats_add(peer->stats.active, 1);
	if (rc == IO_OK)
		stats_add(peer->stats.connects_ok, 1);
	else if (connect_ms != 0)
		timer_set(w->loop, &uc->timer, loop_now_ms(w->loop) + connect_ms);
	return (uc);
}

void
up_conn_learn(struct up_conn *uc, uint32_t keep_alive_s)
{
	uint32_t ms = keep_alive_s < UINT32_MAX / 1000 ? keep_alive_s * 1000 : UINT32_MAX;

	ms = up_keep_ms(ms);
	if (ms < uc->idle_limit_ms)
		uc->idle_limit_ms = ms;
}

static void
on_end(struct conn *c, enum conn_end why)
{
	struct up_conn *uc;

	CAST_OBJ(uc, c->owner, UP_CONN_MAGIC);
	if (uc->us == NULL) {
		up_conn_close(uc, CLOSE_CLEAN);
		return;
	}
	switch (why) {
	case CONN_END_EOF:
		up_stream_failed(uc->us, REASON_UPSTREAM_CLOSED);
		return;
	case CONN_END_RESET:
		up_stream_failed(uc->us, REASON_UPSTREAM_RESET);
		return;
	case CONN_END_CODEC:
		up_stream_failed(uc->us, REASON_UPSTREAM_MALFORMED);
		return;
	case CONN_END_NO_MEMORY:
		up_stream_failed(uc->us, REASON_OVERLOADED);
		return;
	}
}

/* Our message was cut (its pipe broke, or was too short): what was sound is out, now it ends. */
static void
on_flushed(struct conn *c)
{
	struct up_conn *uc;

	CAST_OBJ(uc, c->owner, UP_CONN_MAGIC);
	if (unlikely(uc->us != NULL && uc->us->cut))
		up_stream_failed(uc->us, REASON_CLIENT_CLOSED);
}

static const struct conn_events up_conn_events = {
	.on_end = on_end,
	.on_flushed = on_flushed,
};

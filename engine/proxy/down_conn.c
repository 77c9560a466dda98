/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdatomic.h>
#include <string.h>

#include "engine/base/check.h"
#include "engine/base/panic.h"
#include "engine/base/text.h"
#include "engine/mem/page.h"
#include "engine/net/tcp.h"
#include "engine/proxy/access_log.h"
#include "engine/proxy/down_conn.h"
#include "engine/proxy/exchange.h"
#include "engine/proxy/facts.h"
#include "engine/proxy/gate.h"
#include "engine/proxy/local_reply.h"
#include "engine/proxy/proxy_limits.h"
#include "engine/proxy/proxy_stats.h"

/*
 *	            first bytes of a head         head whole
 *	  IDLE --------------------------> HEAD ------------> BUSY
 *	   | ^                              |                 |  |
 *	   | |                              | too late: 408   |  |
 *	   | |                              `--> (BUSY)       |  |
 *	   | `------------ answered, another may follow ------'  |
 *	   |                                                     | answered, and it is the last
 *	   |                                          LINGERING <+
 *	   | its time is up, ended, drained              |       | nothing unread can be there,
 *	   v                                             v       v or it is cut
 *	                                   closed
 *
 * IDLE: no exchange, no bytes. HEAD: bytes wait, and no exchange. BUSY: `ex` is set. LINGERING: the
 * flag. Closed: conn.is_closed.
 *
 * Invariants:
 *  1. `ex` is set by on_begin, or by a late head, and cleared by its FINISH.
 *  2. Nobody closes it under a running exchange: who wants that ends the exchange.
 *  3. One timer, of whose state it is: the keep-alive time, the head's, the client's pace, the
 *     lingering. It may fire too early, and is then set again.
 *  4. `closing` is never taken back: the answer that is under way, or else the next, is the last.
 *  5. In LINGERING the codec is fed nothing more.
 *  6. Closed, it is in no list and in no count, and the struct is given back by `gone`.
 */

enum {
	/* How long, and how much of, what a client still sends is thrown away after our last
	   word, so that RST does not destroy the answer on its way (RFC 9112, 9.6). */
	LINGER_MS = 2000,
	LINGER_BYTES = 1024 * 1024,
	AGE_JITTER_PERCENT = 10,
	/* How long a connection that never carried a request may wait for one while we drain. */
	DRAIN_FRESH_MS = 1000
};

static const struct conn_events down_conn_events;
static const struct codec_events down_codec_events;

static const struct listener_limits *
limits_of(const struct down_conn *dc)
{
	return (&dc->local->limits);
}

static void
arm(struct down_conn *dc, uint64_t deadline_ms)
{
	timer_set(dc->worker->loop, &dc->timer, deadline_ms);
}

/* Later of nothing: 0 ms means that this limit is off. */
static uint64_t
after(uint64_t from_ms, uint64_t ms)
{
	return (ms == 0 ? UINT64_MAX : from_ms + ms);
}

/* 0: there is no least rate. Never so short that the time between two packets would count. */
static uint64_t
rate_window(const struct down_conn *dc)
{
	enum { LEAST_MS = 1000 };
	const struct listener_limits *l = limits_of(dc);

	if (l->min_rate == 0)
		return (0);
	return (l->min_rate_grace_ms > LEAST_MS ? l->min_rate_grace_ms : LEAST_MS);
}

static uint64_t
sooner(uint64_t a, uint64_t b)
{
	return (a < b ? a : b);
}

static uint64_t
later(uint64_t a, uint64_t b)
{
	return (a > b ? a : b);
}

/* The response that is under way, or comes next, says that no other follows. */
static void
say_last(struct down_conn *dc)
{
	dc->h1.c.ops->drain(&dc->h1.c);
}

static void
on_gone(void *arg)
{
	struct down_conn *dc;
	struct worker *w;

	CAST_OBJ(dc, arg, DOWN_CONN_MAGIC);
	w = dc->worker;
	dc->magic = 0;
	panic_unwatch(PANIC_SLOT_CONN, dc);
	slab_put(&proxy_of(w)->conns, &dc);
}

void
down_conn_close(struct down_conn *dc, enum close_how how)
{
	struct listener_local *local = dc->local;
	struct worker *w = dc->worker;

	CHECK_OBJ(dc, DOWN_CONN_MAGIC);
	if (dc->conn.is_closed)
		return;
	must(dc->ex == NULL);
	timer_clear(&dc->timer);
	dc->h1.c.ops->fini(&dc->h1.c);
	conn_close(&dc->conn, how);
	list_del(&dc->link);
	w->connections--;
	proxy_stats_closed(local);
	proxy_limits_close();
	proxy_listener_unref(local);
	/* Whoever called may still have it on the stack. */
	loop_defer(w->loop, &dc->gone);
}

/* Reads and forgets. Returns false when it is over. */
static bool
linger_read(struct down_conn *dc)
{
	char waste[4096];
	struct iovec v;
	size_t n = 0;

	for (;;) {
		v = (struct iovec){ waste, sizeof waste };
		switch (transport_read(&dc->conn.t, &v, 1, &n)) {
		case IO_OK:
			dc->linger_left -= n < dc->linger_left ? (uint32_t)n : dc->linger_left;
			if (dc->linger_left == 0)
				return (false);
			break;
		case IO_AGAIN:
			return (true);
		default:
			return (false);
		}
	}
}

/* `said_last`: nothing more is on its way from the client. */
static void
start_close(struct down_conn *dc, bool said_last)
{
	const struct codec_ops *ops = dc->h1.c.ops;

	dc->closing = true;
	/* Nothing unread can be waiting in the kernel: a plain close delivers all. */
	if (said_last && ops->is_idle(&dc->h1.c) && conn_waiting(&dc->conn) == 0 &&
	    !dc->conn.readable) {
		down_conn_close(dc, CLOSE_CLEAN);
		return;
	}
	dc->lingering = true;
	dc->linger_left = LINGER_BYTES;
	dc->conn.t.ops->shut(&dc->conn.t);
	if (dc->conn.in_eof || !linger_read(dc))
		down_conn_close(dc, CLOSE_CLEAN);
	else
		arm(dc, loop_now_ms(dc->worker->loop) + LINGER_MS);
}

/* The moment at which an idle connection has been kept for long enough; never UINT64_MAX. */
static uint64_t
idle_end(const struct down_conn *dc)
{
	return (sooner(after(dc->idle_ms, limits_of(dc)->keepalive_ms), UINT64_MAX - 1));
}

void
down_conn_next(struct down_conn *dc, enum down_next next)
{
	uint64_t now = loop_now_ms(dc->worker->loop);

	CHECK_OBJ(dc, DOWN_CONN_MAGIC);
	dc->ex = NULL;
	dc->begin_us = 0;
	if (dc->conn.is_closed)
		return;
	if (next != DOWN_NEXT_REQUEST || dc->closing) {
		start_close(dc, next == DOWN_NEXT_CLOSE);
		return;
	}
	dc->idle_ms = now;
	/* What came behind the request may be a part of a head: no event will tell of it. */
	arm(dc, conn_waiting(&dc->conn) == 0 ? idle_end(dc) :
	    sooner(idle_end(dc), after(now, limits_of(dc)->headers_ms)));
	conn_resume(&dc->conn);
}

void
down_conn_drain(struct down_conn *dc)
{
	CHECK_OBJ(dc, DOWN_CONN_MAGIC);
	if (dc->conn.is_closed || dc->lingering)
		return;
	dc->closing = true;
	say_last(dc);
	if (dc->ex != NULL || dc->begin_us != 0 || conn_waiting(&dc->conn) > 0)
		return;
	/* A client that has just come is about to ask, and did not choose to come so late. */
	if (dc->n_requests == 0)
		arm(dc, loop_now_ms(dc->worker->loop) + DRAIN_FRESH_MS);
	else
		start_close(dc, true);
}

/* ---- time ---- */

/* Of a head that is not whole. What came while the request in front of it was answered, without
   an event of its own, counts from that one's end. */
static uint64_t
head_begin_us(const struct down_conn *dc)
{
	return (dc->begin_us != 0 ? dc->begin_us : dc->idle_ms * 1000);
}

static void
answer_late_head(struct down_conn *dc)
{
	struct exchange *ex;

	dc->begin_us = head_begin_us(dc);
	ex = exchange_new(dc, &dc->h1.s);
	if (ex == NULL) {
		down_conn_close(dc, CLOSE_RESET);
		return;
	}
	dc->ex = ex;
	dc->closing = true;
	exchange_fault(ex, REASON_CLIENT_TIMEOUT);
}

/*
 * The least rate is looked at in windows of the grace time, each while we wait for the client all
 * along: a pause that is the upstream's doing begins a new one. Has a window ended, too slow?
 */
static bool
is_too_slow(const struct down_conn *dc, uint64_t bytes, uint64_t *seen, uint64_t *since_ms,
    uint64_t now)
{
	uint64_t ms = now - *since_ms, moved = bytes - *seen;

	if (rate_window(dc) == 0 || ms < rate_window(dc))
		return (false);
	*since_ms = now;
	*seen = bytes;
	return (moved * 1000 / ms < limits_of(dc)->min_rate);
}

/* Of the response's body, by the kernel. */
static uint64_t
bytes_taken(struct exchange *ex)
{
	const struct pipe *out = chain_pipe(&ex->chain, CHAIN_RESP, &ex->resp_body);

	return (out->total - out->queued);
}

/* Of all that left on this connection, by the client's kernel: a system call. */
static uint64_t
bytes_acked(struct down_conn *dc)
{
	int64_t left = dc->conn.t.ops->unacked(&dc->conn.t);

	return (left < 0 || (uint64_t)left > dc->conn.bytes_out ? 0 :
	    dc->conn.bytes_out - (uint64_t)left);
}

static void
begin_body_window(struct exchange *ex, uint64_t now)
{
	ex->body_since_ms = now;
	ex->body_seen = ex->bytes_in;
}

/* The client's way in. True: it has ended the exchange. */
static bool
check_reading(struct down_conn *dc, uint64_t now)
{
	struct exchange *ex = dc->ex;
	bool late;

	if (dc->conn.blocked) {
		begin_body_window(ex, now);
		return (false);
	}
	late = now >= after(dc->conn.read_ms, limits_of(dc)->body_idle_ms);
	if (!late && !is_too_slow(dc, ex->bytes_in, &ex->body_seen, &ex->body_since_ms, now))
		return (false);
	exchange_fault(ex, late ? REASON_CLIENT_TIMEOUT : REASON_CLIENT_TOO_SLOW);
	return (true);
}

/*
 * And its way out. A kernel that has refused bytes takes some again only when a third of its buffer
 * is free, which from a slow client, over a buffer of megabytes, is minutes away. So the pace is
 * also measured by what the client has acknowledged; asked for by the timer alone, since no client
 * that keeps up is seen here.
 */
static bool
check_writing(struct down_conn *dc, uint64_t now)
{
	struct exchange *ex = dc->ex;
	uint64_t acked = bytes_acked(dc), since_ms = ex->reply_since_ms;
	bool late, slow;

	if (ex->acked_ms == 0) {
		ex->acked_seen = ex->acked = acked;
		ex->acked_ms = dc->conn.wrote_ms;
	}
	if (acked != ex->acked) {
		ex->acked = acked;
		ex->acked_ms = now;
	}
	late = now >= after(later(dc->conn.wrote_ms, ex->acked_ms), limits_of(dc)->write_idle_ms);
	slow = is_too_slow(dc, acked, &ex->acked_seen, &since_ms, now);
	if (!is_too_slow(dc, bytes_taken(ex), &ex->reply_seen, &ex->reply_since_ms, now))
		slow = false;
	if (!late && !slow)
		return (false);
	exchange_abort(ex, late ? REASON_CLIENT_STALLED : REASON_CLIENT_TOO_SLOW);
	return (true);
}

/* The first look at what is acknowledged: soon, but not at each pause of a client that keeps up. */
static uint64_t
first_look(const struct down_conn *dc, const struct exchange *ex)
{
	enum { LOOK_MS = 1000 };
	uint64_t ms = LOOK_MS;

	if (ex->acked_ms != 0)
		return (UINT64_MAX);
	if (rate_window(dc) != 0)
		ms = sooner(ms, rate_window(dc) / 2);
	if (limits_of(dc)->write_idle_ms != 0)
		ms = sooner(ms, limits_of(dc)->write_idle_ms / 2);
	return (ex->reply_since_ms + ms);
}

/* Ends the exchange if the client is too slow or silent; else arms the next moment at which it may
   be found so. */
static void
check_client_pace(struct down_conn *dc, bool by_timer)
{
	const struct listener_limits *l = limits_of(dc);
	uint64_t now = loop_now_ms(dc->worker->loop), next = UINT64_MAX;
	struct exchange *ex = dc->ex;

	if (!ex->req_done) {
		if (check_reading(dc, now))
			return;
		next = sooner(after(dc->conn.blocked ? now : dc->conn.read_ms, l->body_idle_ms),
		    after(ex->body_since_ms, rate_window(dc)));
	}
	if (ex->reply_begun && !dc->conn.writable) {
		if (ex->reply_since_ms == 0) {
			ex->reply_since_ms = now;
			ex->reply_seen = bytes_taken(ex);
			ex->acked_ms = 0;
		} else if (by_timer && check_writing(dc, now)) {
			return;
		}
		next = sooner(next, sooner(first_look(dc, ex),
		    sooner(after(later(dc->conn.wrote_ms, ex->acked_ms), l->write_idle_ms),
		    after(ex->reply_since_ms, rate_window(dc)))));
	} else {
		ex->reply_since_ms = 0;
	}
	if (next != UINT64_MAX)
		arm(dc, next);
}

static void
on_timer(void *arg)
{
	struct down_conn *dc;
	uint64_t now, at;

	CAST_OBJ(dc, arg, DOWN_CONN_MAGIC);
	now = loop_now_ms(dc->worker->loop);
	if (dc->lingering) {
		down_conn_close(dc, CLOSE_CLEAN);
		return;
	}
	if (dc->ex != NULL) {
		check_client_pace(dc, true);
		return;
	}
	if (dc->begin_us != 0 || conn_waiting(&dc->conn) > 0) {
		at = after(head_begin_us(dc) / 1000, limits_of(dc)->headers_ms);
		if (now >= at)
			answer_late_head(dc);
		else if (at != UINT64_MAX)
			arm(dc, at);
		return;
	}
	/* What waited behind the last request was no part of a head (an empty line). */
	if (dc->n_requests > 0 && now < idle_end(dc))
		arm(dc, idle_end(dc));
	else
		down_conn_close(dc, CLOSE_CLEAN);	/* idle for its time: quietly */
}

/* ---- events of the connection ---- */

/* For a check that fails while it is served. */
static void
dump(const void *obj, struct text *out)
{
	const struct down_conn *dc = obj;
	const struct conn *c = &dc->conn;

	text_printf(out, "  client %.*s, %u requests%s%s%s, exchange %p\n", (int)dc->peer_len,
	    dc->peer_text, (unsigned)dc->n_requests, dc->closing ? ", closing" : "",
	    dc->lingering ? ", lingering" : "", c->is_closed ? ", closed" : "",
	    (const void *)dc->ex);
	text_printf(out, "  %llu bytes in, %llu out, %u wait; in state %u, out state %u\n",
	    (unsigned long long)c->bytes_in, (unsigned long long)c->bytes_out,
	    (unsigned)conn_waiting(c), (unsigned)dc->h1.in_state, (unsigned)dc->h1.out_state);
}

void
down_conn_register(void)
{
	panic_register(DOWN_CONN_MAGIC, "connection", dump);
}

static void
on_io(void *arg, unsigned what)
{
	struct down_conn *dc;
	const struct conn *c;
	bool had_part;

	CAST_OBJ(dc, arg, DOWN_CONN_MAGIC);
	panic_watch(PANIC_SLOT_CONN, dc);
	c = &dc->conn;
	if (dc->lingering) {
		if (!linger_read(dc))
			down_conn_close(dc, CLOSE_CLEAN);
		return;
	}
	had_part = conn_waiting(c) > 0;
	conn_on_io(&dc->conn, what);
	/* A head has begun and is not whole: its own time limit runs. */
	if (!c->is_closed && dc->ex == NULL && dc->begin_us == 0 && conn_waiting(c) > 0) {
		dc->begin_us = had_part ? head_begin_us(dc) : loop_now_us(dc->worker->loop);
		arm(dc, after(dc->begin_us / 1000, limits_of(dc)->headers_ms));
	}
}

/* Is something still done for the client elsewhere? An answer that is all here is delivered, and
   in a tunnel one end may say its last word before the other. */
static bool
is_under_way(const struct exchange *ex)
{
	if (!ex->reply_begun)
		return (true);
	return (ex->up != NULL && !ex->up_done && ex->resp.m.body != MSG_BODY_TUNNEL);
}

static void
on_eof_seen(struct conn *c)
{
	struct down_conn *dc;

	CAST_OBJ(dc, c->owner, DOWN_CONN_MAGIC);
	/* With requests still waiting to be served this is a half-close, not a client that left. */
	if (dc->ex != NULL && dc->ex->req_done && conn_waiting(c) == 0 && is_under_way(dc->ex))
		exchange_abort(dc->ex, REASON_CLIENT_CLOSED);
}

/* The log and the metrics of a request that nobody has read. */
static void
tell_unread(struct listener_local *local, const struct addr *peer,
    const struct local_reply_words *words, enum reason reason)
{
	struct worker *w = local->worker;
	struct msg_req req;
	struct facts f = {
		.wall_us = loop_wall_us(w->loop),
		.req = &req,
		.client = peer,
		.listener = local->listener,
		.request_id = words->request_id,
		.status = reason_info(reason)->status,
		.reason = reason,
		.bytes_out = words->body_bytes,
	};

	msg_req_init(&req, NULL);
	proxy_stats_request(w, &f);
	if (proxy_of(w)->log != NULL)
		access_log_write(proxy_of(w)->log, &f);
}

/* There is no memory to read a head into. */
static void
say_overloaded(struct down_conn *dc)
{
	struct local_reply_words words;
	struct iovec v;
	size_t n;

	local_reply_last_words(&words, dc->worker, REASON_OVERLOADED);
	v = (struct iovec){ (void *)(uintptr_t)words.all.p, words.all.len };
	(void)transport_write(&dc->conn.t, &v, 1, &n);
	tell_unread(dc->local, &dc->peer, &words, REASON_OVERLOADED);
}

static void
on_end(struct conn *c, enum conn_end why)
{
	struct down_conn *dc;

	CAST_OBJ(dc, c->owner, DOWN_CONN_MAGIC);
	dc->closing = true;
	switch (why) {
	case CONN_END_EOF:
		if (dc->ex == NULL)
			down_conn_close(dc, CLOSE_CLEAN);
		else
			say_last(dc);
		return;
	case CONN_END_RESET:
		if (dc->ex != NULL)
			exchange_abort(dc->ex, REASON_CLIENT_CLOSED);
		else
			down_conn_close(dc, CLOSE_RESET);
		return;
	case CONN_END_CODEC:
	case CONN_END_NO_MEMORY:
		if (dc->ex != NULL && why == CONN_END_NO_MEMORY) {
			exchange_fault(dc->ex, REASON_OVERLOADED);
		} else if (dc->ex == NULL && c->in_eof) {
			down_conn_close(dc, CLOSE_CLEAN);	/* left in the middle of a head */
		} else if (dc->ex == NULL) {
			say_overloaded(dc);
			start_close(dc, false);
		}
		return;
	}
}

static void
on_stalled(struct conn *c)
{
	struct down_conn *dc;

	CAST_OBJ(dc, c->owner, DOWN_CONN_MAGIC);
	if (dc->ex != NULL)
		check_client_pace(dc, false);
}

static const struct conn_events down_conn_events = {
	.on_eof_seen = on_eof_seen,
	.on_end = on_end,
	.on_stalled = on_stalled,
};

/* ---- events of the codec ---- */

static struct down_conn *
of_stream(struct codec_stream *s)
{
	struct down_conn *dc;

	CAST_OBJ(dc, s->codec->owner, DOWN_CONN_MAGIC);
	return (dc);
}

/* NULL: it has ended, or never began. */
static struct exchange *
exchange_of(const struct codec_stream *s)
{
	struct exchange *ex = s->owner;

	if (ex != NULL)
		CHECK_OBJ(ex, EXCHANGE_MAGIC);
	return (ex);
}

static struct msg *
on_begin(struct codec_stream *s)
{
	struct down_conn *dc = of_stream(s);
	const struct listener_limits *l = limits_of(dc);

	if (dc->ex != NULL)
		return (NULL);
	dc->ex = exchange_new(dc, s);
	if (dc->ex == NULL)
		return (NULL);
	dc->n_requests++;
	if ((l->requests != 0 && dc->n_requests >= l->requests) ||
	    loop_now_ms(dc->worker->loop) >= dc->age_end_ms)
		say_last(dc);
	return (&dc->ex->req.m);
}

static void
on_head(struct codec_stream *s, struct msg *m, struct page *head, bool end)
{
	struct down_conn *dc = of_stream(s);
	struct exchange *ex = exchange_of(s);

	(void)m;
	ex->req_page = page_ref(head);
	ex->req_done = end;
	if (!end) {
		begin_body_window(ex, loop_now_ms(dc->worker->loop));
		check_client_pace(dc, false);
	}
	exchange_start(ex);
}

static bool
on_body(struct codec_stream *s, struct span span)
{
	struct down_conn *dc = of_stream(s);
	struct exchange *ex = exchange_of(s);

	if (ex == NULL || ex->client_gone) {
		page_unref(&span.page);
		return (false);
	}
	/* A chunk that says more than is allowed is refused by its size line. */
	if (!ex->local && h1_chunk_left(&dc->h1) > ex->body_limit - ex->bytes_in) {
		page_unref(&span.page);
		exchange_fault(ex, REASON_BODY_TOO_LARGE);
		return (false);
	}
	return (exchange_body(ex, span));
}

static void
on_message_end(struct codec_stream *s)
{
	struct exchange *ex = exchange_of(s);

	if (ex != NULL)
		exchange_body_end(ex);
}

static void
on_error(struct codec_stream *s, enum reason reason)
{
	struct down_conn *dc = of_stream(s);
	struct exchange *ex = exchange_of(s);

	dc->closing = true;
	if (ex == NULL)
		return;
	/* REASON_NONE: the response's pipe broke, and the exchange knows why. */
	if (reason == REASON_NONE || ex->reply_begun)
		exchange_abort(ex, reason);
	else
		exchange_fault(ex, reason);
}

static void
on_sent(struct codec_stream *s)
{
	struct exchange *ex = exchange_of(s);

	if (ex != NULL)
		exchange_sent(ex);
}

static const struct codec_events down_codec_events = {
	.on_begin = on_begin,
	.on_head = on_head,
	.on_body = on_body,
	.on_end = on_message_end,
	.on_error = on_error,
	.on_sent = on_sent,
};

/* ---- birth ---- */

static uint64_t
age_end(struct worker *w, uint64_t now, uint32_t age_ms)
{
	uint64_t spread = (uint64_t)age_ms * AGE_JITTER_PERCENT / 100;

	if (age_ms == 0)
		return (UINT64_MAX);
	return (now + age_ms - spread + rnd_below(&w->rnd, 2 * spread + 1));
}

static void
refuse(struct listener_local *local, int fd, const struct addr *peer, enum reason reason)
{
	struct local_reply_words words;

	local_reply_last_words(&words, local->worker, reason);
	tcp_refuse(fd, words.all);
	tell_unread(local, peer, &words, reason);
}

void
down_conn_accept(void *arg, int fd, const struct addr *peer)
{
	struct listener_local *local;
	struct down_conn *dc;
	struct worker *w;
	uint64_t now;

	CAST_OBJ(local, arg, LISTENER_LOCAL_MAGIC);
	w = local->worker;
	if (!proxy_limits_open()) {
		refuse(local, fd, peer, REASON_CONNECTION_LIMIT);
		return;
	}
	dc = slab_get(&proxy_of(w)->conns);
	if (dc == NULL || !tcp_accept_fd(&dc->conn.t, w->loop, fd, on_io, dc)) {
		if (dc == NULL)
			refuse(local, fd, peer, REASON_OVERLOADED);
		else
			slab_put(&proxy_of(w)->conns, &dc);
		proxy_limits_close();
		return;
	}
	now = loop_now_ms(w->loop);
	dc->magic = DOWN_CONN_MAGIC;
	dc->closing = dc->lingering = false;
	dc->n_requests = 0;
	dc->linger_left = 0;
	dc->worker = w;
	dc->local = local;
	dc->ex = NULL;
	dc->begin_us = 0;
	dc->idle_ms = now;
	dc->peer = *peer;
	dc->peer_len = (uint8_t)addr_format_ip(peer, dc->peer_text, sizeof dc->peer_text);
	dc->age_end_ms = age_end(w, now, local->limits.age_ms);
	timer_init(&dc->timer, on_timer, dc);
	deferred_init(&dc->gone, on_gone, dc);
	h1_init(&dc->h1, CODEC_SERVER, &down_codec_events, dc, &local->limits.codec,
	    &w->pages);
	conn_init(&dc->conn, w->loop, &w->pages, &dc->h1.c, &down_conn_events, dc);
	list_add_tail(&proxy_of(w)->open, &dc->link);
	w->connections++;
	proxy_stats_opened(local);
	local->refs++;
	arm(dc, after(now, limits_of(dc)->headers_ms));
	/* The listener waited for the first bytes: they are here, no event need tell. */
	conn_try_read(&dc->conn);
}

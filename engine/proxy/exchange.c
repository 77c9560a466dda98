/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/base/panic.h"
#include "engine/base/text.h"
#include "engine/mem/page.h"
#include "engine/proxy/down_conn.h"
#include "engine/proxy/ex.h"
#include "engine/proxy/gate.h"
#include "engine/proxy/local_reply.h"

/*
 * The exchange is a table of steps (steps.def):
 *
 *   ROUTE -> REQ_FILTERS -> ACT --(redirect, respond)------------------+
 *                            |                                        |
 *                            +-> OPEN -> SEND -> AWAIT -> RESP_FILTERS -> REPLY -> FINISH
 *                                 ^                |           ^                     ^
 *                                 +---- another ---+           |                     |
 *                                 |     server, replay         |                     |
 *   a fault before the reply has begun: local_reply -----------+                     |
 *   the client gone, or a fault after the reply has begun: cut ----------------------+
 *
 * A step returns STEP_MORE (ex->step says which comes next), STEP_WAIT (something will wake it)
 * or STEP_DONE (freed).
 *
 * Invariants:
 *  1. An exchange belongs to one worker for life.
 *  2. It is in exactly one step.
 *  3. No step function is on the stack twice: ex_poke() defers what would re-enter.
 *  4. STEP_WAIT without an armed deadline or a peer whose own limits run is a bug.
 *  5. Slices in req and resp are valid until FINISH: their pages are referenced here.
 *  6. Once a byte of the response may have left: no retry, no local reply, only a cut.
 *  7. Every exchange reaches FINISH exactly once, also when the client is gone.
 *  8. What allocates outside the arena registers its clean-up in it, or is a field freed in FINISH.
 */

static enum step_rc (*const steps[EX__MAX])(struct exchange *) = {
#define STEP(NAME, fn) [EX_##NAME] = fn,
#include "engine/proxy/steps.def"
#undef STEP
};

static const char *const step_names[EX__MAX] = {
#define STEP(NAME, fn) [EX_##NAME] = #NAME,
#include "engine/proxy/steps.def"
#undef STEP
};

enum {
	/* activations in one run: more is a loop, and ends in internal_error */
	EX_STEPS_MAX = 1000
};

static void on_wake(void *arg);
static void on_timer(void *arg);

/* Bodies wake their two ends by marking work only. */
static void
wake_client_writer(void *arg)
{
	struct exchange *ex;

	CAST_OBJ(ex, arg, EXCHANGE_MAGIC);
	conn_want_flush(&ex->down->conn);
}

static void
wake_client_reader(void *arg)
{
	struct exchange *ex;
	struct conn *c;

	CAST_OBJ(ex, arg, EXCHANGE_MAGIC);
	c = &ex->down->conn;
	/* The pause was the upstream's: the client's limits begin anew. */
	c->read_ms = ex->body_since_ms = loop_now_ms(ex->worker->loop);
	ex->body_seen = ex->bytes_in;
	ex->stream->codec->ops->resume(ex->stream);
	conn_resume(c);
}

/* For a check that fails while it runs. No text of the client's: secrets may stand in it. */
static void
dump(const void *obj, struct text *out)
{
	const struct exchange *ex = obj;

	text_printf(out, "  step %s, reason \"%s\", status %u, %u tries\n",
	    ex->step < EX__MAX ? step_names[ex->step] : "?",
	    ex->reason < REASON__MAX ? reason_info((enum reason)ex->reason)->name.p : "?",
	    (unsigned)ex->resp.status, (unsigned)ex->attempts);
	text_printf(out, "  request body: %u queued, end %u, all here %u\n",
	    (unsigned)ex->req_body.queued, (unsigned)ex->req_body.end, (unsigned)ex->req_done);
	text_printf(out, "  response body: %u queued, end %u, begun %u, sent %u, ours %u\n",
	    (unsigned)ex->resp_body.queued, (unsigned)ex->resp_body.end,
	    (unsigned)ex->reply_begun, (unsigned)ex->reply_sent, (unsigned)ex->local);
	text_printf(out, "  client %p%s, stream %p\n", (const void *)ex->down,
	    ex->client_gone ? " (gone)" : "", (const void *)ex->up);
}

void
exchange_register(void)
{
	panic_register(EXCHANGE_MAGIC, "exchange", dump);
}

struct exchange *
exchange_new(struct down_conn *dc, struct codec_stream *stream)
{
	struct worker *w = dc->worker;
	struct exchange *ex = slab_get(&proxy_of(w)->exchanges);

	if (ex == NULL)
		return (NULL);
	memset(ex, 0, offsetof(struct exchange, tried));
	ex->mirror = NULL;
	ex->magic = EXCHANGE_MAGIC;
	ex->worker = w;
	ex->down = dc;
	ex->stream = stream;
	stream->owner = ex;
	ex->snap = snapshot_take(w);
	ex->body_limit = UINT64_MAX;
	ex->t.begin = ex->t.since = dc->begin_us != 0 ? dc->begin_us : loop_now_us(w->loop);
	ex_phase(ex, FACTS_AUTH);
	arena_init(&ex->arena, ex->arena_bytes, sizeof ex->arena_bytes, ARENA_TRY);
	arena_set_blocks(&ex->arena, page_pool_blocks(&w->pages));
	msg_req_init(&ex->req, &ex->arena);
	msg_resp_init(&ex->resp, &ex->arena);
	pipe_init(&ex->req_body, PIPE_LOW, PIPE_HIGH);
	pipe_set_source(&ex->req_body, wake_client_reader, ex);
	pipe_init(&ex->resp_body, PIPE_LOW, PIPE_HIGH);
	pipe_set_sink(&ex->resp_body, wake_client_writer, ex);
	deferred_init(&ex->wake, on_wake, ex);
	timer_init(&ex->timer, on_timer, ex);
	w->exchanges++;
	return (ex);
}

void
exchange_reset_response(struct exchange *ex)
{
	chain_forget_response(&ex->chain);
	pipe_fini(&ex->resp_body);
	pipe_init(&ex->resp_body, PIPE_LOW, PIPE_HIGH);
	pipe_set_sink(&ex->resp_body, wake_client_writer, ex);
	msg_resp_init(&ex->resp, &ex->arena);
	if (ex->resp_page != NULL)
		page_unref(&ex->resp_page);
}

enum step_rc
ex_go(struct exchange *ex, enum ex_step step)
{
	ex->step = (uint8_t)step;
	return (STEP_MORE);
}

void
ex_run(struct exchange *ex)
{
	unsigned budget = EX_STEPS_MAX;
	enum step_rc rc;

	must(!ex->running);
	ex->running = true;
	panic_watch(PANIC_SLOT_EXCHANGE, ex);
	for (;;) {
		ex->wake_again = false;
		if (--budget == 0) {
			(void)surprise(budget == 0);
			ex->reply_begun = true;		/* no more steps but the last */
			ex->reason = REASON_INTERNAL_ERROR;
			ex->step = EX_FINISH;
		}
		rc = steps[ex->step](ex);
		if (rc == STEP_DONE)
			return;
		if (rc == STEP_WAIT && !ex->wake_again)
			break;
	}
	ex->running = false;
}

void
ex_poke(struct exchange *ex)
{
	if (ex->running)
		ex->wake_again = true;
	else
		ex_run(ex);
}

void
exchange_start(struct exchange *ex)
{
	CHECK_OBJ(ex, EXCHANGE_MAGIC);
	/* A fault may have been found already (the codec's, or a late head). */
	if (ex->step == EX_ROUTE)
		ex_poke(ex);
}

static void
on_wake(void *arg)
{
	struct exchange *ex;

	CAST_OBJ(ex, arg, EXCHANGE_MAGIC);
	ex_poke(ex);
}

void
exchange_wake(struct exchange *ex)
{
	CHECK_OBJ(ex, EXCHANGE_MAGIC);
	loop_defer(ex->worker->loop, &ex->wake);
}

/* ---- time ---- */

static void
arm(struct exchange *ex)
{
	uint64_t phase = ex->deadline_ms[0], total = ex->deadline_ms[1];
	uint64_t at = phase == 0 || (total != 0 && total < phase) ? total : phase;

	if (at != 0)
		timer_set(ex->worker->loop, &ex->timer, at);
}

void
ex_deadline(struct exchange *ex, uint32_t ms, enum reason reason)
{
	ex->deadline_ms[0] = ms == 0 ? 0 : loop_now_ms(ex->worker->loop) + ms;
	ex->deadline_reason = reason;
	arm(ex);
}

static void
on_timer(void *arg)
{
	struct exchange *ex;
	uint64_t now, left;

	CAST_OBJ(ex, arg, EXCHANGE_MAGIC);
	now = loop_now_ms(ex->worker->loop);
	if (ex->deadline_ms[1] != 0 && now >= ex->deadline_ms[1]) {
		exchange_fault(ex, REASON_TOTAL_TIMEOUT);
		return;
	}
	if (ex->deadline_ms[0] != 0 && now >= ex->deadline_ms[0]) {
		/* Bytes have moved since it was armed: an idle limit counts from then. */
		left = ex_idle_left(ex, now);
		if (left != 0) {
			ex->deadline_ms[0] = left == EX_NO_LIMIT ? 0 : now + left;
			arm(ex);
			return;
		}
		exchange_fault(ex, ex->deadline_reason);
		return;
	}
	arm(ex);
}

/* ---- ends ---- */

/* No answer can be given any more: the connection is cut, so that the client does not take what
   it has for the whole. */
static void
cut(struct exchange *ex)
{
	ex->client_gone = true;
	ex->step = EX_FINISH;
}

enum step_rc
ex_fault(struct exchange *ex, enum reason reason)
{
	if (ex->reason == REASON_NONE)
		ex->reason = (uint8_t)reason;
	ex_drop_upstream(ex);
	chain_end(&ex->chain);
	if (ex->reply_begun || reason_info(reason)->status == 0 ||
	    !local_reply_reason(ex, reason)) {
		cut(ex);
		return (STEP_MORE);
	}
	return (ex_go(ex, EX_RESP_FILTERS));
}

void
exchange_fault(struct exchange *ex, enum reason reason)
{
	CHECK_OBJ(ex, EXCHANGE_MAGIC);
	if (ex->step == EX_FINISH)
		return;
	(void)ex_fault(ex, reason);
	ex_poke(ex);
}

void
exchange_replied(struct exchange *ex)
{
	CHECK_OBJ(ex, EXCHANGE_MAGIC);
	ex_drop_upstream(ex);
	chain_end(&ex->chain);
	ex->step = EX_RESP_FILTERS;
	ex_poke(ex);
}

void
exchange_abort(struct exchange *ex, enum reason reason)
{
	CHECK_OBJ(ex, EXCHANGE_MAGIC);
	if (ex->step == EX_FINISH)
		return;
	if (ex->reason == REASON_NONE)
		ex->reason = (uint8_t)reason;
	ex_drop_upstream(ex);
	chain_end(&ex->chain);
	cut(ex);
	ex_poke(ex);
}

/* ---- the request's body ---- */

bool
exchange_body(struct exchange *ex, struct span span)
{
	ex->bytes_in += span.len;
	if (ex->bytes_in > ex->body_limit) {
		page_unref(&span.page);
		/* With our own answer on its way (that very 413, mostly) it is thrown away. */
		if (!ex->local)
			exchange_fault(ex, REASON_BODY_TOO_LARGE);
		return (false);
	}
	/* The answer came before the request was whole: the rest goes nowhere. */
	if (ex->req_body.end != PIPE_OPEN) {
		page_unref(&span.page);
		return (false);
	}
	return (pipe_put(&ex->req_body, span));
}

void
exchange_body_end(struct exchange *ex)
{
	bool is_tunnel = ex->reply_begun && ex->resp.m.body == MSG_BODY_TUNNEL;

	ex->req_done = true;
	/* Where it asks to switch protocols the pipe stays open: it may carry the new one. */
	if (ex->req.upgrade.len > 0 && !is_tunnel)
		return;
	if (ex->req_body.end == PIPE_OPEN)
		pipe_put_end(&ex->req_body, ex->req.m.trailers);
}

void
exchange_sent(struct exchange *ex)
{
	CHECK_OBJ(ex, EXCHANGE_MAGIC);
	ex->reply_sent = true;
	ex_poke(ex);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/http/pipe.h"
#include "engine/mem/page.h"
#include "engine/proxy/chain_int.h"
#include "engine/proxy/down_conn.h"
#include "engine/proxy/exchange.h"
#include "engine/worker/worker.h"

/*
 * A body past the filters that watch it:
 *
 *	source -> in (a pipe of the exchange) -> piece -> filters -> passed -> out -> reader
 *
 * All of it is moved by one deferred call, pump(). A piece stays in `in` until the filters have
 * let it pass, so a slow filter or a slow reader stops the source by the pipes' own marks. With
 * BODY_WHOLE the piece is everything: the bytes are copied to pages of their own, since a page that
 * the reader filled may hold no more than one byte of ours.
 */

enum {
	/* a body that must be held whole is never longer, whatever the route allows */
	WHOLE_MAX = 16 * 1024 * 1024,
	WHOLE_FIRST = 8		/* spans; grows by doubling */
};

struct chain_body {
	unsigned		 magic;
#define CHAIN_BODY_MAGIC	0x4bd60e91
	uint8_t			 dir;		/* enum chain_dir */
	bool			 is_whole;
	bool			 has_piece;	/* `view` is on its way */
	bool			 through;	/* the last piece has passed the filters */
	bool			 done;		/* and its end is in `out`, or it broke */
	uint16_t		 cursor;	/* the filter that `view` is at */
	struct chain_run	*run;
	struct pipe		*in;
	struct chain_wait	 wait;
	struct deferred		 pump;
	struct body_view	 view;
	uint32_t		 piece_bytes;	/* of `in` */
	struct span		 piece[PIPE_SPANS];
	/* let pass, not yet in `out`; each with a page reference */
	const struct span	*passed;
	unsigned		 n_passed, at;
	/* BODY_WHOLE: collected so far, each on a page of its own */
	struct span		*whole;
	unsigned		 n_whole, cap_whole;
	uint64_t		 whole_bytes;
	struct pipe		 out;
};

struct pipe *
chain_body_pipe(struct chain_body *b)
{
	return (&b->out);
}

void
chain_body_kick(struct chain_body *b)
{
	loop_defer(b->run->ex->worker->loop, &b->pump);
}

static void
on_pipe(void *arg)
{
	struct chain_body *b;

	CAST_OBJ(b, arg, CHAIN_BODY_MAGIC);
	chain_body_kick(b);
}

/* ---- holding all of it ---- */

/* A page at the end of what was collected, with room. NULL: no memory. */
static struct span *
whole_tail(struct chain_body *b)
{
	struct exchange *ex = b->run->ex;
	struct span *v;
	struct page *page;

	if (b->n_whole > 0 && b->whole[b->n_whole - 1].len < PAGE_BYTES)
		return (&b->whole[b->n_whole - 1]);
	if (b->n_whole == b->cap_whole) {
		unsigned cap = b->cap_whole == 0 ? WHOLE_FIRST : b->cap_whole * 2;

		v = arena_alloc(&ex->arena, cap * sizeof *v);
		if (v == NULL)
			return (NULL);
		if (b->n_whole > 0)
			memcpy(v, b->whole, b->n_whole * sizeof *v);
		b->whole = v;
		b->cap_whole = cap;
	}
	page = page_get(&ex->worker->pages);
	if (page == NULL)
		return (NULL);
	b->whole[b->n_whole] = (struct span){ .page = page, .p = page->data };
	return (&b->whole[b->n_whole++]);
}

static enum reason
whole_add(struct chain_body *b, const char *p, size_t n)
{
	uint64_t limit = b->run->ex->body_limit < WHOLE_MAX ? b->run->ex->body_limit : WHOLE_MAX;

	b->whole_bytes += n;
	if (b->whole_bytes > limit)
		return (b->dir == CHAIN_REQ ? REASON_BODY_TOO_LARGE : REASON_RESPONSE_TOO_LARGE);
	while (n > 0) {
		struct span *s = whole_tail(b);
		size_t part;

		if (s == NULL)
			return (REASON_OVERLOADED);
		part = n < PAGE_BYTES - s->len ? n : PAGE_BYTES - s->len;
		memcpy(s->page->data + s->len, p, part);
		s->len += (uint32_t)part;
		p += part;
		n -= part;
	}
	return (REASON_NONE);
}

static void
whole_free(struct chain_body *b)
{
	for (unsigned i = 0; i < b->n_whole; i++)
		page_unref(&b->whole[i].page);
	b->n_whole = 0;
}

/* Empties `in`. */
static enum reason
collect(struct chain_body *b)
{
	unsigned n = pipe_peek(b->in, b->piece, PIPE_SPANS);

	for (unsigned i = 0; i < n; i++) {
		enum reason reason = whole_add(b, b->piece[i].p, b->piece[i].len);

		if (reason != REASON_NONE)
			return (reason);
		pipe_consume(b->in, b->piece[i].len);
	}
	return (REASON_NONE);
}

/* ---- one piece ---- */

/* Makes the next piece of what is there. False: there is none yet, or the body is at its end. */
static bool
take_piece(struct chain_body *b, enum reason *fault_r)
{
	bool end;

	if (b->is_whole) {
		*fault_r = collect(b);
		if (*fault_r != REASON_NONE)
			return (false);
	}
	end = b->in->end == PIPE_END;
	if (b->is_whole ? !end : b->in->queued == 0 && !end) {
		if (b->in->end == PIPE_BROKEN) {
			b->done = true;
			pipe_break(&b->out);
		} else {
			pipe_wait(b->in);
		}
		return (false);
	}
	if (b->is_whole) {
		/* The filters may change the spans, not what we must free. */
		struct span *v = arena_alloc(&b->run->ex->arena, (b->n_whole + 1) * sizeof *v);

		if (v == NULL) {
			*fault_r = REASON_OVERLOADED;
			return (false);
		}
		if (b->n_whole > 0)
			memcpy(v, b->whole, b->n_whole * sizeof *v);
		b->view = (struct body_view){ .v = v, .n = b->n_whole, .end = true };
		b->piece_bytes = 0;
	} else {
		b->view = (struct body_view){ .v = b->piece,
			.n = pipe_peek(b->in, b->piece, PIPE_SPANS), .end = end };
		b->piece_bytes = b->in->queued;
	}
	b->has_piece = true;
	b->cursor = 0;
	return (true);
}

/* The length is known again: what is here is all there will be. */
static void
set_length(struct chain_body *b)
{
	struct exchange *ex = b->run->ex;
	struct msg *m = b->dir == CHAIN_REQ ? &ex->req.m : &ex->resp.m;
	uint64_t n = 0;

	if (b->in->trailers != NULL)
		return;
	for (unsigned i = 0; i < b->n_passed; i++)
		n += b->passed[i].len;
	m->body = MSG_BODY_LENGTH;
	m->content_length = (int64_t)n;
}

static void
pass_piece(struct chain_body *b)
{
	b->passed = b->view.v;
	b->n_passed = b->view.n;
	b->at = 0;
	for (unsigned i = 0; i < b->n_passed; i++) {
		if (b->passed[i].page != NULL)
			(void)page_ref(b->passed[i].page);
	}
	b->has_piece = false;
	b->through = b->view.end;
	pipe_consume(b->in, b->piece_bytes);
	if (b->is_whole) {
		whole_free(b);
		set_length(b);
		exchange_wake(b->run->ex);
	}
}

static enum filter_verdict
run_piece(struct chain_body *b)
{
	enum chain_phase phase = b->dir == CHAIN_REQ ? CHAIN_REQ_BODY : CHAIN_RESP_BODY;
	const struct chain *c = b->run->chain;

	for (; b->cursor < c->phase[phase].n; b->cursor++) {
		const struct chain_link *l = &c->phase[phase].v[b->cursor];
		const struct filter_call *fc = chain_call(b->run, l);
		enum filter_verdict verdict;

		if (b->dir == CHAIN_REQ ? !fc->watch_req : !fc->watch_resp)
			continue;
		verdict = chain_activate(b->run, l, phase, &b->view, &b->wait);
		if (verdict != FILTER_NEXT)
			return (verdict);
	}
	return (FILTER_NEXT);
}

/* ---- moving ---- */

/* What has passed goes out while there is room. False: there is none. */
static bool
put_out(struct chain_body *b)
{
	for (; b->at < b->n_passed; b->at++) {
		struct span s = b->passed[b->at];

		if (b->out.end != PIPE_OPEN) {
			if (s.page != NULL)
				page_unref(&s.page);
			continue;
		}
		if (!pipe_has_room(&b->out))
			return (false);
		(void)pipe_put(&b->out, s);
	}
	if (b->through && !b->done) {
		b->done = true;
		pipe_put_end(&b->out, b->in->trailers);
	}
	return (true);
}

static void
pump(void *arg)
{
	struct chain_body *b;
	struct exchange *ex;
	enum reason reason = REASON_NONE;

	CAST_OBJ(b, arg, CHAIN_BODY_MAGIC);
	ex = b->run->ex;
	while (put_out(b) && !b->done) {
		if (!b->has_piece && !take_piece(b, &reason)) {
			if (reason != REASON_NONE)
				exchange_fault(ex, reason);
			return;
		}
		switch (run_piece(b)) {
		case FILTER_NEXT:
			pass_piece(b);
			break;
		case FILTER_WAIT:
			return;
		case FILTER_REPLY:
			exchange_replied(ex);
			return;
		case FILTER_FAULT:
			exchange_fault(ex, b->run->reason);
			return;
		}
	}
}

/* ---- begin and end ---- */

/* Nothing will come before the client is told to send, and the upstream is not asked yet. */
static bool
send_continue(struct exchange *ex)
{
	struct msg_resp info;

	if (!ex->req.expect_continue)
		return (true);
	ex->req.expect_continue = false;
	(void)headers_remove_id(&ex->req.m.headers, HDR_EXPECT);
	msg_resp_init(&info, &ex->arena);
	info.status = 100;
	if (!ex->stream->codec->ops->send_info(ex->stream, &info))
		return (false);
	conn_want_flush(&ex->down->conn);
	return (true);
}

static bool
has_body(const struct msg *m)
{
	return (m->body == MSG_BODY_LENGTH || m->body == MSG_BODY_STREAM ||
	    m->body == MSG_BODY_CLOSE);
}

static struct chain_body *
body_new(struct chain_run *run, enum chain_dir dir)
{
	struct exchange *ex = run->ex;
	struct chain_body *b = arena_zalloc(&ex->arena, sizeof *b);

	if (b == NULL)
		return (NULL);
	b->magic = CHAIN_BODY_MAGIC;
	b->dir = (uint8_t)dir;
	b->is_whole = run->whole[dir];
	b->run = run;
	b->in = dir == CHAIN_REQ ? &ex->req_body : &ex->resp_body;
	b->wait.pump = &b->pump;
	deferred_init(&b->pump, pump, b);
	pipe_init(&b->out, PIPE_LOW, PIPE_HIGH);
	pipe_set_source(&b->out, on_pipe, b);
	pipe_set_sink(&b->out, b->in->sink_wake, b->in->sink);
	pipe_set_sink(b->in, on_pipe, b);
	return (b);
}

enum filter_verdict
chain_body_start(struct chain_run *run, enum chain_dir dir)
{
	struct exchange *ex = run->ex;
	struct msg *m = dir == CHAIN_REQ ? &ex->req.m : &ex->resp.m;

	if (run->body[dir] == NULL) {
		if (!has_body(m))
			return (FILTER_NEXT);
		if (dir == CHAIN_REQ && m->content_length > 0 &&
		    (uint64_t)m->content_length > ex->body_limit) {
			run->reason = REASON_BODY_TOO_LARGE;
			return (FILTER_FAULT);
		}
		run->body[dir] = body_new(run, dir);
		if (run->body[dir] == NULL ||
		    (dir == CHAIN_REQ && run->whole[dir] && !send_continue(ex))) {
			run->reason = REASON_OVERLOADED;
			return (FILTER_FAULT);
		}
		m->body = MSG_BODY_STREAM;
		m->content_length = -1;
		chain_body_kick(run->body[dir]);
	}
	return (run->whole[dir] && !run->body[dir]->through ? FILTER_WAIT : FILTER_NEXT);
}

void
chain_body_drop(struct chain_body **bp)
{
	struct chain_body *b = *bp;

	if (b == NULL)
		return;
	*bp = NULL;
	CHECK_OBJ(b, CHAIN_BODY_MAGIC);
	deferred_cancel(&b->pump);
	pipe_set_sink(b->in, NULL, NULL);
	for (; b->at < b->n_passed; b->at++) {
		struct page *page = b->passed[b->at].page;

		if (page != NULL)
			page_unref(&page);
	}
	whole_free(b);
	pipe_fini(&b->out);
	b->magic = 0;
}

bool
chain_resp_busy(const struct chain_run *run)
{
	const struct chain_body *b = run->body[CHAIN_RESP];

	if (run->wait.fc != NULL)
		return (true);
	return (b != NULL && (b->out.queued > 0 || b->at < b->n_passed || b->wait.fc != NULL));
}

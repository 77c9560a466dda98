/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes out: messages to bytes. In the order they are written: out_page (heads, small bodies,
 * trailers), the chunk-size line, body bytes straight from the pipe, the tail behind a chunk.
 */
#include "config.h"

#include "engine/h1/h1_in.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/h1/h1_chunk.h"
#include "engine/h1/h1_write.h"

#define LAST_CHUNK	"0\r\n\r\n"

enum { PIECES = 3 };	/* of gather besides body spans: page, line, tail */

static void
drop_page(struct h1 *h)
{
	if (h->out_page != NULL)
		page_unref(&h->out_page);
	h->out_off = h->out_len = 0;
}

void
h1_out_break(struct h1 *h)
{
	drop_page(h);
	h->out_state = H1_OUT_BROKEN;
	h->out_keep = false;
	h->out_body = NULL;
	h->line_len = h->line_off = h->tail_len = 0;
	h->asked_upgrade = SLICE_NONE;
}

/* Room for n bytes behind what is in the page. */
static char *
room(struct h1 *h, size_t n)
{
	uint32_t waiting = h->out_len - h->out_off;
	struct page *page;

	if (h->out_page != NULL && h->out_page->cap - h->out_len >= n)
		return (h->out_page->data + h->out_len);
	if (waiting + n <= PAGE_BYTES)
		page = page_get(h->pages);
	else
		page = page_get_large(h->pages, waiting + n);
	if (page == NULL)
		return (NULL);
	if (waiting > 0)
		memcpy(page->data, h->out_page->data + h->out_off, waiting);
	drop_page(h);
	h->out_page = page;
	h->out_len = waiting;
	return (page->data + waiting);
}

/* Nothing was put into the room: a page of nothing would be gathered, and never be written. */
static void
give_up_room(struct h1 *h)
{
	if (h->out_len == h->out_off)
		drop_page(h);
}

static void
filled(struct h1 *h, const char *end)
{
	h->out_len = (uint32_t)(end - h->out_page->data);
	must(h->out_len <= h->out_page->cap);
}

static void
begin_out(struct h1 *h, enum h1_out_state state, struct pipe *body)
{
	h->out_state = (uint8_t)state;
	h->out_body = body;
	h->out_left = 0;
	h->line_len = h->line_off = h->tail_len = 0;
	h->last_chunk = false;
}

static bool
send_request(struct h1 *h, const struct msg_req *r, struct pipe *body)
{
	struct h1_framing f = { .length = -1 };
	enum h1_out_state state = H1_OUT_HEAD;
	char *p;

	must(h->out_state == H1_OUT_IDLE && h->in_state == H1_IN_WAIT);
	if (r->m.body == MSG_BODY_STREAM) {
		f.chunked = true;
		state = H1_OUT_CHUNKED;
	} else {
		f.length = r->m.content_length;
		if (r->m.body == MSG_BODY_LENGTH && f.length > 0)
			state = H1_OUT_LENGTH;
	}
	f.close = h->draining;
	f.upgrade = r->upgrade;
	f.te_trailers = r->te_trailers;
	must(body != NULL || (state == H1_OUT_HEAD && r->upgrade.len == 0));
	p = room(h, h1_request_bound(r, &f));
	if (p == NULL || (p = h1_put_request(p, r, &f)) == NULL) {
		drop_page(h);
		return (false);
	}
	filled(h, p);
	begin_out(h, state, body);
	if (state == H1_OUT_LENGTH)
		h->out_left = (uint64_t)r->m.content_length;
	h->out_keep = !f.close;
	h->req_method = r->method;
	h->asked_upgrade = r->upgrade;
	h->n_info = 0;
	h->in_state = H1_IN_HEAD;
	h->in_keep = false;	/* until the response says otherwise */
	return (true);
}

/* How the body of a response goes out to this client, and what frames it. */
static enum h1_out_state
frame_response(const struct h1 *h, const struct msg_resp *r, struct h1_framing *f)
{
	f->length = r->m.content_length;
	if (r->m.body == MSG_BODY_TUNNEL) {
		f->length = -1;
		f->upgrade = r->upgrade;
		return (H1_OUT_TUNNEL);
	}
	if (r->status == 204)
		f->length = -1;
	if (h->req_method == METHOD_HEAD || r->status == 204 || r->status == 304)
		return (H1_OUT_HEAD);
	switch ((enum msg_body)r->m.body) {
	case MSG_BODY_NONE:
		f->length = 0;
		return (H1_OUT_HEAD);
	case MSG_BODY_LENGTH:
		return (r->m.content_length > 0 ? H1_OUT_LENGTH : H1_OUT_HEAD);
	default:
		f->length = -1;
		f->chunked = h->req_version != HTTP_1_0;
		return (f->chunked ? H1_OUT_CHUNKED : H1_OUT_CLOSE);
	}
}

static bool
send_response(struct h1 *h, const struct msg_resp *r, struct pipe *body)
{
	struct h1_framing f = { .length = -1 };
	enum h1_out_state state;
	bool keep;
	char *p;

	must(h->out_state == H1_OUT_IDLE);
	state = frame_response(h, r, &f);
	must(body != NULL || state == H1_OUT_HEAD);
	keep = h->in_keep && h->in_state == H1_IN_WAIT && !h->draining &&
	    state != H1_OUT_CLOSE && state != H1_OUT_TUNNEL;
	f.close = !keep && state != H1_OUT_TUNNEL;
	f.keep_alive = keep && h->req_version == HTTP_1_0;
	p = room(h, h1_response_bound(r, &f));
	if (p == NULL || (p = h1_put_response(p, r, &f)) == NULL) {
		give_up_room(h);
		return (false);
	}
	filled(h, p);
	begin_out(h, state, state == H1_OUT_HEAD ? NULL : body);
	if (state == H1_OUT_LENGTH)
		h->out_left = (uint64_t)r->m.content_length;
	if (state == H1_OUT_TUNNEL && h->in_state == H1_IN_WAIT)
		h->in_state = H1_IN_TUNNEL;
	h->out_keep = keep;
	return (true);
}

bool
h1_send(struct codec_stream *s, const struct msg *m, struct pipe *body)
{
	struct h1 *h = h1_of(s->codec);

	CHECK_OBJ(s->codec, CODEC_MAGIC);
	CHECK_OBJ(m, MSG_MAGIC);
	if (h->out_state == H1_OUT_BROKEN)
		return (false);
	must(m->is_request == (h->c.role == CODEC_CLIENT));
	if (m->is_request)
		return (send_request(h, (const struct msg_req *)(const void *)m, body));
	return (send_response(h, (const struct msg_resp *)(const void *)m, body));
}

bool
h1_send_info(struct codec_stream *s, const struct msg_resp *r)
{
	struct h1 *h = h1_of(s->codec);
	struct h1_framing f = { .length = -1 };
	char *p;

	CHECK_OBJ(s->codec, CODEC_MAGIC);
	CHECK_OBJ(&r->m, MSG_MAGIC);
	must(h->c.role == CODEC_SERVER && r->status >= 100 && r->status < 200 && r->status != 101);
	/* Too late, or a client that does not know interim responses (RFC 9110, 15.2). */
	if (h->out_state != H1_OUT_IDLE || h->req_version == HTTP_1_0)
		return (true);
	p = room(h, h1_response_bound(r, &f));
	if (p == NULL || (p = h1_put_response(p, r, &f)) == NULL) {
		give_up_room(h);
		return (false);
	}
	filled(h, p);
	return (true);
}

bool
h1_out_tunnel(struct h1 *h)
{
	if (h->out_state != H1_OUT_IDLE || h->out_body == NULL)
		return (false);		/* switched before it had the whole request */
	begin_out(h, H1_OUT_TUNNEL, h->out_body);
	h->out_keep = false;
	return (true);
}

/* Our message is out, whole. */
static void
finish(struct h1 *h)
{
	bool was_tunnel = h->out_state == H1_OUT_TUNNEL;

	/* More in the pipe than the length said: the peer has all it was promised. */
	if (h->out_state == H1_OUT_LENGTH && h->out_body->queued > 0)
		h->out_keep = false;
	h->out_state = was_tunnel ? H1_OUT_BROKEN : H1_OUT_IDLE;
	/* The pipe of a request that asks for an upgrade is kept for the tunnel. */
	if (h->asked_upgrade.len == 0 || was_tunnel)
		h->out_body = NULL;
	if (h->c.role == CODEC_SERVER && !was_tunnel && h->in_state != H1_IN_ERROR) {
		bool next = h->in_state == H1_IN_WAIT && h->out_keep;

		h->in_state = next ? H1_IN_HEAD : H1_IN_DISCARD;
		h->in = NULL;
		h->paused = false;
		h->req_method = METHOD_OTHER;
		h->req_version = HTTP_1_1;
	}
	h->c.events->on_sent(&h->s);
}

/* Our message cannot be ended as promised: the connection is over. */
static void
cut(struct h1 *h, enum reason reason)
{
	h1_out_break(h);
	h->in_state = H1_IN_DISCARD;
	h->in_keep = false;
	h->in = NULL;
	h->paused = false;
	h->c.events->on_error(&h->s, reason);
}

/* Copies n bytes of the pipe behind what is in the page, where there is room for them. */
static char *
copy_body(struct pipe *body, char *p, uint32_t n)
{
	struct span v[PIPE_PEEK_MAX];
	unsigned n_spans = pipe_peek(body, v, PIPE_PEEK_MAX);
	uint32_t left = n;

	for (unsigned i = 0; i < n_spans && left > 0; i++) {
		uint32_t len = v[i].len < left ? v[i].len : left;

		memcpy(p, v[i].p, len);
		p += len;
		left -= len;
	}
	must(left == 0);
	pipe_consume(body, n);
	return (p);
}

static inline bool
fits_behind_head(const struct h1 *h, uint32_t n, uint32_t more)
{
	return (h->out_page != NULL && n > 0 && n <= H1_COPY_MAX &&
	    h->out_page->cap - h->out_len >= n + more);
}

static bool
has_trailers(const struct pipe *p)
{
	return (p->trailers != NULL && headers_wire_len(p->trailers) > 0);
}

/* The pipe is drained and ended: the last chunk, with trailers if there are any. */
static bool
put_last_chunk(struct h1 *h)
{
	struct pipe *body = h->out_body;
	char *p;

	h->last_chunk = true;
	if (!has_trailers(body)) {
		h->tail = LAST_CHUNK;
		h->tail_len = sizeof(LAST_CHUNK) - 1;
		return (true);
	}
	p = room(h, headers_wire_len(body->trailers) + sizeof(LAST_CHUNK));
	if (p == NULL)
		return (false);
	memcpy(p, "0\r\n", 3);
	p = h1_put_fields(p + 3, body->trailers);
	memcpy(p, "\r\n", 2);
	filled(h, p + 2);
	return (true);
}

/* Decides the next chunk, when none is under way: all that is in the pipe now. */
static bool
next_chunk(struct h1 *h)
{
	struct pipe *body = h->out_body;
	uint32_t n = body->queued;
	bool is_last;

	if (h->out_left > 0 || h->line_len > 0 || h->tail_len > 0 || h->last_chunk)
		return (true);
	if (n == 0)
		return (body->end != PIPE_END || put_last_chunk(h));
	is_last = body->end == PIPE_END && !has_trailers(body);
	if (fits_behind_head(h, n, H1_CHUNK_LINE_MAX + 2 + sizeof(LAST_CHUNK))) {
		char *p = h->out_page->data + h->out_len;

		p += h1_chunk_put(p, n);
		p = copy_body(body, p, n);
		memcpy(p, "\r\n" LAST_CHUNK, 7);
		filled(h, p + (is_last ? 7 : 2));
		h->last_chunk = is_last;
		return (true);
	}
	h->line_off = 0;
	h->line_len = (uint8_t)h1_chunk_put(h->line, n);
	h->out_left = n;
	h->tail = "\r\n" LAST_CHUNK;
	h->tail_len = is_last ? 7 : 2;
	h->last_chunk = is_last;
	return (true);
}

/* Body bytes by reference, `left` of them. Returns how many pieces; *all_r: none is left out. */
static unsigned
put_spans(struct h1 *h, struct iovec *v, unsigned cap, uint64_t left, bool *all_r)
{
	struct span spans[PIPE_SPANS];
	unsigned n_spans, n = 0;

	n_spans = pipe_peek(h->out_body, spans, cap < PIPE_SPANS ? cap : PIPE_SPANS);
	for (; n < n_spans && left > 0; n++) {
		size_t len = spans[n].len < left ? spans[n].len : (size_t)left;

		v[n].iov_base = (void *)(uintptr_t)spans[n].p;
		v[n].iov_len = len;
		left -= len;
	}
	*all_r = left == 0;
	return (n);
}

/* Nothing to write just now: wait for the pipe, or end what it has ended. */
static void
pipe_is_empty(struct h1 *h)
{
	switch ((enum pipe_end)h->out_body->end) {
	case PIPE_OPEN:
		pipe_wait(h->out_body);
		break;
	case PIPE_BROKEN:
		cut(h, REASON_NONE);
		break;
	case PIPE_END:
		if (h->out_state == H1_OUT_CLOSE || h->out_state == H1_OUT_TUNNEL)
			finish(h);
		else
			cut(h, REASON_INTERNAL_ERROR);
		break;
	}
}

static unsigned
gather_body(struct h1 *h, struct iovec *v, unsigned cap)
{
	uint64_t left = h->out_left;
	unsigned n = 0;
	bool all = true;

	if (h->out_state == H1_OUT_CLOSE || h->out_state == H1_OUT_TUNNEL)
		left = UINT64_MAX;
	if (h->line_len > h->line_off) {
		v[n].iov_base = h->line + h->line_off;
		v[n++].iov_len = (size_t)(h->line_len - h->line_off);
	}
	if (left > 0)
		n += put_spans(h, v + n, cap - PIECES, left, &all);
	if (all && h->tail_len > 0) {
		v[n].iov_base = (void *)(uintptr_t)h->tail;
		v[n++].iov_len = h->tail_len;
	}
	return (n);
}

static inline bool
has_body(const struct h1 *h)
{
	return (h->out_state >= H1_OUT_LENGTH && h->out_state <= H1_OUT_TUNNEL);
}

unsigned
h1_gather(struct codec *c, struct iovec *v, unsigned cap)
{
	struct h1 *h = h1_of(c);
	bool body = has_body(h);
	unsigned n = 0;

	CHECK_OBJ(c, CODEC_MAGIC);
	must(cap > PIECES);
	if (h->out_state == H1_OUT_CHUNKED && !next_chunk(h)) {
		cut(h, REASON_OVERLOADED);
		return (0);
	}
	if (h->out_state == H1_OUT_LENGTH) {
		uint32_t ready = h->out_body->queued;

		if (ready > h->out_left)
			ready = (uint32_t)h->out_left;
		if (fits_behind_head(h, ready, 0)) {
			filled(h, copy_body(h->out_body, h->out_page->data + h->out_len, ready));
			h->out_left -= ready;
		}
	}
	if (h->out_page != NULL) {
		v[n].iov_base = h->out_page->data + h->out_off;
		v[n++].iov_len = h->out_len - h->out_off;
	}
	if (body)
		n += gather_body(h, v + n, cap - n);
	if (n == 0 && body)
		pipe_is_empty(h);
	return (n);
}

/* n bytes of a part of `len` bytes have gone, if so many are left; returns how many it took. */
static size_t
take(size_t *n, size_t len)
{
	size_t k = *n < len ? *n : len;

	*n -= k;
	return (k);
}

static bool
is_done(const struct h1 *h)
{
	switch ((enum h1_out_state)h->out_state) {
	case H1_OUT_HEAD:
		return (true);
	case H1_OUT_LENGTH:
		return (h->out_left == 0);
	case H1_OUT_CHUNKED:
		return (h->last_chunk && h->out_left == 0 && h->tail_len == 0);
	default:
		return (false);
	}
}

static void
wrote_body(struct h1 *h, size_t n)
{
	size_t k;

	h->line_off = (uint8_t)(h->line_off + take(&n, (size_t)(h->line_len - h->line_off)));
	if (h->line_off == h->line_len)
		h->line_off = h->line_len = 0;
	if (h->out_state == H1_OUT_CLOSE || h->out_state == H1_OUT_TUNNEL) {
		pipe_consume(h->out_body, (uint32_t)take(&n, n));
	} else if (n > 0 && h->out_left > 0) {
		k = take(&n, h->out_left > SIZE_MAX ? SIZE_MAX : (size_t)h->out_left);
		h->out_left -= k;
		pipe_consume(h->out_body, (uint32_t)k);
	}
	if (h->tail_len > 0) {
		k = take(&n, h->tail_len);
		h->tail += k;
		h->tail_len = (uint8_t)(h->tail_len - k);
	}
	must(n == 0);
}

bool
h1_wrote(struct codec *c, size_t n)
{
	struct h1 *h = h1_of(c);

	CHECK_OBJ(c, CODEC_MAGIC);
	if (h->out_page != NULL) {
		h->out_off += (uint32_t)take(&n, h->out_len - h->out_off);
		if (h->out_off < h->out_len)
			return (true);
		drop_page(h);
	}
	if (n > 0)
		wrote_body(h, n);
	if (is_done(h))
		finish(h);
	return (h->out_page != NULL || has_body(h));
}

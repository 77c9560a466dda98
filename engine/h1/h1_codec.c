/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes in: bytes to events. States and invariants: h1_in.h.
 */
#include "config.h"

#include "engine/h1/h1_in.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/h1/h1_chunk.h"
#include "engine/h1/h1_parse.h"
#include "engine/mem/arena.h"

/* What a state did with its bytes. */
enum step {
	STEP_ON,	/* look at the state again */
	STEP_MORE,
	STEP_BLOCKED,
	STEP_ERROR
};

/* The part of the input not used yet. */
struct input {
	struct page *page;
	const char *p;
	const char *end;
};

enum {
	/* Bytes of a refused request's target that are kept for the log. */
	LOGGED_TARGET_MAX = 1024
};

static inline bool
is_server(const struct h1 *h)
{
	return (h->c.role == CODEC_SERVER);
}

/* A reason as the parser says it, in the words for the one who sent it. */
static enum reason
blame(const struct h1 *h, enum reason reason)
{
	if (is_server(h))
		return (reason);
	switch (reason) {
	case REASON_OVERLOADED:
		return (reason);
	case REASON_HEADER_TOO_LARGE:
		return (REASON_UPSTREAM_HEADER_TOO_LARGE);
	default:
		return (REASON_UPSTREAM_MALFORMED);
	}
}

static enum step
fail(struct h1 *h, enum reason reason)
{
	h->in_state = H1_IN_ERROR;
	h->in_keep = false;
	h->in = NULL;
	h->scanned = 0;
	h->c.events->on_error(&h->s, blame(h, reason));
	return (STEP_ERROR);
}

/* The message is whole. `surplus`: bytes follow that cannot belong to it. */
static void
message_end(struct h1 *h, bool surplus)
{
	h->in = NULL;
	h->paused = false;
	if (is_server(h)) {
		h->in_state = H1_IN_WAIT;
	} else {
		h->in_state = surplus ? H1_IN_ERROR : H1_IN_WAIT;
		/* A server that answers early may have stopped reading. */
		if (surplus || h->out_state != H1_OUT_IDLE)
			h->in_keep = false;
	}
	h->c.events->on_end(&h->s);
}

/* Keeps what the log wants of a request that was refused before its head was sound. */
static bool
note_refused(struct msg_req *r, const struct h1_head *head)
{
	struct arena *arena = r->m.headers.arena;
	struct slice target = slice_sub(head->target, 0, LOGGED_TARGET_MAX);

	r->m.version = head->version != 0 ? head->version : HTTP_1_1;
	r->m.body = MSG_BODY_NONE;
	r->upgrade = r->authority = r->host = SLICE_NONE;
	headers_init(&r->m.headers, arena);
	r->method = (uint8_t)method_of(head->method);
	r->method_text = arena_dup(arena, head->method);
	r->target = arena_dup(arena, target);
	if ((r->method_text.p == NULL && head->method.len > 0) ||
	    (r->target.p == NULL && target.len > 0))
		return (false);
	r->has_query = head->query != NULL && (size_t)(head->query - head->target.p) < target.len;
	r->path_raw = r->target;
	if (r->has_query) {
		r->path_raw.len = (size_t)(head->query - head->target.p);
		r->query = slice_skip(r->target, r->path_raw.len + 1);
	}
	r->path = r->path_raw;
	return (true);
}

/* The head cannot be used; for a server the message has just begun or begins here. */
static enum step
refuse_head(struct h1 *h, const struct h1_head *head, enum reason reason)
{
	if (is_server(h)) {
		if (h->in == NULL)
			h->in = h->c.events->on_begin(&h->s);
		h->req_method = (uint8_t)method_of(head->method);
		h->req_version = head->version != 0 ? head->version : HTTP_1_1;
		if (h->in == NULL || !note_refused((struct msg_req *)(void *)h->in, head)) {
			h->in = NULL;
			h->in_state = H1_IN_ERROR;
			return (STEP_ERROR);
		}
	}
	return (fail(h, reason));
}

/* Sets the state that reads the body. */
static void
begin_body(struct h1 *h, const struct msg *m)
{
	h->in_keep = m->keep_alive;
	switch ((enum msg_body)m->body) {
	case MSG_BODY_NONE:
		h->in_state = H1_IN_WAIT;
		break;
	case MSG_BODY_LENGTH:
		h->in_state = H1_IN_LENGTH;
		h->in_left = (uint64_t)m->content_length;
		break;
	case MSG_BODY_STREAM:
		h->in_state = H1_IN_CHUNK;
		h1_chunk_begin(&h->in_chunk);
		break;
	case MSG_BODY_CLOSE:
		h->in_state = H1_IN_CLOSE;
		break;
	case MSG_BODY_TUNNEL:
		h->in_state = H1_IN_TUNNEL;
		break;
	}
}

static enum step
request_head(struct h1 *h, struct input *in, const struct h1_head *head)
{
	struct msg_req *r;
	enum reason reason;
	bool end;

	h->in = h->c.events->on_begin(&h->s);
	if (h->in == NULL) {
		h->in_state = H1_IN_ERROR;
		return (STEP_ERROR);
	}
	CHECK_OBJ(h->in, MSG_MAGIC);
	must(h->in->is_request);
	r = (struct msg_req *)(void *)h->in;
	reason = h1_req_fill(r, head);
	if (reason != REASON_NONE)
		return (refuse_head(h, head, reason));
	h->req_method = r->method;
	h->req_version = r->m.version;
	begin_body(h, &r->m);
	end = r->m.body == MSG_BODY_NONE;
	h->c.events->on_head(&h->s, &r->m, in->page, end);
	/* on_head may have given the stream up. */
	if (end && h->in_state == H1_IN_WAIT)
		message_end(h, false);
	return (STEP_ON);
}

static enum step
response_head(struct h1 *h, struct input *in, const struct h1_head *head)
{
	struct msg_resp *r;
	enum reason reason;
	bool end;

	h->in = h->c.events->on_begin(&h->s);
	if (h->in == NULL)
		return (fail(h, REASON_OVERLOADED));
	CHECK_OBJ(h->in, MSG_MAGIC);
	must(!h->in->is_request);
	r = (struct msg_resp *)(void *)h->in;
	reason = h1_resp_fill(r, head, (enum http_method)h->req_method, h->asked_upgrade);
	if (reason != REASON_NONE)
		return (fail(h, reason));
	if (r->status < 200 && r->status != 101) {
		h->in = NULL;
		if (++h->n_info > H1_INFO_MAX)
			return (fail(h, REASON_UPSTREAM_MALFORMED));
		h->c.events->on_info(&h->s, r);
		return (STEP_ON);
	}
	begin_body(h, &r->m);
	if (h->in_state == H1_IN_TUNNEL && !h1_out_tunnel(h))
		return (fail(h, REASON_UPSTREAM_MALFORMED));
	end = r->m.body == MSG_BODY_NONE;
	if (end && in->p < in->end)
		h->in_keep = false;
	h->c.events->on_head(&h->s, &r->m, in->page, end);
	if (end && h->in_state == H1_IN_WAIT)
		message_end(h, in->p < in->end);
	return (STEP_ON);
}

/* RFC 9112, 2.2: an empty line before a request is let pass, once. STEP_MORE: cannot tell yet. */
static enum step
skip_empty_line(struct h1 *h, struct input *in)
{
	if (!is_server(h) || h->empty_line || h->scanned > 1 || *in->p != '\r')
		return (STEP_ON);
	if (in->end - in->p < 2) {
		h->scanned = 1;
		return (STEP_MORE);
	}
	if (in->p[1] == '\n') {
		in->p += 2;
		h->scanned = 0;
		h->empty_line = true;
	}
	return (in->p == in->end ? STEP_MORE : STEP_ON);
}

/*
 * A head that comes in pieces is parsed again from its start whenever a line has been completed:
 * what is wrong is then said at once, and the work is bounded by the limits on lines and bytes.
 */
static enum step
in_head(struct h1 *h, struct input *in)
{
	struct h1_head head;
	enum h1_parse_rc rc;
	size_t n;

	if (in->p == in->end || skip_empty_line(h, in) == STEP_MORE)
		return (STEP_MORE);
	n = (size_t)(in->end - in->p);
	if (h->scanned > 0 && n < h->limits->head_bytes &&
	    memchr(in->p + h->scanned, '\n', n - h->scanned) == NULL) {
		h->scanned = (uint32_t)n;
		return (STEP_MORE);
	}
	if (is_server(h))
		rc = h1_parse_request(&head, h->limits, in->p, n);
	else
		rc = h1_parse_response(&head, h->limits, in->p, n);
	if (rc == H1_PARSE_MORE && n < h->limits->head_bytes) {
		h->scanned = (uint32_t)n;
		return (STEP_MORE);
	}
	if (rc == H1_PARSE_MORE)
		return (refuse_head(h, &head, REASON_HEADER_TOO_LARGE));
	if (rc == H1_PARSE_BAD)
		return (refuse_head(h, &head, (enum reason)head.reason));
	h->scanned = 0;
	h->empty_line = false;
	in->p += head.len;
	return (is_server(h) ? request_head(h, in, &head) : response_head(h, in, &head));
}

/* Hands out up to `max` bytes by reference. Returns how many; a pause is noted. */
static size_t
hand_out(struct h1 *h, struct input *in, uint64_t max)
{
	size_t n = (size_t)(in->end - in->p);
	struct span s;

	if (n > max)
		n = (size_t)max;
	if (n > UINT32_MAX)
		n = UINT32_MAX;
	s.page = page_ref(in->page);
	s.p = in->p;
	s.len = (uint32_t)n;
	in->p += n;
	if (!h->c.events->on_body(&h->s, s))
		h->paused = true;
	return (n);
}

static enum step
in_length(struct h1 *h, struct input *in)
{
	if (in->p == in->end)
		return (STEP_MORE);
	/* Counted down first: on_body may give the stream up, and then nothing is touched after. */
	if ((uint64_t)(in->end - in->p) < h->in_left) {
		h->in_left -= (uint64_t)(in->end - in->p);
		(void)hand_out(h, in, UINT64_MAX);
		return (STEP_ON);
	}
	(void)hand_out(h, in, h->in_left);
	if (h->in_state == H1_IN_LENGTH) {
		h->in_left = 0;
		message_end(h, in->p < in->end);
	}
	return (STEP_ON);
}

static enum step
in_chunk(struct h1 *h, struct input *in)
{
	size_t used = 0;

	switch (h1_chunk_line(&h->in_chunk, h->limits->chunk_ext, in->p,
	    (size_t)(in->end - in->p), &used)) {
	case H1_CHUNK_MORE:
		in->p = in->end;
		return (STEP_MORE);
	case H1_CHUNK_DATA:
		h->in_state = H1_IN_CHUNK_DATA;
		break;
	case H1_CHUNK_LAST:
		h->in_state = H1_IN_TRAILERS;
		break;
	case H1_CHUNK_BAD:
		return (fail(h, REASON_REQUEST_MALFORMED));
	}
	in->p += used;
	return (STEP_ON);
}

static enum step
in_chunk_data(struct h1 *h, struct input *in)
{
	uint64_t n = (uint64_t)(in->end - in->p);

	if (n == 0)
		return (STEP_MORE);
	if (n > h->in_chunk.left)
		n = h->in_chunk.left;
	h->in_chunk.left -= n;
	if (h->in_chunk.left == 0)
		h->in_state = H1_IN_CHUNK;
	(void)hand_out(h, in, n);
	return (STEP_ON);
}

/* Trailers are rare and small: they are copied to the arena, so that no second page is pinned. */
static bool
keep_trailers(struct msg *m, const struct h1_head *head, const char *from)
{
	struct arena *arena = m->headers.arena;
	struct slice copy = arena_dup(arena, slice_of(from, head->len));
	struct headers *t = arena_alloc(arena, sizeof(*t));

	if (copy.p == NULL || t == NULL)
		return (false);
	headers_init(t, arena);
	for (unsigned i = 0; i < head->n_rows; i++) {
		const struct hdr *row = &head->rows[i];

		if ((row->flags & HDR_HOP) != 0 || !h1_trailer_may((enum hdr_id)row->id))
			continue;
		if (headers_push_raw(t, slice_of(copy.p + (row->name - from), row->name_len),
		    slice_of(copy.p + (row->value - from), row->value_len), row->id,
		    row->raw_len) == NULL)
			return (false);
	}
	if (t->n > 0)
		m->trailers = t;
	return (true);
}

static enum step
in_trailers(struct h1 *h, struct input *in)
{
	size_t n = (size_t)(in->end - in->p);
	struct h1_head head;
	enum h1_parse_rc rc;

	if (n == 0 || (h->scanned > 0 && n < h->limits->head_bytes &&
	    memchr(in->p + h->scanned, '\n', n - h->scanned) == NULL)) {
		h->scanned = (uint32_t)n;
		return (STEP_MORE);
	}
	rc = h1_parse_trailers(&head, h->limits, in->p, n);
	if (rc == H1_PARSE_MORE && n < h->limits->head_bytes) {
		h->scanned = (uint32_t)n;
		return (STEP_MORE);
	}
	if (rc != H1_PARSE_DONE)
		return (fail(h, rc == H1_PARSE_MORE ? REASON_HEADER_TOO_LARGE
						    : (enum reason)head.reason));
	h->scanned = 0;
	if (head.n_rows > 0 && !keep_trailers(h->in, &head, in->p))
		return (fail(h, REASON_OVERLOADED));
	in->p += head.len;
	message_end(h, in->p < in->end);
	return (STEP_ON);
}

static enum step
in_raw(struct h1 *h, struct input *in)
{
	if (in->p == in->end)
		return (STEP_MORE);
	(void)hand_out(h, in, UINT64_MAX);
	return (STEP_ON);
}

/* Nothing is expected. For a client that is an error: a response that nobody asked for. */
static enum step
in_wait(struct h1 *h, const struct input *in)
{
	if (in->p == in->end)
		return (STEP_MORE);
	if (is_server(h))
		return (STEP_BLOCKED);
	h->in_keep = false;
	h->in_state = H1_IN_ERROR;
	return (STEP_ERROR);
}

static enum step
in_step(struct h1 *h, struct input *in)
{
	switch ((enum h1_in_state)h->in_state) {
	case H1_IN_HEAD:
		return (in_head(h, in));
	case H1_IN_LENGTH:
		return (in_length(h, in));
	case H1_IN_CHUNK:
		return (in_chunk(h, in));
	case H1_IN_CHUNK_DATA:
		return (in_chunk_data(h, in));
	case H1_IN_TRAILERS:
		return (in_trailers(h, in));
	case H1_IN_CLOSE:
	case H1_IN_TUNNEL:
		return (in_raw(h, in));
	case H1_IN_WAIT:
		return (in_wait(h, in));
	case H1_IN_DISCARD:
		in->p = in->end;
		return (STEP_MORE);
	case H1_IN_ERROR:
		return (STEP_ERROR);
	}
	never("in_state");
}

enum codec_rc
h1_feed(struct codec *c, struct page *page, const char *p, size_t n, size_t *used_r)
{
	struct h1 *h = h1_of(c);
	struct input in = { page, p, p + n };
	enum step step = STEP_ON;

	CHECK_OBJ(c, CODEC_MAGIC);
	while (step == STEP_ON)
		step = h->paused ? STEP_BLOCKED : in_step(h, &in);
	*used_r = (size_t)(in.p - p);
	switch (step) {
	case STEP_BLOCKED:
		return (CODEC_BLOCKED);
	case STEP_ERROR:
		*used_r = n;
		return (CODEC_ERROR);
	default:
		return (h->in_state == H1_IN_TUNNEL ? CODEC_TUNNEL : CODEC_MORE);
	}
}

enum codec_rc
h1_feed_eof(struct codec *c)
{
	struct h1 *h = h1_of(c);
	bool is_partial = h->scanned > 0;

	CHECK_OBJ(c, CODEC_MAGIC);
	h->in_keep = false;
	switch ((enum h1_in_state)h->in_state) {
	case H1_IN_CLOSE:
		message_end(h, false);
		return (CODEC_MORE);
	case H1_IN_TUNNEL:
		h->in = NULL;
		h->in_state = H1_IN_DISCARD;
		h->c.events->on_end(&h->s);
		return (CODEC_MORE);
	case H1_IN_WAIT:
	case H1_IN_DISCARD:
		return (CODEC_MORE);
	case H1_IN_ERROR:
		return (CODEC_ERROR);
	case H1_IN_HEAD:
		if (is_server(h)) {
			h->in_state = H1_IN_DISCARD;
			h->scanned = 0;
			return (is_partial ? CODEC_ERROR : CODEC_MORE);
		}
		break;
	default:
		break;
	}
	h->in_state = H1_IN_ERROR;
	h->in = NULL;
	h->scanned = 0;
	h->c.events->on_error(&h->s, is_server(h) ? REASON_CLIENT_CLOSED : REASON_UPSTREAM_CLOSED);
	return (CODEC_ERROR);
}

static size_t
head_room(const struct codec *c)
{
	return (container_of(c, struct h1, c)->limits->head_bytes);
}

static void
h1_resume(struct codec_stream *s)
{
	h1_of(s->codec)->paused = false;
}

static void
h1_drain(struct codec *c)
{
	h1_of(c)->draining = true;
}

static bool
is_idle(const struct codec *c)
{
	const struct h1 *h = container_of(c, struct h1, c);

	if (h->out_page != NULL ||
	    (h->out_state != H1_OUT_IDLE && h->out_state != H1_OUT_BROKEN))
		return (false);
	switch ((enum h1_in_state)h->in_state) {
	case H1_IN_HEAD:
		return (is_server(h) && h->scanned == 0);
	case H1_IN_WAIT:
		return (!is_server(h));
	case H1_IN_DISCARD:
	case H1_IN_ERROR:
		return (true);
	default:
		return (false);
	}
}

static bool
can_reuse(const struct codec *c)
{
	const struct h1 *h = container_of(c, struct h1, c);

	if (!h->in_keep || !h->out_keep || h->draining || h->out_state != H1_OUT_IDLE)
		return (false);
	return (h->in_state == (is_server(h) ? H1_IN_HEAD : H1_IN_WAIT));
}

static void
h1_fini(struct codec *c)
{
	struct h1 *h = h1_of(c);

	CHECK_OBJ(c, CODEC_MAGIC);
	/* For the call that may be on the stack: whatever it has still to read goes nowhere. */
	h->in_state = H1_IN_DISCARD;
	h->in_keep = false;
	h->in = NULL;
	h->paused = false;
	h->scanned = 0;
	h1_out_break(h);
	c->magic = 0;
}

static const struct codec_ops h1_ops = {
	.name = "http/1.1",
	.feed = h1_feed,
	.feed_eof = h1_feed_eof,
	.head_room = head_room,
	.gather = h1_gather,
	.wrote = h1_wrote,
	.send = h1_send,
	.send_info = h1_send_info,
	.resume = h1_resume,
	.drain = h1_drain,
	.is_idle = is_idle,
	.can_reuse = can_reuse,
	.fini = h1_fini,
};

void
h1_init(struct h1 *h, enum codec_role role, const struct codec_events *events, void *owner,
    const struct codec_limits *limits, struct page_pool *pages)
{
	memset(h, 0, sizeof(*h));
	h->c.magic = CODEC_MAGIC;
	h->c.role = (uint8_t)role;
	h->c.ops = &h1_ops;
	h->c.events = events;
	h->c.owner = owner;
	h->s.codec = &h->c;
	h->limits = limits;
	h->pages = pages;
	h->in_state = role == CODEC_SERVER ? H1_IN_HEAD : H1_IN_WAIT;
	h->in_keep = true;
	h->out_keep = true;
	h->req_version = HTTP_1_1;
}

uint64_t
h1_chunk_left(const struct h1 *h)
{
	return (h->in_state == H1_IN_CHUNK_DATA ? h->in_chunk.left : 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/unit/h1/rig.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/check.h"

static struct page_pool pool;
static unsigned n_rigs;

static void
grow(char **p, size_t *cap, size_t want)
{
	if (want <= *cap)
		return;
	*cap = want * 2;
	*p = realloc(*p, *cap);
	must(*p != NULL);
}

static void CC_PRINTF(2, 3)
note(struct rig *r, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (r->quiet)
		return;
	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	must(n >= 0);
	grow(&r->log, &r->log_cap, r->log_len + (size_t)n + 1);
	va_start(ap, fmt);
	(void)vsnprintf(r->log + r->log_len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	r->log_len += (size_t)n;
}

static void
fields(struct rig *r, const struct headers *h)
{
	for (unsigned i = 0; i < h->n; i++) {
		const struct hdr *row = &h->v[i];

		if (hdr_is_live(row))
			note(r, " [%.*s: %.*s]", (int)row->name_len, row->name,
			    (int)row->value_len, row->value);
	}
}

static struct rig *
rig_of(struct codec_stream *s)
{
	struct rig *r;

	CAST_OBJ(r, s->codec->owner, RIG_MAGIC);
	return (r);
}

static void
flush_body(struct rig *r)
{
	if (r->in_len > 0)
		note(r, "body %zu %.*s\n", r->in_len, (int)(r->in_len > 999 ? 999 : r->in_len),
		    r->in_body);
	r->in_len = 0;
}

static bool
is_alive(const struct rig *r)
{
	return (r->h1.c.magic == CODEC_MAGIC);
}

static void
event(struct rig *r, enum rig_event e)
{
	if (!is_alive(r))
		r->n_after++;
	else if (e != RIG_NONE && e == r->fini_in)
		r->h1.c.ops->fini(&r->h1.c);
}

static struct msg *
on_begin(struct codec_stream *s)
{
	struct rig *r = rig_of(s);

	event(r, RIG_NONE);
	if (r->no_memory)
		return (NULL);
	s->owner = r;
	arena_reset(&r->arena);
	while (r->n_pins > 0)
		page_unref(&r->pins[--r->n_pins]);
	if (s->codec->role == CODEC_SERVER)
		msg_req_init(&r->msg.req, &r->arena);
	else
		msg_resp_init(&r->msg.resp, &r->arena);
	return (&r->msg.m);
}

static void
on_info(struct codec_stream *s, struct msg_resp *resp)
{
	struct rig *r = rig_of(s);

	r->n_infos++;
	note(r, "info %u", resp->status);
	fields(r, &resp->m.headers);
	note(r, "\n");
	event(r, RIG_INFO);
}

static void
on_head(struct codec_stream *s, struct msg *m, struct page *page, bool end)
{
	struct rig *r = rig_of(s);

	r->n_heads++;
	if (r->n_pins < array_len(r->pins))
		r->pins[r->n_pins++] = page_ref(page);
	if (m->is_request) {
		const struct msg_req *q = &r->msg.req;

		note(r, "head " SLICE_FMT " " SLICE_FMT " " SLICE_FMT "%s" SLICE_FMT " host=" SLICE_FMT,
		    SLICE_ARG(q->method_text), SLICE_ARG(q->target), SLICE_ARG(q->path_raw),
		    q->has_query ? "?" : "", SLICE_ARG(q->query), SLICE_ARG(q->host));
		if (q->upgrade.len > 0)
			note(r, " upgrade=" SLICE_FMT, SLICE_ARG(q->upgrade));
		if (q->expect_continue)
			note(r, " expect");
	} else {
		const struct msg_resp *q = &r->msg.resp;

		note(r, "head %u '" SLICE_FMT "'", q->status, SLICE_ARG(q->phrase));
		if (q->keep_alive_s > 0)
			note(r, " ka=%u", q->keep_alive_s);
	}
	note(r, " v%u body%u len%lld%s%s", m->version, m->body, (long long)m->content_length,
	    m->keep_alive ? " keep" : "", end ? " end" : "");
	fields(r, &m->headers);
	note(r, "\n");
	(void)headers_wire_len(&m->headers);
	event(r, RIG_HEAD);
}

static bool
on_body(struct codec_stream *s, struct span span)
{
	struct rig *r = rig_of(s);

	must(span.len > 0 && span.page->refs > 1);
	must(span.p >= span.page->data && span.p + span.len <= span.page->data + span.page->cap);
	r->n_body++;
	grow(&r->in_body, &r->in_cap, r->in_len + span.len);
	memcpy(r->in_body + r->in_len, span.p, span.len);
	r->in_len += span.len;
	page_unref(&span.page);
	event(r, RIG_BODY);
	return (!r->pause);
}

static void
on_end(struct codec_stream *s)
{
	struct rig *r = rig_of(s);

	r->n_ends++;
	flush_body(r);
	note(r, "end");
	if (r->msg.m.trailers != NULL)
		fields(r, r->msg.m.trailers);
	note(r, "\n");
	if (r->answer && s->codec->role == CODEC_SERVER && r->h1.out_state == 0) {
		rig_put(r, "ok");
		pipe_put_end(&r->body, NULL);
		must(rig_send_status(r, 200, MSG_BODY_LENGTH, 2));
	}
	event(r, RIG_END);
}

static void
on_error(struct codec_stream *s, enum reason reason)
{
	struct rig *r = rig_of(s);

	r->n_errors++;
	r->reason = reason;
	flush_body(r);
	note(r, "error " SLICE_FMT "\n", SLICE_ARG(reason_info(reason)->name));
	event(r, RIG_ERROR);
}

static void
on_sent(struct codec_stream *s)
{
	struct rig *r = rig_of(s);

	r->n_sent++;
	pipe_fini(&r->body);
	pipe_init(&r->body, PIPE_LOW, PIPE_HIGH);
	event(r, RIG_SENT);
}

static const struct codec_events events = {
	on_begin, on_info, on_head, on_body, on_end, on_error, on_sent,
};

struct rig *
rig_new(enum codec_role role)
{
	struct rig *r = calloc(1, sizeof(*r));

	must(r != NULL);
	r->magic = RIG_MAGIC;
	r->limits = (struct codec_limits){ 16384, 8192, 100, 256 };
	if (pool.magic != PAGE_POOL_MAGIC)
		page_pool_init(&pool, 4096);
	n_rigs++;
	r->pages = &pool;
	arena_init(&r->arena, NULL, 0, ARENA_TRY);
	pipe_init(&r->body, PIPE_LOW, PIPE_HIGH);
	h1_init(&r->h1, role, &events, r, &r->limits, r->pages);
	return (r);
}

void
rig_free(struct rig *r)
{
	if (is_alive(r))
		r->h1.c.ops->fini(&r->h1.c);
	pipe_fini(&r->body);
	while (r->n_pins > 0)
		page_unref(&r->pins[--r->n_pins]);
	if (r->page != NULL)
		page_unref(&r->page);
	arena_fini(&r->arena);
	must(--n_rigs > 0 || pool.in_use == 0);
	free(r->log);
	free(r->in_body);
	free(r->out);
	free(r);
}

/* Room for n bytes behind the unused ones, in one piece; at times in another page, as in a connection. */
static void
room(struct rig *r, size_t n)
{
	uint32_t left = r->end - r->start;
	struct page *page;

	if (r->page != NULL && r->page->cap - r->end >= n)
		return;
	page = left + n <= PAGE_BYTES ? page_get(r->pages) : page_get_large(r->pages, left + n);
	must(page != NULL);
	if (left > 0)
		memcpy(page->data, r->page->data + r->start, left);
	if (r->page != NULL)
		page_unref(&r->page);
	r->page = page;
	r->start = 0;
	r->end = left;
}

static enum codec_rc
feed_on(struct rig *r)
{
	while (is_alive(r) && (r->start < r->end || r->rc == CODEC_BLOCKED)) {
		size_t used = 0;

		r->rc = r->h1.c.ops->feed(&r->h1.c, r->page, r->page->data + r->start,
		    r->end - r->start, &used);
		must(used <= r->end - r->start);
		r->start += (uint32_t)used;
		if (r->rc == CODEC_BLOCKED && r->answer && r->h1.out_page != NULL) {
			(void)rig_write(r, 0);
			continue;
		}
		if (r->rc == CODEC_ERROR)
			r->start = r->end;
		if (r->rc != CODEC_TUNNEL || used == 0)
			break;
	}
	return (r->rc);
}

enum codec_rc
rig_feed(struct rig *r, const char *p, size_t n, size_t piece)
{
	while (n > 0 && r->rc != CODEC_ERROR && is_alive(r)) {
		size_t k = piece == 0 || piece > n ? n : piece;

		room(r, k);
		memcpy(r->page->data + r->end, p, k);
		r->end += (uint32_t)k;
		p += k;
		n -= k;
		(void)feed_on(r);
	}
	return (r->rc);
}

enum codec_rc
rig_feed_cut(struct rig *r, const char *p, size_t n, size_t at)
{
	(void)rig_feed(r, p, at, 0);
	return (rig_feed(r, p + at, n - at, 0));
}

enum codec_rc
rig_eof(struct rig *r)
{
	if (r->rc != CODEC_ERROR && is_alive(r))
		r->rc = r->h1.c.ops->feed_eof(&r->h1.c);
	return (r->rc);
}

unsigned
rig_write(struct rig *r, size_t step)
{
	struct iovec v[8];
	unsigned first = 0, n;
	bool more = true;

	while (is_alive(r) && (n = r->h1.c.ops->gather(&r->h1.c, v, 8)) > 0) {
		size_t total = 0, left = step == 0 ? SIZE_MAX : step;

		if (first == 0)
			first = n;
		for (unsigned i = 0; i < n && left > 0; i++) {
			size_t k = v[i].iov_len < left ? v[i].iov_len : left;

			grow(&r->out, &r->out_cap, r->out_len + k + 1);
			memcpy(r->out + r->out_len, v[i].iov_base, k);
			r->out_len += k;
			total += k;
			left -= k;
		}
		must(total > 0 && more);
		more = r->h1.c.ops->wrote(&r->h1.c, total);
	}
	return (first);
}

void
rig_put(struct rig *r, const char *bytes)
{
	(void)pipe_put(&r->body, (struct span){ NULL, bytes, (uint32_t)strlen(bytes) });
}

bool
rig_send_method(struct rig *r, enum http_method method, const char *path)
{
	struct arena arena;
	struct msg_req q;
	bool sent;

	arena_init(&arena, NULL, 0, ARENA_TRY);
	msg_req_init(&q, &arena);
	q.method = (uint8_t)method;
	q.path_raw = slice_str(path);
	must(headers_set_id(&q.m.headers, HDR_HOST, SLICE("a.test")));
	sent = r->h1.c.ops->send(&r->h1.s, &q.m, &r->body);
	arena_fini(&arena);
	return (sent);
}

bool
rig_send_get(struct rig *r, const char *path)
{
	return (rig_send_method(r, METHOD_GET, path));
}

bool
rig_send_status(struct rig *r, unsigned status, enum msg_body body, int64_t length)
{
	struct arena arena;
	struct msg_resp q;
	bool sent;

	arena_init(&arena, NULL, 0, ARENA_TRY);
	msg_resp_init(&q, &arena);
	q.status = (uint16_t)status;
	q.m.body = (uint8_t)body;
	q.m.content_length = length;
	if (body == MSG_BODY_TUNNEL)
		q.upgrade = SLICE("websocket");
	sent = r->h1.c.ops->send(&r->h1.s, &q.m, &r->body);
	arena_fini(&arena);
	return (sent);
}

const char *
rig_out(struct rig *r)
{
	grow(&r->out, &r->out_cap, r->out_len + 1);
	r->out[r->out_len] = '\0';
	r->out_len = 0;
	return (r->out);
}

const char *
rig_log(struct rig *r)
{
	flush_body(r);
	grow(&r->log, &r->log_cap, r->log_len + 1);
	r->log[r->log_len] = '\0';
	r->log_len = 0;
	return (r->log);
}

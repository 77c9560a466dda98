/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a head means: target, host, framing, connection. Only here is it decided how long a
 * message is, from the fields as they came; everything after goes by the message's own words.
 */
#include "config.h"

#include "engine/h1/h1_parse.h"
#include "engine/h1/h1_scan.h"

#include <string.h>

#include "engine/http/uri.h"

/* The path and the query of what begins at `at` within the target. */
static void
split_path(struct msg_req *r, const struct h1_head *h, size_t at)
{
	const char *begin = h->target.p + at, *end = h->target.p + h->target.len;
	const char *path_end = h->query != NULL ? h->query : end;

	r->path_raw = slice_of(begin, (size_t)(path_end - begin));
	if (h->query != NULL) {
		r->has_query = true;
		r->query = slice_of(h->query + 1, (size_t)(end - h->query - 1));
	}
}

/* http://authority[/path][?query] (RFC 9112, 3.2.2). */
static bool
fill_absolute(struct msg_req *r, const struct h1_head *h)
{
	struct slice t = h->target;
	size_t at, end;

	if (slice_has_prefix_fold(t, SLICE("http://"))) {
		at = 7;
	} else if (slice_has_prefix_fold(t, SLICE("https://"))) {
		at = 8;
		r->scheme_https = true;
	} else {
		return (false);
	}
	for (end = at; end < t.len && t.p[end] != '/' && t.p[end] != '?'; end++)
		;
	r->form = TARGET_ABSOLUTE;
	r->authority = slice_of(t.p + at, end - at);
	split_path(r, h, end);
	if (r->path_raw.len == 0) {
		/* RFC 9112, 3.2.4: OPTIONS without a path asks about the server as a whole. */
		bool star = r->method == METHOD_OPTIONS && !r->has_query;

		r->path_raw = star ? SLICE("*") : SLICE("/");
	}
	return (true);
}

static enum reason
fill_target(struct msg_req *r, const struct h1_head *h)
{
	struct slice t = h->target;

	r->target = t;
	if (r->method == METHOD_CONNECT) {
		r->form = TARGET_AUTHORITY;
		return (REASON_METHOD_REFUSED);
	}
	if (t.p[0] == '/') {
		r->form = TARGET_ORIGIN;
		split_path(r, h, 0);
	} else if (t.len == 1 && t.p[0] == '*' && r->method == METHOD_OPTIONS) {
		r->form = TARGET_ASTERISK;
		r->path_raw = t;
	} else if (!fill_absolute(r, h)) {
		return (REASON_REQUEST_MALFORMED);
	}
	r->path = r->path_raw;
	return (REASON_NONE);
}

/* Host: once, sound, and the same as an absolute target's authority. */
static enum reason
fill_host(struct msg_req *r)
{
	const struct hdr *host = headers_get(&r->m.headers, HDR_HOST);

	if (host == NULL && r->m.version != HTTP_1_0)
		return (REASON_REQUEST_MALFORMED);
	if (host != NULL) {
		if (r->form == TARGET_ABSOLUTE && !slice_eq_fold(r->authority, hdr_value(host)))
			return (REASON_REQUEST_MALFORMED);
		r->authority = hdr_value(host);
	} else if (r->form != TARGET_ABSOLUTE) {
		return (REASON_NONE);
	}
	return (uri_split_authority(r->authority, &r->host) ? REASON_NONE :
	    REASON_REQUEST_MALFORMED);
}

/*
 * Content-Length and Transfer-Encoding, the same for both kinds of message: none, or one of the
 * two, and of that exactly one line with exactly one value. *chunked_r, and content_length.
 */
static bool
framing_is_sound(struct msg *m, bool repeated, bool *chunked_r)
{
	const struct hdr *te = headers_get_hop(&m->headers, HDR_TRANSFER_ENCODING);
	const struct hdr *len = headers_get_hop(&m->headers, HDR_CONTENT_LENGTH);

	*chunked_r = te != NULL;
	if (repeated || (te != NULL && len != NULL))
		return (false);
	if (te != NULL)
		return (m->version != HTTP_1_0 && slice_eq_fold(hdr_value(te), SLICE("chunked")));
	return (len == NULL || h1_parse_length(hdr_value(len), &m->content_length));
}

static bool
connection_lives(const struct msg *m, unsigned conn)
{
	if ((conn & HEADERS_CONN_CLOSE) != 0)
		return (false);
	return (m->version == HTTP_1_1 || (conn & HEADERS_CONN_KEEP_ALIVE) != 0);
}

/* The protocol of Upgrade when it is one and Connection says so; else nothing is offered on. */
static struct slice
upgrade_token(const struct msg *m, unsigned conn)
{
	const struct hdr *row = headers_get_hop(&m->headers, HDR_UPGRADE);
	struct slice s;

	if (row == NULL || (conn & HEADERS_CONN_UPGRADE) == 0 || m->version != HTTP_1_1 ||
	    headers_next(&m->headers, row) != NULL)
		return (SLICE_NONE);
	s = hdr_value(row);
	for (size_t i = 0; i < s.len; i++) {
		if (!h1_is_tchar(s.p[i]) && s.p[i] != '/')
			return (SLICE_NONE);
	}
	return (s);
}

/* Of TE only this word goes on: trailers do, whoever sends them, and codings end here. */
static bool
te_names_trailers(const struct msg *m)
{
	const struct hdr *row = headers_get_hop(&m->headers, HDR_TE);

	for (; row != NULL; row = headers_next(&m->headers, row)) {
		struct slice rest = hdr_value(row);
		struct slice word;

		while (slice_split(&rest, ',', &word)) {
			if (slice_eq_fold(slice_trim(word), SLICE("trailers")))
				return (true);
		}
	}
	return (false);
}

static enum reason
fill_expect(struct msg_req *r)
{
	const struct hdr *row = headers_get(&r->m.headers, HDR_EXPECT);

	/* RFC 9110, 10.1.1: from an HTTP/1.0 client it means nothing. */
	if (row == NULL || r->m.version == HTTP_1_0)
		return (REASON_NONE);
	for (; row != NULL; row = headers_next(&r->m.headers, row)) {
		if (!slice_eq_fold(hdr_value(row), SLICE("100-continue")))
			return (REASON_EXPECTATION_FAILED);
	}
	r->expect_continue = r->m.body != MSG_BODY_NONE;
	return (REASON_NONE);
}

enum reason
h1_req_fill(struct msg_req *r, const struct h1_head *h)
{
	enum reason reason;
	bool repeated, chunked;
	unsigned conn;

	r->m.version = h->version;
	r->m.head_bytes = h->len;
	r->method = (uint8_t)method_of(h->method);
	r->method_text = h->method;
	reason = fill_target(r, h);
	if (reason != REASON_NONE)
		return (reason);
	if (!headers_take_rows(&r->m.headers, h->rows, h->n_rows, &repeated))
		return (REASON_OVERLOADED);
	if (!framing_is_sound(&r->m, repeated, &chunked))
		return (REASON_REQUEST_MALFORMED);
	reason = fill_host(r);
	if (reason != REASON_NONE)
		return (reason);
	if (chunked)
		r->m.body = MSG_BODY_STREAM;
	else if (r->m.content_length > 0)
		r->m.body = MSG_BODY_LENGTH;
	conn = headers_mark_hop_by_hop(&r->m.headers);
	r->m.keep_alive = connection_lives(&r->m, conn);
	if (headers_get_hop(&r->m.headers, HDR_UPGRADE) != NULL) {
		if (r->m.body != MSG_BODY_NONE)
			return (REASON_REQUEST_MALFORMED);
		r->upgrade = upgrade_token(&r->m, conn);
	}
	/* An HTTP/1.0 client gets no chunks, and so no trailers. */
	r->te_trailers = r->m.version == HTTP_1_1 && te_names_trailers(&r->m);
	return (fill_expect(r));
}

/* Keep-Alive: timeout=N, as servers announce it; 0 when it is not there or not a number. */
static uint32_t
keep_alive_seconds(const struct headers *h)
{
	const struct hdr *row = headers_get_hop(h, HDR_KEEP_ALIVE);
	struct slice rest, part;
	int64_t n;

	if (row == NULL)
		return (0);
	rest = hdr_value(row);
	while (slice_split(&rest, ',', &part)) {
		part = slice_trim(part);
		if (slice_has_prefix_fold(part, SLICE("timeout=")) &&
		    h1_parse_length(slice_skip(part, 8), &n))
			return (n > UINT32_MAX ? UINT32_MAX : (uint32_t)n);
	}
	return (0);
}

/* 101: only to who asked, and to what was asked. */
static bool
fill_switch(struct msg_resp *r, unsigned conn, struct slice asked)
{
	r->upgrade = upgrade_token(&r->m, conn);
	r->m.body = MSG_BODY_TUNNEL;
	r->m.keep_alive = false;
	return (asked.len > 0 && slice_eq_fold(asked, r->upgrade));
}

enum reason
h1_resp_fill(struct msg_resp *r, const struct h1_head *h, enum http_method method,
    struct slice upgrade)
{
	bool repeated, chunked, bodiless;
	unsigned conn;

	r->m.version = h->version;
	r->m.head_bytes = h->len;
	r->status = h->status;
	r->phrase = h->phrase;
	if (!headers_take_rows(&r->m.headers, h->rows, h->n_rows, &repeated))
		return (REASON_OVERLOADED);
	if (!framing_is_sound(&r->m, repeated, &chunked))
		return (REASON_UPSTREAM_MALFORMED);
	conn = headers_mark_hop_by_hop(&r->m.headers);
	r->m.keep_alive = connection_lives(&r->m, conn);
	r->keep_alive_s = keep_alive_seconds(&r->m.headers);
	bodiless = h->status < 200 || h->status == 204;
	if (bodiless && (chunked || r->m.content_length > 0)) {
		/* RFC 9110, 8.6; RFC 9112, 6.1. Where the next message begins nobody knows. */
		r->m.keep_alive = false;
		if (h->status < 200)
			return (REASON_UPSTREAM_MALFORMED);
	}
	if (bodiless)
		r->m.content_length = -1;
	if (h->status == 101)
		return (fill_switch(r, conn, upgrade) ? REASON_NONE : REASON_UPSTREAM_MALFORMED);
	if (bodiless || h->status == 304 || method == METHOD_HEAD || r->m.content_length == 0)
		return (REASON_NONE);
	if (chunked) {
		r->m.body = MSG_BODY_STREAM;
	} else if (r->m.content_length > 0) {
		r->m.body = MSG_BODY_LENGTH;
	} else {
		r->m.body = MSG_BODY_CLOSE;
		r->m.keep_alive = false;
	}
	return (REASON_NONE);
}

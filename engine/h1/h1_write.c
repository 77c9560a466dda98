/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/h1/h1_write.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/base/text.h"
#include "engine/h1/h1_scan.h"

enum {
	/* Versions, separators, Content-Length of 19 digits, Connection, Transfer-Encoding, TE. */
	FIXED_BYTES = 192
};

static inline char *
put(char *p, const char *from, size_t n)
{
	memcpy(p, from, n);
	return (p + n);
}

static inline char *
put_slice(char *p, struct slice s)
{
	return (s.len == 0 ? p : put(p, s.p, s.len));
}

static inline char *
put_run(char *p, const char *from, const char *end)
{
	return (from == end ? p : put(p, from, (size_t)(end - from)));
}

#define PUT(p, lit)	put((p), (lit), sizeof(lit) - 1)

static bool
is_sound_field(const struct hdr *row)
{
	const char *name_end = row->name + row->name_len;
	const char *value_end = row->value + row->value_len;

	return (row->name_len > 0 && h1_scan_token(row->name, name_end) == name_end &&
	    (row->value_len == 0 || h1_scan_value(row->value, value_end) == value_end));
}

static char *
put_edited(char *p, const struct hdr *row)
{
	/* The last line against a filter that was fed with CR LF. */
	if (surprise(!is_sound_field(row)))
		return (p);
	p = put(p, row->name, row->name_len);
	p = PUT(p, ": ");
	if (row->value_len > 0)
		p = put(p, row->value, row->value_len);
	return (PUT(p, "\r\n"));
}

char *
h1_put_fields(char *p, const struct headers *h)
{
	const struct hdr *row = h->v;
	const char *run = NULL, *run_end = NULL;	/* raw bytes not copied yet */

	for (unsigned left = h->n; left > 0; left--, row++) {
		if (!hdr_is_live(row))
			continue;
		if (unlikely((row->flags & HDR_RAW) == 0)) {
			p = put_edited(put_run(p, run, run_end), row);
			run = run_end = NULL;
			continue;
		}
		if (row->name != run_end) {
			p = put_run(p, run, run_end);
			run = run_end = row->name;
		}
		run_end += row->raw_len;
	}
	return (put_run(p, run, run_end));
}

/* What frames the message and the connection, and the empty line. */
static char *
put_framing(char *p, const struct h1_framing *f)
{
	if (f->chunked) {
		p = PUT(p, "Transfer-Encoding: chunked\r\n");
	} else if (f->length >= 0) {
		p = PUT(p, "Content-Length: ");
		p += text_u64_digits(p, (uint64_t)f->length);
		p = PUT(p, "\r\n");
	}
	if (f->upgrade.len > 0) {
		p = PUT(p, "Connection: upgrade\r\nUpgrade: ");
		p = put_slice(p, f->upgrade);
		p = PUT(p, "\r\n");
	} else if (unlikely(f->te_trailers)) {
		/* TE is for one connection, which it must say itself (RFC 9110, 10.1.4). */
		p = f->close ? PUT(p, "Connection: close, TE\r\n") : PUT(p, "Connection: TE\r\n");
		p = PUT(p, "TE: trailers\r\n");
	} else if (f->close) {
		p = PUT(p, "Connection: close\r\n");
	} else if (f->keep_alive) {
		p = PUT(p, "Connection: keep-alive\r\n");
	}
	return (PUT(p, "\r\n"));
}

size_t
h1_request_bound(const struct msg_req *r, const struct h1_framing *f)
{
	return (FIXED_BYTES + r->method_text.len + r->path_raw.len + r->query.len +
	    r->authority.len + f->upgrade.len + r->m.headers.wire_max);
}

size_t
h1_response_bound(const struct msg_resp *r, const struct h1_framing *f)
{
	/* The longest phrase of status.def fits into the fixed part. */
	return (FIXED_BYTES + r->phrase.len + f->upgrade.len + r->m.headers.wire_max);
}

static bool
is_received(const struct msg_req *r, struct slice s)
{
	return (r->target.len > 0 && s.p >= r->target.p &&
	    s.p + s.len <= r->target.p + r->target.len);
}

/* A path or query that was put together here, not received and found sound. */
static bool
is_sound_target(const struct msg_req *r, struct slice s, bool is_query)
{
	const char *p = s.p, *end;

	if (s.len == 0 || is_received(r, s))
		return (true);
	end = p + s.len;
	while ((p = h1_scan_target(p, end)) < end && *p == '?' && is_query)
		p++;
	return (p == end);
}

char *
h1_put_request(char *p, const struct msg_req *r, const struct h1_framing *f)
{
	struct slice method = r->method != METHOD_OTHER
	    ? method_name((enum http_method)r->method) : r->method_text;

	if (surprise(method.len == 0 || r->path_raw.len == 0 ||
	    !is_sound_target(r, r->path_raw, false) || !is_sound_target(r, r->query, true)))
		return (NULL);
	p = put_slice(p, method);
	*p++ = ' ';
	p = put_slice(p, r->path_raw);
	if (r->has_query) {
		*p++ = '?';
		p = put_slice(p, r->query);
	}
	p = PUT(p, " HTTP/1.1\r\n");
	/* RFC 9112, 3.2: even an unknown host must be sent; HTTP/1.0 clients may have said none. */
	if (headers_get(&r->m.headers, HDR_HOST) == NULL) {
		p = PUT(p, "Host: ");
		p = put_slice(p, r->authority);
		p = PUT(p, "\r\n");
	}
	p = h1_put_fields(p, &r->m.headers);
	return (put_framing(p, f));
}

char *
h1_put_response(char *p, const struct msg_resp *r, const struct h1_framing *f)
{
	struct slice phrase = r->phrase.len > 0 ? r->phrase : slice_str(status_phrase(r->status));

	if (surprise(r->status < 100 || r->status > 999 ||
	    (phrase.len > 0 &&
	    h1_scan_value(phrase.p, phrase.p + phrase.len) != phrase.p + phrase.len)))
		return (NULL);
	p = PUT(p, "HTTP/1.1 ");
	*p++ = (char)('0' + r->status / 100);
	*p++ = (char)('0' + r->status / 10 % 10);
	*p++ = (char)('0' + r->status % 10);
	*p++ = ' ';
	p = put_slice(p, phrase);
	p = PUT(p, "\r\n");
	p = h1_put_fields(p, &r->m.headers);
	return (put_framing(p, f));
}

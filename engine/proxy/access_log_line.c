/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/base/text.h"
#include "engine/http/date.h"
#include "engine/proxy/access_log.h"
#include "engine/proxy/access_log_line.h"
#include "engine/proxy/facts.h"
#include "engine/proxy/gate.h"
#include "engine/proxy/route.h"
#include "engine/upstream/upstream.h"

/*
 * Each put_ function writes at p and returns the place behind what it wrote. This is the most that
 * a request with default settings costs besides being forwarded, so there are no checks of room:
 * the sum of all that a line can hold is below its buffer, which the assertion says.
 */

enum {
	ESCAPE_BYTES = 6,		/* \u0000: what a byte takes at most */
	PATH_BYTES = 2048,
	SHORT_BYTES = 256,
	SECOND_BYTES = 19,		/* 2024-05-06T07:08:09 */
	KEY_BYTES = 16,			/* copied whole, whatever the key's length */
	OTHER_BYTES = 64,		/* a key, quotes, and what is no string, but the phases */
	PHASES_BYTES = 512,
	N_LONG = 2,			/* path, query */
	N_SHORT = 11,			/* the other strings */
	N_HEADERS = 2 * ACCESS_LOG_HEADERS_MAX,
	TRACEPARENT_BYTES = 55		/* https://www.w3.org/TR/trace-context/ 3.2 */
};

_Static_assert((N_LONG * PATH_BYTES + (N_SHORT + N_HEADERS) * SHORT_BYTES) * ESCAPE_BYTES +
    N_HEADERS * (ACCESS_LOG_HEADER_BYTES + OTHER_BYTES) +
    ACCESS_LOG_FIELD__MAX * OTHER_BYTES + PHASES_BYTES <= ACCESS_LOG_LINE_BYTES,
    "a line fits, whatever the client sends");

/* ---- values ---- */

static inline char *
put(char *p, struct slice s)
{
	if (s.len > 0)
		memcpy(p, s.p, s.len);
	return (p + s.len);
}

/* Does any of eight bytes need an escape, or is it not ASCII? */
static inline bool
is_special8(uint64_t x)
{
	const uint64_t ones = 0x0101010101010101u, high = ones * 0x80;
	uint64_t quote = x ^ ones * '"', slash = x ^ ones * '\\';
	/* A byte below n borrows from its top bit; right for bytes without one of their own. */
	uint64_t low = (x - ones * 0x20) | (quote - ones) | (slash - ones);

	return (((low | x | (x + ones)) & high) != 0);
}

static char *
put_escaped(char *p, struct slice s)
{
	struct text t;

	text_init(&t, p, s.len * ESCAPE_BYTES);
	text_json(&t, s);
	must(!t.full);
	p[t.len] = '"';
	return (p + t.len + 1);
}

/* Copies eight bytes that need no escape; else false. */
static inline bool
put_plain8(char *p, const char *from)
{
	uint64_t x = slice_load8(from);

	memcpy(p, &x, sizeof x);
	return (likely(!is_special8(x)));
}

/* A JSON string. It is copied while it is looked at, and once more if something needs an escape. */
static inline char *
put_string(char *p, struct slice s, size_t max)
{
	size_t i = 0;

	if (s.len > max)
		s.len = max;
	*p++ = '"';
	if (s.len >= 8) {
		for (; s.len - i >= 8; i += 8) {
			if (!put_plain8(p + i, s.p + i))
				return (put_escaped(p, s));
		}
		/* The rest with some of what is there already. */
		if (!put_plain8(p + s.len - 8, s.p + s.len - 8))
			return (put_escaped(p, s));
	} else {
		for (; i < s.len; i++) {
			uint8_t b = (uint8_t)s.p[i];

			if (unlikely(b < 0x20 || b == '"' || b == '\\' || b >= 0x7f))
				return (put_escaped(p, s));
			p[i] = (char)b;
		}
	}
	p[s.len] = '"';
	return (p + s.len + 1);
}

static inline char *
put_u64(char *p, uint64_t v)
{
	if (v >= 10)
		return (p + text_u64_digits(p, v));
	*p = (char)('0' + v);
	return (p + 1);
}

/* Three digits. */
static inline char *
put_thousandths(char *p, unsigned n)
{
	p[0] = (char)('0' + n / 100);
	p[1] = (char)('0' + n / 10 % 10);
	p[2] = (char)('0' + n % 10);
	return (p + 3);
}

/* Microseconds as milliseconds, exact: 0, 1.5, 12.345 */
static inline char *
put_ms(char *p, uint64_t us)
{
	unsigned rest = (unsigned)(us % 1000);

	p = put_u64(p, us / 1000);
	if (rest == 0)
		return (p);
	*p++ = '.';
	p = put_thousandths(p, rest);
	while (p[-1] == '0')
		p--;
	return (p);
}

/* The calendar once a second; the milliseconds behind it each time. */
static char *
put_time(char *p, struct access_log_stamp *stamp, uint64_t wall_us)
{
	uint64_t second = wall_us / 1000000;

	if (unlikely(stamp->second != second)) {
		struct text out;

		text_init(&out, stamp->text, sizeof stamp->text);
		text_put_time(&out, second * 1000000);
		stamp->second = second;
	}
	put_thousandths(stamp->text + SECOND_BYTES + 1, (unsigned)(wall_us / 1000 % 1000));
	*p++ = '"';
	memcpy(p, stamp->text, sizeof stamp->text);
	p += sizeof stamp->text;
	*p++ = '"';
	return (p);
}

/* IPv4, the usual case, by hand. */
static char *
put_ip(char *p, const struct addr *a)
{
	const uint8_t *b;

	if (a == NULL || a->len == 0)
		return (p);
	if (a->u.sa.sa_family != AF_INET)
		return (p + addr_format_ip(a, p, ADDR_IP_TEXT_MAX));
	b = (const uint8_t *)&a->u.in.sin_addr;
	for (unsigned i = 0; i < 4; i++) {
		p = put_u64(p, b[i]);
		*p++ = '.';
	}
	return (p - 1);
}

static struct slice
method_of_req(const struct msg_req *req)
{
	return (req->method == METHOD_OTHER ? req->method_text :
	    method_name((enum http_method)req->method));
}

/* Without the query. What was refused before a route was looked for may hold it, and worse. */
static struct slice
path_of(const struct facts *f)
{
	const struct msg_req *req = f->req;

	if (likely(f->route != NULL))
		return (f->path.len > 0 ? f->path : req->path_raw);
	return (access_log_redact_target(req->path_raw.len > 0 ? req->path_raw : req->target));
}

static struct slice
protocol_of_req(const struct msg_req *req)
{
	switch (req->m.version) {
	case HTTP_1_0:
		return (SLICE("HTTP/1.0"));
	case HTTP_1_1:
		return (SLICE("HTTP/1.1"));
	case HTTP_2:
		return (SLICE("HTTP/2"));
	default:
		return (SLICE(""));
	}
}

static struct slice
header_of_req(const struct msg_req *req, enum hdr_id id)
{
	const struct hdr *h = headers_get(&req->m.headers, id);

	return (h == NULL ? SLICE("") : hdr_value(h));
}

static struct slice
trace_of_req(const struct msg_req *req)
{
	struct slice s = header_of_req(req, HDR_TRACEPARENT);

	return (s.len < TRACEPARENT_BYTES || s.p[2] != '-' || s.p[35] != '-' ? SLICE("") :
	    slice_sub(s, 3, 32));
}

/* ---- JSON ---- */

/* A key as it stands in a line; the first one's comma becomes the brace. */
struct key {
	char	text[KEY_BYTES];
	uint8_t	len;
};

#define KEY(name)	{ ",\"" name "\":", sizeof(",\"" name "\":") - 1 }

static const struct key keys[ACCESS_LOG_FIELD__MAX] = {
	[ACCESS_LOG_TIME] = KEY("time"),
	[ACCESS_LOG_REQUEST_ID] = KEY("request_id"),
	[ACCESS_LOG_TRACE_ID] = KEY("trace_id"),
	[ACCESS_LOG_LISTENER] = KEY("listener"),
	[ACCESS_LOG_ROUTE] = KEY("route"),
	[ACCESS_LOG_METHOD] = KEY("method"),
	[ACCESS_LOG_HOST] = KEY("host"),
	[ACCESS_LOG_PATH] = KEY("path"),
	[ACCESS_LOG_PROTOCOL] = KEY("protocol"),
	[ACCESS_LOG_STATUS] = KEY("status"),
	[ACCESS_LOG_REASON] = KEY("reason"),
	[ACCESS_LOG_UPSTREAM] = KEY("upstream"),
	[ACCESS_LOG_SERVER] = KEY("server"),
	[ACCESS_LOG_ATTEMPTS] = KEY("attempts"),
	[ACCESS_LOG_CLIENT_IP] = KEY("client_ip"),
	[ACCESS_LOG_BYTES_IN] = KEY("bytes_in"),
	[ACCESS_LOG_BYTES_OUT] = KEY("bytes_out"),
	[ACCESS_LOG_DURATION_MS] = KEY("duration_ms"),
	[ACCESS_LOG_PHASES] = KEY("phases"),
	[ACCESS_LOG_USER_AGENT] = KEY("user_agent"),
	/* those that are seldom asked for write their own */
};

static inline char *
put_key(char *p, const struct key *key)
{
	memcpy(p, key->text, KEY_BYTES);
	return (p + key->len);
}

static const struct key phases[FACTS_PHASE__MAX] = {
	[FACTS_HEADERS] = KEY("headers"),
	[FACTS_AUTH] = KEY("auth"),
	[FACTS_QUEUE] = KEY("queue"),
	[FACTS_CONNECT] = KEY("connect"),
	[FACTS_FIRST_BYTE] = KEY("first_byte"),
	[FACTS_BODY] = KEY("body"),
};

static char *
put_phases(char *p, const struct facts *f)
{
	char *begin = p;

	for (unsigned i = 0; i < FACTS_PHASE__MAX; i++) {
		p = put_key(p, &phases[i]);
		p = put_ms(p, f->phase_us[i]);
	}
	*begin = '{';
	*p = '}';
	return (p + 1);
}

/* All values of one name, as one: RFC 9110, 5.2. */
static char *
put_header(char *p, const struct access_log_redact *redact, const struct access_log_header *want,
    const struct headers *hs)
{
	const struct hdr *h = hs == NULL ? NULL : headers_find(hs, want->name);
	char buf[SHORT_BYTES];
	struct text t;

	p = put(p, want->key);
	if (h != NULL && want->is_secret)
		return (put(p, SLICE("\"" ACCESS_LOG_REDACTED "\"")));
	text_init(&t, buf, sizeof buf);
	for (; h != NULL; h = headers_next(hs, h)) {
		if (t.len > 0)
			text_puts(&t, ", ");
		if (want->is_url)
			access_log_redact_url(redact, hdr_value(h), &t);
		else
			text_put(&t, hdr_value(h));
	}
	return (put_string(p, text_slice(&t), SHORT_BYTES));
}

static char *
put_headers(char *p, const struct access_log_redact *redact, const struct access_log_header *want,
    unsigned n, const struct headers *hs)
{
	char *begin = p;

	for (unsigned i = 0; i < n; i++)
		p = put_header(p, redact, &want[i], hs);
	*begin = '{';
	*p = '}';
	return (p + 1);
}

static char *
put_query(char *p, const struct access_log_redact *redact, struct slice query)
{
	char buf[PATH_BYTES];
	struct text t;

	text_init(&t, buf, sizeof buf);
	access_log_redact_query(redact, query, &t);
	return (put_string(p, text_slice(&t), PATH_BYTES));
}

static struct slice
text_of(const struct facts *f, enum access_log_field field)
{
	switch (field) {
	case ACCESS_LOG_REQUEST_ID:
		return (f->request_id);
	case ACCESS_LOG_TRACE_ID:
		return (trace_of_req(f->req));
	case ACCESS_LOG_LISTENER:
		return (f->listener != NULL ? f->listener->name : SLICE(""));
	case ACCESS_LOG_ROUTE:
		return (f->route != NULL ? f->route->name : SLICE(""));
	case ACCESS_LOG_METHOD:
		return (method_of_req(f->req));
	case ACCESS_LOG_HOST:
		return (f->req->host);
	case ACCESS_LOG_PROTOCOL:
		return (protocol_of_req(f->req));
	case ACCESS_LOG_REASON:
		return (reason_info(f->reason)->name);
	case ACCESS_LOG_UPSTREAM:
		return (f->upstream != NULL ? f->upstream->part.name : SLICE(""));
	case ACCESS_LOG_SERVER:
		return (f->server != NULL ? f->server->name : SLICE(""));
	case ACCESS_LOG_USER_AGENT:
		return (header_of_req(f->req, HDR_USER_AGENT));
	default:
		never("not a text");
	}
}

/* Only where it is asked for; with its key. */
static CC_COLD char *
put_special(char *p, const struct access_log_plan *plan, const struct facts *f,
    enum access_log_field field)
{
	const struct access_log_share *share;

	switch (field) {
	case ACCESS_LOG_QUERY:
		p = put(p, SLICE(",\"query\":"));
		return (put_query(p, &plan->redact, f->req->query));
	case ACCESS_LOG_REQUEST_HEADERS:
		p = put(p, SLICE(",\"request_headers\":"));
		return (put_headers(p, &plan->redact, plan->request_headers,
		    plan->n_request_headers, &f->req->m.headers));
	case ACCESS_LOG_RESPONSE_HEADERS:
		p = put(p, SLICE(",\"response_headers\":"));
		return (put_headers(p, &plan->redact, plan->response_headers,
		    plan->n_response_headers, f->resp_headers));
	case ACCESS_LOG_SAMPLE_RATE:
		p = put(p, SLICE(",\"sample_rate\":"));
		share = &plan->sample[access_log_class(f)];
		return (put(p, slice_of(share->text, share->len)));
	default:
		never("not special");
	}
}

static char *
put_field(char *p, struct access_log_stamp *stamp, const struct access_log_plan *plan,
    const struct facts *f, enum access_log_field field)
{
	switch (field) {
	case ACCESS_LOG_TIME:
		return (put_time(p, stamp, f->wall_us));
	case ACCESS_LOG_STATUS:
		return (put_u64(p, f->status));
	case ACCESS_LOG_ATTEMPTS:
		return (put_u64(p, f->attempts));
	case ACCESS_LOG_CLIENT_IP:
		*p = '"';
		p = put_ip(p + 1, f->client);
		*p = '"';
		return (p + 1);
	case ACCESS_LOG_BYTES_IN:
		return (put_u64(p, f->bytes_in));
	case ACCESS_LOG_BYTES_OUT:
		return (put_u64(p, f->bytes_out));
	case ACCESS_LOG_DURATION_MS:
		return (put_ms(p, f->duration_us));
	case ACCESS_LOG_PHASES:
		return (put_phases(p, f));
	case ACCESS_LOG_PATH:
		return (put_string(p, path_of(f), PATH_BYTES));
	case ACCESS_LOG_QUERY:
	case ACCESS_LOG_REQUEST_HEADERS:
	case ACCESS_LOG_RESPONSE_HEADERS:
	case ACCESS_LOG_SAMPLE_RATE:
		return (put_special(p, plan, f, field));
	default:
		return (put_string(p, text_of(f, field), SHORT_BYTES));
	}
}

static char *
put_json(char *p, struct access_log_stamp *stamp, const struct access_log_plan *plan,
    const struct facts *f)
{
	char *begin = p;

	for (unsigned i = 0; i < plan->n_fields; i++) {
		enum access_log_field field = (enum access_log_field)plan->fields[i];

		p = put_field(put_key(p, &keys[field]), stamp, plan, f, field);
	}
	*begin = '{';
	return (put(p, SLICE("}\n")));
}

/* ---- the common format ---- */

/* What could break a line or the quotes is written as \xHH, as httpd does. */
static char *
put_quoted(char *p, struct slice s, size_t max)
{
	static const char hex[] = "0123456789abcdef";

	s = slice_sub(s, 0, max);
	for (size_t i = 0; i < s.len; i++) {
		uint8_t b = (uint8_t)s.p[i];

		if (b < 0x20 || b == '"' || b == '\\' || b >= 0x7f) {
			p = put(p, SLICE("\\x"));
			*p++ = hex[b >> 4];
			*p++ = hex[b & 15];
		} else {
			*p++ = (char)b;
		}
	}
	return (p);
}

/* [06/Nov/1994:08:49:37 +0000], from the parts of the Date field. */
static char *
put_common_time(char *p, uint64_t wall_us)
{
	char d[DATE_BYTES];

	date_format(wall_us / 1000000, d);
	*p++ = '[';
	p = put(p, slice_of(d + 5, 2));
	*p++ = '/';
	p = put(p, slice_of(d + 8, 3));
	*p++ = '/';
	p = put(p, slice_of(d + 12, 4));
	*p++ = ':';
	p = put(p, slice_of(d + 17, 8));
	return (put(p, SLICE(" +0000]")));
}

static char *
put_common(char *p, const struct facts *f)
{
	p = put_ip(p, f->client);
	p = put(p, SLICE(" - - "));
	p = put_common_time(p, f->wall_us);
	p = put(p, SLICE(" \""));
	p = put_quoted(p, method_of_req(f->req), SHORT_BYTES);
	*p++ = ' ';
	p = put_quoted(p, path_of(f), PATH_BYTES);
	*p++ = ' ';
	p = put(p, protocol_of_req(f->req));
	p = put(p, SLICE("\" "));
	p = put_u64(p, f->status);
	*p++ = ' ';
	if (f->bytes_out == 0)
		*p++ = '-';
	else
		p = put_u64(p, f->bytes_out);
	*p++ = '\n';
	return (p);
}

unsigned
access_log_class(const struct facts *f)
{
	enum { FIRST_ERROR = 400, CLASS = 100 };

	if (f->reason != REASON_NONE && f->status < FIRST_ERROR)
		return (0);
	return (f->status / CLASS < ACCESS_LOG_CLASSES ? f->status / CLASS : 0);
}

void
access_log_stamp_init(struct access_log_stamp *stamp)
{
	stamp->second = UINT64_MAX;
}

size_t
access_log_line(struct access_log_stamp *stamp, const struct access_log_plan *plan,
    const struct facts *f, char *p)
{
	char *end = plan->format == ACCESS_LOG_COMMON ? put_common(p, f) :
	    put_json(p, stamp, plan, f);

	return ((size_t)(end - p));
}

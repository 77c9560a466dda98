/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/base/log.h"
#include "engine/base/text.h"
#include "engine/http/date.h"
#include "engine/mem/alloc.h"
#include "engine/proxy/access_log.h"
#include "engine/proxy/access_log_ring.h"
#include "engine/proxy/facts.h"
#include "engine/proxy/gate.h"
#include "engine/proxy/route.h"
#include "engine/stats/stats.h"
#include "engine/upstream/upstream.h"

enum {
	LINE_BYTES = 40 * 1024,
	/* What clients choose is cut, so that a line always fits: a byte takes six at most. */
	PATH_BYTES = 2048,
	SHORT_BYTES = 256,
	SECOND_BYTES = 19,		/* 2024-05-06T07:08:09 */
	TRACEPARENT_BYTES = 55		/* https://www.w3.org/TR/trace-context/ 3.2 */
};

struct access_log {
	unsigned			 magic;
#define ACCESS_LOG_MAGIC	0x6ac1f09e
	const struct access_log_plan	*plan;		/* NULL: off */
	struct stats_series		*dropped;
	uint64_t			 second;	/* of `time`; UINT64_MAX: none */
	char				 time[SECOND_BYTES + 5];
	struct access_log_ring		 ring;
	char				 line[LINE_BYTES];
};

struct access_log *
access_log_new(struct stats_shard *sh)
{
	struct access_log *log = mem_try_aligned(64, sizeof *log);

	if (log == NULL)
		return (NULL);
	memset(log, 0, offsetof(struct access_log, line));
	log->magic = ACCESS_LOG_MAGIC;
	log->second = UINT64_MAX;
	log->dropped = stats_plain(sh, STATS_LOG_DROPPED);
	log->ring.p = mem_try_map(4096, ACCESS_LOG_RING_BYTES);
	if (log->ring.p == NULL || !access_log_writer_add(&log->ring)) {
		if (log->ring.p != NULL)
			mem_unmap(log->ring.p, ACCESS_LOG_RING_BYTES);
		xfree(log);
		return (NULL);
	}
	return (log);
}

void
access_log_use(struct access_log *log, const struct access_log_plan *plan)
{
	CHECK_OBJ(log, ACCESS_LOG_MAGIC);
	log->plan = plan != NULL && plan->to != ACCESS_LOG_OFF ? plan : NULL;
}

void
access_log_plan_default(struct access_log_plan *plan)
{
	memset(plan, 0, sizeof *plan);
	plan->magic = ACCESS_LOG_PLAN_MAGIC;
	plan->to = ACCESS_LOG_STDOUT;
	plan->level = LOG_LEVEL_INFO;
	for (uint8_t i = 0; i < ACCESS_LOG_FIELD__MAX; i++) {
		if (i != ACCESS_LOG_QUERY)
			plan->fields[plan->n_fields++] = i;
	}
}

/* ---- the ring ---- */

bool
access_log_ring_put(struct access_log_ring *r, struct slice s)
{
	uint64_t put = atomic_load_explicit(&r->put, memory_order_relaxed), used = put - r->seen;
	size_t at = put % ACCESS_LOG_RING_BYTES, first = ACCESS_LOG_RING_BYTES - at;

	if (used + s.len > ACCESS_LOG_RING_BYTES || used >= ACCESS_LOG_WAKE_BYTES) {
		r->seen = atomic_load_explicit(&r->taken, memory_order_acquire);
		used = put - r->seen;
		if (used + s.len > ACCESS_LOG_RING_BYTES)
			return (false);
	}
	if (first > s.len)
		first = s.len;
	memcpy(r->p + at, s.p, first);
	memcpy(r->p, s.p + first, s.len - first);
	atomic_store_explicit(&r->put, put + s.len, memory_order_release);
	if (used < ACCESS_LOG_WAKE_BYTES && used + s.len >= ACCESS_LOG_WAKE_BYTES)
		access_log_writer_wake();
	return (true);
}

void
access_log_ring_free(struct access_log_ring *r)
{
	struct access_log *log = container_of(r, struct access_log, ring);

	CHECK_OBJ(log, ACCESS_LOG_MAGIC);
	mem_unmap(r->p, ACCESS_LOG_RING_BYTES);
	log->magic = 0;
	xfree(log);
}

/* ---- values ---- */

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

static inline bool
is_plain(struct slice s)
{
	size_t i = 0;

	for (; s.len - i >= 8; i += 8) {
		if (is_special8(slice_load8(s.p + i)))
			return (false);
	}
	for (; i < s.len; i++) {
		uint8_t b = (uint8_t)s.p[i];

		if (b < 0x20 || b == '"' || b == '\\' || b >= 0x7f)
			return (false);
	}
	return (true);
}

static inline void
put_string(struct text *t, struct slice s, size_t max)
{
	if (s.len > max)
		s.len = max;
	text_putc(t, '"');
	if (likely(is_plain(s)))
		text_put(t, s);
	else
		text_json(t, s);
	text_putc(t, '"');
}

/* Microseconds as milliseconds, exact: 0, 1.5, 12.345 */
static void
put_ms(struct text *t, uint64_t us)
{
	unsigned rest = (unsigned)(us % 1000);
	char frac[4] = { '.', (char)('0' + rest / 100), (char)('0' + rest / 10 % 10),
		(char)('0' + rest % 10) };
	size_t n = rest == 0 ? 0 : rest % 10 != 0 ? 4 : rest / 10 % 10 != 0 ? 3 : 2;

	text_u64(t, us / 1000);
	text_put(t, slice_of(frac, n));
}

/* The calendar once a second; the milliseconds behind it each time. */
static void
put_time(struct access_log *log, struct text *t, uint64_t wall_us)
{
	uint64_t second = wall_us / 1000000;
	unsigned ms = (unsigned)(wall_us / 1000 % 1000);
	char *p = log->time;

	if (unlikely(log->second != second)) {
		struct text out;

		text_init(&out, log->time, sizeof log->time);
		text_put_time(&out, second * 1000000);
		log->second = second;
	}
	p += SECOND_BYTES;
	p[0] = '.';
	p[1] = (char)('0' + ms / 100);
	p[2] = (char)('0' + ms / 10 % 10);
	p[3] = (char)('0' + ms % 10);
	p[4] = 'Z';
	text_putc(t, '"');
	text_put(t, slice_of(log->time, sizeof log->time));
	text_putc(t, '"');
}

/* IPv4, the usual case, by hand. */
static void
put_ip(struct text *t, const struct addr *a)
{
	char buf[ADDR_IP_TEXT_MAX];

	if (a == NULL || a->len == 0)
		return;
	if (a->u.sa.sa_family == AF_INET) {
		const uint8_t *b = (const uint8_t *)&a->u.in.sin_addr;

		for (unsigned i = 0; i < 4; i++) {
			if (i > 0)
				text_putc(t, '.');
			if (b[i] >= 100)
				text_putc(t, (char)('0' + b[i] / 100));
			if (b[i] >= 10)
				text_putc(t, (char)('0' + b[i] / 10 % 10));
			text_putc(t, (char)('0' + b[i] % 10));
		}
		return;
	}
	text_put(t, slice_of(buf, addr_format_ip(a, buf, sizeof buf)));
}

static struct slice
method_of_req(const struct msg_req *req)
{
	return (req->method == METHOD_OTHER ? req->method_text :
	    method_name((enum http_method)req->method));
}

/* Without the query. A target that could not be taken apart is cut where one would begin. */
static struct slice
path_of_req(const struct msg_req *req)
{
	struct slice s = req->path_raw.len > 0 ? req->path_raw : req->target;
	ssize_t query = slice_find_byte(s, '?');

	return (query < 0 ? s : slice_sub(s, 0, (size_t)query));
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

static void
put_phases(struct text *t, const struct facts *f)
{
#define PHASE(lead, member)                                                                        \
	text_put(t, SLICE(lead "\"" #member "\":"));                                               \
	put_ms(t, f->phases.member##_us);
	PHASE("{", headers)
	PHASE(",", auth)
	PHASE(",", queue)
	PHASE(",", connect)
	PHASE(",", first_byte)
	PHASE(",", body)
#undef PHASE
	text_putc(t, '}');
}

/* ---- lines ---- */

/* Keys as they stand in a line; the first one's comma becomes the brace. */
static const struct slice keys[ACCESS_LOG_FIELD__MAX] = {
	[ACCESS_LOG_TIME] = SLICE_INIT(",\"time\":"),
	[ACCESS_LOG_REQUEST_ID] = SLICE_INIT(",\"request_id\":"),
	[ACCESS_LOG_TRACE_ID] = SLICE_INIT(",\"trace_id\":"),
	[ACCESS_LOG_LISTENER] = SLICE_INIT(",\"listener\":"),
	[ACCESS_LOG_ROUTE] = SLICE_INIT(",\"route\":"),
	[ACCESS_LOG_METHOD] = SLICE_INIT(",\"method\":"),
	[ACCESS_LOG_HOST] = SLICE_INIT(",\"host\":"),
	[ACCESS_LOG_PATH] = SLICE_INIT(",\"path\":"),
	[ACCESS_LOG_QUERY] = SLICE_INIT(",\"query\":"),
	[ACCESS_LOG_PROTOCOL] = SLICE_INIT(",\"protocol\":"),
	[ACCESS_LOG_STATUS] = SLICE_INIT(",\"status\":"),
	[ACCESS_LOG_REASON] = SLICE_INIT(",\"reason\":"),
	[ACCESS_LOG_UPSTREAM] = SLICE_INIT(",\"upstream\":"),
	[ACCESS_LOG_SERVER] = SLICE_INIT(",\"server\":"),
	[ACCESS_LOG_ATTEMPTS] = SLICE_INIT(",\"attempts\":"),
	[ACCESS_LOG_CLIENT_IP] = SLICE_INIT(",\"client_ip\":"),
	[ACCESS_LOG_BYTES_IN] = SLICE_INIT(",\"bytes_in\":"),
	[ACCESS_LOG_BYTES_OUT] = SLICE_INIT(",\"bytes_out\":"),
	[ACCESS_LOG_DURATION_MS] = SLICE_INIT(",\"duration_ms\":"),
	[ACCESS_LOG_PHASES] = SLICE_INIT(",\"phases\":"),
	[ACCESS_LOG_USER_AGENT] = SLICE_INIT(",\"user_agent\":"),
};

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
	case ACCESS_LOG_PATH:
		return (path_of_req(f->req));
	case ACCESS_LOG_QUERY:
		return (f->req->query);
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

static void
put_field(struct access_log *log, struct text *t, const struct facts *f,
    enum access_log_field field)
{
	switch (field) {
	case ACCESS_LOG_TIME:
		put_time(log, t, f->wall_us);
		break;
	case ACCESS_LOG_STATUS:
		text_u64(t, f->status);
		break;
	case ACCESS_LOG_ATTEMPTS:
		text_u64(t, f->attempts);
		break;
	case ACCESS_LOG_CLIENT_IP:
		text_putc(t, '"');
		put_ip(t, f->client);
		text_putc(t, '"');
		break;
	case ACCESS_LOG_BYTES_IN:
		text_u64(t, f->bytes_in);
		break;
	case ACCESS_LOG_BYTES_OUT:
		text_u64(t, f->bytes_out);
		break;
	case ACCESS_LOG_DURATION_MS:
		put_ms(t, f->duration_us);
		break;
	case ACCESS_LOG_PHASES:
		put_phases(t, f);
		break;
	case ACCESS_LOG_PATH:
	case ACCESS_LOG_QUERY:
		put_string(t, text_of(f, field), PATH_BYTES);
		break;
	default:
		put_string(t, text_of(f, field), SHORT_BYTES);
		break;
	}
}

static void
put_json(struct access_log *log, struct text *t, const struct facts *f)
{
	const struct access_log_plan *plan = log->plan;

	for (unsigned i = 0; i < plan->n_fields; i++) {
		enum access_log_field field = (enum access_log_field)plan->fields[i];

		text_put(t, keys[field]);
		put_field(log, t, f, field);
	}
	text_put(t, SLICE("}\n"));
	t->p[0] = '{';
}

/* What could break a line or the quotes is written as \xHH, as httpd does. */
static void
put_quoted(struct text *t, struct slice s, size_t max)
{
	static const char hex[] = "0123456789abcdef";

	s = slice_sub(s, 0, max);
	for (size_t i = 0; i < s.len; i++) {
		uint8_t b = (uint8_t)s.p[i];

		if (b < 0x20 || b == '"' || b == '\\' || b >= 0x7f) {
			text_put(t, SLICE("\\x"));
			text_putc(t, hex[b >> 4]);
			text_putc(t, hex[b & 15]);
		} else {
			text_putc(t, (char)b);
		}
	}
}

/* [06/Nov/1994:08:49:37 +0000], from the parts of the Date field. */
static void
put_common_time(struct text *t, uint64_t wall_us)
{
	char d[DATE_BYTES];

	date_format(wall_us / 1000000, d);
	text_putc(t, '[');
	text_put(t, slice_of(d + 5, 2));
	text_putc(t, '/');
	text_put(t, slice_of(d + 8, 3));
	text_putc(t, '/');
	text_put(t, slice_of(d + 12, 4));
	text_putc(t, ':');
	text_put(t, slice_of(d + 17, 8));
	text_put(t, SLICE(" +0000]"));
}

static void
put_common(struct text *t, const struct facts *f)
{
	put_ip(t, f->client);
	text_put(t, SLICE(" - - "));
	put_common_time(t, f->wall_us);
	text_put(t, SLICE(" \""));
	put_quoted(t, method_of_req(f->req), SHORT_BYTES);
	text_putc(t, ' ');
	put_quoted(t, path_of_req(f->req), PATH_BYTES);
	text_putc(t, ' ');
	text_put(t, protocol_of_req(f->req));
	text_put(t, SLICE("\" "));
	text_u64(t, f->status);
	text_putc(t, ' ');
	if (f->bytes_out == 0)
		text_putc(t, '-');
	else
		text_u64(t, f->bytes_out);
	text_putc(t, '\n');
}

void
access_log_write(struct access_log *log, const struct facts *f)
{
	struct text t;

	CHECK_OBJ(log, ACCESS_LOG_MAGIC);
	if (log->plan == NULL)
		return;
	text_init(&t, log->line, sizeof log->line);
	if (log->plan->format == ACCESS_LOG_COMMON)
		put_common(&t, f);
	else
		put_json(log, &t, f);
	if (unlikely(t.full || !access_log_ring_put(&log->ring, text_slice(&t))))
		stats_add(log->dropped, 1);
}

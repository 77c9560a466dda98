/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/h1/h1_parse.h"

#include <string.h>

#include "engine/h1/h1_scan.h"

enum {
	FIELD_COST = 32		/* RFC 9113, 6.5.2: what a field costs besides its bytes */
};

#define T	H1_TCHAR
#define S	H1_TARGET_STOP

/* clang-format off */
const uint8_t h1_class[256] = {
	[0 ... 0x20] = S, [0x7f ... 0xff] = S, ['#'] = S | T,
	['!'] = T, ['$'] = T, ['%'] = T, ['&'] = T, ['\''] = T, ['*'] = T, ['+'] = T, ['-'] = T,
	['.'] = T, ['^'] = T, ['_'] = T, ['`'] = T, ['|'] = T, ['~'] = T,
	['0' ... '9'] = T, ['A' ... 'Z'] = T, ['a' ... 'z'] = T,
};
/* clang-format on */

#undef T
#undef S

static enum h1_parse_rc
bad(struct h1_head *h, enum reason reason)
{
	h->reason = (uint8_t)reason;
	return (H1_PARSE_BAD);
}

/* The head ends in the middle of a line that began at `line`. */
static enum h1_parse_rc
more(struct h1_head *h, const struct codec_limits *limits, const char *line, const char *end,
    enum reason reason)
{
	size_t n = (size_t)(end - line);

	if (n > limits->line_bytes || h->counted + n > limits->head_bytes)
		return (bad(h, reason));
	return (H1_PARSE_MORE);
}

/* No CR LF at p. Cut off, or a bare CR or LF, or another byte. */
static enum h1_parse_rc
no_line_end(struct h1_head *h, const char *p, const char *end)
{
	if (p == end || (*p == '\r' && p + 1 == end))
		return (H1_PARSE_MORE);
	return (bad(h, REASON_REQUEST_MALFORMED));
}

/* CR LF at *p, and nothing else. */
static inline enum h1_parse_rc
line_end(struct h1_head *h, const char **p, const char *end)
{
	if (unlikely(end - *p < 2 || memcmp(*p, "\r\n", 2) != 0))
		return (no_line_end(h, *p, end));
	*p += 2;
	return (H1_PARSE_DONE);
}

/*
 * The end of a name that is not among the well known, or was not looked up: read byte by byte. As
 * field_name(), with the colon found so far.
 */
static const char *
other_name(struct h1_head *h, const char *p, const char *end, const char *colon, uint8_t *id_r,
    bool *drop_r, enum h1_parse_rc *rc_r)
{
	bool looked_up = colon != NULL;

	colon = h1_scan_token(p, end);
	if (colon == end) {
		*rc_r = H1_PARSE_MORE;
		return (NULL);
	}
	if (colon == p || *colon != ':') {
		*rc_r = bad(h, REASON_REQUEST_MALFORMED);
		return (NULL);
	}
	if (colon - p > UINT16_MAX) {
		*rc_r = bad(h, REASON_HEADER_TOO_LARGE);
		return (NULL);
	}
	if (!looked_up)
		*id_r = (uint8_t)hdr_id_of(slice_of(p, (size_t)(colon - p)));
	*drop_r = memchr(p, '_', (size_t)(colon - p)) != NULL;
	return (colon);
}

/*
 * The end of the name, which is a ':' directly behind it, or NULL with *rc_r. A name that is well
 * known is a token and need not be looked at byte by byte. *drop_r: it has an underscore.
 */
static inline const char *
field_name(struct h1_head *h, const char *p, const char *end, uint8_t *id_r, bool *drop_r,
    enum h1_parse_rc *rc_r)
{
	const char *colon = h1_find_colon(p, end);

	*drop_r = false;
	*id_r = HDR_OTHER;
	if (likely(colon != NULL)) {
		*id_r = (uint8_t)hdr_id_of(slice_of(p, (size_t)(colon - p)));
		if (likely(*id_r != HDR_OTHER))
			return (colon);
	}
	return (other_name(h, p, end, colon, id_r, drop_r, rc_r));
}

static inline bool
is_blank(char c)
{
	return (c == ' ' || c == '\t');
}

static inline const char *
skip_blanks(const char *p, const char *end)
{
	/* One, as nearly always: two looks. What is no more than a blank is left to the loop. */
	if (likely(end - p >= 2 && p[0] == ' ' && p[1] > ' '))
		return (p + 1);
	while (p < end && is_blank(*p))
		p++;
	return (p);
}

/* One field line at *pp, which is moved behind it. */
static enum h1_parse_rc
parse_field(struct h1_head *h, const struct codec_limits *limits, const char **pp, const char *end)
{
	const char *line = *pp, *colon, *p, *value_end;
	enum h1_parse_rc rc = H1_PARSE_DONE;
	struct hdr *row;
	size_t line_len;
	uint8_t id;
	bool drop;

	colon = field_name(h, line, end, &id, &drop, &rc);
	if (unlikely(colon == NULL))
		return (rc == H1_PARSE_MORE
			? more(h, limits, line, end, REASON_HEADER_TOO_LARGE) : rc);
	p = skip_blanks(colon + 1, end);
	value_end = h1_scan_value(p, end);
	*pp = value_end;
	rc = line_end(h, pp, end);
	if (unlikely(rc != H1_PARSE_DONE))
		return (rc == H1_PARSE_MORE
			? more(h, limits, line, end, REASON_HEADER_TOO_LARGE) : rc);
	line_len = (size_t)(*pp - line);
	/* Name and value with the white space between, without ": " and CR LF; plus the cost. */
	h->counted += (uint32_t)line_len - 4 + FIELD_COST;
	if (unlikely(line_len > limits->line_bytes || h->counted > limits->head_bytes ||
	    h->n_fields >= h->fields_max))
		return (bad(h, REASON_HEADER_TOO_LARGE));
	h->n_fields++;
	if (unlikely(drop))
		return (H1_PARSE_DONE);
	while (value_end > p && is_blank(value_end[-1]))
		value_end--;
	row = &h->rows[h->n_rows++];
	row->name = line;
	row->name_len = (uint16_t)(colon - line);
	row->value = p;
	row->value_len = (uint32_t)(value_end - p);
	row->id = id;
	row->flags = HDR_RAW | hdr_info[id].row_flags;
	row->raw_len = (uint32_t)line_len;
	return (H1_PARSE_DONE);
}

static enum h1_parse_rc
parse_fields(struct h1_head *h, const struct codec_limits *limits, const char *begin, const char *p,
    const char *end)
{
	enum h1_parse_rc rc;

	for (;;) {
		if (p == end)
			return (more(h, limits, p, end, REASON_HEADER_TOO_LARGE));
		if (*p == '\r') {
			rc = line_end(h, &p, end);
			if (rc == H1_PARSE_DONE)
				h->len = (uint32_t)(p - begin);
			return (rc);
		}
		rc = parse_field(h, limits, &p, end);
		if (rc != H1_PARSE_DONE)
			return (rc);
	}
}

static void
reset(struct h1_head *h, const struct codec_limits *limits)
{
	memset(h, 0, offsetof(struct h1_head, rows));
	h->fields_max = limits->fields < HEADERS_MAX ? limits->fields : HEADERS_MAX;
}

static inline bool
is_digit(char c)
{
	return (c >= '0' && c <= '9');
}

/*
 * "HTTP/1.1" at *pp. Sound but not ours: VERSION_REFUSED. MORE when it is cut off.
 */
static enum h1_parse_rc
parse_version(struct h1_head *h, const char **pp, const char *end)
{
	static const char text[] = "HTTP/1.";
	const char *p = *pp;
	size_t have = (size_t)(end - p), n = have < 5 ? have : 5;

	if (likely(have >= 8 && memcmp(p, "HTTP/1.1", 8) == 0)) {
		h->version = HTTP_1_1;
		*pp = p + 8;
		return (H1_PARSE_DONE);
	}
	if (memcmp(p, text, n) != 0)
		return (bad(h, REASON_REQUEST_MALFORMED));
	if (have < 8)
		return (memchr(p, '\n', have) == NULL
			? H1_PARSE_MORE : bad(h, REASON_REQUEST_MALFORMED));
	if (!is_digit(p[5]) || p[6] != '.' || !is_digit(p[7]))
		return (bad(h, REASON_REQUEST_MALFORMED));
	*pp = p + 8;
	/* HTTP/1.2 would be 1.1 to a client of today, but nobody has ever defined it. */
	if (p[5] != '1' || p[7] > '1')
		return (bad(h, REASON_VERSION_REFUSED));
	h->version = p[7] == '1' ? HTTP_1_1 : HTTP_1_0;
	return (H1_PARSE_DONE);
}

/* method SP target SP version CR LF; *pp is moved behind it. */
static enum h1_parse_rc
request_line(struct h1_head *h, const char **pp, const char *end)
{
	const char *begin = *pp, *p = begin;
	enum h1_parse_rc rc;

	if (end - p >= 4 && memcmp(p, "GET ", 4) == 0)
		p += 3;
	else
		p = h1_scan_token(p, end);
	if (p == end)
		return (H1_PARSE_MORE);
	if (p == begin || *p != ' ')
		return (bad(h, REASON_REQUEST_MALFORMED));
	h->method = slice_of(begin, (size_t)(p - begin));
	begin = ++p;
	p = h1_scan_target(p, end);
	if (p < end && *p == '?') {
		h->query = p;
		do
			p = h1_scan_target(p + 1, end);
		while (p < end && *p == '?');
	}
	if (p == end)
		return (H1_PARSE_MORE);
	if (p == begin || *p != ' ')
		return (bad(h, REASON_REQUEST_MALFORMED));
	h->target = slice_of(begin, (size_t)(p - begin));
	p++;
	if (p == end)
		return (H1_PARSE_MORE);
	rc = parse_version(h, &p, end);
	if (rc != H1_PARSE_DONE)
		return (rc);
	*pp = p;
	return (line_end(h, pp, end));
}

enum h1_parse_rc
h1_parse_request(struct h1_head *h, const struct codec_limits *limits, const char *p, size_t n)
{
	const char *begin = p, *end = p + n;
	enum h1_parse_rc rc;

	reset(h, limits);
	rc = request_line(h, &p, end);
	if (rc == H1_PARSE_MORE)
		return (more(h, limits, begin, end, REASON_URI_TOO_LONG));
	if (rc != H1_PARSE_DONE)
		return (rc);
	h->counted = (uint32_t)(p - begin);
	if (h->counted > limits->line_bytes || h->counted > limits->head_bytes)
		return (bad(h, REASON_URI_TOO_LONG));
	return (parse_fields(h, limits, begin, p, end));
}

/* version SP status [SP [phrase]] CR LF. Servers that leave out the last space are many. */
static enum h1_parse_rc
status_line(struct h1_head *h, const char **pp, const char *end)
{
	const char *p = *pp, *begin;
	enum h1_parse_rc rc;

	rc = parse_version(h, &p, end);
	if (rc != H1_PARSE_DONE)
		return (rc);
	if (end - p < 5) {
		/* A wrong byte is found when the rest is there: a status line is short. */
		*pp = p;
		return (memchr(p, '\n', (size_t)(end - p)) != NULL
			? bad(h, REASON_REQUEST_MALFORMED) : H1_PARSE_MORE);
	}
	if (p[0] != ' ' || p[1] < '1' || p[1] > '9' || !is_digit(p[2]) || !is_digit(p[3]))
		return (bad(h, REASON_REQUEST_MALFORMED));
	h->status = (uint16_t)((p[1] - '0') * 100 + (p[2] - '0') * 10 + (p[3] - '0'));
	p += 4;
	if (*p == ' ') {
		begin = ++p;
		p = h1_scan_value(p, end);
		h->phrase = slice_of(begin, (size_t)(p - begin));
	}
	*pp = p;
	return (line_end(h, pp, end));
}

enum h1_parse_rc
h1_parse_response(struct h1_head *h, const struct codec_limits *limits, const char *p, size_t n)
{
	const char *begin = p, *end = p + n;
	enum h1_parse_rc rc;

	reset(h, limits);
	rc = n == 0 ? H1_PARSE_MORE : status_line(h, &p, end);
	if (rc == H1_PARSE_MORE)
		return (more(h, limits, begin, end, REASON_HEADER_TOO_LARGE));
	if (rc != H1_PARSE_DONE)
		return (rc);
	h->counted = (uint32_t)(p - begin);
	if (h->counted > limits->line_bytes || h->counted > limits->head_bytes)
		return (bad(h, REASON_HEADER_TOO_LARGE));
	return (parse_fields(h, limits, begin, p, end));
}

enum h1_parse_rc
h1_parse_trailers(struct h1_head *h, const struct codec_limits *limits, const char *p, size_t n)
{
	reset(h, limits);
	return (parse_fields(h, limits, p, p, p + n));
}

bool
h1_parse_length(struct slice s, int64_t *r)
{
	uint64_t n = 0;

	if (s.len == 0 || s.len > 19)
		return (false);
	for (size_t i = 0; i < s.len; i++) {
		if (!is_digit(s.p[i]))
			return (false);
		n = n * 10 + (uint64_t)(s.p[i] - '0');
	}
	if (n > INT64_MAX)
		return (false);
	*r = (int64_t)n;
	return (true);
}

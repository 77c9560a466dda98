/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/base/text.h"

#include <stdarg.h>
#include <stdio.h>

#include "engine/base/check.h"

static const char text_hex_digits[] = "0123456789abcdef";

struct text_unit {
	struct slice name;
	uint64_t size;
};

/* Largest first: both writing and reading sums go down the table. */
static const struct text_unit text_time_units[] = {
	{SLICE_INIT("d"), 86400000},
	{SLICE_INIT("h"), 3600000},
	{SLICE_INIT("m"), 60000},
	{SLICE_INIT("s"), 1000},
	{SLICE_INIT("ms"), 1},
};

static const struct text_unit text_byte_units[] = {
	{SLICE_INIT("GiB"), (uint64_t)1 << 30},
	{SLICE_INIT("MiB"), (uint64_t)1 << 20},
	{SLICE_INIT("KiB"), (uint64_t)1 << 10},
	{SLICE_INIT("B"), 1},
};

void
text_put_cut_(struct text *t, const char *p, size_t n)
{
	size_t room = t->cap - t->len;

	if (!t->full && room > 0) {
		n = n < room ? n : room;
		memcpy(t->p + t->len, p, n);
		t->len += n;
	}
	t->full = true;
}

/* For pieces that make no sense when cut. */
static void
text_put_whole(struct text *t, const char *p, size_t n)
{
	if (t->full || n > t->cap - t->len) {
		t->full = true;
		return;
	}
	memcpy(t->p + t->len, p, n);
	t->len += n;
}

void
text_printf(struct text *t, const char *fmt, ...)
{
	size_t room = t->cap - t->len;
	va_list ap;
	int n;

	if (t->full)
		return;
	va_start(ap, fmt);
	n = vsnprintf(room > 0 ? t->p + t->len : NULL, room, fmt, ap);
	va_end(ap);
	must(n >= 0);
	if ((size_t)n < room) {
		t->len += (size_t)n;
		return;
	}
	/* vsnprintf keeps the last byte for its NUL */
	if (n > 0) {
		t->len += room > 0 ? room - 1 : 0;
		t->full = true;
	}
}

size_t
text_u64_digits(char *buf, uint64_t v)
{
	char tmp[TEXT_U64_MAX];
	size_t at = sizeof(tmp);

	do {
		tmp[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v != 0);
	memcpy(buf, tmp + at, sizeof(tmp) - at);
	return (sizeof(tmp) - at);
}

void
text_u64(struct text *t, uint64_t v)
{
	char tmp[TEXT_U64_MAX];

	text_put_whole(t, tmp, text_u64_digits(tmp, v));
}

void
text_i64(struct text *t, int64_t v)
{
	char tmp[TEXT_U64_MAX + 1];
	size_t n = 0;
	uint64_t abs = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

	if (v < 0)
		tmp[n++] = '-';
	n += text_u64_digits(tmp + n, abs);
	text_put_whole(t, tmp, n);
}

void
text_hex(struct text *t, uint64_t v, unsigned width)
{
	char tmp[16];
	unsigned at = sizeof(tmp);
	unsigned least = width > sizeof(tmp) ? (unsigned)sizeof(tmp) : width;

	do {
		tmp[--at] = text_hex_digits[v & 15];
		v >>= 4;
	} while (v != 0);
	while (sizeof(tmp) - at < least)
		tmp[--at] = '0';
	text_put_whole(t, tmp + at, sizeof(tmp) - at);
}

static bool
text_is_cont(uint8_t b)
{
	return ((b & 0xc0) == 0x80);
}

unsigned
text_utf8_len(struct slice s)
{
	const uint8_t *p = (const uint8_t *)s.p;

	if (s.len == 0)
		return (0);
	if (p[0] < 0x80)
		return (1);
	if (p[0] < 0xc2)
		return (0);
	if (p[0] < 0xe0)
		return (s.len >= 2 && text_is_cont(p[1]) ? 2 : 0);
	if (p[0] < 0xf0) {
		if (s.len < 3 || !text_is_cont(p[1]) || !text_is_cont(p[2]))
			return (0);
		/* overlong forms and surrogates */
		if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f))
			return (0);
		return (3);
	}
	if (p[0] > 0xf4 || s.len < 4)
		return (0);
	if (!text_is_cont(p[1]) || !text_is_cont(p[2]) || !text_is_cont(p[3]))
		return (0);
	/* overlong forms and what is above U+10FFFF */
	if ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return (0);
	return (4);
}

static void
text_json_escape(struct text *t, uint8_t b)
{
	static const char short_forms[] = "\bb\ff\nn\rr\tt\"\"\\\\";
	char esc[6] = {'\\', 'u', '0', '0', 0, 0};

	for (const char *f = short_forms; *f != '\0'; f += 2) {
		if ((uint8_t)f[0] == b) {
			esc[1] = f[1];
			text_put_whole(t, esc, 2);
			return;
		}
	}
	esc[4] = text_hex_digits[b >> 4];
	esc[5] = text_hex_digits[b & 15];
	text_put_whole(t, esc, 6);
}

/* Bytes from the start of s that need no change: plain ASCII. */
static size_t
text_json_plain(struct slice s)
{
	size_t n = 0;

	while (n < s.len) {
		uint8_t b = (uint8_t)s.p[n];

		if (b < 0x20 || b == '"' || b == '\\' || b >= 0x7f)
			break;
		n++;
	}
	return (n);
}

void
text_json(struct text *t, struct slice s)
{
	while (s.len > 0 && !t->full) {
		size_t plain = text_json_plain(s);
		unsigned seq;

		if (plain > 0) {
			text_put(t, slice_of(s.p, plain));
			s = slice_skip(s, plain);
			continue;
		}
		if ((uint8_t)s.p[0] < 0x80) {
			text_json_escape(t, (uint8_t)s.p[0]);
			s = slice_skip(s, 1);
			continue;
		}
		seq = text_utf8_len(s);
		if (seq == 0) {
			text_put_whole(t, "\xef\xbf\xbd", 3);
			seq = 1;
		} else {
			text_put_whole(t, s.p, seq);
		}
		s = slice_skip(s, seq);
	}
}

void
text_put_duration_ms(struct text *t, uint64_t ms)
{
	char buf[5 * (TEXT_U64_MAX + 2)];
	struct text out;

	text_init(&out, buf, sizeof(buf));
	for (size_t i = 0; i < array_len(text_time_units); i++) {
		const struct text_unit *u = &text_time_units[i];

		if (ms < u->size)
			continue;
		text_u64(&out, ms / u->size);
		text_put(&out, u->name);
		ms %= u->size;
	}
	if (out.len == 0)
		text_puts(&out, "0s");
	text_put_whole(t, out.p, out.len);
}

void
text_put_bytes(struct text *t, uint64_t bytes)
{
	char buf[TEXT_U64_MAX + 3];
	struct text out;
	const struct text_unit *u = text_byte_units;

	while (u->size > 1 && (bytes == 0 || bytes % u->size != 0))
		u++;
	text_init(&out, buf, sizeof(buf));
	text_u64(&out, bytes / u->size);
	text_put(&out, u->name);
	text_put_whole(t, out.p, out.len);
}

static void
text_put_padded(struct text *t, uint64_t v, unsigned width)
{
	char buf[TEXT_U64_MAX];
	size_t n = text_u64_digits(buf, v);

	for (; width > n; width--)
		text_putc(t, '0');
	text_put(t, slice_of(buf, n));
}

/*
 * Days since 1970-01-01 to the Gregorian calendar.  The year is counted from March, so that the
 * leap day is its last, in eras of 400 years (146,097 days).
 */
static void
text_put_date(struct text *t, uint64_t days)
{
	uint64_t z = days + 719468; /* from 0000-03-01 */
	uint64_t era = z / 146097;
	uint64_t doe = z % 146097;
	uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	uint64_t mp = (5 * doy + 2) / 153; /* 0: March */
	uint64_t month = mp < 10 ? mp + 3 : mp - 9;

	text_put_padded(t, era * 400 + yoe + (month <= 2), 4);
	text_putc(t, '-');
	text_put_padded(t, month, 2);
	text_putc(t, '-');
	text_put_padded(t, doy - (153 * mp + 2) / 5 + 1, 2);
}

void
text_put_time(struct text *t, uint64_t wall_us)
{
	char buf[2 * TEXT_U64_MAX];
	struct text out;
	uint64_t ms = wall_us / 1000;

	text_init(&out, buf, sizeof(buf));
	text_put_date(&out, ms / 86400000);
	text_putc(&out, 'T');
	text_put_padded(&out, ms / 3600000 % 24, 2);
	text_putc(&out, ':');
	text_put_padded(&out, ms / 60000 % 60, 2);
	text_putc(&out, ':');
	text_put_padded(&out, ms / 1000 % 60, 2);
	text_putc(&out, '.');
	text_put_padded(&out, ms % 1000, 3);
	text_putc(&out, 'Z');
	text_put_whole(t, out.p, out.len);
}

const char *
text_cstr(struct text *t)
{
	must(t->cap > 0);
	if (t->len == t->cap) {
		t->len--;
		t->full = true;
	}
	t->p[t->len] = '\0';
	return (t->p);
}

/* Takes digits off the front of *s; false when there are none or the number overflows. */
static bool
text_take_u64(struct slice *s, uint64_t *r)
{
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < s->len && s->p[i] >= '0' && s->p[i] <= '9'; i++) {
		if (__builtin_mul_overflow(v, 10u, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s->p[i] - '0'), &v))
			return (false);
	}
	*s = slice_skip(*s, i);
	*r = v;
	return (i > 0);
}

bool
text_to_u64(struct slice s, uint64_t *r)
{
	uint64_t v;

	if (!text_take_u64(&s, &v) || s.len != 0)
		return (false);
	*r = v;
	return (true);
}

bool
text_to_hex64(struct slice s, uint64_t *r)
{
	uint64_t v = 0;

	if (s.len == 0)
		return (false);
	for (size_t i = 0; i < s.len; i++) {
		char c = slice_to_lower_byte(s.p[i]);
		unsigned digit;

		if (c >= '0' && c <= '9')
			digit = (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			digit = (unsigned)(c - 'a' + 10);
		else
			return (false);
		if (v >> 60 != 0)
			return (false);
		v = v << 4 | digit;
	}
	*r = v;
	return (true);
}

/* Letters up to the next digit or the end. */
static struct slice
text_take_unit(struct slice *s)
{
	struct slice unit = *s;
	size_t n = 0;

	while (n < s->len && (s->p[n] < '0' || s->p[n] > '9'))
		n++;
	unit.len = n;
	*s = slice_skip(*s, n);
	return (unit);
}

/*
 * A sum of numbers with units of the table, each unit once, larger ones first; terms at most.
 */
static bool
text_take_sum(struct slice s, const struct text_unit *units, size_t n, unsigned terms, uint64_t *r)
{
	uint64_t sum = 0;
	size_t at = 0;

	for (; terms > 0; terms--) {
		struct slice unit;
		uint64_t v;

		if (!text_take_u64(&s, &v))
			return (false);
		unit = text_take_unit(&s);
		while (at < n && !slice_eq(unit, units[at].name))
			at++;
		if (at == n)
			return (false);
		if (__builtin_mul_overflow(v, units[at].size, &v) ||
		    __builtin_add_overflow(sum, v, &sum))
			return (false);
		at++;
		if (s.len == 0) {
			*r = sum;
			return (true);
		}
	}
	return (false);
}

bool
text_to_duration_ms(struct slice s, uint64_t *r)
{
	return (text_take_sum(s, text_time_units, array_len(text_time_units),
	    (unsigned)array_len(text_time_units), r));
}

bool
text_to_bytes(struct slice s, uint64_t *r)
{
	return (text_take_sum(s, text_byte_units, array_len(text_byte_units), 1, r));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded text builder over the caller's buffer, and numbers to and from text.
 *
 * Nothing allocates.  When something does not fit, as much of it as fits is written (numbers and
 * escapes whole or not at all), full becomes true and everything after it is dropped: check full
 * once at the end.  The text has no NUL unless text_cstr() is asked for.
 */
#ifndef WEIR_BASE_TEXT_H
#define WEIR_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/cc.h"
#include "engine/base/slice.h"

struct text {
	char *p;
	size_t len;
	size_t cap;
	bool full;
};

enum { TEXT_U64_MAX = 20 }; /* digits of 2^64-1 */

static inline void
text_init(struct text *t, char *buf, size_t cap)
{
	*t = (struct text){buf, 0, cap, false};
}

static inline struct slice
text_slice(const struct text *t)
{
	return (slice_of(t->p, t->len));
}

void text_put_cut_(struct text *t, const char *p, size_t n);

static inline void
text_put(struct text *t, struct slice s)
{
	if (unlikely(t->full || s.len > t->cap - t->len)) {
		text_put_cut_(t, s.p, s.len);
		return;
	}
	if (s.len > 0)
		memcpy(t->p + t->len, s.p, s.len);
	t->len += s.len;
}

static inline void
text_puts(struct text *t, const char *cstr)
{
	text_put(t, slice_str(cstr));
}

static inline void
text_putc(struct text *t, char c)
{
	if (unlikely(t->full || t->len == t->cap)) {
		t->full = true;
		return;
	}
	t->p[t->len++] = c;
}

/* As printf.  Needs room for one byte more than it writes: where that is not left, the last byte is
   lost and full becomes true. */
void text_printf(struct text *t, const char *fmt, ...) CC_PRINTF(2, 3);

void text_u64(struct text *t, uint64_t v);
void text_i64(struct text *t, int64_t v);

/* Lower-case hexadecimal, zero-padded to width digits (at most 16); width 0: as many as needed. */
void text_hex(struct text *t, uint64_t v, unsigned width);

/* Contents of a JSON string (RFC 8259, section 7) without the quotes: control bytes, quote and
   backslash escaped, each byte that is no part of valid UTF-8 written as U+FFFD. */
void text_json(struct text *t, struct slice s);

/* As the configuration language writes them; exact, and read back to the same number:
   0s 500ms 10s 1m30s 2d;  0B 100B 16KiB 1536B. */
void text_put_duration_ms(struct text *t, uint64_t ms);
void text_put_bytes(struct text *t, uint64_t bytes);

/* Wall time in microseconds as RFC 3339 in UTC with milliseconds: 2024-05-06T07:08:09.010Z */
void text_put_time(struct text *t, uint64_t wall_us);

/* The text as a C string: a NUL after it, over its last byte (and full) when there is no room.
   cap must not be 0. */
const char *text_cstr(struct text *t);

/* Writes the digits of v to buf, which has room for TEXT_U64_MAX bytes; returns how many. */
size_t text_u64_digits(char *buf, uint64_t v);

/* The whole slice, one digit at least, nothing but digits, no overflow; else false and *r is
   untouched.  The same for all below. */
bool text_to_u64(struct slice s, uint64_t *r) CC_MUST_USE;
bool text_to_hex64(struct slice s, uint64_t *r) CC_MUST_USE;

/* Units ms s m h d, always written; a sum has each unit once, larger ones first: 1h30m. */
bool text_to_duration_ms(struct slice s, uint64_t *r) CC_MUST_USE;

/* Units B KiB MiB GiB, always written; one number and one unit. */
bool text_to_bytes(struct slice s, uint64_t *r) CC_MUST_USE;

/* Length of the valid UTF-8 sequence at s (1 to 4, RFC 3629), 0 when it is none or cut. */
unsigned text_utf8_len(struct slice s);

#endif

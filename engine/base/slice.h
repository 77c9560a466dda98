/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slice is a pointer and a length: bytes that somebody else owns.  Passed by value, never freed.
 * p may be NULL only when len is 0.  Nothing here allocates, copies or ends with a NUL.
 * Case folding is ASCII only (A-Z), as HTTP wants it (RFC 9110, section 5.1).
 */
#ifndef WEIR_BASE_SLICE_H
#define WEIR_BASE_SLICE_H

#include <sys/types.h>

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/cc.h"

struct slice {
	const char *p;
	size_t len;
};

/* A literal as a slice: as a value, and as a static initialiser. */
#define SLICE(lit)	((struct slice){"" lit, sizeof(lit) - 1})
#define SLICE_INIT(lit)	{"" lit, sizeof(lit) - 1}
#define SLICE_NONE	((struct slice){NULL, 0})

/* printf("host " SLICE_FMT, SLICE_ARG(s)); s is evaluated more than once. */
#define SLICE_FMT	"%.*s"
#define SLICE_ARG(s)	((s).len > INT_MAX ? INT_MAX : (int)(s).len), ((s).len == 0 ? "" : (s).p)

/* ASCII lower case of each byte; other bytes map to themselves. */
extern const uint8_t slice_lower[256];

static inline struct slice
slice_of(const char *p, size_t n)
{
	return ((struct slice){p, n});
}

/* cstr may be NULL: the empty slice. */
static inline struct slice
slice_str(const char *cstr)
{
	return ((struct slice){cstr, cstr == NULL ? 0 : strlen(cstr)});
}

static inline bool
slice_is_empty(struct slice s)
{
	return (s.len == 0);
}

static inline bool
slice_eq(struct slice a, struct slice b)
{
	return (a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0));
}

static inline char
slice_to_lower_byte(char c)
{
	return ((char)slice_lower[(uint8_t)c]);
}

/* Eight bytes to lower case at once: bit 5 is set where a byte lies in A-Z. */
static inline uint64_t
slice_lower8(uint64_t x)
{
	const uint64_t ones = 0x0101010101010101u;
	uint64_t low7 = x & (ones * 0x7f);
	uint64_t above_z = low7 + ones * (0x7f - 'Z');
	uint64_t from_a = low7 + ones * (0x80 - 'A');
	uint64_t upper = (from_a ^ above_z) & ~x & (ones * 0x80);

	return (x | (upper >> 2));
}

static inline uint64_t
slice_load8(const char *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof(x));
	return (x);
}

/* Equal n bytes, ASCII case folded. */
static inline bool
slice_eq_fold_bytes(const char *a, const char *b, size_t n)
{
	size_t i = 0;

	for (; n - i >= 8; i += 8) {
		if (slice_lower8(slice_load8(a + i)) != slice_lower8(slice_load8(b + i)))
			return (false);
	}
	for (; i < n; i++) {
		if (slice_lower[(uint8_t)a[i]] != slice_lower[(uint8_t)b[i]])
			return (false);
	}
	return (true);
}

static inline bool
slice_eq_fold(struct slice a, struct slice b)
{
	return (a.len == b.len && slice_eq_fold_bytes(a.p, b.p, a.len));
}

/* Order of the bytes, then of the lengths: below 0, 0 or above 0. */
static inline int
slice_cmp(struct slice a, struct slice b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int r = n == 0 ? 0 : memcmp(a.p, b.p, n);

	if (r != 0)
		return (r);
	return (a.len < b.len ? -1 : a.len > b.len);
}

static inline bool
slice_has_prefix(struct slice s, struct slice prefix)
{
	return (s.len >= prefix.len &&
	    (prefix.len == 0 || memcmp(s.p, prefix.p, prefix.len) == 0));
}

static inline bool
slice_has_prefix_fold(struct slice s, struct slice prefix)
{
	return (s.len >= prefix.len && slice_eq_fold_bytes(s.p, prefix.p, prefix.len));
}

static inline bool
slice_has_suffix(struct slice s, struct slice suffix)
{
	return (s.len >= suffix.len &&
	    (suffix.len == 0 || memcmp(s.p + s.len - suffix.len, suffix.p, suffix.len) == 0));
}

/* Index of the first c, or -1. */
static inline ssize_t
slice_find_byte(struct slice s, char c)
{
	const char *at = s.len == 0 ? NULL : memchr(s.p, c, s.len);

	return (at == NULL ? -1 : at - s.p);
}

/* Index of the first occurrence of needle, or -1; the empty needle is found at 0. */
ssize_t slice_find(struct slice s, struct slice needle);

/* All but the first n bytes; empty when n is past the end. */
static inline struct slice
slice_skip(struct slice s, size_t n)
{
	if (n >= s.len)
		return ((struct slice){s.len == 0 ? s.p : s.p + s.len, 0});
	return ((struct slice){s.p + n, s.len - n});
}

/* At most n bytes from index from; both are cut to what is there. */
static inline struct slice
slice_sub(struct slice s, size_t from, size_t n)
{
	s = slice_skip(s, from);
	if (s.len > n)
		s.len = n;
	return (s);
}

/* Without SP and HTAB at either end (OWS of RFC 9110, section 5.6.3). */
static inline struct slice
slice_trim(struct slice s)
{
	while (s.len > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.len--;
	}
	while (s.len > 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
		s.len--;
	return (s);
}

/*
 * Takes the next piece up to sep off *rest.  n separators make n + 1 pieces, empty ones included:
 * "a,,b" gives "a", "", "b"; "" gives one empty piece, SLICE_NONE none.  After the last piece
 * rest->p is NULL and the function returns false.
 */
static inline bool
slice_split(struct slice *rest, char sep, struct slice *piece_r)
{
	ssize_t at;

	if (rest->p == NULL)
		return (false);
	at = slice_find_byte(*rest, sep);
	if (at < 0) {
		*piece_r = *rest;
		*rest = SLICE_NONE;
		return (true);
	}
	*piece_r = slice_of(rest->p, (size_t)at);
	*rest = slice_skip(*rest, (size_t)at + 1);
	return (true);
}

#endif

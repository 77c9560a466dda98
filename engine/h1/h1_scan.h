/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking for the byte that ends something, sixteen at a time where the machine can (SSE2 is part
 * of x86-64), byte by byte elsewhere and in the last fifteen. Private to the folder.
 *
 * Each function returns the first byte from p on that stops it, or end.
 */
#ifndef WEIR_H1_SCAN_H
#define WEIR_H1_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum h1_class {
	H1_TCHAR = 1,		/* token byte (RFC 9110, 5.6.2) */
	H1_TARGET_STOP = 2	/* no byte of a target: control, space, '#', DEL, non-ASCII */
};

extern const uint8_t h1_class[256];

static inline bool
h1_is_tchar(char c)
{
	return ((h1_class[(uint8_t)c] & H1_TCHAR) != 0);
}

/* A control byte that no field value may hold: all but HTAB. CR is one: it ends the value. */
static inline bool
h1_stops_value(char c)
{
	return (((uint8_t)c < 0x20 && c != '\t') || (uint8_t)c == 0x7f);
}

static inline const char *
h1_scan_value(const char *p, const char *end)
{
#ifdef __SSE2__
	const __m128i tab = _mm_set1_epi8('\t');
	const __m128i low = _mm_set1_epi8(0x1f);
	const __m128i del = _mm_set1_epi8(0x7f);

	for (; end - p >= 16; p += 16) {
		__m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
		__m128i ctl = _mm_cmpeq_epi8(_mm_min_epu8(x, low), x);
		__m128i bad = _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(x, tab), ctl),
		    _mm_cmpeq_epi8(x, del));
		unsigned mask = (unsigned)_mm_movemask_epi8(bad);

		if (mask != 0)
			return (p + __builtin_ctz(mask));
	}
#endif
	while (p < end && !h1_stops_value(*p))
		p++;
	return (p);
}

/* Stops at what may not stand in a target, and at '?'. */
static inline const char *
h1_scan_target(const char *p, const char *end)
{
#ifdef __SSE2__
	const __m128i first = _mm_set1_epi8(0x21);
	const __m128i del = _mm_set1_epi8(0x7f);
	const __m128i hash = _mm_set1_epi8('#');
	const __m128i mark = _mm_set1_epi8('?');

	for (; end - p >= 16; p += 16) {
		__m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
		/* As signed numbers, controls, space and non-ASCII are all below 0x21. */
		__m128i a = _mm_or_si128(_mm_cmplt_epi8(x, first), _mm_cmpeq_epi8(x, del));
		__m128i b = _mm_or_si128(_mm_cmpeq_epi8(x, hash), _mm_cmpeq_epi8(x, mark));
		unsigned mask = (unsigned)_mm_movemask_epi8(_mm_or_si128(a, b));

		if (mask != 0)
			return (p + __builtin_ctz(mask));
	}
#endif
	while (p < end && *p != '?' && (h1_class[(uint8_t)*p] & H1_TARGET_STOP) == 0)
		p++;
	return (p);
}

/* Stops at the first byte that is no token byte. */
static inline const char *
h1_scan_token(const char *p, const char *end)
{
	while (p < end && h1_is_tchar(*p))
		p++;
	return (p);
}

/* The ':' among the next few dozen bytes, or NULL. What lies before it has not been judged. */
static inline const char *
h1_find_colon(const char *p, const char *end)
{
#ifdef __SSE2__
	const __m128i colon = _mm_set1_epi8(':');

	for (unsigned i = 0; i < 2 && end - p >= 16; i++, p += 16) {
		__m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
		unsigned mask = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(x, colon));

		if (mask != 0)
			return (p + __builtin_ctz(mask));
	}
#endif
	for (unsigned i = 0; i < 15 && p < end; i++, p++) {
		if (*p == ':')
			return (p);
	}
	return (NULL);
}

#endif

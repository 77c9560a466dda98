/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "engine/base/cc.h"
#include "engine/base/rnd.h"
#include "engine/http/date.h"

enum { NOW_S = 1700000000 };	/* 2023-11-14 */

/* The C library's calendar, in the "C" locale, is the spec. */
static void
test_format(void **state)
{
	char want[64], got[DATE_BYTES];
	struct rnd rnd;
	uint64_t back;

	(void)state;
	rnd_init_seed(&rnd, 1);
	for (unsigned i = 0; i < 200000; i++) {
		/* Days one after another from 1970 to 2243, then anything to 9999. */
		uint64_t s = i < 100000 ? i * 86400ull + i % 86400 :
		    rnd_below(&rnd, 253402300800u);
		time_t t = (time_t)s;
		struct tm tm;

		assert_non_null(gmtime_r(&t, &tm));
		assert_int_equal(strftime(want, sizeof(want), "%a, %d %b %Y %H:%M:%S GMT", &tm),
		    DATE_BYTES);
		date_format(s, got);
		assert_memory_equal(got, want, DATE_BYTES);
		assert_true(date_parse(slice_of(got, DATE_BYTES), NOW_S, &back));
		assert_int_equal(back, s);
	}
	date_format(UINT64_MAX, got);
	assert_memory_equal(got, "Fri, 31 Dec 9999 23:59:59 GMT", DATE_BYTES);
}

static void
test_forms(void **state)
{
	static const struct {
		const char	*text;
		uint64_t	 s;	/* 0: not a date */
	} rows[] = {
		{"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
		{"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
		{"Sun Nov  6 08:49:37 1994", 784111777},
		{"Wed Nov 16 08:49:37 1994", 784975777},
		{"Thu, 29 Feb 2024 23:59:60 GMT", 1709251200},
		/* Two digits: 50 years ahead at most. */
		{"Monday, 06-Nov-73 00:00:00 GMT", 3277152000},
		{"Tuesday, 06-Nov-74 00:00:00 GMT", 152928000},
		{"Sun, 06 Nov 1994 08:49:37 UTC", 0},
		{"Sun, 06 Nov 1994 08:49:37 GMT ", 0},
		{"sun, 06 Nov 1994 08:49:37 GMT", 0},
		{"Sun, 06 nov 1994 08:49:37 GMT", 0},
		{"Sun, 6 Nov 1994 08:49:37 GMT", 0},
		{"Sun, 00 Nov 1994 08:49:37 GMT", 0},
		{"Sun, 31 Nov 1994 08:49:37 GMT", 0},
		{"Wed, 29 Feb 2023 08:49:37 GMT", 0},
		{"Mon, 29 Feb 2100 08:49:37 GMT", 0},
		{"Sun, 06 Nov 1994 24:49:37 GMT", 0},
		{"Sun, 06 Nov 1994 08:60:37 GMT", 0},
		{"Sun, 06 Nov 1994 08:49:61 GMT", 0},
		{"Sat, 06 Nov 1965 08:49:37 GMT", 0},
		{"Sun Nov 6 08:49:37 1994", 0},
		{"Sun Nov  6 08:49:37 1994 ", 0},
		{"Sun, 06-Nov-94 08:49:37 GMT", 0},
		{"784111777", 0},
		{"", 0}
	};

	(void)state;
	for (size_t i = 0; i < array_len(rows); i++) {
		uint64_t s = 0;
		bool ok = date_parse(slice_str(rows[i].text), NOW_S, &s);

		if (ok != (rows[i].s != 0) || s != rows[i].s)
			fail_msg("%s: %d, %llu", rows[i].text, ok, (unsigned long long)s);
	}
}

/* Every beginning of a date, in a block of its size, is none. */
static void
test_cut(void **state)
{
	static const char *const dates[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
	    "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"};
	uint64_t s;

	(void)state;
	for (size_t i = 0; i < array_len(dates); i++) {
		for (size_t n = 0; n < strlen(dates[i]); n++) {
			char *copy = malloc(n ? n : 1);

			assert_non_null(copy);
			memcpy(copy, dates[i], n);
			assert_false(date_parse(slice_of(copy, n), NOW_S, &s));
			free(copy);
		}
	}
}

static void
test_cache(void **state)
{
	const uint64_t t = 784111777000000u;
	struct date_cache c;
	struct slice a, b;

	(void)state;
	memset(&c, 0, sizeof(c));
	a = date_now(&c, t + 999999);
	assert_true(slice_eq(a, SLICE("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n")));
	assert_ptr_equal(date_now(&c, t).p, a.p);
	assert_ptr_equal(date_now(&c, t + 1).p, a.p);
	b = date_now(&c, t + 1000000);
	assert_true(slice_eq(b, SLICE("Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n")));
	/* The one before is still there. */
	assert_true(slice_eq(a, SLICE("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n")));
	/* A clock that is set back. */
	a = date_now(&c, t - 1);
	assert_true(slice_eq(a, SLICE("Date: Sun, 06 Nov 1994 08:49:36 GMT\r\n")));
	memset(&c, 0, sizeof(c));
	a = date_now(&c, 0);
	assert_true(slice_eq(a, SLICE("Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_cache),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/base/text.h"

/* Runs fn over a text with room for cap bytes and compares. */
#define ASSERT_TEXT(cap_, call, want)                                                              \
	do {                                                                                       \
		char buf_[256];                                                                    \
		struct text t;                                                                     \
		assert_true((cap_) <= sizeof(buf_));                                               \
		memset(buf_, '#', sizeof(buf_));                                                   \
		text_init(&t, buf_, (cap_));                                                       \
		call;                                                                              \
		if (!slice_eq(text_slice(&t), slice_str(want)))                                    \
			fail_msg("got \"" SLICE_FMT "\", want \"%s\"", SLICE_ARG(text_slice(&t)),  \
			    (want));                                                               \
		if ((cap_) < sizeof(buf_))                                                         \
			assert_int_equal(buf_[(cap_)], '#');                                       \
	} while (0)

static void
test_put(void **state)
{
	char buf[4];
	struct text t;

	(void)state;
	text_init(&t, buf, sizeof(buf));
	text_puts(&t, "ab");
	text_putc(&t, 'c');
	assert_false(t.full);
	text_putc(&t, 'd');
	assert_false(t.full);
	text_put(&t, SLICE_NONE);
	assert_false(t.full);
	text_putc(&t, 'e');
	assert_true(t.full);
	assert_true(slice_eq(text_slice(&t), SLICE("abcd")));
	assert_string_equal(text_cstr(&t), "abc");
}

static void
test_put_cut(void **state)
{
	(void)state;
	ASSERT_TEXT(3, text_puts(&t, "abcdef"), "abc");
	/* once full, nothing more, even if it would fit */
	ASSERT_TEXT(3, { text_puts(&t, "ab"); text_u64(&t, 12); text_putc(&t, 'x'); }, "ab");
	ASSERT_TEXT(0, text_puts(&t, "a"), "");
}

static void
test_printf(void **state)
{
	(void)state;
	ASSERT_TEXT(20, text_printf(&t, "%d-%s", 7, "x"), "7-x");
	ASSERT_TEXT(4, { text_printf(&t, "%s", "abcdef"); assert_true(t.full); }, "abc");
	ASSERT_TEXT(0, { text_printf(&t, "%s", "a"); assert_true(t.full); }, "");
	ASSERT_TEXT(3, { text_printf(&t, "%s", ""); assert_false(t.full); }, "");
	ASSERT_TEXT(9, text_printf(&t, SLICE_FMT "!", SLICE_ARG(SLICE("abc"))), "abc!");
}

static void
test_numbers(void **state)
{
	(void)state;
	ASSERT_TEXT(30, text_u64(&t, 0), "0");
	ASSERT_TEXT(30, text_u64(&t, UINT64_MAX), "18446744073709551615");
	ASSERT_TEXT(19, { text_u64(&t, UINT64_MAX); assert_true(t.full); }, "");
	ASSERT_TEXT(30, text_i64(&t, INT64_MIN), "-9223372036854775808");
	ASSERT_TEXT(30, text_i64(&t, -1), "-1");
	ASSERT_TEXT(30, text_i64(&t, INT64_MAX), "9223372036854775807");
	ASSERT_TEXT(30, text_hex(&t, 0, 0), "0");
	ASSERT_TEXT(30, text_hex(&t, 0xBEEF, 8), "0000beef");
	ASSERT_TEXT(30, text_hex(&t, UINT64_MAX, 2), "ffffffffffffffff");
	ASSERT_TEXT(30, text_hex(&t, 1, 99), "0000000000000001");
}

static void
test_json(void **state)
{
	(void)state;
	ASSERT_TEXT(99, text_json(&t, SLICE("a\"b\\c\n\r\t\b\f\x01\x7f")),
	    "a\\\"b\\\\c\\n\\r\\t\\b\\f\\u0001\\u007f");
	ASSERT_TEXT(99, text_json(&t, SLICE("\0z")), "\\u0000z");
	ASSERT_TEXT(99, text_json(&t, SLICE("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")),
	    "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	ASSERT_TEXT(99, text_json(&t, SLICE("\xff" "a\xc3")), "\xef\xbf\xbd" "a\xef\xbf\xbd");
	/* an escape is written whole or not at all */
	ASSERT_TEXT(6, { text_json(&t, SLICE("a\x01")); assert_true(t.full); }, "a");
	ASSERT_TEXT(2, { text_json(&t, SLICE("\xe2\x82\xac")); assert_true(t.full); }, "");
}

static void
test_utf8(void **state)
{
	static const char *const bad[] = {
		"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf",
		"\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc3", "\xc3(",
		"\xe2\x82", "\xe2\x28\xa1", "\xf0\x9f\x98", "\xf0\x9f\x28\x80",
	};

	(void)state;
	for (size_t i = 0; i < array_len(bad); i++) {
		if (text_utf8_len(slice_str(bad[i])) != 0)
			fail_msg("bad sequence %zu accepted", i);
	}
	assert_int_equal(text_utf8_len(SLICE("")), 0);
	assert_int_equal(text_utf8_len(SLICE("\0")), 1);
	assert_int_equal(text_utf8_len(SLICE("\xc2\x80")), 2);
	assert_int_equal(text_utf8_len(SLICE("\xed\x9f\xbf")), 3);
	assert_int_equal(text_utf8_len(SLICE("\xef\xbf\xbf")), 3);
	assert_int_equal(text_utf8_len(SLICE("\xf4\x8f\xbf\xbf" "a")), 4);
}

static void
test_to_u64(void **state)
{
	static const char *const bad[] = {"", " 1", "1 ", "+1", "-1", "0x1", "1_0", "1.0", "a",
	    "18446744073709551616", "99999999999999999999", "184467440737095516150"};
	uint64_t v = 42;

	(void)state;
	for (size_t i = 0; i < array_len(bad); i++) {
		if (text_to_u64(slice_str(bad[i]), &v))
			fail_msg("accepted \"%s\"", bad[i]);
	}
	assert_false(text_to_u64(SLICE("1\0"), &v));
	assert_int_equal(v, 42);
	assert_true(text_to_u64(SLICE("18446744073709551615"), &v));
	assert_true(v == UINT64_MAX);
	assert_true(text_to_u64(SLICE("007"), &v));
	assert_int_equal(v, 7);
}

static void
test_to_hex(void **state)
{
	uint64_t v = 42;

	(void)state;
	assert_false(text_to_hex64(SLICE(""), &v));
	assert_false(text_to_hex64(SLICE("0x1"), &v));
	assert_false(text_to_hex64(SLICE("g"), &v));
	assert_false(text_to_hex64(SLICE("10000000000000000"), &v));
	assert_int_equal(v, 42);
	assert_true(text_to_hex64(SLICE("00000000000000000000fF"), &v));
	assert_int_equal(v, 255);
	assert_true(text_to_hex64(SLICE("ffffFFFFffffFFFF"), &v));
	assert_true(v == UINT64_MAX);
}

static void
test_durations(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} good[] = {{"0s", 0}, {"500ms", 500}, {"10s", 10000}, {"1m", 60000}, {"1m30s", 90000},
	    {"1h30m", 5400000}, {"2d", 172800000}, {"1d1h1m1s1ms", 90061001}};
	static const char *const bad[] = {"", "10", "s", "10 s", "1.5s", "10S", "10sec", "1s1s", "30m1h",
	    "1h 30m", "-1s", "1ns", "1us", "18446744073709551615s", "18446744073709551615ms1ms",
	    "213503982335d", "1d1h1m1s1ms1ms"};
	uint64_t v = 42;

	(void)state;
	for (size_t i = 0; i < array_len(good); i++) {
		assert_true(text_to_duration_ms(slice_str(good[i].text), &v));
		assert_int_equal(v, good[i].ms);
		ASSERT_TEXT(60, text_put_duration_ms(&t, good[i].ms), good[i].text);
	}
	assert_true(text_to_duration_ms(SLICE("90s"), &v));
	assert_int_equal(v, 90000);
	for (size_t i = 0; i < array_len(bad); i++) {
		if (text_to_duration_ms(slice_str(bad[i]), &v))
			fail_msg("accepted \"%s\"", bad[i]);
	}
	ASSERT_TEXT(99, text_put_duration_ms(&t, UINT64_MAX), "213503982334d14h25m51s615ms");
	assert_true(text_to_duration_ms(SLICE("213503982334d14h25m51s615ms"), &v));
	assert_true(v == UINT64_MAX);
}

static void
test_bytes(void **state)
{
	static const struct {
		const char *text;
		uint64_t n;
	} good[] = {{"0B", 0}, {"100B", 100}, {"16KiB", 16384}, {"1536B", 1536}, {"2MiB", 2097152},
	    {"3GiB", (uint64_t)3 << 30}, {"1025KiB", 1025 * 1024}};
	static const char *const bad[] = {"", "16", "16K", "16KB", "16kib", "KiB", "1KiB1B", "1 KiB",
	    "1TiB", "17179869184GiB"};
	uint64_t v = 42;

	(void)state;
	for (size_t i = 0; i < array_len(good); i++) {
		assert_true(text_to_bytes(slice_str(good[i].text), &v));
		assert_int_equal(v, good[i].n);
		ASSERT_TEXT(60, text_put_bytes(&t, good[i].n), good[i].text);
	}
	for (size_t i = 0; i < array_len(bad); i++) {
		if (text_to_bytes(slice_str(bad[i]), &v))
			fail_msg("accepted \"%s\"", bad[i]);
	}
}

static void
test_time(void **state)
{
	(void)state;
	ASSERT_TEXT(40, text_put_time(&t, 0), "1970-01-01T00:00:00.000Z");
	ASSERT_TEXT(40, text_put_time(&t, 951782400000000), "2000-02-29T00:00:00.000Z");
	ASSERT_TEXT(40, text_put_time(&t, 951868799999999), "2000-02-29T23:59:59.999Z");
	ASSERT_TEXT(40, text_put_time(&t, 951868800000000), "2000-03-01T00:00:00.000Z");
	ASSERT_TEXT(40, text_put_time(&t, 1714979289010000), "2024-05-06T07:08:09.010Z");
	ASSERT_TEXT(40, text_put_time(&t, 4107542400000000), "2100-03-01T00:00:00.000Z");
	ASSERT_TEXT(40, text_put_time(&t, 4107456000000000), "2100-02-28T00:00:00.000Z");
	ASSERT_TEXT(23, { text_put_time(&t, 0); assert_true(t.full); }, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put),
		cmocka_unit_test(test_put_cut),
		cmocka_unit_test(test_printf),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_to_u64),
		cmocka_unit_test(test_to_hex),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_time),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

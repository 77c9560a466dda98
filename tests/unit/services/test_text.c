/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/queue.h>

#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "services/common/svc_text.h"

static void
test_length_of_valid_utf8(void **state)
{
	size_t chars;

	(void)state;
	assert_true(svc_text_length("", &chars));
	assert_int_equal(chars, 0);
	assert_true(svc_text_length("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", &chars));
	assert_int_equal(chars, 4);
	/* the edges of each length, and around the surrogates */
	assert_true(svc_text_length("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80"
				    "\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80",
	    &chars));
	assert_int_equal(chars, 9);
}

static const char *const broken[] = { "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc3", "\xc3(",
	"\xe0\x9f\xbf", "\xe2\x82", "\xe2(\xa1", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf",
	"\xf0\x9f\x98", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xfe",
	"\xff" };

static void
test_broken_utf8_is_refused_and_trimmed(void **state)
{
	size_t chars;

	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		char text[16] = "ok";

		memcpy(text + 2, broken[i], strlen(broken[i]) + 1);
		assert_false(svc_text_length(text, &chars));
		assert_true(svc_text_has_control(text));
		svc_text_trim_utf8(text);
		assert_string_equal(text, "ok");
	}
}

static void
test_control_and_blank(void **state)
{
	(void)state;
	assert_false(svc_text_has_control("a b \xc2\xa0"));
	assert_true(svc_text_has_control("a\tb"));
	assert_true(svc_text_has_control("\x7f"));
	assert_true(svc_text_has_control("\xc2\x85"));
	assert_true(svc_text_has_control("\xe2\x80\xa8"));
	assert_true(svc_text_is_blank(""));
	assert_true(svc_text_is_blank(" \xc2\xa0\xe3\x80\x80\xef\xbb\xbf"));
	assert_false(svc_text_is_blank("  . "));
}

static void
test_number(void **state)
{
	static const char *const bad[] = { "", "0", "11", "-1", "+1", " 1", "1 ", "1a", "0x1",
		"9999999999999999999", "18446744073709551617" };
	uint64_t value;

	(void)state;
	assert_true(svc_text_number("1", 1, 10, &value));
	assert_true(svc_text_number("0010", 1, 10, &value));
	assert_int_equal(value, 10);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(svc_text_number(bad[i], 1, 10, &value));
}

static void
test_etag(void **state)
{
	(void)state;
	assert_true(svc_etag_matches("\"7\"", 7, false));
	assert_true(svc_etag_matches(" \"1\" ,\t\"7\"", 7, false));
	assert_true(svc_etag_matches("*", 7, false));
	assert_false(svc_etag_matches("W/\"7\"", 7, false));
	assert_true(svc_etag_matches("W/\"7\"", 7, true));
	assert_false(svc_etag_matches("", 7, true));
	assert_false(svc_etag_matches(", ,", 7, true));
	assert_false(svc_etag_matches("7", 7, true));
	assert_false(svc_etag_matches("\"77\"", 7, true));
	assert_false(svc_etag_matches("\"7", 7, true));
	assert_false(svc_etag_matches("**", 7, true));
}

static void
test_query(void **state)
{
	static const char *const bad[] = { "a=%", "a=%1", "a=%zz", "%00=1", "a=1&b=x%00y" };
	struct evkeyvalq q;

	(void)state;
	TAILQ_INIT(&q);
	assert_true(svc_query_parse(NULL, &q));
	assert_true(svc_query_parse("&&=x&a=1&b&c=&d=x%20y+z%26&a=2&e=1=2", &q));
	assert_string_equal(evhttp_find_header(&q, "a"), "1");
	assert_string_equal(evhttp_find_header(&q, "b"), "");
	assert_string_equal(evhttp_find_header(&q, "c"), "");
	assert_string_equal(evhttp_find_header(&q, "d"), "x y z&");
	assert_string_equal(evhttp_find_header(&q, "e"), "1=2");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(svc_query_parse(bad[i], &q));
	evhttp_clear_headers(&q);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_length_of_valid_utf8),
		cmocka_unit_test(test_broken_utf8_is_refused_and_trimmed),
		cmocka_unit_test(test_control_and_blank),
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_etag),
		cmocka_unit_test(test_query),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

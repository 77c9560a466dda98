/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "engine/config/scalar.h"
#include "engine/mem/arena.h"

typedef bool (*number_fn)(struct slice, uint64_t *, struct scalar_why *);

static void
good(number_fn fn, const char *s, uint64_t want)
{
	struct scalar_why why;
	uint64_t v = 0;

	if (!fn(slice_str(s), &v, &why))
		fail_msg("%s: %s", s, why.what);
	assert_int_equal(v, want);
}

static void
bad(number_fn fn, const char *s)
{
	struct scalar_why why = { .what = "" };
	uint64_t v = 0;

	if (fn(slice_str(s), &v, &why))
		fail_msg("taken: %s", s);
	assert_true(why.what[0] != '\0');
}

static void
test_numbers(void **state)
{
	(void)state;
	good(scalar_parse_duration, "1h30m", 5400000);
	good(scalar_parse_duration, "0s", 0);
	good(scalar_parse_bytes, "16KiB", 16384);
	good(scalar_parse_byte_rate, "240B/s", 240);
	good(scalar_parse_byte_rate, "1MiB/s", 1 << 20);
	good(scalar_parse_percent, "5%", 50000);
	good(scalar_parse_percent, "0.25%", 2500);
	good(scalar_parse_percent, "0.0001%", 1);
	good(scalar_parse_percent, "100%", SCALAR_PPM);
	good(scalar_parse_int, "0", 0);
	bad(scalar_parse_duration, "3");
	bad(scalar_parse_duration, "3 s");
	bad(scalar_parse_duration, "-3s");
	bad(scalar_parse_duration, "");
	bad(scalar_parse_duration, "99999999999999999999s");
	bad(scalar_parse_bytes, "1K");
	bad(scalar_parse_bytes, "1KB");
	bad(scalar_parse_byte_rate, "1KiB");
	bad(scalar_parse_byte_rate, "/s");
	bad(scalar_parse_percent, "%");
	bad(scalar_parse_percent, ".5%");
	bad(scalar_parse_percent, "5.%");
	bad(scalar_parse_percent, "0.00001%");
	bad(scalar_parse_percent, "1e3%");
	bad(scalar_parse_percent, "99999999999999999999999%");
	bad(scalar_parse_int, "18446744073709551615");
	bad(scalar_parse_int, "99999999999999999999");
	bad(scalar_parse_int, "+1");
	bad(scalar_parse_int, "");
}

static void
test_rate(void **state)
{
	static const char *const wrong[] = { "10", "10/", "/s", "10/x", "10 /s", "-1/s", "10/ss",
		"" };
	struct scalar_why why;
	struct scalar_rate r;

	(void)state;
	assert_true(scalar_parse_rate(SLICE("600/m"), &r, &why));
	assert_int_equal(r.count, 600);
	assert_int_equal(r.per_ms, 60000);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(scalar_parse_rate(slice_str(wrong[i]), &r, &why));
}

static void
test_server(void **state)
{
	struct arena *a = arena_new("test");
	struct scalar_server r;
	struct scalar_why why;

	(void)state;
	assert_true(scalar_parse_server(SLICE("Users.Internal:80"), a, &r, &why));
	assert_true(r.is_name && slice_eq(r.name, SLICE("users.internal")) && r.port == 80);
	assert_true(scalar_parse_server(SLICE("[::1]:81"), a, &r, &why));
	assert_true(!r.is_name && r.port == 81 && addr_is_ip(&r.addr));
	assert_true(scalar_parse_server(SLICE("unix:/run/x.sock"), a, &r, &why));
	assert_true(!r.is_name && !addr_is_ip(&r.addr));
	assert_true(scalar_parse_server(SLICE("my_db:5432"), a, &r, &why));
	assert_false(scalar_parse_server(SLICE("1.2.3:80"), a, &r, &why));
	assert_false(scalar_parse_server(SLICE("a..b:80"), a, &r, &why));
	assert_false(scalar_parse_server(SLICE("a-:80"), a, &r, &why));
	assert_false(scalar_parse_server(SLICE(":80"), a, &r, &why));
	assert_false(scalar_parse_server(SLICE("a:"), a, &r, &why));
	assert_false(scalar_parse_server(SLICE("a:0"), a, &r, &why));
	assert_false(scalar_parse_server(SLICE(""), a, &r, &why));
	arena_free(&a);
}

static void
test_listen(void **state)
{
	struct scalar_listen r;
	struct scalar_why why;
	char buf[64];
	struct text t;

	(void)state;
	assert_true(scalar_parse_listen(SLICE("8080"), &r, &why));
	assert_true(r.is_dual && addr_port(&r.addr) == 8080);
	text_init(&t, buf, sizeof(buf));
	scalar_put_listen(&t, &r);
	assert_string_equal(text_cstr(&t), "8080");
	assert_true(scalar_parse_listen(SLICE("[::]:80"), &r, &why));
	assert_false(r.is_dual);
	assert_false(scalar_parse_listen(SLICE("0"), &r, &why));
	assert_false(scalar_parse_listen(SLICE("65536"), &r, &why));
	assert_false(scalar_parse_listen(SLICE("unix:/x"), &r, &why));
	assert_false(scalar_parse_listen(SLICE("127.0.0.1:0"), &r, &why));
}

static void
test_host(void **state)
{
	struct arena *a = arena_new("test");
	struct scalar_why why;
	struct slice r;

	(void)state;
	assert_true(scalar_parse_host(SLICE("*.EXAMPLE.com."), a, &r, &why));
	assert_true(slice_eq(r, SLICE("*.example.com")));
	assert_true(scalar_parse_host(SLICE("10.0.0.1"), a, &r, &why));
	assert_true(scalar_parse_host(SLICE("[::1]"), a, &r, &why));
	assert_true(slice_eq(r, SLICE("[::1]")));
	assert_true(scalar_parse_host(SLICE("FD00::A"), a, &r, &why));
	assert_true(slice_eq(r, SLICE("[fd00::a]")));
	assert_false(scalar_parse_host(SLICE("*.*.com"), a, &r, &why));
	assert_false(scalar_parse_host(SLICE("*."), a, &r, &why));
	assert_false(scalar_parse_host(SLICE("."), a, &r, &why));
	assert_false(scalar_parse_host(SLICE("a.b."
					     "."),
	    a, &r, &why));
	assert_false(scalar_parse_host(SLICE("1.2.3.4.5"), a, &r, &why));
	arena_free(&a);
}

static void
test_percent_text(void **state)
{
	static const uint64_t values[] = { 0, 1, 10, 100, 2500, 50000, 1000000, 123456 };
	struct scalar_why why;
	char buf[64];
	struct text t;
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		text_init(&t, buf, sizeof(buf));
		scalar_put_percent(&t, values[i]);
		assert_true(scalar_parse_percent(text_slice(&t), &v, &why));
		assert_int_equal(v, values[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_server),
		cmocka_unit_test(test_listen),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_percent_text),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/cc.h"
#include "engine/proxy/access_log_redact.h"

static const struct slice own[] = { SLICE_INIT("mine"), SLICE_INIT("X-Internal") };
static const struct access_log_redact usual, with_own = { .n = 2, .names = own },
    off = { .off = true, .n = 2, .names = own };

static void
secrets_by_name(void **state)
{
	static const char *const secret[] = { "token", "TOKEN", "access_token", "accessToken",
		"accesstoken", "api_key", "api-key", "apiKey", "apikey", "X-Amz-Signature",
		"X-Amz-Security-Token", "client_secret", "clientSecret", "password", "passwd", "pwd",
		"user[password]", "token[]", "token[0]", "token%5B%5D", "%74oken", "tok%65n", "code",
		"sig", "session", "session_id", "sessionId", "SESSIONID", "sid", "SAMLResponse",
		"id_token", "reset_password_token", "key", "jwt", "hmac", "a.b.secret", "token2",
		"new-password-2", "dbpassword", "usertoken", "USERTOKEN", "PHPSESSID", "jsessionid",
		"secretkey", "accesskey", "myapikey[0]", "db%70assword" };
	static const char *const plain[] = { "", "q", "page", "monkey", "zipcode", "shipping", "tokens",
		"token_type", "keyword", "code_challenge_method", "passenger", "author", "design",
		"barcode", "%zz", "%", "%7", "0", "[]", "sort[key_order]", "mine2" };

	(void)state;
	for (size_t i = 0; i < array_len(secret); i++) {
		if (!access_log_is_secret_parameter(&usual, slice_str(secret[i])))
			fail_msg("%s is told", secret[i]);
		assert_false(access_log_is_secret_parameter(&off, slice_str(secret[i])));
	}
	for (size_t i = 0; i < array_len(plain); i++) {
		if (access_log_is_secret_parameter(&with_own, slice_str(plain[i])))
			fail_msg("%s is not told", plain[i]);
	}
	assert_true(access_log_is_secret_parameter(&with_own, SLICE("Mine")));
	assert_true(access_log_is_secret_parameter(&with_own, SLICE("m%69ne")));
	assert_false(access_log_is_secret_parameter(&usual, SLICE("mine")));
}

/* A name too long to look at is not trusted. */
static void
long_names(void **state)
{
	char name[200];

	(void)state;
	memset(name, 'a', sizeof name);
	assert_false(access_log_is_secret_parameter(&usual, slice_of(name, 128)));
	assert_true(access_log_is_secret_parameter(&usual, slice_of(name, 129)));
	assert_false(access_log_is_secret_parameter(&off, slice_of(name, 129)));
	/* Every byte a word of its own. */
	for (size_t i = 0; i < sizeof name; i += 2)
		name[i] = 'A';
	assert_false(access_log_is_secret_parameter(&usual, slice_of(name, 128)));
}

static void
credentials_of_fields(void **state)
{
	static const char *const secret[] = { "Authorization", "authorization", "Cookie", "Set-Cookie",
		"Proxy-Authorization", "X-API-Key", "X-Auth-Token", "x-internal" };

	(void)state;
	for (size_t i = 0; i < array_len(secret); i++) {
		assert_true(access_log_is_secret_field(&with_own, slice_str(secret[i])));
		assert_false(access_log_is_secret_field(&off, slice_str(secret[i])));
	}
	assert_false(access_log_is_secret_field(&with_own, SLICE("Idempotency-Key")));
	assert_false(access_log_is_secret_field(&usual, SLICE("X-Internal")));
}

static void
queries(void **state)
{
	static const struct { const char *query, *told; } rows[] = {
		{ "", "" },
		{ "a=1", "a=1" },
		{ "token=x", "token=***" },
		{ "a=1&token=x&b=2", "a=1&token=***&b=2" },
		{ "a=1;token=x;b=2", "a=1;token=***;b=2" },
		{ "token=x=y", "token=***" },
		{ "token=", "token=" },
		{ "token", "token" },
		{ "&&=&token=x&", "&&=&token=***&" },
		{ "%74oken=x", "%74oken=***" },
		{ "token=a;b=c", "token=***;b=c" },
		/* without a name: what is longer than a word */
		{ "s3cret", "s3cret" },
		{ "=s3cret", "=s3cret" },
		{ "0123456789abcdef", "0123456789abcdef" },
		{ "0123456789abcdefg", "***" },
		{ "a&=0123456789abcdefg&b", "a&=***&b" },
		{ "a=0123456789abcdefg", "a=0123456789abcdefg" },
		{ "a=1#token=x", "a=1#token=***" },
		{ "mine=1&a[mine]=2", "mine=***&a[mine]=2" },
	};
	char buf[64];
	struct text t;

	(void)state;
	for (size_t i = 0; i < array_len(rows); i++) {
		text_init(&t, buf, sizeof buf);
		access_log_redact_query(&with_own, slice_str(rows[i].query), &t);
		assert_int_equal(t.len, strlen(rows[i].told));
		assert_memory_equal(buf, rows[i].told, t.len);
	}
	text_init(&t, buf, sizeof buf);
	access_log_redact_query(&off, SLICE("token=x&mine=y&0123456789abcdefg"), &t);
	assert_true(slice_eq(text_slice(&t), SLICE("token=x&mine=y&0123456789abcdefg")));
}

static void
urls(void **state)
{
	static const struct { const char *url, *told; } rows[] = {
		{ "", "" },
		{ "/a;token=x", "/a;token=x" },
		{ "https://h/cb?a=b&code=x", "https://h/cb?a=b&code=***" },
		{ "https://h/cb#access_token=x&n=1", "https://h/cb#access_token=***&n=1" },
		{ "/a?b#token=x", "/a?b#token=***" },
		{ "?", "?" },
		{ "/a?token=x?y", "/a?token=***" },
	};
	char buf[64];
	struct text t;

	(void)state;
	for (size_t i = 0; i < array_len(rows); i++) {
		text_init(&t, buf, sizeof buf);
		access_log_redact_url(&usual, slice_str(rows[i].url), &t);
		assert_int_equal(t.len, strlen(rows[i].told));
		assert_memory_equal(buf, rows[i].told, t.len);
	}
	assert_true(access_log_is_url_field(SLICE("REFERER")));
	assert_true(access_log_is_url_field(SLICE("Location")));
	assert_false(access_log_is_url_field(SLICE("X-Location")));
}

/* Cut at each length: never a byte of what is secret. */
static void
cut_anywhere(void **state)
{
	char buf[64];

	(void)state;
	for (size_t n = 0; n <= sizeof buf; n++) {
		struct text t;

		text_init(&t, buf, n);
		access_log_redact_query(&usual, SLICE("a=1&token=ZZZZ&b=2&key=ZZ&c=3"), &t);
		assert_null(memchr(buf, 'Z', t.len));
		assert_true(t.len <= n);
	}
}

static void
targets(void **state)
{
	static const struct { const char *target, *told; } rows[] = {
		{ "", "" },
		{ "/a/b?token=x", "/a/b" },
		{ "/a#token=x", "/a" },
		{ "/a@b", "/a@b" },
		{ "http://h/a?x", "http://h/a" },
		{ "http://u:p@h/a?x", "h/a" },
		{ "http://u:p/q@h/a", "h/a" },
		{ "u:p@h:80", "h:80" },
		{ "h:80", "h:80" },
		{ "@", "" },
	};

	(void)state;
	for (size_t i = 0; i < array_len(rows); i++) {
		struct slice got = access_log_redact_target(slice_str(rows[i].target));

		assert_int_equal(got.len, strlen(rows[i].told));
		assert_memory_equal(got.p, rows[i].told, got.len);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secrets_by_name),
		cmocka_unit_test(long_names),
		cmocka_unit_test(credentials_of_fields),
		cmocka_unit_test(queries),
		cmocka_unit_test(urls),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(targets),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/cc.h"
#include "engine/mem/alloc.h"
#include "engine/mem/arena.h"
#include "engine/proxy/access_log.h"
#include "engine/proxy/access_log_line.h"
#include "engine/proxy/facts.h"
#include "engine/proxy/route.h"

enum { LONGEST = 40 };

struct rig {
	struct msg_req		 req;
	struct access_log_plan	 plan;
	struct access_log_stamp	 stamp;
	struct facts		 f;
	char			 line[ACCESS_LOG_LINE_BYTES + 1];
	size_t			 len;
};

static int
setup(void **state)
{
	struct rig *r = xcalloc(1, sizeof *r);

	msg_req_init(&r->req, NULL);
	r->f.req = &r->req;
	access_log_plan_default(&r->plan);
	access_log_stamp_init(&r->stamp);
	*state = r;
	return (0);
}

static int
teardown(void **state)
{
	xfree(*state);
	return (0);
}

static json_t *
line_of(struct rig *r)
{
	json_error_t why;
	json_t *o;

	r->len = access_log_line(&r->stamp, &r->plan, &r->f, r->line);
	assert_int_equal(r->line[r->len - 1], '\n');
	o = json_loadb(r->line, r->len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
	if (o == NULL)
		fail_msg("%s: %.*s", why.text, (int)r->len, r->line);
	return (o);
}

/* Strings are looked at eight bytes at a time: each length, with each kind of byte in each place. */
static void
each_length_and_place(void **state)
{
	static const char kinds[] = { '"', '\\', '\n', '\0', 0x1f, 0x7f, ' ', '~' };
	struct rig *r = *state;
	char s[LONGEST];

	for (size_t n = 0; n <= LONGEST; n++) {
		for (size_t at = 0; at < (n == 0 ? 1 : n); at++) {
			for (size_t k = 0; k < array_len(kinds); k++) {
				json_t *o, *v;

				for (size_t i = 0; i < n; i++)
					s[i] = (char)('a' + (char)(i % 26));
				if (n > 0)
					s[at] = kinds[k];
				r->f.request_id = slice_of(s, n);
				o = line_of(r);
				v = json_object_get(o, "request_id");
				assert_int_equal(json_string_length(v), n);
				assert_memory_equal(json_string_value(v), s, n);
				json_decref(o);
			}
		}
	}
}

/* A byte that is no part of UTF-8 is told as U+FFFD, wherever it stands. */
static void
no_utf8(void **state)
{
	struct rig *r = *state;
	char s[LONGEST];

	for (size_t at = 0; at < sizeof s; at++) {
		json_t *o;
		const char *v;

		memset(s, 'x', sizeof s);
		s[at] = (char)0xff;
		r->f.request_id = slice_of(s, sizeof s);
		o = line_of(r);
		v = json_string_value(json_object_get(o, "request_id"));
		assert_int_equal(strlen(v), sizeof s + 2);
		assert_memory_equal(v + at, "\xef\xbf\xbd", 3);
		json_decref(o);
	}
}

static void
milliseconds_are_exact(void **state)
{
	static const struct { uint64_t us; const char *text; } rows[] = {
		{ 0, ":0," }, { 1, ":0.001," }, { 10, ":0.01," }, { 100, ":0.1," }, { 120, ":0.12," },
		{ 999, ":0.999," }, { 1000, ":1," }, { 9999, ":9.999," }, { 10000, ":10," },
		{ 12050, ":12.05," }, { UINT64_MAX, ":18446744073709551.615," },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < array_len(rows); i++) {
		const char *at;

		r->f.duration_us = rows[i].us;
		json_decref(line_of(r));
		r->line[r->len] = '\0';
		at = strstr(r->line, "\"duration_ms\"");
		assert_non_null(at);
		assert_memory_equal(at + 13, rows[i].text, strlen(rows[i].text));
	}
}

static const struct access_log_header headers[ACCESS_LOG_HEADERS_MAX] = {
	{ SLICE_INIT("X-Tenant"), SLICE_INIT(",\"x-tenant\":"), false, false },
	{ SLICE_INIT("Cookie"), SLICE_INIT(",\"cookie\":"), true, false },
	{ SLICE_INIT("Authorization"), SLICE_INIT(",\"authorization\":"), true, false },
};

static const struct access_log_header where = { .name = SLICE_INIT("Location"),
	.key = SLICE_INIT(",\"location\":"), .is_url = true };

/* Only what the lines under test are about. */
static void
only(struct rig *r, enum access_log_field field)
{
	r->plan.n_fields = 1;
	r->plan.fields[0] = (uint8_t)field;
	r->plan.n_request_headers = r->plan.n_response_headers = 3;
	r->plan.request_headers = r->plan.response_headers = headers;
}

static void
assert_line(struct rig *r, const char *want)
{
	json_decref(line_of(r));
	assert_int_equal(r->len, strlen(want) + 1);
	assert_memory_equal(r->line, want, r->len - 1);
}

static void
fields_of_messages(void **state)
{
	struct rig *r = *state;
	struct arena *a = arena_new("test");
	struct headers resp;

	only(r, ACCESS_LOG_REQUEST_HEADERS);
	headers_init(&r->req.m.headers, a);
	headers_init(&resp, a);
	assert_true(headers_add(&r->req.m.headers, SLICE("x-tenant"), SLICE("a\"b")));
	assert_true(headers_add(&r->req.m.headers, SLICE("X-TENANT"), SLICE("c")));
	assert_true(headers_add(&r->req.m.headers, SLICE("Cookie"), SLICE("s3cret")));
	assert_line(r, "{\"request_headers\":{\"x-tenant\":\"a\\\"b, c\",\"cookie\":\"***\","
	    "\"authorization\":\"\"}}");
	only(r, ACCESS_LOG_RESPONSE_HEADERS);
	assert_line(r, "{\"response_headers\":{\"x-tenant\":\"\",\"cookie\":\"\","
	    "\"authorization\":\"\"}}");
	assert_true(headers_add(&resp, SLICE("x-tenant"), SLICE("t")));
	r->f.resp_headers = &resp;
	assert_line(r, "{\"response_headers\":{\"x-tenant\":\"t\",\"cookie\":\"\","
	    "\"authorization\":\"\"}}");
	r->plan.n_response_headers = 1;
	r->plan.response_headers = &where;
	assert_true(headers_add(&resp, SLICE("Location"), SLICE("/cb?code=s3cret&n=1")));
	assert_line(r, "{\"response_headers\":{\"location\":\"/cb?code=***&n=1\"}}");
	r->plan.redact.off = true;
	assert_line(r, "{\"response_headers\":{\"location\":\"/cb?code=s3cret&n=1\"}}");
	msg_req_init(&r->req, NULL);
	arena_free(&a);
}

static void
queries_without_secrets(void **state)
{
	struct rig *r = *state;

	only(r, ACCESS_LOG_QUERY);
	r->req.query = SLICE("q=\"&token=s3cret&n=1");
	assert_line(r, "{\"query\":\"q=\\\"&token=***&n=1\"}");
	r->plan.redact.off = true;
	assert_line(r, "{\"query\":\"q=\\\"&token=s3cret&n=1\"}");
}

/* What was refused is told as it came, but for what may be a password or a query. */
static void
refused_targets(void **state)
{
	static const struct route route;
	struct rig *r = *state;

	only(r, ACCESS_LOG_PATH);
	r->req.target = r->req.path_raw = SLICE("http://u:p4ss@h/a");
	assert_line(r, "{\"path\":\"h/a\"}");
	r->req.path_raw = SLICE("");
	assert_line(r, "{\"path\":\"h/a\"}");
	r->f.route = &route;
	r->req.path_raw = SLICE("/a@b");
	assert_line(r, "{\"path\":\"/a@b\"}");
	/* What was sent instead is no part of it. */
	r->f.path = SLICE("/came");
	assert_line(r, "{\"path\":\"/came\"}");
}

static void
rates_of_samples(void **state)
{
	static const struct access_log_share shares[ACCESS_LOG_CLASSES] = {
		[0] = { 1000000, 1, "1" }, [2] = { 10000, 4, "0.01" }, [4] = { 500000, 3, "0.5" },
	};
	struct rig *r = *state;

	only(r, ACCESS_LOG_SAMPLE_RATE);
	r->plan.sample = shares;
	r->f.status = 204;
	assert_line(r, "{\"sample_rate\":0.01}");
	r->f.status = 499;
	assert_line(r, "{\"sample_rate\":0.5}");
	/* No status, one that is none, and an answer that was cut. */
	r->f.status = 0;
	assert_line(r, "{\"sample_rate\":1}");
	r->f.status = 999;
	assert_line(r, "{\"sample_rate\":1}");
	r->f.status = 200;
	r->f.reason = REASON_UPSTREAM_IDLE;
	assert_line(r, "{\"sample_rate\":1}");
	r->f.status = 404;
	r->f.reason = REASON_NO_ROUTE;
	assert_line(r, "{\"sample_rate\":0.5}");
}

/* Whatever a client sends: all strings longer than they may be, of bytes that take most room. */
static void
longest_line_fits(void **state)
{
	enum { MANY = 64 * 1024 };
	struct rig *r = *state;
	struct access_log_header wide[ACCESS_LOG_HEADERS_MAX];
	char keys[ACCESS_LOG_HEADERS_MAX][ACCESS_LOG_HEADER_BYTES + 8];
	struct arena *a = arena_new("test");
	char *s = xcalloc(1, MANY);

	r->f.request_id = r->req.host = r->req.path_raw = r->req.query = slice_of(s, MANY);
	r->req.method = METHOD_OTHER;
	r->req.method_text = slice_of(s, MANY);
	r->plan.fields[r->plan.n_fields++] = ACCESS_LOG_QUERY;
	r->plan.fields[r->plan.n_fields++] = ACCESS_LOG_REQUEST_HEADERS;
	r->plan.fields[r->plan.n_fields++] = ACCESS_LOG_RESPONSE_HEADERS;
	for (unsigned i = 0; i < ACCESS_LOG_HEADERS_MAX; i++) {
		(void)snprintf(keys[i], sizeof keys[i], ",\"%063u\":", i);
		wide[i] = (struct access_log_header){ SLICE("X-Wide"), slice_str(keys[i]), false,
			true };
	}
	r->plan.n_request_headers = r->plan.n_response_headers = ACCESS_LOG_HEADERS_MAX;
	r->plan.request_headers = r->plan.response_headers = wide;
	headers_init(&r->req.m.headers, a);
	assert_true(headers_add(&r->req.m.headers, SLICE("X-Wide"), slice_of(s, MANY)));
	r->f.resp_headers = &r->req.m.headers;
	json_decref(line_of(r));
	assert_true(r->len <= ACCESS_LOG_LINE_BYTES);
	r->plan.format = ACCESS_LOG_COMMON;
	r->len = access_log_line(&r->stamp, &r->plan, &r->f, r->line);
	assert_true(r->len <= ACCESS_LOG_LINE_BYTES);
	msg_req_init(&r->req, NULL);
	arena_free(&a);
	xfree(s);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(each_length_and_place),
		TEST(no_utf8),
		TEST(milliseconds_are_exact),
		TEST(fields_of_messages),
		TEST(queries_without_secrets),
		TEST(refused_targets),
		TEST(rates_of_samples),
		TEST(longest_line_fits),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/cc.h"
#include "engine/mem/alloc.h"
#include "engine/proxy/access_log.h"
#include "engine/proxy/access_log_line.h"
#include "engine/proxy/facts.h"

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

/* Whatever a client sends: all strings longer than they may be, of bytes that take most room. */
static void
longest_line_fits(void **state)
{
	enum { MANY = 64 * 1024 };
	struct rig *r = *state;
	char *s = xcalloc(1, MANY);

	r->f.request_id = r->req.host = r->req.path_raw = r->req.query = slice_of(s, MANY);
	r->req.method = METHOD_OTHER;
	r->req.method_text = slice_of(s, MANY);
	r->plan.fields[r->plan.n_fields++] = ACCESS_LOG_QUERY;
	json_decref(line_of(r));
	assert_true(r->len <= ACCESS_LOG_LINE_BYTES);
	r->plan.format = ACCESS_LOG_COMMON;
	r->len = access_log_line(&r->stamp, &r->plan, &r->f, r->line);
	assert_true(r->len <= ACCESS_LOG_LINE_BYTES);
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
		TEST(longest_line_fits),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

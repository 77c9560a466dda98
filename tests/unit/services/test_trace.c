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

#include "services/common/svc_trace.h"

static void
test_uuid_is_version_7_and_sorts_by_time(void **state)
{
	char first[SVC_UUID_SIZE];
	char second[SVC_UUID_SIZE];
	int64_t ms = svc_now_ms();

	(void)state;
	svc_uuid_new(first);
	assert_true(svc_uuid_is_valid(first));
	assert_int_equal(first[14], '7');
	assert_non_null(strchr("89ab", first[19]));
	while (svc_now_ms() <= ms + 1)
		;
	svc_uuid_new(second);
	assert_true(memcmp(first, second, 13) < 0);
}

static void
test_uuid_validity(void **state)
{
	static const char *const bad[] = { "", "x", "018f0000-0000-7000-8000-00000000000",
		"018f0000-0000-7000-8000-0000000000000", "018f0000-0000-7000-8000-00000000000g",
		"018F0000-0000-7000-8000-000000000000", "018f00000-000-7000-8000-000000000000",
		"018f0000-0000-7000-8000--00000000000" };

	(void)state;
	assert_true(svc_uuid_is_valid("018f0000-0000-7000-8000-000000000000"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(svc_uuid_is_valid(bad[i]));
}

static void
test_fields_are_passed_on(void **state)
{
	struct evkeyvalq in;
	struct evkeyvalq out;
	const struct evkeyval *field;
	unsigned count = 0;

	(void)state;
	TAILQ_INIT(&in);
	TAILQ_INIT(&out);
	evhttp_add_header(&in, "Authorization", "secret");
	evhttp_add_header(&in, "x-request-id", "from the client, and not sane");
	evhttp_add_header(&in, "TraceParent", "00-1-2-3");
	evhttp_add_header(&in, "tracestate", "a=1");
	evhttp_add_header(&in, "tracestate", "b=2");
	evhttp_add_header(&in, "Baggage", "k=v");
	svc_trace_copy(&in, "id-1", &out);
	assert_string_equal(evhttp_find_header(&out, "X-Request-Id"), "id-1");
	assert_string_equal(evhttp_find_header(&out, "traceparent"), "00-1-2-3");
	assert_string_equal(evhttp_find_header(&out, "tracestate"), "a=1");
	assert_string_equal(evhttp_find_header(&out, "baggage"), "k=v");
	TAILQ_FOREACH(field, &out, next)
	count++;
	assert_int_equal(count, 5);
	assert_null(evhttp_find_header(&out, "Authorization"));
	evhttp_clear_headers(&in);
	evhttp_clear_headers(&out);
}

static void
test_time_is_rfc_3339(void **state)
{
	char text[SVC_TIME_SIZE];

	(void)state;
	svc_time_format(0, text);
	assert_string_equal(text, "1970-01-01T00:00:00.000Z");
	svc_time_format(1709164800007, text);
	assert_string_equal(text, "2024-02-29T00:00:00.007Z");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uuid_is_version_7_and_sorts_by_time),
		cmocka_unit_test(test_uuid_validity),
		cmocka_unit_test(test_fields_are_passed_on),
		cmocka_unit_test(test_time_is_rfc_3339),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "services/common/svc_route.h"

static void
handler(struct svc_req *req, void *ctx)
{
	(void)req;
	(void)ctx;
}

static const struct svc_route routes[] = {
	{ "GET", "/", handler, SVC_LOOP, false },
	{ "GET", "/a", handler, SVC_LOOP, false },
	{ "POST", "/a", handler, SVC_LOOP, true },
	{ "GET", "/a/{id}", handler, SVC_LOOP, false },
	{ "PUT", "/a/{id}/b/{other}", handler, SVC_LOOP, false },
	{ NULL, NULL, NULL, SVC_LOOP, false },
};

static struct svc_route_params params;
static char allow[SVC_ALLOW_SIZE];

/* The pattern that takes it, or NULL with the verdict in *match_r. */
static const char *
find(const char *method, const char *path, enum svc_match *match_r)
{
	const struct svc_route *route;

	svc_route_params_fini(&params);
	*match_r = svc_route_find(routes, method, path, &route, &params, allow);
	return (*match_r == SVC_MATCH_FOUND ? route->pattern : NULL);
}

static void
test_found(void **state)
{
	static const char *const rows[][3] = {
		{ "GET", "/", "/" },
		{ "HEAD", "/", "/" },
		{ "GET", "/a", "/a" },
		{ "POST", "/a", "/a" },
		{ "GET", "/a/x", "/a/{id}" },
		{ "GET", "/a/a%2Fb", "/a/{id}" },
		{ "PUT", "/a/x/b/y", "/a/{id}/b/{other}" },
	};
	enum svc_match match;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(find(rows[i][0], rows[i][1], &match), rows[i][2]);
	svc_route_params_fini(&params);
}

static void
test_not_found(void **state)
{
	static const char *const paths[] = { "", "a", "*", "//", "/a/", "/aa", "/A", "/a//b/y",
		"/a/x/b", "/a/x/b/", "/a/x/b/y/", "/a/x/b/y/z", "/b" };
	enum svc_match match;

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		assert_null(find("GET", paths[i], &match));
		assert_int_equal(match, SVC_MATCH_NO_PATH);
	}
}

static void
test_allow_names_every_method(void **state)
{
	enum svc_match match;

	(void)state;
	assert_null(find("DELETE", "/a", &match));
	assert_int_equal(match, SVC_MATCH_NO_METHOD);
	assert_string_equal(allow, "GET, HEAD, POST");
	assert_null(find("HEAD", "/a/1/b/2", &match));
	assert_int_equal(match, SVC_MATCH_NO_METHOD);
	assert_string_equal(allow, "PUT");
}

static void
test_params_are_decoded(void **state)
{
	enum svc_match match;

	(void)state;
	assert_non_null(find("PUT", "/a/x%2Fy%20z+/b/%C3%A4", &match));
	assert_string_equal(svc_route_param(&params, "id"), "x/y z+");
	assert_string_equal(svc_route_param(&params, "other"), "\xc3\xa4");
	assert_null(svc_route_param(&params, "i"));
	assert_null(svc_route_param(&params, "ids"));
	assert_null(find("GET", "/a/x%00y", &match));
	assert_int_equal(match, SVC_MATCH_BAD_PATH);
	svc_route_params_fini(&params);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_not_found),
		cmocka_unit_test(test_allow_names_every_method),
		cmocka_unit_test(test_params_are_decoded),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

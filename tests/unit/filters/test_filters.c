/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/filters/runs.h"

/* The shipped filters in a whole gateway: what they do, and which configurations they refuse. */

static void
test_strip_prefix(void **state)
{
	static const struct run runs[] = {
		{ "", "prefix: /v1/users, strip_prefix: true", "GET /v1/users/7?a=b", "",
		    "GET /7?a=b HTTP/1.1\r\n", "", "200 OK", "" },
		{ "", "prefix: /v1/users, strip_prefix: true", "GET /v1/users", "",
		    "GET / HTTP/1.1\r\n", "", "200 OK", "" },
		{ "", "prefix: /v1/users, strip_prefix: true", "GET /v1/users/", "",
		    "GET / HTTP/1.1\r\n", "", "200 OK", "" },
		{ "", "prefix: /v1/users/, strip_prefix: true", "GET /v1/users?", "",
		    "GET /? HTTP/1.1\r\n", "", "200 OK", "" },
		/* from the canonical path: nothing of the other spelling is left */
		{ "", "prefix: /v1/users, strip_prefix: true", "GET /x/../v1//users/%7e7/./y", "",
		    "GET /~7/y HTTP/1.1\r\n", "", "200 OK", "" },
		{ "", "prefix: /v1/users, strip_prefix: true", "GET /%761/users/%20", "",
		    "GET /%20 HTTP/1.1\r\n", "", "200 OK", "" },
		{ "", "prefix: /v1/users, strip_prefix: true", "GET http://h/v1/users/7", "",
		    "GET /7 HTTP/1.1\r\n", "", "200 OK", "" },
		{ "", "prefix: /v1/users, strip_prefix: false", "GET /v1/users/7", "",
		    "GET /v1/users/7 HTTP/1.1\r\n", "", "200 OK", "" },
		{ "", "prefix: /, strip_prefix: true", "GET /v1/%7e", "",
		    "GET /v1/%7e HTTP/1.1\r\n", "", "200 OK", "" },
	};

	(void)state;
	CHECK_RUNS(runs);
}

static void
test_rewrite(void **state)
{
	static const struct run runs[] = {
		{ "", "prefix: /img, rewrite: { path: /new }", "GET /img/a?q", "",
		    "GET /new?q HTTP/1.1\r\n", "", "200 OK", "" },
		{ "", "prefix: /img, rewrite: { prefix: /static }", "GET /img/a/b?q", "",
		    "GET /static/a/b?q HTTP/1.1\r\n", "", "200 OK", "" },
		{ "", "prefix: /img, rewrite: { prefix: /static/ }", "GET /img", "",
		    "GET /static HTTP/1.1\r\n", "", "200 OK", "" },
		{ "", "prefix: /img, rewrite: { prefix: / }", "GET /img", "",
		    "GET / HTTP/1.1\r\n", "", "200 OK", "" },
		{ "", "prefix: /img, rewrite: { prefix: / }", "GET /img/a", "",
		    "GET /a HTTP/1.1\r\n", "", "200 OK", "" },
		{ "", "prefix: /, rewrite: { prefix: /app }", "GET /a/../b", "",
		    "GET /app/b HTTP/1.1\r\n", "", "200 OK", "" },
		{ "", "prefix: /, rewrite: { path: /app }", "OPTIONS *", "",
		    "OPTIONS * HTTP/1.1\r\n", "", "200 OK", "" },
		{ "", "path: /one, rewrite: { path: \"/a/./b\" }", "GET /one", "",
		    "GET /a/b HTTP/1.1\r\n", "", "200 OK", "" },
	};

	(void)state;
	CHECK_RUNS(runs);
}

static void
test_ip(void **state)
{
	static const struct run runs[] = {
		/* the simulated clients come from 198.51.100.1 */
		{ "", "prefix: /, ip: { allow: [127.0.0.0/8, \"::1\", 198.51.100.0/24] }",
		    "GET /", "", "GET / ", "", "200 OK", "" },
		{ "", "prefix: /, ip: { allow: [10.0.0.0/8] }", "GET /", "", NULL, "",
		    "HTTP/1.1 403 |ip_denied", "" },
		{ "", "prefix: /, ip: { deny: [0.0.0.0/0, \"::/0\"] }", "GET /", "", NULL, "",
		    "HTTP/1.1 403 |ip_denied|X-Request-Id: ", "" },
		/* deny beats allow, whatever is the narrower */
		{ RUNS_TRUSTED, "prefix: /, ip: { allow: [203.0.113.7], deny: [203.0.113.0/24] }",
		    "GET /|X-Forwarded-For: 203.0.113.7\r\n", "", NULL, "", "403", "" },
		{ RUNS_TRUSTED, "prefix: /, ip: { allow: [203.0.113.0/24], deny: [203.0.113.7] }",
		    "GET /|X-Forwarded-For: 203.0.113.8\r\n", "", "GET /", "", "200", "" },
		{ RUNS_TRUSTED, "prefix: /, ip: { allow: [\"2001:db8::/32\"] }",
		    "GET /|X-Forwarded-For: 2001:db8::5\r\n", "", "GET /", "", "200", "" },
		{ RUNS_TRUSTED, "prefix: /, ip: { allow: [\"2001:db8::/32\"] }",
		    "GET /|X-Forwarded-For: 2001:db9::5\r\n", "", NULL, "", "403", "" },
		/* who is not trusted names nobody */
		{ RUNS_UNTRUSTED, "prefix: /, ip: { allow: [203.0.113.7] }",
		    "GET /|X-Forwarded-For: 203.0.113.7\r\n", "", NULL, "", "403", "" },
	};

	(void)state;
	CHECK_RUNS(runs);
}

static void
test_header_edits(void **state)
{
	static const struct run runs[] = {
		{ "", "prefix: /, request_headers: { set: { X-From: edge, X-Two: new }, "
		    "add: { X-Tag: a }, remove: [X-Debug, user-agent] }",
		    "GET /|x-from: c\r\nX-Two: 1\r\nx-two: 2\r\nX-Tag: b\r\nX-Debug: 1\r\n"
		    "x-debug: 2\r\nUser-Agent: ua\r\nX-Kept: k\r\n", "",
		    "\r\nX-From: edge\r\n|\r\nX-Two: new\r\n|\r\nX-Tag: b\r\n|\r\nX-Tag: a\r\n|"
		    "\r\nX-Kept: k\r\n", "x-from|: 1\r\n|: 2\r\n|debug|Debug|User-Agent",
		    "200 OK", "" },
		{ "", "prefix: /, response_headers: { set: { X-A: new }, "
		    "add: { Set-Cookie: c=3 }, remove: [Server] }", "GET /",
		    "Server: s\r\nserver: t\r\nx-a: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n",
		    "GET / ", "", "\r\nX-A: new\r\n|\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n|"
		    "\r\nSet-Cookie: c=3\r\n", "Server|server|x-a" },
		/* a set field is never empty by accident, and an empty value is one */
		{ "", "prefix: /, request_headers: { set: { X-E: \"\" } }", "GET /|X-E: 1\r\n", "",
		    "\r\nX-E: \r\n", "X-E: 1", "200 OK", "" },
		{ "", "prefix: /, request_headers: { set: { Host: other.test:81 } }", "GET /", "",
		    "\r\nHost: other.test:81\r\n", "\r\nHost: h\r\n", "200 OK", "" },
		{ "", "prefix: /, response_headers: { remove: [X-Request-Id] }", "GET /", "",
		    "X-Request-Id", "", "200 OK", "X-Request-Id" },
		/* the proxy's own answers too */
		{ "", "prefix: /, ip: { deny: [0.0.0.0/0, \"::/0\"] }, "
		    "response_headers: { set: { X-A: v } }", "GET /", "", NULL, "",
		    "403|\r\nX-A: v\r\n", "" },
		{ "", "prefix: /, request_headers: {}, response_headers: { remove: [] }", "GET /",
		    "", "GET /", "", "200 OK", "" },
	};

	(void)state;
	CHECK_RUNS(runs);
}

#define ID "X-Request-Id: mine-1\r\n"

static void
test_request_id_kept_or_not(void **state)
{
	static const struct run runs[] = {
		{ "", "prefix: /", "GET /|" ID, "", "\r\nX-Request-Id: ", "mine", "\r\nX-Request-Id: ",
		    "mine" },
		{ RUNS_UNTRUSTED, "prefix: /", "GET /|" ID, "", "\r\nX-Request-Id: ", "mine", "200", "" },
		{ RUNS_TRUSTED, "prefix: /", "GET /|" ID, "", "\r\n" ID, "", "mine-1\r\n", "" },
		{ RUNS_TRUSTED, "prefix: /, request_id: { keep: never }", "GET /|" ID, "",
		    "\r\nX-Request-Id: ", "mine", "200", "" },
		{ "", "prefix: /, request_id: { keep: always }", "GET /|" ID, "", "\r\n" ID, "",
		    "mine-1\r\n", "" },
		/* two of them, or one that is more than a word */
		{ RUNS_TRUSTED, "prefix: /", "GET /|" ID "x-request-id: b\r\n", "", "\r\nX-Request-Id: ",
		    "mine|x-request-id", "200", "" },
		{ RUNS_TRUSTED, "prefix: /", "GET /|X-Request-Id: mine\"}\r\n", "", "\r\nX-Request-Id: ",
		    "mine", "200", "" },
		{ RUNS_TRUSTED, "prefix: /", "GET /|X-Request-Id: \r\n", "", "\r\nX-Request-Id: ", "Id: \r\n",
		    "200", "" },
		/* the upstream's own is not the client's business */
		{ "", "prefix: /", "GET /", "X-Request-Id: theirs\r\n", "\r\nX-Request-Id: ", "",
		    "\r\nX-Request-Id: ", "theirs" },
		{ "", "prefix: /, request_id: off", "GET /|" ID, "", "\r\n" ID, "", "200",
		    "X-Request-Id" },
	};

	(void)state;
	CHECK_RUNS(runs);
}

static struct slice
id_in(struct slice message)
{
	ssize_t at = slice_find(message, SLICE("X-Request-Id: "));

	if (at < 0)
		at = slice_find(message, SLICE("x-request-id: "));
	assert_true(at >= 0);
	return (slice_sub(message, (size_t)at + 14, 32));
}

static void
test_request_ids_differ(void **state)
{
	char first[33] = "";

	(void)state;
	rig_start(&runs_program, RUNS_HEAD("") "  - { prefix: /, upstream: u }\n");
	sim_server("10.0.0.1:80", SIM_ACCEPT);
	for (unsigned i = 0; i < 2; i++) {
		struct sim_conn *c = sim_client_connect(8080), *s;
		struct slice id;

		sim_send(c, SLICE("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
		sim_run_until_idle();
		s = sim_server_take("10.0.0.1:80");
		id = id_in(sim_received(s));
		for (size_t j = 0; j < 32; j++)
			assert_non_null(memchr("0123456789abcdef", id.p[j], 16));
		assert_false(slice_eq(id, slice_str(first)));
		memcpy(first, id.p, 32);
		sim_send(s, SLICE("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"));
		assert_true(slice_eq(id_in(sim_received(c)), slice_str(first)));
		sim_close(c);
		sim_close(s);
	}
	rig_stop();
}

/* Also without a route, and so without filters. */
static void
test_request_id_of_refusals(void **state)
{
	static const char *const requests[] = {
		"GET /b HTTP/1.1\r\nHost: h\r\n\r\n", "GET /a HTTP/1.1\r\n\r\n",
	};
	struct sim_conn *c;
	struct slice id, got;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		rig_start(&runs_program, RUNS_HEAD("") "  - { prefix: /a, upstream: u }\n");
		c = sim_client_connect(8080);
		sim_send(c, slice_str(requests[i]));
		got = sim_received(c);
		assert_true(slice_has_prefix(got, SLICE("HTTP/1.1 40")));
		id = id_in(got);
		got = slice_skip(got, (size_t)slice_find(got, SLICE("\r\n\r\n")));
		assert_true(slice_find(got, id) > 0);
		sim_close(c);
		rig_stop();
	}
}

static void
test_mistakes(void **state)
{
	static const struct mistake cases[] = {
		{ "prefix: /a, strip_prefix: true, rewrite: { path: /x }", "strip_prefix and rewrite" },
		{ "prefix: /a, rewrite: { path: /x, prefix: /y }", "\"path\" and \"prefix\"" },
		{ "prefix: /a, rewrite: {}", "one of \"path\", \"prefix\" and \"regex\" is due" },
		{ "prefix: /a, rewrite: { path: \"/a/../..\" }", "is no path" },
		{ "prefix: /a, rewrite: { path: x }", "error" },
		{ "prefix: /a, rewrite: /x", "error" },
		{ "prefix: /a, strip_prefix: yes", "error" },
		{ "path: /a, strip_prefix: true", ":5:44: error: strip_prefix takes off the route's "
		    "prefix, and route \"routes[0]\" has an exact path" },
		{ "path: /a, strip_prefix: true", "write prefix: /a in place of path" },
		{ "strip_prefix: true", ":5:34: error: strip_prefix takes off the route's "
		    "prefix, and route \"routes[0]\" has none" },
		{ "strip_prefix: true", "write prefix: /PATH beside it" },
		{ "prefix: /a, ip: { allow: [] }", "is empty" },
		{ "prefix: /a, ip: { allow: [10.0.0.1/8] }", "10.0.0.1/8" },
		{ "prefix: /a, ip: { allow: [localhost] }", "localhost" },
		{ "prefix: /a, request_headers: { set: { Transfer-Encoding: chunked } }",
		    "\"Transfer-Encoding\" cannot be edited" },
		{ "prefix: /a, request_headers: { set: { content-length: \"0\" } }",
		    "\"content-length\" cannot be edited" },
		{ "prefix: /a, request_headers: { remove: [Connection] }",
		    "\"Connection\" cannot be edited" },
		{ "prefix: /a, request_headers: { add: { Host: h } }", "\"Host\" cannot be edited" },
		{ "prefix: /a, request_headers: { remove: [Host] }", "\"Host\" cannot be edited" },
		{ "prefix: /a, response_headers: { set: { Host: h } }", "\"Host\" cannot be edited" },
		{ "prefix: /a, request_headers: { set: { Host: \"a b\" } }", "is no host" },
		{ "prefix: /a, request_headers: { set: { Expect: x } }", "\"Expect\" cannot" },
		{ "prefix: /a, request_headers: { set: { X: a }, remove: [x] }", "set and removed" },
		{ "prefix: /a, request_headers: { set: { \"X Y\": a } }", "X Y" },
		{ "prefix: /a, request_headers: { set: { X: \"a\\r\\nY: b\" } }", "error" },
		{ "prefix: /a, request_headers: { sett: { X: a } }", "did you mean \"set\"" },
		{ "prefix: /a, request_id: { keep: trustd }", "trusted" },
	};

	(void)state;
	CHECK_MISTAKES(cases);
}

/* Where strip_prefix is inherited, or false, a route without a prefix is none of its business. */
static void
test_strip_prefix_where_none_is_due(void **state)
{
	static const char *const texts[] = {
		RUNS_HEAD("") "  - { upstream: u, path: /a, strip_prefix: false }\n",
		RUNS_HEAD("") "  - { upstream: u, path: /a, strip_prefix: off }\n",
		RUNS_HEAD("") "  - { upstream: u, prefix: /, strip_prefix: true }\n",
		"version: 1\n"
		"listeners: { web: { listen: \"127.0.0.1:8080\", strip_prefix: true } }\n"
		"upstreams: { u: { servers: [\"10.0.0.1:80\"] } }\n"
		"defaults: { strip_prefix: true }\n"
		"routes: [ { path: /a, upstream: u }, { upstream: u } ]\n",
	};

	(void)state;
	for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		char *says = rig_mistakes(&runs_program, texts[i]);

		assert_string_equal(says, "");
		free(says);
	}
}

/* One mistake, however many listeners the route serves, and none beside a prefix that is wrong. */
static void
test_strip_prefix_is_told_once(void **state)
{
	char *says;

	(void)state;
	says = rig_mistakes(&runs_program,
	    "version: 1\n"
	    "listeners:\n"
	    "  a: { listen: \"127.0.0.1:8080\", body_limit: 1MiB }\n"
	    "  b: { listen: \"127.0.0.1:8081\" }\n"
	    "upstreams: { u: { servers: [\"10.0.0.1:80\"] } }\n"
	    "routes: [ { path: /a, upstream: u, strip_prefix: true } ]\n");
	assert_non_null(strstr(says, "takes off"));
	assert_null(strstr(strstr(says, "takes off") + 1, "takes off"));
	free(says);
	says = rig_mistakes(&runs_program, RUNS_HEAD("") "  - { upstream: u, prefx: /a, strip_prefix: true }\n"
	    "  - { upstream: u, prefix: a, strip_prefix: true }\n");
	assert_non_null(strstr(says, "error"));
	assert_null(strstr(says, "takes off"));
	free(says);
}

static void
test_layers(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	rig_start(&runs_program,
	    "version: 1\n"
	    "listeners: { web: { listen: \"127.0.0.1:8080\", request_headers: { set: { X-L: l } } } }\n"
	    "upstreams: { u: { servers: [\"10.0.0.1:80\"] } }\n"
	    "defaults: { request_headers: { set: { X-L: d, X-D: d } } }\n"
	    "routes:\n"
	    "  - { prefix: /on, upstream: u, request_headers: { set: { X-R: r } } }\n"
	    "  - { prefix: /off, upstream: u, request_headers: off }\n");
	sim_server("10.0.0.1:80", SIM_ACCEPT);
	c = sim_client_connect(8080);
	sim_send(c, SLICE("GET /on HTTP/1.1\r\nHost: h\r\n\r\n"));
	sim_run_until_idle();
	s = sim_server_take("10.0.0.1:80");
	assert_true(slice_find(sim_received(s), SLICE("X-L: l\r\n")) > 0);
	assert_true(slice_find(sim_received(s), SLICE("X-D: d\r\n")) > 0);
	assert_true(slice_find(sim_received(s), SLICE("X-R: r\r\n")) > 0);
	sim_send(s, SLICE("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"));
	sim_close(s);
	sim_send(c, SLICE("GET /off HTTP/1.1\r\nHost: h\r\n\r\n"));
	sim_run_until_idle();
	s = sim_server_take("10.0.0.1:80");
	assert_true(slice_find(sim_received(s), SLICE("GET /off")) == 0);
	assert_true(slice_find(sim_received(s), SLICE("X-L")) < 0);
	sim_send(s, SLICE("HTTP/1.1 204 No Content\r\n\r\n"));
	sim_run_until_idle();
	sim_close(c);
	rig_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strip_prefix),
		cmocka_unit_test(test_rewrite),
		cmocka_unit_test(test_ip),
		cmocka_unit_test(test_header_edits),
		cmocka_unit_test(test_request_id_kept_or_not),
		cmocka_unit_test(test_request_ids_differ),
		cmocka_unit_test(test_request_id_of_refusals),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_strip_prefix_where_none_is_due),
		cmocka_unit_test(test_strip_prefix_is_told_once),
		cmocka_unit_test(test_layers),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

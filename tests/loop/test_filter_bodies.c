/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/loop/probe.h"

/* Filters that see and change bodies, in a whole gateway: in pieces and whole. */

static struct sim_conn *
post(const char *head, const char *body)
{
	struct sim_conn *c = sim_client_connect(8080);

	sim_send(c, SLICE("POST /a HTTP/1.1\r\nHost: h\r\n"));
	sim_send(c, slice_str(head));
	sim_send(c, SLICE("\r\n"));
	sim_send(c, slice_str(body));
	sim_run_until_idle();
	return (c);
}

static void
test_request_stream(void **state)
{
	static const char *const ways[] = { "shout: { req: stream }, probe: pass",
		"shout: { req: stream, wait: true }, probe: pass" };
	struct sim_conn *c, *s;
	struct slice got;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		start(ways[i]);
		c = post("Content-Length: 6\r\n", "abc");
		sim_advance(10);
		s = sim_server_take("10.0.0.1:80");
		got = sim_received(s);
		assert_true(has(got, "\r\nABC\r\n"));
		assert_true(has(got, "chunked"));
		sim_send(c, SLICE("def"));
		sim_advance(20);
		got = sim_received(s);
		assert_true(has(got, "\r\nDEF\r\n0\r\n\r\n"));
		assert_int_equal(seen.body_bytes, 6);
		assert_int_equal(seen.body_ends, 1);
		sim_send(s, SLICE(OK));
		sim_run_until_idle();
		expect_end(c, "HTTP/1.1 200", "hi");
	}
}

/* What a filter let pass goes out once more on a fresh connection; the filter is not asked again. */
static void
test_request_replayed(void **state)
{
	static const char *const ways[] = { "shout: { req: stream }, probe: pass",
		"shout: { req: whole }, probe: pass" };
	struct sim_conn *c, *s, *fresh;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		start(ways[i]);
		c = get();
		sim_run_until_idle();
		s = sim_server_take("10.0.0.1:80");
		sim_send(s, SLICE(OK));
		sim_run_until_idle();
		sim_send(c, SLICE("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabcdef"));
		sim_advance(10);
		assert_true(has(sim_received(s), "ABCDEF"));
		sim_close(s);
		sim_advance(10);
		fresh = sim_server_take("10.0.0.1:80");
		assert_non_null(fresh);
		assert_true(has(sim_received(fresh), "PUT /a"));
		assert_true(has(sim_received(fresh), "ABCDEF"));
		assert_int_equal(seen.body_bytes, 6);
		assert_int_equal(seen.body_ends, 1);
		sim_send(fresh, SLICE(OK));
		sim_run_until_idle();
		assert_int_equal(seen.logs, 2);
		sim_close(c);
		rig_stop();
	}
}

static void
test_request_whole(void **state)
{
	struct sim_conn *c;

	(void)state;
	start("shout: { req: whole }, probe: pass");
	c = post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n");
	assert_int_equal(sim_server_count("10.0.0.1:80"), 0);
	sim_send(c, SLICE("3\r\ndef\r\n0\r\n\r\n"));
	sim_run_until_idle();
	assert_int_equal(seen.body_calls, 1);
	assert_true(has(answer(OK), "Content-Length: 6\r\n\r\nABCDEF"));
	expect_end(c, "HTTP/1.1 200", "hi");
}

static void
test_request_whole_asks_for_the_body(void **state)
{
	struct sim_conn *c;

	(void)state;
	start("shout: { req: whole }, probe: pass");
	c = post("Content-Length: 3\r\nExpect: 100-continue\r\n", "");
	assert_null(sim_expect(c, SLICE("HTTP/1.1 100 Continue\r\n\r\n")));
	sim_send(c, SLICE("abc"));
	sim_run_until_idle();
	assert_false(has(answer(OK), "Expect"));
	expect_end(c, "HTTP/1.1 200", "hi");
}

static void
test_request_limits(void **state)
{
	static char big[110 * 1024 + 1];
	struct sim_conn *c;

	(void)state;
	memset(big, 'x', sizeof big - 1);
	start("shout: { req: whole }, probe: pass");
	c = post("Content-Length: 112640\r\n", "");
	expect_end(c, "HTTP/1.1 413", "body_too_large");
	start("shout: { req: whole }, probe: pass");
	c = post("Transfer-Encoding: chunked\r\n", "1B800\r\n");
	sim_send(c, slice_str(big));
	sim_run_until_idle();
	assert_int_equal(sim_server_count("10.0.0.1:80"), 0);
	expect_end(c, "HTTP/1.1 413", "body_too_large");
}

/* More of the body comes behind the answer, in the same read: the answer stands. */
static void
test_too_long_at_once(void **state)
{
	static const char *const ways[] = { "probe: pass", "shout: { req: stream }, probe: pass" };
	static char big[110 * 1024 + 200];
	struct sim_conn *c;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		int n = snprintf(big, 200, "POST / HTTP/1.1\r\nHost: h\r\n"
		    "Content-Length: 112640\r\n\r\n");

		memset(big + n, 'x', sizeof big - (size_t)n);
		start(ways[i]);
		c = sim_client_connect(8080);
		sim_send(c, slice_of(big, (size_t)n + 112640));
		sim_run_until_idle();
		assert_int_equal(sim_server_count("10.0.0.1:80"), 0);
		expect_end(c, "HTTP/1.1 413", "body_too_large");
	}
}

static void
test_request_verdicts(void **state)
{
	static const struct { const char *policy, *status, *what; } cases[] = {
		{ "shout: { req: whole, do: fault }, probe: pass", "HTTP/1.1 403", "ip_denied" },
		{ "shout: { req: stream, do: fault }, probe: pass", "HTTP/1.1 403", "ip_denied" },
		{ "shout: { req: whole, do: reply }, probe: pass", "HTTP/1.1 422", "loud" },
		{ "shout: { req: stream, do: reply }, probe: pass", "HTTP/1.1 422", "loud" },
	};
	struct sim_conn *c;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		start(cases[i].policy);
		c = post("Content-Length: 3\r\n", "abc");
		expect_end(c, cases[i].status, cases[i].what);
	}
	start("shout: { req: whole, do: drop }, probe: pass");
	c = post("Content-Length: 3\r\n", "abc");
	assert_true(has(answer(OK), "Content-Length: 0\r\n\r\n"));
	expect_end(c, "HTTP/1.1 200", "hi");
}

static void
test_client_goes_while_its_body_waits(void **state)
{
	struct sim_conn *c;

	(void)state;
	start("shout: { req: stream, wait: true }, probe: pass");
	c = post("Content-Length: 6\r\n", "abc");
	sim_reset(c);
	sim_run_until_idle();
	assert_int_equal(seen.cancels, 1);
	assert_int_equal(seen.gones, 1);
	rig_stop();
}

static void
test_response_stream_and_whole(void **state)
{
	static const struct { const char *policy, *what; } cases[] = {
		{ "shout: { resp: stream }, probe: pass", "\r\n2\r\nHI\r\n0\r\n\r\n" },
		{ "shout: { resp: stream, wait: true }, probe: pass", "\r\n2\r\nHI\r\n0\r\n\r\n" },
		{ "shout: { resp: whole }, probe: pass", "Content-Length: 2\r\n\r\nHI" },
		{ "shout: { resp: whole, wait: true }, probe: pass", "Content-Length: 2\r\n\r\nHI" },
		{ "shout: { resp: whole, do: drop }, probe: pass", "Content-Length: 0\r\n\r\n" },
	};
	struct sim_conn *c;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		start(cases[i].policy);
		c = get();
		(void)answer(OK);
		sim_advance(20);
		assert_int_equal(seen.body_ends, 1);
		expect_end(c, "HTTP/1.1 200", cases[i].what);
	}
}

/* A filter that wants all of it waits as long as it comes, and no longer. */
static void
test_response_whole_comes_slowly(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	start("shout: { resp: whole }, probe: pass, timeout: { idle: 10s }");
	c = get();
	s = sim_server_take("10.0.0.1:80");
	sim_send(s, SLICE("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"));
	for (unsigned i = 0; i < 4; i++) {
		sim_advance(8000);
		sim_send(s, SLICE("x"));
	}
	sim_run_until_idle();
	expect_end(c, "HTTP/1.1 200", "XXXX");
	start("shout: { resp: whole }, probe: pass, timeout: { idle: 10s }");
	c = get();
	s = sim_server_take("10.0.0.1:80");
	sim_send(s, SLICE("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nx"));
	sim_advance(9900);
	assert_int_equal(sim_received(c).len, 0);
	sim_advance(200);
	expect_end(c, "HTTP/1.1 504", "upstream_idle");
}

static void
test_response_verdicts(void **state)
{
	struct sim_conn *c;

	(void)state;
	start("shout: { resp: whole, do: fault }, probe: pass");
	c = get();
	(void)answer(OK);
	expect_end(c, "HTTP/1.1 403", "ip_denied");
	start("shout: { resp: stream, do: fault }, probe: pass");
	c = get();
	(void)answer(OK);
	/* The head is out or not: never a whole body. */
	assert_false(has(sim_received(c), "HI"));
	sim_close(c);
	rig_stop();
}

static void
test_response_limit(void **state)
{
	static char big[110 * 1024 + 1];
	struct sim_conn *c, *s;

	(void)state;
	memset(big, 'x', sizeof big - 1);
	start("shout: { resp: whole }, probe: pass");
	c = get();
	s = sim_server_take("10.0.0.1:80");
	sim_send(s, SLICE("HTTP/1.1 200 OK\r\nContent-Length: 112640\r\n\r\n"));
	sim_send(s, slice_str(big));
	sim_run_until_idle();
	expect_end(c, "HTTP/1.1 502", "response_too_large");
}

/* A client that does not read stops the upstream, with filters in between too. */
static void
test_response_back_pressure(void **state)
{
	enum { N = 64, PIECE = 16 * 1024 };
	static char piece[PIECE];
	struct sim_conn *c, *s;
	size_t got;

	(void)state;
	memset(piece, 'x', sizeof piece);
	start("shout: { resp: stream }, probe: pass, timeout: { idle: 10s }");
	c = get();
	sim_window(c, 1024);
	sim_hold(c, true);
	s = sim_server_take("10.0.0.1:80");
	sim_send(s, SLICE("HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n"));
	for (unsigned i = 0; i < N; i++)
		sim_send(s, slice_of(piece, sizeof piece));
	sim_run_until_idle();
	assert_in_range(seen.body_bytes, 1, 256 * 1024);
	sim_advance(20000);
	assert_in_range(seen.body_bytes, 1, 256 * 1024);
	sim_window(c, 0);
	sim_hold(c, false);
	sim_run_until_idle();
	got = sim_received(c).len;
	assert_true(got > 1048576);
	assert_int_equal(seen.body_bytes, 1048576);
	expect_end(c, "HTTP/1.1 200", "X-Behind");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request_stream),
		cmocka_unit_test(test_request_whole),
		cmocka_unit_test(test_request_replayed),
		cmocka_unit_test(test_request_whole_asks_for_the_body),
		cmocka_unit_test(test_request_limits),
		cmocka_unit_test(test_too_long_at_once),
		cmocka_unit_test(test_request_verdicts),
		cmocka_unit_test(test_client_goes_while_its_body_waits),
		cmocka_unit_test(test_response_stream_and_whole),
		cmocka_unit_test(test_response_whole_comes_slowly),
		cmocka_unit_test(test_response_verdicts),
		cmocka_unit_test(test_response_limit),
		cmocka_unit_test(test_response_back_pressure),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

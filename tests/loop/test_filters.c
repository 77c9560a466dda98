/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/panic.h"
#include "tests/loop/probe.h"

/* Filters that wait, fault and answer, in a whole gateway: the phases of heads. */

int	__real_bind(int fd, const struct sockaddr *a, socklen_t len);	/* see rig.c */

static void
test_wait_and_go_on(void **state)
{
	struct sim_conn *c;

	(void)state;
	start("probe: wait");
	c = get();
	assert_int_equal(seen.calls, 1);
	assert_int_equal(sim_server_count("10.0.0.1:80"), 0);
	sim_advance(49);
	assert_int_equal(seen.calls, 1);
	sim_advance(1);
	assert_int_equal(seen.calls, 2);
	assert_int_equal(seen.behind, 1);
	sim_advance(7);
	assert_true(has(answer(OK), "X-Probe: 1\r\n"));
	assert_int_equal(seen.cancels, 0);
	assert_int_equal(seen.gones, 0);
	expect_end(c, "HTTP/1.1 200 OK\r\n", "X-Behind: 1\r\n");
	expect_phases(50, 7, 0);
}

/* The filter, and the server it is for, are not in the next configuration: who waits has both. */
static void
test_reload_while_waiting(void **state)
{
	struct sim_conn *c, *late;

	(void)state;
	start("probe: wait");
	sim_server("10.0.0.2:80", SIM_ACCEPT);
	c = get();
	rig_reload("version: 1\n"
	    "listeners: { web: { listen: \"127.0.0.1:8080\" } }\n"
	    "upstreams: { other: { servers: [\"10.0.0.2:80\"] } }\n"
	    "routes: [ { prefix: /, upstream: other } ]\n");
	late = get();
	assert_int_equal(seen.calls, 1);
	assert_int_equal(sim_server_count("10.0.0.2:80"), 1);
	sim_advance(50);
	assert_int_equal(seen.calls, 2);
	assert_true(has(answer(OK), "X-Probe: 1\r\n"));
	assert_int_equal(seen.logs, 1);
	sim_reset(late);
	expect_end(c, "HTTP/1.1 200 OK\r\n", "X-Behind: 1\r\n");
}

static void
test_client_goes_after_a_reload(void **state)
{
	struct sim_conn *c;

	(void)state;
	start("probe: never");
	c = get();
	rig_reload(HEAD "  - { prefix: /, upstream: u }\n");
	sim_reset(c);
	sim_run_until_idle();
	assert_int_equal(seen.cancels, 1);
	assert_int_equal(seen.gones, 1);
	assert_int_equal(seen.logs, 1);
	rig_stop();
}

/* Something listens on the machine where the configuration wants to: no business of these tests. */
static void
test_ports_of_the_machine_do_not_matter(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(8080),
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sim_conn *c;

	(void)state;
	assert_true(fd >= 0);
	/* Where this fails somebody has it already, which is as good. */
	(void)__real_bind(fd, (struct sockaddr *)&a, sizeof a);
	(void)listen(fd, 1);
	start("probe: wait");
	c = get();
	sim_advance(50);
	assert_true(has(answer(OK), "X-Probe: 1\r\n"));
	expect_end(c, "HTTP/1.1 200 OK\r\n", "X-Behind: 1\r\n");
	close(fd);
}

static void
test_others_are_served_meanwhile(void **state)
{
	struct sim_conn *a, *b;

	(void)state;
	start("probe: wait");
	a = get();
	b = get();
	assert_int_equal(seen.calls, 2);
	sim_advance(50);
	(void)answer(OK);
	(void)answer(OK);
	assert_true(has(sim_received(a), "200 OK"));
	assert_true(has(sim_received(b), "200 OK"));
	sim_close(a);
	sim_close(b);
	rig_stop();
}

static void
test_done_before_return(void **state)
{
	static const char *const ways[] = { "probe: instant", "probe: asked" };
	struct sim_conn *c;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		start(ways[i]);
		c = get();
		assert_int_equal(seen.wokens, i == 0);
		(void)answer(OK);
		expect_end(c, "HTTP/1.1 200", "X-Behind");
	}
}

static void
test_armed_in_one_phase_awaited_in_another(void **state)
{
	struct sim_conn *c;

	(void)state;
	/* done long before the response, and after it */
	for (unsigned i = 0; i < 2; i++) {
		start("probe: early");
		c = get();
		if (i == 0)
			sim_advance(10);
		(void)answer(OK);
		assert_int_equal(seen.wokens, i == 0);
		sim_advance(10);
		assert_int_equal(seen.wokens, 1);
		expect_end(c, "HTTP/1.1 200", "X-Behind");
	}
}

/* A check that fails tells of the connection and the exchange that it fails in, while it does. */
static void
test_objects_are_watched(void **state)
{
	struct sim_conn *c;

	(void)state;
	start("probe: dump");
	c = get();
	assert_non_null(strstr(dumped, "connection 0x"));
	assert_non_null(strstr(dumped, "client 198.51.100.1, 1 requests, exchange 0x"));
	assert_non_null(strstr(dumped, "exchange 0x"));
	assert_non_null(strstr(dumped, "step REQ_FILTERS, reason \"\", status 0, 0 tries"));
	(void)answer(OK);
	assert_null(panic_watched[PANIC_SLOT_EXCHANGE]);
	expect_end(c, "HTTP/1.1 200 OK\r\n", "hi");
	assert_null(panic_watched[PANIC_SLOT_CONN]);
}

static void
test_error(void **state)
{
	struct sim_conn *c;

	(void)state;
	start("probe: fail");
	c = get();
	sim_advance(20);
	assert_int_equal(seen.behind, 0);
	expect_end(c, "HTTP/1.1 403 ", "\r\n\r\nno");
	expect_phases(20, 0, 0);
}

static void
test_time_out(void **state)
{
	static const struct { const char *policy, *status, *what; } cases[] = {
		{ "probe: never", "HTTP/1.1 504 ", "filter_timeout" },
		{ "probe: unhandled", "HTTP/1.1 504 ", "filter_timeout" },
		{ "probe: timed", "HTTP/1.1 200 ", "X-Behind" },
	};
	struct sim_conn *c;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		start(cases[i].policy);
		c = get();
		sim_advance(999);
		assert_int_equal(seen.cancels, 0);
		sim_advance(1);
		assert_int_equal(seen.cancels, 1);
		assert_int_equal(seen.wokens, 1);
		assert_int_equal(seen.gones, 0);
		if (i == 2)
			(void)answer(OK);
		expect_end(c, cases[i].status, cases[i].what);
		expect_phases(1000, 0, 0);
	}
}

static void
test_client_goes(void **state)
{
	struct sim_conn *c;

	(void)state;
	start("probe: never");
	c = get();
	sim_reset(c);
	sim_run_until_idle();
	assert_int_equal(seen.cancels, 1);
	assert_int_equal(seen.gones, 1);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.logs, 1);
	sim_advance(5000);
	assert_int_equal(seen.calls, 1);
	rig_stop();
}

static void
test_total_timeout_while_waiting(void **state)
{
	struct sim_conn *c;

	(void)state;
	start("probe: never, timeout: { total: 100ms }");
	c = get();
	sim_advance(100);
	assert_int_equal(seen.cancels, 1);
	assert_int_equal(seen.gones, 1);
	expect_end(c, "HTTP/1.1 504 ", "total_timeout");
	expect_phases(100, 0, 0);
}

static void
test_bugs_are_internal_errors(void **state)
{
	static const char *const bugs[] = { "probe: bug", "probe: circle", "probe: noreply" };
	struct sim_conn *c;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		start(bugs[i]);
		c = get();
		expect_end(c, "HTTP/1.1 500 ", "internal_error");
	}
}

static void
test_reply(void **state)
{
	struct sim_conn *c;

	(void)state;
	start("probe: reply");
	c = get();
	assert_int_equal(seen.behind, 0);
	assert_true(has(sim_received(c), "X-Pot: small\r\n"));
	assert_true(has(sim_received(c), "X-Behind: 1\r\n"));
	expect_end(c, "HTTP/1.1 418 ", "\r\n\r\ntea");
}

static void
test_response_phases(void **state)
{
	static const struct { const char *policy, *status, *what; } cases[] = {
		{ "probe: resp_wait", "HTTP/1.1 200 ", "\r\n\r\nhi" },
		{ "probe: resp_reply", "HTTP/1.1 410 ", "\r\n\r\ngone" },
		{ "probe: resp_fault", "HTTP/1.1 502 ", "upstream_malformed" },
	};
	struct sim_conn *c;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		start(cases[i].policy);
		c = get();
		(void)answer(OK);
		if (i == 0) {
			assert_int_equal(sim_received(c).len, 0);
			sim_advance(50);
		}
		assert_true(has(sim_received(c), "X-Behind: 1\r\n"));
		expect_end(c, cases[i].status, cases[i].what);
		expect_phases(0, 0, i == 0 ? 50 : 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wait_and_go_on),
		cmocka_unit_test(test_objects_are_watched),
		cmocka_unit_test(test_ports_of_the_machine_do_not_matter),
		cmocka_unit_test(test_reload_while_waiting),
		cmocka_unit_test(test_client_goes_after_a_reload),
		cmocka_unit_test(test_others_are_served_meanwhile),
		cmocka_unit_test(test_done_before_return),
		cmocka_unit_test(test_armed_in_one_phase_awaited_in_another),
		cmocka_unit_test(test_error),
		cmocka_unit_test(test_time_out),
		cmocka_unit_test(test_client_goes),
		cmocka_unit_test(test_total_timeout_while_waiting),
		cmocka_unit_test(test_bugs_are_internal_errors),
		cmocka_unit_test(test_reply),
		cmocka_unit_test(test_response_phases),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/upstream/rig.h"

/* What becomes of one request: answers, faults, and which of them may be sent once more. */

#define A	"10.0.0.1:80"
#define HEAD(method)	method " /x HTTP/1.1\r\nHost: h\r\n\r\n"

static struct upstream *u;

static int
setup(void **state)
{
	(void)state;
	rig_begin();
	sim_server(A, SIM_ACCEPT);
	u = rig_upstream(&lb_round_robin, A);
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	rig_drop(&u);
	rig_end();
	return (0);
}

static void
assert_fault(struct rig_shot **sp, enum reason reason, bool connect, bool replay)
{
	struct rig_shot *s = *sp;

	assert_int_equal(s->n_fail, 1);
	assert_int_equal(s->fault.reason, reason);
	assert_int_equal(s->fault.connect, connect);
	assert_int_equal(s->fault.replay, replay);
	assert_string_equal(s->server, A);
	assert_null(s->up);
	rig_forget(sp);
}

/* ---- connecting ---- */

static void
test_refused(void **state)
{
	struct rig_shot *s;

	(void)state;
	sim_server(A, SIM_REFUSE);
	s = rig_shoot(u, "GET", NULL);
	assert_int_equal(s->n_fail, 0);		/* never from within */
	sim_run_until_idle();
	assert_fault(&s, REASON_UPSTREAM_CONNECT_FAILED, true, false);
}

static void
test_connect_timeout(void **state)
{
	struct rig_shot *s;

	(void)state;
	sim_server(A, SIM_BLACKHOLE);
	s = rig_shoot(u, "GET", NULL);
	sim_advance(2999);
	assert_int_equal(s->n_fail, 0);
	sim_advance(1);
	assert_fault(&s, REASON_UPSTREAM_CONNECT_TIMEOUT, true, false);
}

/* Given up while connecting. */
static void
test_close_connecting(void **state)
{
	struct rig_shot *s;

	(void)state;
	sim_server(A, SIM_BLACKHOLE);
	s = rig_shoot(u, "GET", NULL);
	sim_run_until_idle();
	rig_forget(&s);
	sim_run_until_idle();
	assert_int_equal(up_of(&rig_worker)->conns.in_use, 0);
	assert_int_equal(up_of(&rig_worker)->streams.in_use, 0);
}

/* The server vanishes between two requests: the idle connection ends, new ones are refused. */
static void
test_vanished(void **state)
{
	struct sim_conn *c = rig_exchange(u, A, NULL, RIG_OK);
	struct rig_shot *s;

	(void)state;
	sim_server(A, SIM_REFUSE);
	sim_close(c);
	s = rig_shoot(u, "GET", NULL);
	sim_run_until_idle();
	assert_fault(&s, REASON_UPSTREAM_CLOSED, false, true);
	s = rig_shoot_fresh(u, "GET");
	sim_run_until_idle();
	assert_fault(&s, REASON_UPSTREAM_CONNECT_FAILED, true, false);
}

/* ---- answers ---- */

static struct sim_conn *
begun(struct rig_shot **sp, const char *method, const char *body)
{
	struct sim_conn *c;

	*sp = rig_shoot(u, method, body);
	sim_run_until_idle();
	c = sim_server_take(A);
	assert_non_null(c);
	return (c);
}

static void
test_bytewise(void **state)
{
	struct rig_shot *s;
	struct sim_conn *c = begun(&s, "POST", "hello");

	(void)state;
	assert_null(sim_expect(c, SLICE("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello")));
	sim_chunk(c, 1);
	sim_send(c, SLICE("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"));
	sim_run_until_idle();
	assert_int_equal(s->n_info, 1);
	assert_int_equal(s->n_head, 1);
	assert_int_equal(s->n_end, 1);
	assert_int_equal(s->resp.status, 201);
	assert_int_equal(s->in.queued, 3);
	assert_int_equal(rig_local(u)->peers[0]->n_idle, 1);
	rig_forget(&s);
}

static void
test_faults_before_head(void **state)
{
	static const struct {
		const char	*bytes;
		bool		 reset;
		enum reason	 reason;
	} rows[] = {
		{ "", false, REASON_UPSTREAM_CLOSED },
		{ "", true, REASON_UPSTREAM_RESET },
		{ "HTTP/1.1 20", false, REASON_UPSTREAM_CLOSED },
		{ "HTTP/1.1 20", true, REASON_UPSTREAM_RESET },
		{ "nonsense\r\n\r\n", false, REASON_UPSTREAM_MALFORMED },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", false,
		    REASON_UPSTREAM_MALFORMED },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct rig_shot *s;
		struct sim_conn *c = begun(&s, "GET", NULL);

		sim_send(c, slice_str(rows[i].bytes));
		sim_run_until_idle();
		if (rows[i].reason != REASON_UPSTREAM_MALFORMED) {
			if (rows[i].reset)
				sim_reset(c);
			else
				sim_close(c);
			sim_run_until_idle();
		}
		assert_int_equal(s->n_head, 0);
		/* A connection that was not reused: never again. */
		assert_fault(&s, rows[i].reason, false, false);
	}
}

static void
test_cut_body(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct rig_shot *s;
		struct sim_conn *c = begun(&s, "GET", NULL);

		sim_send(c, SLICE("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"));
		sim_run_until_idle();
		assert_int_equal(s->n_head, 1);
		if (i == 0)
			sim_close(c);
		else
			sim_reset(c);
		sim_run_until_idle();
		assert_int_equal(s->in.end, PIPE_BROKEN);
		assert_int_equal(s->in.queued, 3);
		assert_fault(&s, i == 0 ? REASON_UPSTREAM_CLOSED : REASON_UPSTREAM_RESET, false,
		    false);
	}
}

/* An answer that comes before the request is out is passed on, and the connection given up. */
static void
test_early_answer(void **state)
{
	static char big[300000];
	struct sim_conn *c = rig_exchange(u, A, NULL, RIG_OK);
	struct rig_shot *s;

	(void)state;
	memset(big, 'b', sizeof big - 1);
	sim_window(c, 1000);
	sim_hold(c, true);
	s = rig_shoot(u, "POST", big);
	sim_run_until_idle();
	sim_send(c, SLICE(RIG_OK));
	sim_run_until_idle();
	assert_int_equal(s->n_end, 1);
	rig_forget(&s);
	assert_int_equal(rig_local(u)->peers[0]->n_idle, 0);
	sim_hold(c, false);
	sim_run_until_idle();
	assert_int_equal(rig_local(u)->peers[0]->n_conns, 0);
}

/* Our own body breaks: what was promised cannot be kept, the server must not take it for whole. */
static void
test_body_breaks(void **state)
{
	struct rig_shot *s = rig_shoot(u, "POST", "abc");
	struct sim_conn *c;

	(void)state;
	pipe_fini(&s->out);
	pipe_init(&s->out, PIPE_LOW, PIPE_HIGH);
	(void)pipe_put(&s->out, (struct span){ .p = "ab", .len = 2 });
	c = sim_server_take(A);
	pipe_break(&s->out);
	sim_run_until_idle();
	assert_int_equal(s->n_fail, 1);
	assert_false(s->fault.replay);
	rig_forget(&s);
	assert_null(sim_expect_reset(c));
}

/* ---- once more? ---- */

enum what {
	FIN,		/* the server had closed */
	RST,
	FIN_THEN_RST,	/* 10 ms later */
	FIN_AND_RST,	/* both are there when we look */
	FIN_THEN_LATE_RST,	/* 30 ms later */
	FIN_ACKED,	/* the request was acknowledged, then the end */
	FIN_PART_ACKED,	/* part of it */
	FIN_ACK_THEN_RST /* the end, then an acknowledgement, then a reset */
};

static void
happen(struct sim_conn *c, enum what what)
{
	switch (what) {
	case FIN_ACKED:
	case FIN_PART_ACKED:
		sim_hold(c, false);
		sim_run_until_idle();
		break;
	default:
		break;
	}
	if (what == RST)
		sim_reset(c);
	else
		sim_close(c);
	if (what == FIN_AND_RST)
		sim_reset(c);
	sim_run_until_idle();
	if (what == FIN_ACK_THEN_RST) {
		sim_hold(c, false);
		sim_run_until_idle();
	}
	if (what == FIN_THEN_RST || what == FIN_ACK_THEN_RST || what == FIN_THEN_LATE_RST) {
		sim_advance(what == FIN_THEN_LATE_RST ? 30 : 10);
		if (what != FIN_THEN_LATE_RST)
			sim_reset(c);
	}
	sim_advance(30);
}

/* A reused connection fails under a request that was written, and not answered. */
static void
test_replay(void **state)
{
	static const struct {
		const char	*method;
		enum what	 what;
		bool		 replay;
	} rows[] = {
		{ "GET", FIN, true },
		{ "GET", RST, true },
		{ "GET", FIN_ACKED, true },
		{ "PUT", FIN, true },
		{ "DELETE", RST, true },
		{ "OPTIONS", FIN, true },
		{ "POST", FIN, false },
		{ "POST", RST, false },
		{ "POST", FIN_THEN_RST, true },
		{ "POST", FIN_AND_RST, true },
		{ "POST", FIN_THEN_LATE_RST, false },
		{ "POST", FIN_ACKED, false },
		{ "POST", FIN_ACK_THEN_RST, false },
		{ "PATCH", FIN_THEN_RST, true },
		{ "PATCH", FIN_ACKED, false },
		{ "BREW", FIN, false },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct sim_conn *c = rig_exchange(u, A, NULL, RIG_OK);
		struct rig_shot *s;
		char head[64];

		sim_window(c, 100000);
		sim_hold(c, true);
		sim_run_until_idle();
		s = rig_shoot(u, rows[i].method, NULL);
		assert_true(s->reused);
		(void)snprintf(head, sizeof head, "%s /x HTTP/1.1\r\n", rows[i].method);
		assert_null(sim_expect(c, slice_str(head)));
		happen(c, rows[i].what);
		print_message("row %u: %s\n", i, rows[i].method);
		assert_fault(&s, rows[i].what == RST ? REASON_UPSTREAM_RESET :
		    REASON_UPSTREAM_CLOSED, false, rows[i].replay);
	}
}

/* The end of the doubt is not waited for in the cases that are clear. */
static void
test_replay_delay(void **state)
{
	struct sim_conn *c = rig_exchange(u, A, NULL, RIG_OK);
	struct rig_shot *s;

	(void)state;
	sim_window(c, 100000);
	sim_hold(c, true);
	sim_run_until_idle();
	s = rig_shoot(u, "POST", NULL);
	sim_run_until_idle();
	sim_close(c);
	sim_run_until_idle();
	assert_int_equal(s->n_fail, 0);
	sim_advance(19);
	assert_int_equal(s->n_fail, 0);
	sim_advance(1);
	assert_fault(&s, REASON_UPSTREAM_CLOSED, false, false);

	/* In doubt, and the client goes. */
	c = rig_exchange(u, A, NULL, RIG_OK);
	sim_window(c, 100000);
	sim_hold(c, true);
	sim_run_until_idle();
	s = rig_shoot(u, "POST", NULL);
	sim_run_until_idle();
	sim_close(c);
	sim_run_until_idle();
	rig_forget(&s);
	sim_advance(100);
	assert_int_equal(up_of(&rig_worker)->conns.in_use, 0);
}

static struct rig_shot *late_shot;

static void
shoot_late(void)
{
	late_shot = rig_shoot(u, "POST", "body");
}

/*
 * The end of an idle connection, and a request that takes it, come in one turn: nothing was written
 * then, so any method may go again, and bytes that came with the end are no answer.
 */
static void
test_replay_unwritten(void **state)
{
	static const char *const bytes[] = { "",
		"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n" };

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct rig_shot *s = rig_shoot_fresh(u, "GET"), *t = rig_shoot_fresh(u, "GET");
		struct sim_conn *x = sim_server_take(A), *y = sim_server_take(A);

		assert_non_null(y);
		rig_expect(y, HEAD("GET"));
		sim_send(y, SLICE(RIG_OK));
		sim_run_until_idle();
		/* x answers, and then y ends; what x's answer sets off takes y. */
		s->then = shoot_late;
		s->keep = true;
		sim_send(x, SLICE(RIG_OK));
		sim_send(y, slice_str(bytes[i & 1]));
		if (i < 2)
			sim_close(y);
		else
			sim_reset(y);
		sim_run_until_idle();
		assert_int_equal(s->n_end, 1);
		assert_true(late_shot->reused);
		assert_int_equal(late_shot->n_head, 0);
		assert_null(sim_expect_nothing(y));
		assert_fault(&late_shot, REASON_UPSTREAM_CLOSED, false, true);
		rig_forget(&s);
		rig_forget(&t);
	}
}

/* An interim answer was seen, or part of a head: the server has it. */
static void
test_replay_not_answered(void **state)
{
	static const char *const bytes[] = { "HTTP/1.1 100 Continue\r\n\r\n", "H" };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct sim_conn *c = rig_exchange(u, A, NULL, RIG_OK);
		struct rig_shot *s = rig_shoot(u, "GET", NULL);

		assert_null(sim_expect(c, SLICE(HEAD("GET"))));
		sim_send(c, slice_str(bytes[i]));
		sim_run_until_idle();
		sim_close(c);
		sim_run_until_idle();
		assert_fault(&s, REASON_UPSTREAM_CLOSED, false, false);
	}
}

/* Unix sockets have no acknowledgements: idempotent methods only. */
static void
test_replay_unix(void **state)
{
	static const char addr[] = "unix:/run/s.sock";
	struct upstream *ux = rig_upstream(&lb_round_robin, addr);

	(void)state;
	sim_server(addr, SIM_ACCEPT);
	for (unsigned i = 0; i < 2; i++) {
		struct sim_conn *c = rig_exchange(ux, addr, NULL, RIG_OK);
		struct rig_shot *s;

		sim_window(c, 100000);
		sim_hold(c, true);
		sim_run_until_idle();
		s = rig_shoot(ux, i == 0 ? "GET" : "POST", NULL);
		sim_run_until_idle();
		happen(c, FIN_AND_RST);
		assert_int_equal(s->n_fail, 1);
		assert_int_equal(s->fault.replay, i == 0);
		rig_forget(&s);
	}
	rig_drop(&ux);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_refused),
		TEST(test_connect_timeout),
		TEST(test_close_connecting),
		TEST(test_vanished),
		TEST(test_bytewise),
		TEST(test_faults_before_head),
		TEST(test_cut_body),
		TEST(test_early_answer),
		TEST(test_body_breaks),
		TEST(test_replay),
		TEST(test_replay_delay),
		TEST(test_replay_unwritten),
		TEST(test_replay_not_answered),
		TEST(test_replay_unix),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

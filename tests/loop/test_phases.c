/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/loop/lib.h"

/* Where a request's time went, to the millisecond, for many kinds of requests and of ends. */

#define POST_HEAD	"POST /a HTTP/1.1\r\nHost: example.org\r\nContent-Length: 8\r\n\r\n"
#define ANSWER_HEAD	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"

enum {
	S = 1000	/* ms */
};

struct ms {
	uint64_t headers, auth, queue, connect, first_byte, body;
};

/* The last request's; they add up to its duration exactly. */
static void
assert_phases(struct ms want)
{
	const uint64_t each[FACTS_PHASE__MAX] = { want.headers, want.auth, want.queue,
		want.connect, want.first_byte, want.body };
	static const char *const names[] = { "headers", "auth", "queue", "connect", "first_byte",
		"body" };
	uint64_t sum = 0;

	for (unsigned i = 0; i < FACTS_PHASE__MAX; i++) {
		sum += gw_last()->phase_us[i];
		if (gw_last()->phase_us[i] != each[i] * 1000)
			fail_msg("%s took %llu us, not %llu ms", names[i],
			    (unsigned long long)gw_last()->phase_us[i],
			    (unsigned long long)each[i]);
	}
	assert_int_equal(sum, gw_last()->duration_us);
}

/* A connection with one exchange done, and the server's end of it. */
static struct sim_conn *
used(struct sim_conn **s_r)
{
	struct sim_conn *c = client();

	sim_send(c, SL(GET));
	*s_r = server(SERVER);
	sim_send(*s_r, SL(ANSWER_HEAD "hello"));
	forget(c);
	forget(*s_r);
	return (c);
}

static void
test_all_slow(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	sim_advance(500);	/* nobody's: the request has not begun */
	sim_send(c, slice_of(GET, 10));
	sim_advance(30);
	sim_send(c, slice_of(&GET[10], sizeof GET - 11));
	s = server(SERVER);
	sim_advance(70);
	sim_send(s, SL(ANSWER_HEAD "he"));
	sim_advance(20);
	sim_send(s, SL("llo"));
	assert_has(c, "hello");
	assert_phases((struct ms){ .headers = 30, .first_byte = 70, .body = 20 });
}

static void
test_kept_connection(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF));
	c = used(&s);
	assert_phases((struct ms){ 0 });
	sim_advance(5 * S);
	sim_send(c, SL(GET));
	sim_advance(40);
	sim_send(s, SL(ANSWER_HEAD "hello"));
	assert_has(c, "hello");
	assert_phases((struct ms){ .first_byte = 40 });
}

/* A body on its way up is time with the server. */
static void
test_slow_upload(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	sim_send(c, SL(POST_HEAD "1234"));
	sim_advance(200);
	sim_send(c, SL("5678"));
	s = server(SERVER);
	sim_advance(10);
	sim_send(s, SL(ANSWER_HEAD "hello"));
	assert_has(c, "hello");
	assert_phases((struct ms){ .first_byte = 210 });
}

static void
test_slow_reader(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	sim_window(c, 10);
	sim_hold(c, true);
	s = asked(c);
	sim_send(s, SL(ANSWER_HEAD "hello"));
	sim_advance(300);
	assert_int_equal(gw_requests(), 0);
	sim_hold(c, false);
	assert_has(c, "hello");
	assert_phases((struct ms){ .body = 300 });
}

/* Each try's connect counts, also of those that failed. */
static void
test_connects_that_fail(void **state)
{
	(void)state;
	sim_server(SERVER, SIM_BLACKHOLE);
	sim_server(SERVER_2, SIM_BLACKHOLE);
	OK(gw_start(CONF_LISTEN("") CONF_SERVERS("\"" SERVER "\", \"" SERVER_2 "\"")
	    CONF_ROUTE(", timeout: { connect: 2s }")));
	sim_send(client(), SL(GET));
	sim_advance(5 * S);
	assert_ended(504, REASON_UPSTREAM_CONNECT_TIMEOUT);
	assert_int_equal(gw_last()->attempts, 2);
	assert_phases((struct ms){ .connect = 4 * S });
}

/* A reused connection turns out dead: what was waited for there is not lost. */
static void
test_replay(void **state)
{
	struct sim_conn *c, *s, *s2;

	(void)state;
	OK(gw_start(CONF));
	c = used(&s);
	sim_send(c, SL(GET));
	sim_advance(10);
	sim_reset(s);
	sim_run_until_idle();
	s2 = server(SERVER);
	sim_advance(25);
	sim_send(s2, SL(ANSWER_HEAD "hello"));
	assert_has(c, "hello");
	assert_int_equal(gw_last()->attempts, 2);
	assert_phases((struct ms){ .first_byte = 35 });
}

static void
test_client_leaves(void **state)
{
	struct sim_conn *c;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	sim_send(c, SL(GET));
	sim_advance(500);
	sim_reset(c);
	sim_run_until_idle();
	assert_ended(499, REASON_CLIENT_CLOSED);
	assert_phases((struct ms){ .first_byte = 500 });
}

static void
test_client_leaves_while_connecting(void **state)
{
	struct sim_conn *c;

	(void)state;
	sim_server(SERVER, SIM_BLACKHOLE);
	OK(gw_start(CONF));
	c = client();
	sim_send(c, SL(GET));
	sim_advance(500);
	sim_reset(c);
	sim_run_until_idle();
	assert_ended(499, REASON_CLIENT_CLOSED);
	assert_phases((struct ms){ .connect = 500 });
}

static void
test_server_says_nothing(void **state)
{
	struct sim_conn *c;

	(void)state;
	OK(gw_start(CONF_LISTEN("") CONF_SERVERS("\"" SERVER "\"")
	    CONF_ROUTE(", timeout: { first_byte: 7s }")));
	c = client();
	sim_send(c, SL(GET));
	sim_advance(8 * S);
	assert_ended(504, REASON_UPSTREAM_TIMEOUT);
	assert_phases((struct ms){ .first_byte = 7 * S });
}

static void
test_answer_stops(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF_LISTEN("") CONF_SERVERS("\"" SERVER "\"")
	    CONF_ROUTE(", timeout: { idle: 5s }")));
	c = client();
	s = asked(c);
	sim_send(s, SL(ANSWER_HEAD "he"));
	sim_advance(6 * S);
	assert_ended(200, REASON_UPSTREAM_IDLE);
	assert_phases((struct ms){ .body = 5 * S });
}

/* Answers of our own: the head's time is the client's, what sending took is the body. */
static void
test_our_own(void **state)
{
	struct sim_conn *c;

	(void)state;
	OK(gw_start(CONF_LISTEN("") CONF_SERVERS("\"" SERVER "\"") "routes:\n"
	    "  - { prefix: /, upstream: app, request_id: off, methods: [POST] }\n"
	    "  - { path: /here, respond: { body: hello }, request_id: off }\n"
	    "  - { path: /to, redirect: { to: /here }, request_id: off }\n"));
	for (unsigned i = 0; i < 3; i++) {
		static const char *const paths[] = { "/here", "/to", "/no-route" };
		static const unsigned statuses[] = { 200, 308, 404 };

		c = client();
		sim_send(c, SL("GET "));
		sim_advance(15);
		sim_window(c, 10);
		sim_hold(c, true);
		sim_send(c, slice_str(paths[i]));
		sim_send(c, SL(" HTTP/1.1\r\nHost: h\r\n\r\n"));
		sim_advance(25);
		sim_hold(c, false);
		sim_run_until_idle();
		assert_int_equal(gw_requests(), i + 1);
		assert_int_equal(gw_last()->status, statuses[i]);
		assert_phases((struct ms){ .headers = 15, .body = 25 });
		sim_close(c);
	}
}

static void
test_head_never_ends(void **state)
{
	struct sim_conn *c;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	sim_send(c, slice_of(GET, 10));
	sim_advance(11 * S);
	assert_has(c, "HTTP/1.1 408 ");
	assert_ended(408, REASON_CLIENT_TIMEOUT);
	assert_phases((struct ms){ .headers = 10 * S });
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_all_slow),
		TEST(test_kept_connection),
		TEST(test_slow_upload),
		TEST(test_slow_reader),
		TEST(test_connects_that_fail),
		TEST(test_replay),
		TEST(test_client_leaves),
		TEST(test_client_leaves_while_connecting),
		TEST(test_server_says_nothing),
		TEST(test_answer_stops),
		TEST(test_our_own),
		TEST(test_head_never_ends),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

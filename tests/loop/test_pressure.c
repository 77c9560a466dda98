/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/http/pipe.h"
#include "tests/loop/lib.h"

/* Back-pressure in both directions, dead connections, other servers, and the drain. */

#define CONF_TWO	CONF_LISTEN("") CONF_SERVERS("\"" SERVER "\", \"" SERVER_2 "\"") \
			CONF_ROUTE("")

enum {
	PAGE = 16384,
	PIECE = 65536,
	LARGE = 8 * 1024 * 1024,
	/* of one exchange: two pipes of 64 KiB at their high mark, a read ahead of 64 KiB for each,
	   and heads */
	PAGES_MOST = 20,
	DRAIN_MS = 30 * 1000	/* how long a drain may take, weir-gateway(8) */
};

static char piece[PIECE];

/* Bytes that were sent and the gateway has not read yet, as far as can be seen from outside. */
static void
send_pieces(struct sim_conn *c, size_t total)
{
	memset(piece, 'x', sizeof piece);
	for (size_t sent = 0; sent < total; sent += PIECE)
		sim_send(c, slice_of(piece, PIECE));
}

static void
send_answer_head(struct sim_conn *s, size_t n)
{
	char head[80];

	sim_send(s, slice_of(head, (size_t)snprintf(head, sizeof head,
	    "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", n)));
}

/* ---- back-pressure ---- */

static void
test_slow_reader(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	sim_window(c, 1000);
	sim_hold(c, true);
	s = asked(c);
	send_answer_head(s, LARGE);
	for (unsigned i = 0; i < LARGE / PIECE; i++) {
		sim_send(s, slice_of(piece, PIECE));
		sim_run_until_idle();
		assert_in_range(gw_pages(), 1, PAGES_MOST);
	}
	assert_int_equal(gw_requests(), 0);
	/* It reads after all: the whole of it comes. */
	sim_window(c, 0);
	sim_hold(c, false);
	sim_run_until_idle();
	assert_ended(200, REASON_NONE);
	assert_int_equal(gw_last()->bytes_out, LARGE);
	OK(gw_is_empty(false));
}

static void
test_slow_upstream(void **state)
{
	struct sim_conn *c, *s;
	char head[128];
	size_t n;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	n = (size_t)snprintf(head, sizeof head,
	    "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: %u\r\n\r\n", (unsigned)LARGE);
	sim_send(c, slice_of(head, n));
	s = server(SERVER);
	sim_window(s, 1000);
	sim_hold(s, true);
	send_pieces(c, LARGE);
	sim_run_until_idle();
	assert_in_range(gw_pages(), 1, PAGES_MOST);
	/* The rest waits in the client's kernel. */
	assert_true(sim_unread(c) > LARGE - 64 * PAGE);
	sim_window(s, 0);
	sim_hold(s, false);
	sim_run_until_idle();
	assert_int_equal(sim_unread(c), 0);
	assert_true(sim_received(s).len > LARGE);
	sim_send(s, SL(ANSWER));
	assert_has(c, "hello");
	assert_ended(200, REASON_NONE);
	OK(gw_is_empty(false));
}

/* A slow upstream is not the client's fault: its limits do not run meanwhile. */
static void
test_slow_upstream_for_long(void **state)
{
	struct sim_conn *c, *s;
	char head[128];
	size_t n;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	n = (size_t)snprintf(head, sizeof head,
	    "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: %u\r\n\r\n", 40 * PIECE);
	sim_send(c, slice_of(head, n));
	s = server(SERVER);
	sim_window(s, 1000);
	sim_hold(s, true);
	send_pieces(c, 40 * PIECE);
	sim_run_until_idle();
	for (unsigned i = 0; i < 30; i++) {
		sim_advance(10 * 1000);
		sim_window(s, 1000);	/* it took what it had, and has room again */
		sim_run_until_idle();
		OK(sim_expect_open(c));
	}
	assert_int_equal(gw_requests(), 0);
	sim_window(s, 0);
	sim_hold(s, false);
	sim_run_until_idle();
	sim_send(s, SL(ANSWER));
	assert_has(c, "hello");
	assert_ended(200, REASON_NONE);
}

/* The client asks on and on and reads nothing: it is not read from for ever. */
static void
test_pipelining_without_reading(void **state)
{
	struct sim_conn *c;

	(void)state;
	OK(gw_start(CONF_LISTEN(", limits: { requests: unlimited }")
	    "routes: [ { path: /a, request_id: off, respond: { body: hi } } ]\n"));
	c = client();
	sim_window(c, 1000);
	sim_hold(c, true);
	for (unsigned i = 0; i < 20000; i++)
		sim_send(c, SL(GET));
	sim_run_until_idle();
	assert_true(gw_requests() < 200);
	assert_in_range(gw_pages(), 1, PAGES_MOST);
	sim_window(c, 0);
	sim_hold(c, false);
	sim_run_until_idle();
	assert_int_equal(gw_requests(), 20000);
	OK(gw_is_empty(false));
}

/* ---- too many clients ---- */

/* Of 20: from 18 on answers end their connections, and with 19 open the next is refused, in words
   and in the log. */
static void
test_connection_limit(void **state)
{
	enum { SHED = 18, REFUSED = 19 };
	struct sim_conn *c[REFUSED], *more;

	(void)state;
	OK(gw_start("limits: { connections: 20 }\n" CONF_LISTEN("")
	    "routes: [ { path: /a, request_id: off, respond: { body: hello } } ]\n"));
	for (unsigned i = 0; i < REFUSED; i++) {
		c[i] = client();
		sim_send(c[i], SL(GET));
		assert_has(c[i], "hello");
		assert_int_equal(has(c[i], "Connection: close\r\n"), i + 1 >= SHED);
		forget(c[i]);
		assert_int_equal(gw_clients(), i + 1);
	}
	more = client();
	sim_send(more, SL(GET));
	assert_has(more, "HTTP/1.1 503 Service Unavailable\r\n");
	assert_has(more, "Content-Type: application/problem+json\r\nRetry-After: 1\r\n");
	assert_has(more, "Proxy-Status: weir-gateway; error=connection_limit_reached; "
	    "details=\"connection_limit\"\r\n");
	assert_has(more, "\"status\":503,\"reason\":\"connection_limit\",\"request_id\":\"");
	assert_has(more, "Connection: close\r\n");
	assert_ended(503, REASON_CONNECTION_LIMIT);
	assert_int_equal(gw_requests(), REFUSED + 1);
	assert_int_equal(gw_clients(), REFUSED);
	/* One goes, one may come. */
	sim_close(c[0]);
	sim_run_until_idle();
	more = client();
	sim_send(more, SL(GET));
	assert_has(more, "hello");
	assert_ended(200, REASON_NONE);
}

/* ---- the upstream's connections ---- */

/* One request, so that an idle connection lies in the pool; its server's end. */
static struct sim_conn *
warm(struct sim_conn *c)
{
	struct sim_conn *s;

	s = asked(c);
	reply(s, c);
	assert_int_equal(gw_up_conns(), 1);
	return (s);
}

/* The server closes in the moment in which the request is written: once more, on a fresh one. */
static void
test_replay(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		if (i > 0)
			world_begin(state);
		OK(gw_start(CONF));
		c = client();
		s = warm(c);
		sim_send(c, SL(GET));
		sim_run_until_idle();
		assert_has(s, "GET /a");
		if (i == 0)
			sim_close(s);
		else
			sim_reset(s);
		s = server(SERVER);
		assert_has(s, "GET /a");
		sim_send(s, SL(ANSWER));
		assert_has(c, "hello");
		assert_ended(200, REASON_NONE);
		assert_int_equal(gw_last()->attempts, 2);
		assert_int_equal(sim_server_count(SERVER), 2);
		OK(gw_is_empty(false));
		if (i == 0)
			world_end(state);
	}
}

/* A body that has left goes out once more, and what had not left behind it. */
static void
test_replay_body(void **state)
{
	static const struct {
		const char *head, *first, *then, *want;
	} rows[] = {
		{ "Content-Length: 5\r\n", "abcde", "", "\r\n\r\nabcde" },
		{ "Content-Length: 8\r\n", "abc", "defgh", "\r\n\r\nabc" },
		{ "Content-Length: 3000\r\n", NULL, "", "xxxxxxxx" },
		{ "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n",
		    "2\r\nde\r\n0\r\nX-Sum: 7\r\n\r\n", "\r\n\r\n3\r\nabc\r\n" },
		{ "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n", "",
		    "abc\r\n0\r\nX-Sum: 7\r\n\r\n" },
		{ "Content-Length: 5\r\nExpect: 100-continue\r\n", "abcde", "",
		    "\r\n\r\nabcde" },
	};
	struct sim_conn *c, *s;
	size_t want_len;

	(void)state;
	memset(piece, 'x', sizeof piece);
	OK(gw_start(CONF));
	c = client();
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		s = warm(c);
		sim_send(c, SL("PUT /a HTTP/1.1\r\nHost: a\r\n"));
		sim_send(c, slice_str(rows[i].head));
		sim_send(c, SL("\r\n"));
		sim_send(c, rows[i].first == NULL ? slice_of(piece, 3000) : slice_str(rows[i].first));
		sim_run_until_idle();
		assert_has(s, rows[i].want);
		want_len = sim_received(s).len;
		sim_close(s);
		s = server(SERVER);
		assert_has(s, "PUT /a");
		assert_has(s, rows[i].want);
		assert_int_equal(sim_received(s).len, want_len);
		sim_send(c, slice_str(rows[i].then));
		sim_run_until_idle();
		assert_has(s, i == 1 ? "\r\n\r\nabcdefgh" : i == 3 ?
		    "3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 7\r\n\r\n" : rows[i].want);
		sim_send(s, SL(ANSWER));
		assert_has(c, "hello");
		assert_ended(200, REASON_NONE);
		assert_int_equal(gw_last()->attempts, 2);
		OK(gw_is_empty(false));
		sim_close(s);
		forget(c);
	}
}

/* As much as is kept, and a byte more. */
static void
test_replay_body_bound(void **state)
{
	char head[128];

	for (unsigned more = 0; more < 2; more++) {
		struct sim_conn *c, *s;
		size_t n, len = PIPE_KEPT_BYTES + more;

		if (more > 0)
			world_begin(state);
		OK(gw_start(CONF));
		c = client();
		s = warm(c);
		n = (size_t)snprintf(head, sizeof head,
		    "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", len);
		sim_send(c, slice_of(head, n));
		send_pieces(c, PIECE);
		sim_send(c, slice_of(piece, more));
		sim_run_until_idle();
		assert_true(sim_received(s).len > len);
		assert_in_range(gw_pages(), 1, PAGES_MOST);
		sim_close(s);
		sim_run_until_idle();
		assert_int_equal(sim_server_count(SERVER), more > 0 ? 1 : 2);
		if (more == 0) {
			s = server(SERVER);
			assert_true(sim_received(s).len > len);
			sim_send(s, SL(ANSWER));
			assert_has(c, "hello");
			assert_ended(200, REASON_NONE);
		} else {
			assert_has(c, "HTTP/1.1 502 ");
			assert_int_equal(gw_last()->attempts, 1);
		}
		OK(gw_is_empty(false));
		if (more == 0)
			world_end(state);
	}
}

/* An order is placed once: again only where the server cannot have read it. */
static void
test_replay_body_post(void **state)
{
	struct sim_conn *c, *s;

	for (unsigned unseen = 0; unseen < 2; unseen++) {
		if (unseen > 0)
			world_begin(state);
		OK(gw_start(CONF));
		c = client();
		s = warm(c);
		if (unseen > 0) {
			sim_window(s, 100000);
			sim_hold(s, true);
		}
		sim_send(c, SL("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde"));
		sim_run_until_idle();
		sim_close(s);
		if (unseen > 0)
			sim_reset(s);
		sim_advance(30);
		if (unseen > 0) {
			s = server(SERVER);
			assert_has(s, "\r\n\r\nabcde");
			sim_send(s, SL(ANSWER));
			assert_has(c, "hello");
			assert_ended(200, REASON_NONE);
		} else {
			assert_has(c, "HTTP/1.1 502 ");
			assert_int_equal(gw_last()->attempts, 1);
			assert_int_equal(sim_server_count(SERVER), 1);
		}
		OK(gw_is_empty(false));
		if (unseen == 0)
			world_end(state);
	}
}

/* Not a second time, and not once a byte of an answer has come. */
static void
test_no_second_replay(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	s = warm(c);
	sim_send(c, SL(GET));
	sim_run_until_idle();
	sim_close(s);
	s = server(SERVER);
	sim_close(s);
	assert_has(c, "HTTP/1.1 502 ");
	assert_ended(502, REASON_UPSTREAM_CLOSED);
	assert_int_equal(gw_last()->attempts, 2);
	forget(c);
	s = warm(c);
	sim_send(c, SL(GET));
	sim_run_until_idle();
	sim_send(s, SL("HTTP/1.1 2"));
	sim_close(s);
	assert_has(c, "HTTP/1.1 502 ");
	assert_int_equal(gw_last()->attempts, 1);
	OK(gw_is_empty(false));
}

/* An end that comes while it is idle is seen before it is used. */
static void
test_closed_while_idle(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	s = warm(c);
	sim_close(s);
	sim_run_until_idle();
	assert_int_equal(gw_up_conns(), 0);
	(void)warm(c);
	assert_int_equal(gw_last()->attempts, 1);
}

/* Bytes that nobody asked for: that connection is not used again. */
static void
test_bytes_while_idle(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	s = warm(c);
	sim_send(s, SL(ANSWER));
	sim_run_until_idle();
	assert_int_equal(gw_up_conns(), 0);
	OK(sim_expect_nothing(c));
}

static void
test_other_server(void **state)
{
	(void)state;
	OK(gw_start(CONF_TWO));
	sim_server(SERVER, SIM_REFUSE);
	for (unsigned i = 0; i < 8; i++) {
		struct sim_conn *c = client(), *s;

		sim_send(c, SL(GET));
		s = sim_server_take(SERVER_2);
		if (s != NULL) {
			assert_has(s, "GET /a");
			sim_send(s, SL(ANSWER));
			sim_run_until_idle();
			sim_close(s);
		}
		assert_has(c, "hello");
		assert_ended(200, REASON_NONE);
		assert_string_equal(gw_last()->server, SERVER_2);
	}
	assert_true(sim_server_count(SERVER) > 0);
	OK(gw_is_empty(false));
}

static void
test_other_server_after_timeout(void **state)
{
	struct sim_conn *c, *s = NULL;

	(void)state;
	OK(gw_start(CONF_TWO));
	sim_server(SERVER, SIM_BLACKHOLE);
	c = client();
	for (unsigned i = 0; i < 20 && sim_server_count(SERVER) == 0; i++) {
		sim_send(c, SL(GET));
		s = sim_server_take(SERVER_2);
		if (s != NULL) {
			sim_send(s, SL(ANSWER));
			assert_has(c, "hello");
			forget(c);
			sim_close(s);
			sim_run_until_idle();
		}
	}
	assert_int_equal(sim_server_count(SERVER), 1);
	sim_advance(3100);
	s = server(SERVER_2);
	sim_send(s, SL(ANSWER));
	assert_has(c, "hello");
	assert_ended(200, REASON_NONE);
	assert_int_equal(gw_last()->attempts, 2);
}

static void
test_no_server(void **state)
{
	struct sim_conn *c;

	(void)state;
	OK(gw_start(CONF_TWO));
	sim_server(SERVER, SIM_REFUSE);
	sim_server(SERVER_2, SIM_REFUSE);
	c = client();
	sim_send(c, SL(GET));
	assert_has(c, "HTTP/1.1 503 ");
	assert_has(c, "error=connection_refused; details=\"upstream_connect_failed\"");
	assert_ended(503, REASON_UPSTREAM_CONNECT_FAILED);
	assert_int_equal(gw_last()->attempts, 2);
	OK(gw_is_empty(false));
}

/* ---- the drain ---- */

static void
test_drain(void **state)
{
	struct sim_conn *idle, *busy, *half, *fresh, *s;

	(void)state;
	OK(gw_start(CONF));
	idle = client();
	s = warm(idle);
	sim_close(s);
	busy = client();
	s = asked(busy);
	half = client();
	sim_send(half, slice_of(GET, 12));
	fresh = client();
	sim_run_until_idle();
	gw_drain();
	assert_null(sim_client_connect(8080));
	OK(sim_expect_closed(idle));
	/* What was begun is finished, and said to be the last. */
	sim_send(s, SL(ANSWER));
	assert_has(busy, "hello");
	assert_has(busy, "Connection: close\r\n");
	forget(busy);
	OK(sim_expect_fin(busy));	/* and read to its end */
	sim_close(busy);
	OK(sim_expect_closed(busy));
	forget(s);
	sim_send(half, slice_of(&GET[12], sizeof GET - 1 - 12));
	sim_run_until_idle();
	assert_has(s, "GET /a");
	sim_send(s, SL(ANSWER));
	assert_has(half, "hello");
	assert_has(half, "Connection: close\r\n");
	sim_advance(10 * 1000);
	OK(sim_expect_closed(fresh));
	OK(gw_is_empty(true));
}

/* The process ends when the last connection has gone, not sooner. */
static void
test_drain_ends_with_the_last(void **state)
{
	struct sim_conn *busy, *s;

	(void)state;
	OK(gw_start(CONF));
	busy = client();
	s = asked(busy);
	gw_drain();
	sim_advance(10 * 1000);
	assert_false(gw_drain_is_over());
	sim_send(s, SL(ANSWER));
	assert_has(busy, "hello");
	sim_close(busy);
	sim_advance(500);
	assert_true(gw_drain_is_over());
	assert_ended(200, REASON_NONE);
}

/* A client in the middle of a request. */
struct unfinished {
	const char	*sent;
	const char	*answered;	/* by the server; NULL: it is not asked */
};

static void
begin_unfinished(const struct unfinished *u, struct sim_conn **c_r)
{
	*c_r = client();
	sim_send(*c_r, slice_str(u->sent));
	if (u->answered != NULL)
		sim_send(server(SERVER), slice_str(u->answered));
	sim_run_until_idle();
}

/* What is not over in time is reset, wherever it is, and logged with that reason. A head that is
   not whole is no request yet. */
static void
test_drain_time_is_over(void **state)
{
	static const struct unfinished all[] = {
		{ "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", "" },
		{ GET, "" },
		{ GET, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc" },
		{ GET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n" },
		{ "GET /a HTTP/1.1\r\nHo", NULL },
	};
	enum { N = sizeof all / sizeof all[0], REQUESTS = N - 1 };
	struct sim_conn *c[N];
	unsigned begun = 0;

	(void)state;
	OK(gw_start(CONF_LISTEN(", timeout: { body_idle: 10m, headers: 10m }, min_rate: off")
	    CONF_SERVERS("\"" SERVER "\"") CONF_ROUTE(", timeout: { idle: 10m, first_byte: 10m }")));
	for (unsigned i = 0; i < N; i++)
		begin_unfinished(&all[i], &c[i]);
	gw_drain();
	sim_advance(DRAIN_MS - 1);
	assert_false(gw_drain_is_over());
	for (unsigned i = 0; i < N; i++)
		OK(sim_expect_open(c[i]));
	sim_advance(1);
	assert_true(gw_drain_is_over());
	gw_stop();
	for (unsigned i = 0; i < N; i++)
		OK(sim_expect_reset(c[i]));
	assert_int_equal(gw_requests(), REQUESTS);
	for (unsigned i = 0; i < REQUESTS; i++) {
		assert_int_equal(gw_log(i)->reason, REASON_DRAINING);
		begun += gw_log(i)->status == 200;
	}
	assert_int_equal(begun, 2);
}

/* SIGINT, while it drains. */
static void
test_drain_stopped(void **state)
{
	struct sim_conn *c;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	sim_send(c, SL(GET));
	(void)server(SERVER);
	gw_drain();
	sim_advance(1000);
	gw_stop();
	OK(sim_expect_reset(c));
	assert_ended(0, REASON_DRAINING);
}

/* A reload closes nothing, and the removed listener's connections finish. */
static void
test_reload(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	(void)warm(c);
	sim_send(c, SL(GET));
	sim_run_until_idle();
	OK(gw_reload("version: 1\nlog: { access: off }\nlisteners: { new: { listen: 8081 } }\n"
	    "upstreams: { b: { servers: [\"" SERVER_2 "\"] } }\n"
	    "routes: [ { prefix: /, upstream: b, request_id: off } ]\n"));
	assert_null(sim_client_connect(8080));
	assert_non_null(s = sim_client_connect(8081));
	sim_send(s, SL("GET /b HTTP/1.1\r\nHost: b\r\n\r\n"));
	assert_has(server(SERVER_2), "GET /b");
	OK(sim_expect_open(c));
	OK(sim_expect_nothing(c));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_slow_reader),
		TEST(test_slow_upstream),
		TEST(test_slow_upstream_for_long),
		TEST(test_pipelining_without_reading),
		TEST(test_connection_limit),
		TEST(test_replay),
		TEST(test_replay_body),
		TEST(test_replay_body_bound),
		TEST(test_replay_body_post),
		TEST(test_no_second_replay),
		TEST(test_closed_while_idle),
		TEST(test_bytes_while_idle),
		TEST(test_other_server),
		TEST(test_other_server_after_timeout),
		TEST(test_no_server),
		TEST(test_drain),
		TEST(test_drain_ends_with_the_last),
		TEST(test_drain_time_is_over),
		TEST(test_drain_stopped),
		TEST(test_reload),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

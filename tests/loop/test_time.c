/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/loop/lib.h"

/* Every limit of time and rate, with the reason that it ends in: in the log and for the client. */

#define POST_HEAD	"POST /a HTTP/1.1\r\nHost: example.org\r\nContent-Length: 1000000\r\n\r\n"

enum {
	S = 1000	/* ms */
};

/* The answer is ours and says why. */
static void
assert_refused(struct sim_conn *c, unsigned status, enum reason reason)
{
	const struct reason_info *info = reason_info(reason);
	char text[160];

	(void)snprintf(text, sizeof text, "HTTP/1.1 %u ", status);
	assert_has(c, text);
	(void)snprintf(text, sizeof text, "weir-gateway; error=%.*s; details=\"%.*s\"",
	    (int)info->proxy_error.len, info->proxy_error.p, (int)info->name.len, info->name.p);
	assert_has(c, text);
	assert_ended(status, reason);
}

/* A moment before the limit nothing has happened, a moment after it has. */
static void
pass_limit(struct sim_conn *c, uint64_t ms)
{
	sim_advance(ms - 20);
	OK(sim_expect_open(c));
	OK(sim_expect_nothing(c));
	sim_advance(40);
}

/* ---- the client's side ---- */

static void
test_silent_client(void **state)
{
	struct sim_conn *c;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	sim_run_until_idle();
	pass_limit(c, 10 * S);
	OK(sim_expect_closed(c));
	assert_int_equal(gw_requests(), 0);
	OK(gw_is_empty(true));
}

/* Bytes that drip in do not extend it. */
static void
test_headers(void **state)
{
	struct sim_conn *c;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	sim_advance(5 * S);
	for (unsigned i = 0; i < 9; i++) {
		sim_send(c, slice_of(&GET[i], 1));
		sim_advance(1 * S);
		OK(sim_expect_open(c));
	}
	pass_limit(c, 1 * S);
	assert_refused(c, 408, REASON_CLIENT_TIMEOUT);
	assert_has(c, "Connection: close\r\n");
	assert_int_equal(gw_requests(), 1);
	sim_close(c);
	OK(gw_is_empty(true));
}

/* The limit of a later request's head counts from its first byte. */
static void
test_headers_of_second(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	s = asked(c);
	sim_send(s, SL(ANSWER));
	forget(c);
	sim_advance(60 * S);
	sim_send(c, slice_of(GET, 10));
	pass_limit(c, 10 * S);
	assert_refused(c, 408, REASON_CLIENT_TIMEOUT);
}

/* Or, where it came before the one in front of it was answered, from then on. */
static void
test_headers_of_pipelined(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF));
	for (unsigned more = 0; more < 2; more++) {
		c = client();
		sim_send(c, SL(GET));
		sim_send(c, slice_of(GET, 10));
		s = server(SERVER);
		sim_advance(5 * S);
		sim_send(s, SL(ANSWER));
		sim_run_until_idle();
		forget(c);
		sim_advance(5 * S);
		if (more)	/* which does not gain it time */
			sim_send(c, slice_of(&GET[10], 1));
		pass_limit(c, 5 * S);
		assert_refused(c, 408, REASON_CLIENT_TIMEOUT);
		assert_int_equal(gw_last()->duration_ms, 10 * S);
		sim_close(s);
	}
}

/* An empty line behind a request, as some clients send, is no head that begins. */
static void
test_empty_line_behind(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	sim_send(c, SL(GET "\r\n"));
	s = server(SERVER);
	sim_send(s, SL(ANSWER));
	sim_run_until_idle();
	forget(c);
	sim_advance(30 * S);
	sim_send(c, SL(GET));
	forget(s);
	sim_send(s, SL(ANSWER));
	assert_has(c, "hello");
	assert_ended(200, REASON_NONE);
	assert_int_equal(gw_last()->duration_ms, 0);
	forget(c);
	sim_send(c, SL("\r\n"));
	pass_limit(c, 75 * S);
	OK(sim_expect_closed(c));
	assert_int_equal(gw_requests(), 2);
}

/* A drain waits for a head that has begun, however it came. */
static void
test_drain_in_head_of_pipelined(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	sim_send(c, SL(GET));
	sim_send(c, slice_of(GET, 10));
	s = server(SERVER);
	sim_send(s, SL(ANSWER));
	sim_run_until_idle();
	forget(c);
	forget(s);
	gw_drain();
	sim_run_until_idle();
	OK(sim_expect_open(c));
	sim_send(c, slice_of(&GET[10], sizeof GET - 11));
	sim_run_until_idle();
	assert_has(s, "GET /a");
	sim_send(s, SL(ANSWER));
	assert_has(c, "Connection: close\r\n");
	assert_ended(200, REASON_NONE);
}

static void
test_body_idle(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF_LISTEN(", min_rate: off") CONF_SERVERS("\"" SERVER "\"") CONF_ROUTE("")));
	c = client();
	sim_send(c, SL(POST_HEAD "some"));
	s = server(SERVER);
	for (unsigned i = 0; i < 5; i++) {
		sim_advance(25 * S);
		sim_send(c, SL("more"));
	}
	sim_run_until_idle();
	pass_limit(c, 30 * S);
	assert_refused(c, 408, REASON_CLIENT_TIMEOUT);
	OK(sim_expect_reset(s));
	sim_close(c);
	OK(gw_is_empty(true));
}

static void
test_body_min_rate(void **state)
{
	struct sim_conn *c;
	unsigned i;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	sim_send(c, SL(POST_HEAD));
	for (i = 0; i < 60 && gw_requests() == 0; i++) {
		sim_send(c, SL("0123456789"));
		sim_advance(1 * S);
	}
	/* Grace is 30 s; it is looked at no later than a grace after that. */
	assert_true(i >= 30);
	assert_refused(c, 408, REASON_CLIENT_TOO_SLOW);
}

/* Slow, but above the least rate: it is left alone. */
static void
test_body_above_min_rate(void **state)
{
	struct sim_conn *c;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	sim_send(c, SL(POST_HEAD));
	for (unsigned i = 0; i < 200; i++) {
		char some[300];

		memset(some, 'x', sizeof some);
		sim_send(c, slice_of(some, sizeof some));
		sim_advance(1 * S);
	}
	OK(sim_expect_open(c));
	OK(sim_expect_nothing(c));
	assert_int_equal(gw_requests(), 0);
}

static void
send_large_answer(struct sim_conn *s, size_t n)
{
	char head[80], *p = malloc(n);

	memset(p, 'x', n);
	sim_send(s, slice_of(head, (size_t)snprintf(head, sizeof head,
	    "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", n)));
	sim_send(s, slice_of(p, n));
	free(p);
}

/* The client takes n bytes each second. True when the request has ended within so many. */
static bool
read_slowly(struct sim_conn *c, size_t n, unsigned seconds)
{
	sim_window(c, n);
	for (unsigned i = 0; i < seconds && gw_requests() == 0; i++) {
		sim_hold(c, true);
		sim_advance(1 * S);
		sim_hold(c, false);
		/* One step of the network: with no limit held it would be taken over and over. */
		sim_window(c, n);
		sim_hold(c, true);
		sim_run_until_idle();
	}
	return (gw_requests() > 0);
}

static struct sim_conn *
start_large(struct sim_conn **c, const char *conf, size_t n)
{
	struct sim_conn *s;

	OK(gw_start(conf));
	*c = client();
	sim_window(*c, 1000);
	sim_hold(*c, true);
	sim_send(*c, SL(GET));
	s = server(SERVER);
	send_large_answer(s, n);
	sim_run_until_idle();
	return (s);
}

static void
test_reader_above_min_rate(void **state)
{
	struct sim_conn *c;

	(void)state;
	(void)start_large(&c, CONF, 100 * 1000);
	assert_true(read_slowly(c, 1000, 200));
	assert_ended(200, REASON_NONE);
	assert_int_equal(gw_last()->bytes_out, 100 * 1000);
}

static void
test_reader_min_rate(void **state)
{
	struct sim_conn *c;

	(void)state;
	(void)start_large(&c, CONF, 100 * 1000);
	assert_true(read_slowly(c, 20, 90));
	assert_ended(200, REASON_CLIENT_TOO_SLOW);
	OK(sim_expect_reset(c));
	OK(gw_is_empty(true));
}

/* Behind a large buffer of the kernel a slow client is heard of only now and then. */
static void
test_reader_behind_buffer(void **state)
{
	struct sim_conn *c;

	(void)state;
	(void)start_large(&c, CONF, 4 * 1000 * 1000);
	sim_window(c, 1000 * 1000);
	sim_run_until_idle();
	for (unsigned i = 0; i < 200; i++) {
		sim_take(c, 5000);
		sim_advance(1 * S);
		OK(sim_expect_open(c));
	}
	/* 20 bytes a second are not enough, however large the buffer is. */
	for (unsigned i = 0; i < 90 && gw_requests() == 0; i++) {
		sim_take(c, 20);
		sim_advance(1 * S);
	}
	assert_ended(200, REASON_CLIENT_TOO_SLOW);
	OK(sim_expect_reset(c));
	OK(gw_is_empty(true));
}

/* The same without a least rate: it is the silence that counts. */
static void
test_silence_behind_buffer(void **state)
{
	struct sim_conn *c;

	(void)state;
	(void)start_large(&c, CONF_LISTEN(", min_rate: off") CONF_SERVERS("\"" SERVER "\"")
	    CONF_ROUTE(""), 4 * 1000 * 1000);
	sim_window(c, 1000 * 1000);
	sim_run_until_idle();
	for (unsigned i = 0; i < 20; i++) {
		sim_take(c, 1);
		sim_advance(50 * S);
		OK(sim_expect_open(c));
	}
	sim_advance(65 * S);
	assert_int_equal(gw_requests(), 1);
	assert_ended(200, REASON_CLIENT_STALLED);
	OK(sim_expect_reset(c));
}

static void
test_write_idle(void **state)
{
	struct sim_conn *c;

	(void)state;
	(void)start_large(&c, CONF_LISTEN(", min_rate: off") CONF_SERVERS("\"" SERVER "\"")
	    CONF_ROUTE(", timeout: { idle: unlimited }"), 100 * 1000);
	sim_advance(59 * S);
	OK(sim_expect_open(c));
	sim_advance(2 * S);
	OK(sim_expect_reset(c));
	assert_ended(200, REASON_CLIENT_STALLED);
	OK(gw_is_empty(true));
}

static void
test_keepalive(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	s = asked(c);
	sim_send(s, SL(ANSWER));
	forget(c);
	pass_limit(c, 75 * S);
	OK(sim_expect_closed(c));
	assert_int_equal(gw_requests(), 1);
	OK(gw_is_empty(true));
}

static void
test_requests(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF_LISTEN(", limits: { requests: 3 }") CONF_SERVERS("\"" SERVER "\"")
	    CONF_ROUTE("")));
	c = client();
	sim_send(c, SL(GET GET GET GET));
	s = server(SERVER);
	for (unsigned i = 1; i <= 3; i++) {
		sim_send(s, SL(ANSWER));
		assert_has(c, "hello");
		assert_int_equal(has(c, "Connection: close\r\n"), i == 3);
		forget(c);
	}
	OK(sim_expect_fin(c));
	sim_close(c);
	OK(gw_is_empty(true));
	assert_int_equal(gw_requests(), 3);
}

static void
test_age(void **state)
{
	struct sim_conn *c, *s = NULL;
	unsigned i;

	(void)state;
	OK(gw_start(CONF_LISTEN(", limits: { age: 100s }") CONF_SERVERS("\"" SERVER "\"")
	    CONF_ROUTE("")));
	c = client();
	for (i = 0; i < 20; i++) {
		bool last;

		sim_send(c, SL(GET));
		if (s == NULL)
			s = server(SERVER);
		sim_run_until_idle();
		sim_send(s, SL(ANSWER));
		assert_has(c, "hello");
		last = has(c, "Connection: close\r\n");
		forget(c);
		if (last)
			break;
		sim_advance(10 * S);
	}
	assert_in_range(i, 9, 11);
	/* The client did not ask for the end: what it may have sent meanwhile is read, a moment. */
	sim_advance(3 * S);
	OK(sim_expect_closed(c));
}

/* ---- the upstream's side ---- */

static void
test_connect(void **state)
{
	struct sim_conn *c;

	(void)state;
	OK(gw_start(CONF));
	sim_server(SERVER, SIM_BLACKHOLE);
	c = client();
	sim_send(c, SL(GET));
	sim_run_until_idle();
	pass_limit(c, 3 * S);
	assert_refused(c, 504, REASON_UPSTREAM_CONNECT_TIMEOUT);
	OK(sim_expect_open(c));
	assert_int_equal(gw_up_conns(), 0);
	OK(gw_is_empty(false));
}

static void
test_first_byte(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	s = asked(c);
	pass_limit(c, 15 * S);
	assert_refused(c, 504, REASON_UPSTREAM_TIMEOUT);
	OK(sim_expect_reset(s));
	OK(sim_expect_open(c));
	OK(gw_is_empty(false));
}

/* The first byte is awaited from when the whole request has gone. */
static void
test_first_byte_after_body(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	sim_send(c, SL("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n"));
	s = server(SERVER);
	for (unsigned i = 0; i < 20; i++) {
		char some[1000];

		memset(some, 'x', sizeof some);
		sim_send(c, slice_of(some, sizeof some));
		sim_advance(2 * S);
	}
	OK(sim_expect_nothing(c));
	sim_advance(12 * S);
	OK(sim_expect_nothing(c));
	sim_advance(2 * S);
	assert_refused(c, 504, REASON_UPSTREAM_TIMEOUT);
	OK(sim_expect_reset(s));
}

static void
test_idle(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	s = asked(c);
	sim_send(s, SL("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"));
	for (unsigned i = 0; i < 4; i++) {
		sim_send(s, SL("more"));
		sim_advance(50 * S);
		OK(sim_expect_open(c));
	}
	sim_advance(9 * S);
	OK(sim_expect_open(c));
	sim_advance(2 * S);
	OK(sim_expect_reset(c));
	OK(sim_expect_reset(s));
	assert_ended(200, REASON_UPSTREAM_IDLE);
	assert_int_equal(gw_last()->bytes_out, 16);
	OK(gw_is_empty(true));
}

/* ---- what is quiet by nature ---- */

#define ASK(fields)	"GET /a HTTP/1.1\r\nHost: example.org\r\n" fields "\r\n"
#define EVENTS		ASK("Accept: application/json, Text/Event-Stream;q=0.9\r\n")
#define SOCKET		ASK("Connection: Upgrade\r\nUpgrade: websocket\r\n")
#define GRPC		"POST /a HTTP/1.1\r\nHost: example.org\r\nContent-Length: 1\r\n"	\
			"Content-Type: application/grpc-web+proto\r\n\r\nx"
#define SWITCHED	"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
/* as in the file that we ship */
#define CONF_DEFAULTS	"defaults: { timeout: { first_byte: 15s, idle: 60s } }\n"
#define CONF_OWN(t)	CONF_LISTEN("") CONF_SERVERS("\"" SERVER "\"")	\
			CONF_ROUTE(", timeout: { " t " }")

static struct sim_conn *
ask(const char *request, struct sim_conn **s)
{
	struct sim_conn *c = client();

	sim_send(c, slice_str(request));
	*s = server(SERVER);
	return (c);
}

static void
test_first_byte_of_streams(void **state)
{
	static const char *const requests[] = { EVENTS, SOCKET, GRPC };
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF CONF_DEFAULTS));
	for (unsigned i = 0; i < sizeof requests / sizeof requests[0]; i++) {
		c = ask(requests[i], &s);
		pass_limit(c, 300 * S);
		assert_int_equal(gw_last()->reason, REASON_UPSTREAM_TIMEOUT);
		OK(sim_expect_reset(s));
		sim_close(c);
		OK(gw_is_empty(true));
	}
	/* Something like it is not it. */
	c = ask(ASK("Accept: text/event-streams, text/html\r\n"), &s);
	pass_limit(c, 15 * S);
	assert_refused(c, 504, REASON_UPSTREAM_TIMEOUT);
}

static void
test_first_byte_on_route(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF_OWN("first_byte: 2s")));
	c = ask(EVENTS, &s);
	pass_limit(c, 2 * S);
	assert_refused(c, 504, REASON_UPSTREAM_TIMEOUT);
	OK(gw_reload(CONF_OWN("first_byte: unlimited")));
	c = ask(EVENTS, &s);
	sim_advance(7200 * S);
	OK(sim_expect_nothing(c));
	sim_close(c);
	sim_run_until_idle();
	OK(gw_reload(CONF_OWN("idle: unlimited")));
	c = ask(EVENTS, &s);
	sim_advance(7200 * S);
	OK(sim_expect_nothing(c));
	sim_send(s, SL(ANSWER));
	assert_has(c, "hello");
	assert_int_equal(gw_last()->bytes_in, 0);
	assert_int_equal(gw_last()->bytes_out, 5);
}

/* Says something after each 4/5 of the limit; then nothing. The client has asked. */
static void
fall_silent(struct sim_conn *c, struct sim_conn *s, uint64_t idle_ms)
{
	for (unsigned i = 0; i < 3; i++) {
		sim_advance(idle_ms / 5 * 4);
		OK(sim_expect_open(c));
		sim_send(s, SL("more"));
	}
	sim_advance(idle_ms - 20);
	OK(sim_expect_open(c));
	sim_advance(40);
	OK(sim_expect_reset(c));
	OK(sim_expect_reset(s));
	assert_int_equal(gw_last()->reason, REASON_UPSTREAM_IDLE);
	OK(gw_is_empty(true));
}

static void
test_idle_of_streams(void **state)
{
	static const struct {
		const char *conf, *request, *answer;
		unsigned idle_s;
	} v[] = {
#define BODY	"Content-Length: 1000\r\n\r\n"
#define TYPE(t)	"HTTP/1.1 200 OK\r\nContent-Type: " t "\r\n" BODY
		{ CONF CONF_DEFAULTS, GET, TYPE("text/event-stream; charset=utf-8"), 300 },
		{ CONF CONF_DEFAULTS, GRPC, TYPE("application/grpc-web"), 300 },
		{ CONF CONF_DEFAULTS, SOCKET, SWITCHED, 3600 },
		{ CONF CONF_DEFAULTS, SOCKET, TYPE("text/html"), 60 },
		{ CONF CONF_DEFAULTS, EVENTS, TYPE("application/json"), 60 },
		{ CONF_OWN("idle: 20s"), GET, TYPE("text/event-stream"), 20 },
		{ CONF_OWN("idle: 20s"), SOCKET, SWITCHED, 20 },
		{ CONF_OWN("idle: 2h"), SOCKET, SWITCHED, 7200 },
		{ CONF "defaults: { timeout: { idle: 2h } }\n", EVENTS, TYPE("text/event-stream"),
			7200 },
#undef TYPE
#undef BODY
	};
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF));
	for (unsigned i = 0; i < sizeof v / sizeof v[0]; i++) {
		OK(gw_reload(v[i].conf));
		c = ask(v[i].request, &s);
		sim_send(s, slice_str(v[i].answer));
		fall_silent(c, s, v[i].idle_s * (uint64_t)S);
	}
}

static void
test_total(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF_LISTEN("") CONF_SERVERS("\"" SERVER "\"")
	    CONF_ROUTE(", timeout: { total: 5s }")));
	c = client();
	s = asked(c);
	pass_limit(c, 5 * S);
	assert_refused(c, 504, REASON_TOTAL_TIMEOUT);
	OK(sim_expect_reset(s));
	OK(sim_expect_open(c));
	forget(c);
	/* And in the middle of an answer: cut. */
	s = asked(c);
	sim_send(s, SL("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"));
	for (unsigned i = 0; i < 4; i++) {
		sim_send(s, SL("more"));
		sim_advance(1 * S);
		OK(sim_expect_open(c));
	}
	sim_advance(1100);
	OK(sim_expect_reset(c));
	assert_ended(200, REASON_TOTAL_TIMEOUT);
	OK(gw_is_empty(true));
}

/* Connections kept for later requests are closed before the server does it. */
static void
test_pool_idle(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	s = asked(c);
	sim_send(s, SL(ANSWER));
	assert_has(c, "hello");
	sim_close(c);
	forget(s);
	pass_limit(s, 55 * S);
	OK(sim_expect_closed(s));
	assert_int_equal(gw_up_conns(), 0);
}

/* After a jump in time (a stopped machine) all that is due ends, once. */
static void
test_stall(void **state)
{
	struct sim_conn *c[4], *s;

	(void)state;
	OK(gw_start(CONF));
	for (unsigned i = 0; i < 4; i++)
		c[i] = client();
	sim_send(c[0], SL(GET));
	sim_send(c[1], slice_of(GET, 8));
	sim_send(c[2], SL(POST_HEAD));
	s = server(SERVER);
	sim_stall(3600 * S);
	sim_run_until_idle();
	assert_int_equal(gw_requests(), 3);
	OK(sim_expect_reset(s));
	for (unsigned i = 0; i < 4; i++)
		sim_close(c[i]);
	OK(gw_is_empty(true));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_silent_client),
		TEST(test_headers),
		TEST(test_headers_of_second),
		TEST(test_headers_of_pipelined),
		TEST(test_empty_line_behind),
		TEST(test_drain_in_head_of_pipelined),
		TEST(test_body_idle),
		TEST(test_body_min_rate),
		TEST(test_body_above_min_rate),
		TEST(test_reader_above_min_rate),
		TEST(test_reader_min_rate),
		TEST(test_reader_behind_buffer),
		TEST(test_silence_behind_buffer),
		TEST(test_write_idle),
		TEST(test_keepalive),
		TEST(test_requests),
		TEST(test_age),
		TEST(test_connect),
		TEST(test_first_byte),
		TEST(test_first_byte_after_body),
		TEST(test_first_byte_of_streams),
		TEST(test_first_byte_on_route),
		TEST(test_idle_of_streams),
		TEST(test_idle),
		TEST(test_total),
		TEST(test_pool_idle),
		TEST(test_stall),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

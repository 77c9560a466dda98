/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/proxy/mirror.h"
#include "tests/loop/lib.h"

/* Copies of requests for another upstream: what it sees, and that nobody else notices. */

#define UPSTREAMS	"upstreams: { app: { servers: [\"" SERVER "\"] }, "	\
			"copy: { servers: [\"" SERVER_2 "\"] } }\n"
#define CONF_MIRROR(more)	CONF_LISTEN("") UPSTREAMS CONF_ROUTE(more)
#define MIRRORED	CONF_MIRROR(", mirror: { upstream: copy }")

#define POST(n)		"POST /form HTTP/1.1\r\nHost: example.org\r\nContent-Length: " #n "\r\n\r\n"
#define CHUNKED		"POST /up HTTP/1.1\r\nHost: example.org\r\nExpect: 100-continue\r\n"	\
			"Transfer-Encoding: chunked\r\n\r\n"
#define CHUNKS		"4\r\nname\r\n7\r\n=weaver\r\n0\r\nX-Sum: 1\r\n\r\n"

enum {
	FIRST_BYTE_MS = 15000,
	IDLE_MS = 60000,
	DRAIN_MS = 30000
};

static void
send_bytes(struct sim_conn *c, char byte, size_t n)
{
	char *p = malloc(n);

	memset(p, byte, n);
	sim_send(c, slice_of(p, n));
	free(p);
}

static void
assert_mirrored(const char *result, int64_t n)
{
	if (gw_mirrored(result) != n)
		fail_msg("%lld %s, not %lld", (long long)gw_mirrored(result), result, (long long)n);
}

/* This client's next request comes, on the connection that is there, and is answered. */
static void
next(struct sim_conn *c, struct sim_conn *s)
{
	sim_send(c, SL(GET));
	sim_run_until_idle();
	reply(s, c);
}

/* The copy is what the server got, all of it. */
static void
assert_same(struct sim_conn *copy, struct sim_conn *s)
{
	struct slice a = sim_received(s), b = sim_received(copy);

	if (a.len != b.len || memcmp(a.p, b.p, a.len) != 0)
		fail_msg("\"%.*s\" is no copy of \"%.*s\"", (int)b.len, b.p, (int)a.len, a.p);
}

/* ---- what it sees ---- */

static void
test_head(void **state)
{
	struct sim_conn *c, *s, *copy;

	(void)state;
	OK(gw_start(CONF_MIRROR(", mirror: { upstream: copy }, request_headers: { set: { x-a: b }, "
	    "remove: [x-c] }, rewrite: { prefix: /new }")));
	c = client();
	sim_send(c, SL("GET /a?b=c HTTP/1.1\r\nHost: example.org\r\nX-C: d\r\nX-E: f\r\n\r\n"));
	s = server(SERVER);
	copy = server(SERVER_2);
	assert_has(copy, "GET /new/a?b=c HTTP/1.1\r\n");
	assert_has(copy, "Host: example.org\r\n");
	assert_has(copy, "x-a: b\r\n");
	assert_has(copy, "X-E: f\r\n");
	assert_has(copy, "X-Forwarded-For: ");
	assert_false(has(copy, "X-C"));
	assert_same(copy, s);
	reply(s, c);
	sim_send(copy, SL(ANSWER));
	OK(sim_expect_nothing(c));
	OK(gw_is_empty(false));
	assert_int_equal(gw_requests(), 1);	/* of the log */
	assert_mirrored("ok", 1);
	/* Both connections are kept, and serve the next one. */
	forget(copy);
	sim_send(c, SL(GET));
	assert_has(copy, "GET /new/a HTTP/1.1\r\n");
	reply(s, c);
	sim_send(copy, SL("HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"));
	OK(gw_is_empty(false));
	assert_int_equal(gw_up_conns(), 2);
	assert_mirrored("ok", 2);
}

static void
test_host_of_the_server(void **state)
{
	struct sim_conn *c;

	(void)state;
	OK(gw_start(CONF_MIRROR(", host: upstream, mirror: { upstream: copy }")));
	c = client();
	sim_send(c, SL(GET));
	assert_has(server(SERVER), "Host: " SERVER "\r\n");
	assert_has(server(SERVER_2), "Host: " SERVER_2 "\r\n");
}

/* In pieces of any size, so that the body begins in the head's page or in one of its own. */
static void
test_bodies(void **state)
{
	static const size_t sizes[] = { 0, 1, 7, 300 };

	(void)state;
	OK(gw_start(MIRRORED));
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct sim_conn *c = client(), *s, *copy;

		sim_chunk(c, sizes[i]);
		sim_send(c, SL(POST(20000)));
		send_bytes(c, 'x', 20000);
		s = server(SERVER);
		copy = server(SERVER_2);
		assert_same(copy, s);
		sim_close(c);
		sim_reset(s);
		sim_send(copy, SL(ANSWER));
		sim_close(copy);
		OK(gw_is_empty(true));
		assert_mirrored("ok", (int64_t)i + 1);
	}
}

static bool
ends_with(struct sim_conn *c, const char *text)
{
	struct slice got = sim_received(c);
	size_t n = strlen(text);

	return (got.len >= n && memcmp(got.p + got.len - n, text, n) == 0);
}

/* Chunks are put together anew, so only what they say is the same. And the copy waits for no 100. */
static void
test_chunks(void **state)
{
	struct sim_conn *c, *s, *copy;

	(void)state;
	OK(gw_start(MIRRORED));
	c = client();
	sim_send(c, SL(CHUNKED));
	s = server(SERVER);
	assert_has(s, "Expect: 100-continue\r\n");
	sim_send(s, SL("HTTP/1.1 100 Continue\r\n\r\n"));
	assert_int_equal(sim_server_count(SERVER_2), 0);
	sim_chunk(c, 1);
	sim_send(c, SL(CHUNKS));
	copy = server(SERVER_2);
	assert_has(copy, "Transfer-Encoding: chunked\r\n");
	assert_false(has(copy, "Expect"));
	assert_true(ends_with(copy, "\r\n\r\nb\r\nname=weaver\r\n0\r\nX-Sum: 1\r\n\r\n"));
	sim_send(s, SL(ANSWER));
	assert_has(c, "hello");
	sim_send(copy, SL(ANSWER));
	OK(gw_is_empty(false));
	assert_mirrored("ok", 1);
}

/* More pieces than a pipe has places, up to the last byte that is taken. */
static void
test_many_chunks(void **state)
{
	enum { CHUNK = 64, N = MIRROR_BODY_MAX / CHUNK };
	struct sim_conn *c, *copy;
	char chunk[CHUNK + 16];
	size_t n = (size_t)snprintf(chunk, sizeof chunk, "%x\r\n%0*d\r\n", (unsigned)CHUNK, CHUNK, 7);
	size_t bytes = 0;

	(void)state;
	OK(gw_start(MIRRORED));
	c = client();
	sim_send(c, SL(CHUNKED));
	for (unsigned i = 0; i < N; i++)
		sim_send(c, slice_of(chunk, n));
	assert_int_equal(sim_server_count(SERVER_2), 0);
	sim_send(c, SL("0\r\n\r\n"));
	copy = server(SERVER_2);
	for (struct slice s = sim_received(copy); s.len > 0; s = slice_skip(s, 1))
		bytes += s.p[0] == '0' || s.p[0] == '7';
	assert_in_range(bytes, MIRROR_BODY_MAX, MIRROR_BODY_MAX + 128);	/* and some in the head */
	sim_send(copy, SL(ANSWER));
	OK(sim_expect_open(copy));
	assert_mirrored("ok", 1);
}

static void
test_too_large(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(MIRRORED));
	/* By its length. */
	c = client();
	sim_send(c, SL(POST(65537)));
	send_bytes(c, 'x', 65537);
	s = server(SERVER);
	sim_send(s, SL(ANSWER));
	assert_has(c, "hello");
	sim_close(c);
	sim_close(s);
	assert_mirrored("too_large", 1);
	/* As it comes. */
	c = client();
	sim_send(c, SL(CHUNKED "10001\r\n"));
	send_bytes(c, 'x', 65537);
	sim_send(c, SL("\r\n0\r\n\r\n"));
	s = server(SERVER);
	assert_true(ends_with(s, "x\r\n0\r\n\r\n"));
	sim_send(s, SL(ANSWER));
	assert_has(c, "hello");
	sim_close(c);
	sim_close(s);
	assert_mirrored("too_large", 2);
	assert_int_equal(sim_server_count(SERVER_2), 0);
	OK(gw_is_empty(true));
}

/* ---- that nobody notices ---- */

static void
test_dead(void **state)
{
	struct sim_conn *c;

	(void)state;
	sim_server(SERVER_2, SIM_REFUSE);
	OK(gw_start(MIRRORED));
	c = client();
	reply(asked(c), c);
	assert_ended(200, REASON_NONE);
	OK(gw_is_empty(false));
	assert_mirrored("failed", 1);
	sim_server(SERVER_2, SIM_BLACKHOLE);
	sim_send(c, SL(GET));
	sim_advance(10000);
	assert_mirrored("timeout", 1);
}

static void
test_slow(void **state)
{
	struct sim_conn *c, *s, *copy;

	(void)state;
	OK(gw_start(MIRRORED));
	c = client();
	s = asked(c);
	reply(s, c);
	copy = server(SERVER_2);
	sim_advance(FIRST_BYTE_MS - 100);
	OK(sim_expect_open(copy));
	sim_advance(200);
	OK(sim_expect_reset(copy));
	assert_mirrored("timeout", 1);
	/* An answer without end. */
	next(c, s);
	copy = server(SERVER_2);
	sim_send(copy, SL("HTTP/1.1 200 OK\r\n\r\n"));
	for (unsigned i = 0; i < IDLE_MS / 1000; i++) {
		assert_mirrored("timeout", 1);
		send_bytes(copy, 'x', 100000);
		sim_advance(1000);
		assert_int_equal(sim_unread(copy), 0);
	}
	assert_mirrored("timeout", 2);
	OK(gw_is_empty(false));
}

/* It does not read its request: its window is full. */
static void
test_deaf(void **state)
{
	struct sim_conn *c, *s, *copy;

	(void)state;
	OK(gw_start(MIRRORED));
	c = client();
	s = asked(c);
	reply(s, c);
	copy = server(SERVER_2);
	sim_send(copy, SL(ANSWER));
	sim_run_until_idle();
	sim_window(copy, 1);
	sim_hold(copy, true);
	sim_send(c, SL(POST(60000)));
	send_bytes(c, 'x', 60000);
	sim_run_until_idle();
	reply(s, c);
	assert_ended(200, REASON_NONE);
	sim_advance(FIRST_BYTE_MS + 100);
	assert_mirrored("timeout", 1);
	OK(gw_is_empty(false));
}

static void
test_resets(void **state)
{
	struct sim_conn *c, *s, *copy;

	(void)state;
	OK(gw_start(MIRRORED));
	c = client();
	s = asked(c);
	copy = server(SERVER_2);
	sim_reset(copy);		/* before its answer */
	reply(s, c);
	assert_mirrored("failed", 1);
	sim_send(c, SL(GET));
	copy = server(SERVER_2);
	sim_send(copy, SL("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"));
	sim_run_until_idle();
	sim_reset(copy);		/* within it */
	reply(s, c);
	assert_mirrored("failed", 2);
	sim_send(c, SL(GET));
	sim_send(server(SERVER_2), SL("no answer at all\r\n\r\n"));
	reply(s, c);
	assert_mirrored("failed", 3);
	OK(gw_is_empty(false));
}

/* A kept connection that died meanwhile is replaced, as for any request, with the body. */
static void
test_replay(void **state)
{
	struct sim_conn *c, *s, *copy;

	(void)state;
	OK(gw_start(MIRRORED));
	c = client();
	s = asked(c);
	reply(s, c);
	copy = server(SERVER_2);
	sim_send(copy, SL(ANSWER));
	sim_run_until_idle();
	sim_send(c, SL("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"));
	sim_run_until_idle();
	sim_reset(copy);
	reply(s, c);
	copy = server(SERVER_2);
	assert_true(ends_with(copy, "\r\n\r\nabc"));
	sim_send(copy, SL(ANSWER));
	OK(gw_is_empty(false));
	assert_mirrored("ok", 2);
}

static void
test_client_leaves(void **state)
{
	struct sim_conn *c, *s, *copy;

	(void)state;
	OK(gw_start(MIRRORED));
	c = client();
	sim_send(c, SL(POST(10) "12345"));
	s = server(SERVER);
	sim_reset(c);
	sim_run_until_idle();
	assert_mirrored("cut_short", 1);
	assert_int_equal(sim_server_count(SERVER_2), 0);
	OK(gw_is_empty(false));
	sim_close(s);
	/* With the whole request told, it is none of the client's any more. */
	c = client();
	sim_send(c, SL(POST(10) "1234567890"));
	copy = server(SERVER_2);
	sim_reset(c);
	sim_run_until_idle();
	assert_true(ends_with(copy, "1234567890"));
	sim_send(copy, SL(ANSWER));
	OK(gw_is_empty(false));
	assert_mirrored("ok", 1);
}

/* Nor does it matter what becomes of the request itself. */
static void
test_main_fails(void **state)
{
	struct sim_conn *c;

	(void)state;
	sim_server(SERVER, SIM_REFUSE);
	OK(gw_start(MIRRORED));
	c = client();
	sim_send(c, SL(GET));
	assert_has(c, "HTTP/1.1 503 ");
	sim_send(server(SERVER_2), SL(ANSWER));
	OK(gw_is_empty(false));
	assert_mirrored("ok", 1);
}

static void
test_same_upstream(void **state)
{
	struct sim_conn *c, *a, *b;

	(void)state;
	OK(gw_start(CONF_LISTEN("") CONF_SERVERS("\"" SERVER "\"")
	    CONF_ROUTE(", mirror: { upstream: app }")));
	c = client();
	a = asked(c);
	b = server(SERVER);
	assert_same(a, b);
	sim_send(b, SL(ANSWER));
	sim_send(a, SL(ANSWER));
	sim_run_until_idle();
	assert_has(c, "hello");
	OK(gw_is_empty(false));
	assert_int_equal(sim_server_count(SERVER), 2);
	assert_mirrored("ok", 1);
}

/* Other protocols, and what the route answers, are not copied. */
static void
test_not_copied(void **state)
{
	struct sim_conn *c;

	(void)state;
	OK(gw_start(MIRRORED));
	c = client();
	sim_send(c, SL("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"));
	sim_send(server(SERVER), SL("HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"));
	assert_has(c, "HTTP/1.1 101 ");
	assert_int_equal(sim_server_count(SERVER_2), 0);
}

/* ---- how many ---- */

static void
test_share(void **state)
{
	enum { N = 1000, FIVE_SIGMA = 80 };
	struct sim_conn *c, *s = NULL, *copy = NULL;

	(void)state;
	OK(gw_start(CONF_LISTEN(", limits: { requests: unlimited }") UPSTREAMS
	    CONF_ROUTE(", mirror: { upstream: copy, share: 40% }")));
	c = client();
	for (unsigned i = 0; i < N; i++) {
		sim_send(c, SL(GET));
		sim_run_until_idle();
		if (s == NULL)
			s = server(SERVER);
		reply(s, c);
		if (copy == NULL)
			copy = sim_server_take(SERVER_2);
		if (copy != NULL && sim_received(copy).len > 0) {
			forget(copy);
			sim_send(copy, SL(ANSWER));
		}
	}
	assert_in_range(gw_mirrored("ok"), N * 2 / 5 - FIVE_SIGMA, N * 2 / 5 + FIVE_SIGMA);
	assert_mirrored("dropped", 0);
}

static void
test_in_flight(void **state)
{
	enum { N = MIRROR_MAX + 10 };
	struct sim_conn *c, *s, *copy;

	(void)state;
	OK(gw_start(MIRRORED));
	c = client();
	s = asked(c);
	reply(s, c);
	for (unsigned i = 1; i < N; i++)
		next(c, s);
	assert_int_equal(sim_server_count(SERVER_2), MIRROR_MAX);
	assert_mirrored("dropped", N - MIRROR_MAX);
	while ((copy = sim_server_take(SERVER_2)) != NULL)
		sim_send(copy, SL(ANSWER));
	OK(gw_is_empty(false));
	assert_mirrored("ok", MIRROR_MAX);
}

/* ---- reload, drain, end ---- */

static void
test_reload(void **state)
{
	struct sim_conn *c, *copy;

	(void)state;
	OK(gw_start(MIRRORED));
	c = client();
	reply(asked(c), c);
	copy = server(SERVER_2);
	sim_close(c);
	/* Route and upstream are gone; what is under way stays whole. */
	OK(gw_reload(CONF_LISTEN("") CONF_SERVERS("\"" SERVER "\"") CONF_ROUTE("")));
	OK(sim_expect_open(copy));
	sim_send(copy, SL(ANSWER));
	OK(gw_is_empty(true));
	assert_mirrored("ok", 1);
	forget(copy);
	OK(sim_expect_closed(copy));	/* nobody is left who could use it */
	assert_int_equal(sim_server_count(SERVER_2), 1);
}

/* Another order of the upstreams, with a mirror that stands in `defaults`: it is the same one. */
static void
test_reload_moves_slots(void **state)
{
	static const char *const upstreams[] = {
		UPSTREAMS,
		"upstreams: { copy: { servers: [\"" SERVER_2 "\"] }, app: { servers: [\"" SERVER "\"] } }\n",
		"upstreams: { more: { servers: [\"10.0.0.9:80\"] }, app: { servers: [\"" SERVER "\"] }, "
		    "copy: { servers: [\"" SERVER_2 "\"] } }\n",
	};
	struct sim_conn *c, *s = NULL, *copy = NULL;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		char conf[1024];

		(void)snprintf(conf, sizeof conf, "%sdefaults: { mirror: { upstream: copy } }\n%s"
		    "routes: [ { prefix: /, upstream: app, request_id: off }, "
		    "{ prefix: /b, upstream: %s } ]\n", CONF_LISTEN(""), upstreams[i],
		    i == 2 ? "more" : "app");
		OK(i == 0 ? gw_start(conf) : gw_reload(conf));
		c = client();
		if (i == 0) {
			s = asked(c);
			copy = server(SERVER_2);
		} else {
			sim_send(c, SL(GET));
			sim_run_until_idle();
		}
		reply(s, c);
		forget(copy);
		sim_send(copy, SL(ANSWER));
		OK(gw_is_empty(false));
		sim_close(c);
		assert_mirrored("ok", (int64_t)i + 1);
		assert_int_equal(sim_server_count(SERVER_2), 1);
	}
}

static void
test_drain(void **state)
{
	struct sim_conn *c, *copy;

	(void)state;
	OK(gw_start(MIRRORED));
	c = client();
	reply(asked(c), c);
	copy = server(SERVER_2);
	gw_drain();
	sim_advance(1000);
	OK(gw_clients() == 0 ? NULL : "a client is left");
	assert_false(gw_drain_is_over());
	sim_send(copy, SL(ANSWER));
	sim_advance(1000);
	assert_true(gw_drain_is_over());
}

/* At the end of the process those that are left are cut; world_end sees that nothing is lost. */
static void
test_end(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF_MIRROR(", mirror: { upstream: copy }, timeout: { first_byte: unlimited }")));
	c = client();
	s = asked(c);
	reply(s, c);
	(void)server(SERVER_2);
	sim_send(c, SL(POST(10) "12345"));	/* and one that is not whole */
	sim_run_until_idle();
	gw_drain();
	sim_advance(DRAIN_MS + 1000);
	assert_true(gw_drain_is_over());
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_head), TEST(test_host_of_the_server), TEST(test_bodies),
		TEST(test_chunks), TEST(test_many_chunks), TEST(test_too_large), TEST(test_dead),
		TEST(test_slow), TEST(test_deaf), TEST(test_resets), TEST(test_replay),
		TEST(test_client_leaves), TEST(test_main_fails), TEST(test_same_upstream),
		TEST(test_not_copied), TEST(test_share), TEST(test_in_flight), TEST(test_reload),
		TEST(test_reload_moves_slots), TEST(test_drain), TEST(test_end),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

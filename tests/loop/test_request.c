/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/loop/lib.h"

/* Whole exchanges: in pieces of any size, and cut at any byte of either side. */

#define GET_QUERY	"GET /a?b=c HTTP/1.1\r\nHost: example.org\r\n\r\n"
#define POST		"POST /form HTTP/1.1\r\nHost: example.org\r\nContent-Length: 11\r\n\r\nname=weaver"
#define POST_CHUNKED	"POST /up HTTP/1.1\r\nHost: example.org\r\n"	\
			"Transfer-Encoding: chunked\r\n\r\n"		\
			"4\r\nname\r\n7\r\n=weaver\r\n0\r\nX-Sum: 1\r\n\r\n"
#define ANSWER_CHUNKED	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n" \
			"2\r\nhe\r\n3\r\nllo\r\n0\r\nX-Sum: 2\r\n\r\n"
#define ANSWER_CLOSE	"HTTP/1.1 200 OK\r\n\r\nhello"
#define ANSWER_CONTINUE	"HTTP/1.1 100 Continue\r\n\r\n" ANSWER

struct kind {
	const char	*name;
	struct slice	 request;
	struct slice	 answer;
	bool		 until_close;	/* the answer ends with its connection */
	const char	*seen;		/* at the end of what the server gets */
	const char	*got;		/* and the client */
};

#define S(literal)	{ "" literal, sizeof literal - 1 }
static const struct kind kinds[] = {
	{ "get", S(GET_QUERY), S(ANSWER), false, "\r\n\r\n", "\r\n\r\nhello" },
	{ "post", S(POST), S(ANSWER), false, "\r\n\r\nname=weaver", "\r\n\r\nhello" },
	{ "chunked request", S(POST_CHUNKED), S(ANSWER), false, "0\r\nX-Sum: 1\r\n\r\n",
	    "\r\n\r\nhello" },
	{ "chunked answer", S(GET_QUERY), S(ANSWER_CHUNKED), false, "\r\n\r\n",
	    "0\r\nX-Sum: 2\r\n\r\n" },
	{ "answer until close", S(GET_QUERY), S(ANSWER_CLOSE), true, "\r\n\r\n", "o\r\n0\r\n\r\n" },
	{ "after 100", S(POST), S(ANSWER_CONTINUE), false, "name=weaver", "\r\n\r\nhello" },
};

static bool
ends_with(struct sim_conn *c, const char *text)
{
	struct slice got = sim_received(c);
	size_t n = strlen(text);

	return (got.len >= n && memcmp(got.p + got.len - n, text, n) == 0);
}

static void
assert_ends_with(const struct kind *k, struct sim_conn *c, const char *text)
{
	if (!ends_with(c, text))
		fail_msg("%s: \"%.*s\" does not end with \"%s\"", k->name,
		    (int)sim_received(c).len, sim_received(c).p, text);
}

/* One request and its answer, both in pieces of n bytes. */
static void
exchange(const struct kind *k, size_t n)
{
	struct sim_conn *c = client(), *s;
	unsigned before = gw_requests();

	sim_chunk(c, n);
	sim_send(c, k->request);
	s = server(SERVER);
	assert_ends_with(k, s, k->seen);
	sim_chunk(s, n);
	sim_send(s, k->answer);
	if (k->until_close)
		sim_close(s);
	assert_ends_with(k, c, k->got);
	assert_int_equal(gw_requests(), before + 1);
	assert_ended(200, REASON_NONE);
	OK(sim_expect_open(c));
	OK(gw_is_empty(false));
	sim_close(c);
	if (!k->until_close)
		sim_close(s);	/* so that the next one begins with a connection of its own */
	OK(gw_is_empty(true));
	assert_int_equal(gw_up_conns(), 0);
}

static void
test_pieces(void **state)
{
	static const size_t sizes[] = { 0, 1, 2, 3, 7, 40 };

	(void)state;
	OK(gw_start(CONF));
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		for (size_t n = 0; n < sizeof sizes / sizeof sizes[0]; n++)
			exchange(&kinds[i], sizes[n]);
	}
}

/* The client takes, and the server takes, one byte at a time. */
static void
test_small_windows(void **state)
{
	(void)state;
	OK(gw_start(CONF));
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		const struct kind *k = &kinds[i];
		struct sim_conn *c = client(), *s;

		sim_window(c, 1);
		sim_send(c, slice_of(k->request.p, 1));
		sim_run_until_idle();
		sim_send(c, slice_of(k->request.p + 1, k->request.len - 1));
		s = server(SERVER);
		sim_window(s, 1);
		assert_ends_with(k, s, k->seen);
		sim_send(s, k->answer);
		if (k->until_close)
			sim_close(s);
		assert_ends_with(k, c, k->got);
		assert_ended(200, REASON_NONE);
		sim_close(c);
		if (!k->until_close)
			sim_close(s);
		OK(gw_is_empty(true));
	}
}

static void
end(struct sim_conn *c, bool reset)
{
	if (reset)
		sim_reset(c);
	else
		sim_close(c);
}

/* The client ends after `at` bytes of its request; the server, if asked, never answers. */
static void
cut_request(const struct kind *k, size_t at, bool reset)
{
	struct sim_conn *c = client(), *s;
	unsigned before = gw_requests();

	sim_send(c, slice_of(k->request.p, at));
	sim_run_until_idle();
	end(c, reset);
	sim_run_until_idle();
	/* A client that ended its side may still want the answer: without one it has to wait. */
	s = sim_server_take(SERVER);
	if (s != NULL)
		sim_reset(s);
	sim_advance(120 * 1000);
	OK(gw_is_empty(true));
	assert_int_equal(gw_up_conns(), 0);
	if (gw_requests() > before + 1 || (s != NULL && gw_requests() != before + 1))
		fail_msg("%s: cut at %zu: %u requests ended", k->name, at,
		    gw_requests() - before);
}

static void
test_cut_request(void **state)
{
	(void)state;
	OK(gw_start(CONF));
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		for (size_t at = 0; at <= kinds[i].request.len; at++) {
			cut_request(&kinds[i], at, false);
			cut_request(&kinds[i], at, true);
		}
	}
}

/* The server ends after `at` bytes of its answer. */
static void
cut_answer(const struct kind *k, size_t at, bool reset)
{
	struct sim_conn *c = client(), *s;
	unsigned before = gw_requests();

	sim_send(c, k->request);
	s = server(SERVER);
	sim_send(s, slice_of(k->answer.p, at));
	sim_run_until_idle();
	end(s, reset);
	sim_run_until_idle();
	if (gw_requests() != before + 1)
		fail_msg("%s: cut at %zu: %u requests ended", k->name, at,
		    gw_requests() - before);
	if (at < k->answer.len && gw_last()->reason == REASON_NONE && !k->until_close)
		fail_msg("%s: cut at %zu: taken for whole", k->name, at);
	/* A client must never take a part for the whole. */
	if (gw_last()->reason != REASON_NONE && gw_last()->status == 200 &&
	    ends_with(c, k->got))
		fail_msg("%s: cut at %zu: \"%.*s\" looks whole", k->name, at,
		    (int)sim_received(c).len, sim_received(c).p);
	if (gw_last()->reason != REASON_NONE && gw_last()->status != 200)
		assert_has(c, "HTTP/1.1 502 Bad Gateway\r\n");
	OK(gw_is_empty(false));
	end(c, reset);
	sim_run_until_idle();
	sim_advance(5000);
	OK(gw_is_empty(true));
}

static void
test_cut_answer(void **state)
{
	(void)state;
	OK(gw_start(CONF));
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		for (size_t at = 0; at <= kinds[i].answer.len; at++) {
			cut_answer(&kinds[i], at, false);
			cut_answer(&kinds[i], at, true);
		}
	}
}

/* The client goes, by FIN or reset, after a part of the answer: the server learns of it at once,
   not when it next has something to say. */
static void
test_client_goes(void **state)
{
	(void)state;
	OK(gw_start(CONF));
	for (size_t at = 0; at < 2 * (sizeof ANSWER - 1); at++) {
		struct sim_conn *c = client(), *s;
		unsigned before = gw_requests();

		sim_send(c, SL(GET_QUERY));
		s = server(SERVER);
		sim_send(s, slice_of(ANSWER, at / 2));
		sim_run_until_idle();
		end(c, at % 2 == 0);
		sim_run_until_idle();
		OK(sim_expect_reset(s));
		OK(gw_is_empty(true));
		assert_int_equal(gw_requests(), before + 1);
		assert_int_equal(gw_last()->reason, REASON_CLIENT_CLOSED);
		assert_int_equal(gw_up_conns(), 0);
	}
}

/* All three requests in one piece: answered in their order, over one upstream connection. */
static void
test_pipelined(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	sim_send(c, SL("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
	    "GET /3 HTTP/1.1\r\nHost: a\r\n\r\n"));
	s = server(SERVER);
	for (unsigned i = 1; i <= 3; i++) {
		char head[32];

		(void)snprintf(head, sizeof head, "GET /%u HTTP/1.1\r\n", i);
		assert_has(s, head);
		forget(s);
		sim_send(s, SL(ANSWER));
		assert_has(c, "hello");
		forget(c);
	}
	assert_int_equal(sim_server_count(SERVER), 1);
	assert_int_equal(gw_requests(), 3);
	OK(gw_is_empty(false));
	/* An idle connection holds no page, also where its last bytes had waited for their turn. */
	assert_int_equal(gw_pages(), 0);
}

/* ---- the Host that the server sees ---- */

static void
test_host_of_the_server(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	sim_name("app.test", "10.0.0.2", 30);
	sim_server(SERVER, SIM_REFUSE);
	OK(gw_start(CONF_LISTEN("")
	    CONF_SERVERS("\"" SERVER "\", \"app.test:80\"")
	    CONF_ROUTE(", host: upstream")));
	c = client();
	/* Whoever is asked first, the one that can be reached is told its own name, and no other. */
	for (unsigned i = 0; i < 2; i++) {
		sim_send(c, SL(GET_QUERY));
		sim_run_until_idle();
		if (i == 0)
			s = server(SERVER_2);
		assert_has(s, "\r\nHost: app.test:80\r\n");
		assert_has(s, "\r\nX-Forwarded-Host: example.org\r\n");
		assert_false(has(s, "\r\nHost: example.org\r\n"));
		assert_false(has(s, "\r\nHost: " SERVER "\r\n"));
		forget(s);
		sim_send(s, SL(ANSWER));
		assert_has(c, "hello");
		forget(c);
	}
	OK(gw_is_empty(false));
}

static void
test_host_of_the_client(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	sim_send(c, SL(GET_QUERY));
	s = server(SERVER);
	assert_has(s, "\r\nHost: example.org\r\n");
	assert_false(has(s, "\r\nHost: " SERVER "\r\n"));
}

/* ---- fields that this hop counts or speaks for ---- */

/* What the server sees of these lines, in a request of that method; NULL: it is not asked. */
struct passed {
	const char	*method;
	const char	*lines;
	const char	*to_server;
	const char	*to_client;	/* a part of the answer where it is not asked */
};

static void
assert_passed(const struct passed *t)
{
	struct sim_conn *c = client(), *s;

	sim_send(c, slice_str(t->method));
	sim_send(c, SL(" /a HTTP/1.1\r\nHost: example.org\r\n"));
	sim_send(c, slice_str(t->lines));
	sim_send(c, SL("\r\n"));
	sim_run_until_idle();
	s = sim_server_take(SERVER);
	if (t->to_server == NULL) {
		assert_null(s);
		assert_has(c, t->to_client);
	} else {
		assert_non_null(s);
		assert_has(s, t->to_server);
		sim_send(s, SL("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"));
		assert_has(c, "HTTP/1.1 204");
		sim_close(s);
	}
	sim_close(c);
	sim_run_until_idle();
	if (s != NULL)
		forget(s);
	OK(gw_is_empty(true));
}

/* RFC 9110, 7.6.2 */
static void
test_max_forwards(void **state)
{
	static const struct passed all[] = {
		{ "OPTIONS", "Max-Forwards: 3\r\n", "\r\nMax-Forwards: 2\r\n", NULL },
		{ "OPTIONS", "Max-Forwards: 1\r\n", "\r\nMax-Forwards: 0\r\n", NULL },
		{ "OPTIONS", "Max-Forwards: 007\r\n", "\r\nMax-Forwards: 6\r\n", NULL },
		{ "TRACE", "Max-Forwards: 10\r\n", "\r\nMax-Forwards: 9\r\n", NULL },
		{ "OPTIONS", "Max-Forwards: 99999999999999999999999\r\n", "\r\nMax-Forwards: 99",
		    NULL },
		{ "OPTIONS", "Max-Forwards: 0\r\n", NULL, "HTTP/1.1 204 No Content\r\n" },
		{ "OPTIONS", "Max-Forwards: 0\r\n", NULL, "\r\nAllow: GET, HEAD, POST, PUT, " },
		{ "TRACE", "Max-Forwards: 0\r\n", NULL, "HTTP/1.1 405 " },
		{ "OPTIONS", "Max-Forwards: -1\r\n", NULL, "HTTP/1.1 400 " },
		{ "OPTIONS", "Max-Forwards: 1, 2\r\n", NULL, "HTTP/1.1 400 " },
		{ "OPTIONS", "Max-Forwards:\r\n", NULL, "HTTP/1.1 400 " },
		{ "TRACE", "Max-Forwards: 1\r\nMax-Forwards: 2\r\n", NULL, "HTTP/1.1 400 " },
		/* of other methods it says nothing */
		{ "GET", "Max-Forwards: 0\r\n", "\r\nMax-Forwards: 0\r\n", NULL },
		{ "OPTIONS", "X: 0\r\n", "OPTIONS /a HTTP/1.1\r\n", NULL },
	};

	(void)state;
	OK(gw_start(CONF));
	for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++)
		assert_passed(&all[i]);
}

/* Where we answer ourselves nothing is passed on, so nothing is counted. */
static void
test_max_forwards_of_our_own(void **state)
{
	struct sim_conn *c;

	(void)state;
	OK(gw_start(CONF_LISTEN("") "routes: [ { prefix: /, respond: { body: here } } ]\n"));
	c = client();
	sim_send(c, SL("OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n"));
	assert_has(c, "\r\n\r\nhere");
}

/* The server's only answer on its connection. */
static void
answer_none(struct sim_conn *s)
{
	sim_send(s, SL("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"));
	sim_close(s);
	sim_run_until_idle();
}

/* Who was not asked has not answered: what is counted and logged names no upstream. */
static void
test_max_forwards_is_told(void **state)
{
	static const char *const values[] = { "0", "x" };
	struct sim_conn *c;

	(void)state;
	OK(gw_start(CONF));
	for (unsigned i = 0; i < 2; i++) {
		char text[128];

		(void)snprintf(text, sizeof text, "OPTIONS / HTTP/1.1\r\nHost: a\r\n"
		    "Max-Forwards: %s\r\n\r\n", values[i]);
		c = client();
		sim_send(c, slice_str(text));
		sim_run_until_idle();
		assert_int_equal(gw_last()->status, i == 0 ? 204 : 400);
		assert_string_equal(gw_last()->upstream, "");
		sim_close(c);
	}
	c = client();
	sim_send(c, SL("OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 1\r\n\r\n"));
	answer_none(server(SERVER));
	assert_int_equal(gw_last()->status, 204);
	assert_string_equal(gw_last()->upstream, "app");
}

/* What is logged is what the client asked for, whatever the server was asked for instead. */
static void
test_logged_path(void **state)
{
	static const char *const targets[] = { "/strip/%7Ea?q", "/made/b", "/begin/c",
		"http://a/strip", "http://a/plain", "//h/a", "/b/%2E./a//b" };
	static const char *const paths[] = { "/strip/%7Ea", "/made/b", "/begin/c", "/strip",
		"/plain", "//h/a", "/b/%2E./a//b" };
	static const char *const sent[] = { "GET /~a?q ", "GET /x/made/b ", "GET /y/c ", "GET / ",
		"GET /plain ", "GET /h/a ", "GET /a/b " };

	(void)state;
	OK(gw_start(CONF_LISTEN("") CONF_SERVERS("\"" SERVER "\"") "routes:\n"
	    "  - { prefix: /, upstream: app }\n"
	    "  - { prefix: /strip, upstream: app, strip_prefix: true }\n"
	    "  - { prefix: /made, upstream: app, rewrite: { path: \"/x{path}\" } }\n"
	    "  - { prefix: /begin, upstream: app, rewrite: { prefix: /y } }\n"));
	for (unsigned i = 0; i < sizeof targets / sizeof targets[0]; i++) {
		struct sim_conn *c = client(), *s;
		char text[128];

		(void)snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: a\r\n"
		    "Connection: close\r\n\r\n", targets[i]);
		sim_send(c, slice_str(text));
		s = server(SERVER);
		assert_has(s, sent[i]);
		answer_none(s);
		assert_int_equal(gw_requests(), i + 1);
		assert_string_equal(gw_last()->path, paths[i]);
	}
}

/* RFC 9110, 10.1.4: it is for one connection, so it is said anew, and that it is. */
static void
test_te(void **state)
{
	static const struct passed all[] = {
		{ "GET", "TE: trailers\r\n", "\r\nConnection: TE\r\nTE: trailers\r\n\r\n", NULL },
		{ "GET", "Connection: te\r\nTE: gzip;q=0.5,Trailers\r\n",
		    "\r\nConnection: TE\r\nTE: trailers\r\n\r\n", NULL },
		{ "GET", "TE: deflate\r\nTE: trailers\r\n",
		    "\r\nConnection: TE\r\nTE: trailers\r\n\r\n", NULL },
		{ "POST", "Content-Length: 0\r\nTE: trailers\r\n",
		    "\r\nContent-Length: 0\r\nConnection: TE\r\nTE: trailers\r\n\r\n", NULL },
		/* our fields are the last, and what frames the message */
		{ "GET", "TE: gzip\r\n", "\r\nVia: 1.1 weir\r\n\r\n", NULL },
		{ "GET", "TE: trailers;q=0\r\n", "\r\nVia: 1.1 weir\r\n\r\n", NULL },
		{ "GET", "TE:\r\nConnection: TE\r\n", "\r\nVia: 1.1 weir\r\n\r\n", NULL },
	};
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF));
	for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++)
		assert_passed(&all[i]);
	/* A tunnel has no trailers, an HTTP/1.0 client no chunks. */
	c = client();
	sim_send(c, SL("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, TE\r\n"
	    "Upgrade: websocket\r\nTE: trailers\r\n\r\n"));
	s = server(SERVER);
	assert_has(s, "\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
	assert_false(has(s, "TE: "));
	c = client();
	sim_send(c, SL("GET / HTTP/1.0\r\nHost: a\r\nTE: trailers\r\n\r\n"));
	s = server(SERVER);
	assert_has(s, "GET / HTTP/1.1\r\n");
	assert_false(has(s, "TE: "));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_pieces),
		TEST(test_small_windows),
		TEST(test_cut_request),
		TEST(test_cut_answer),
		TEST(test_client_goes),
		TEST(test_pipelined),
		TEST(test_host_of_the_server),
		TEST(test_host_of_the_client),
		TEST(test_max_forwards),
		TEST(test_max_forwards_of_our_own),
		TEST(test_max_forwards_is_told),
		TEST(test_logged_path),
		TEST(test_te),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

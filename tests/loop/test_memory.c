/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/mem/alloc.h"
#include "tests/loop/lib.h"

/*
 * Each allocation fails in turn, until a run needs no more: a start fails whole, a reload changes
 * nothing, a request is answered by `overloaded` or its connection is closed; nothing is lost.
 */

enum {
	LISTENER_RESTS_MS = 100,
	MANY = 20000,	/* a run that needs more than this has no end */
	PAGES_ENOUGH = 40
};


static int
no_begin(void **state)
{
	(void)state;
	return (0);
}

/*
 * A new client's request is served, and nothing is left of it. For a listener that could not be
 * watched that takes the time that it rests.
 */
static void
assert_serves(unsigned n)
{
	struct sim_conn *c = client(), *s;

	sim_advance(LISTENER_RESTS_MS);
	sim_send(c, SL(GET));
	s = sim_server_take(SERVER);
	if (s == NULL)
		fail_msg("failure %u: no request came to the server: \"%.*s\"", n,
		    (int)sim_received(c).len, sim_received(c).p);
	sim_send(s, SL(ANSWER));
	assert_has(c, "\r\n\r\nhello");
	sim_close(c);
	sim_close(s);
	OK(gw_is_empty(true));
}

/* ---- start ---- */

static void
test_start(void **state)
{
	bool hit = true;
	unsigned n;

	for (n = 1; hit && n < MANY; n++) {
		const char *why;

		world_begin(state);
		gw_fail_start_at(n);
		why = gw_start(CONF);
		hit = mem_fail_hit();
		mem_fail_off();
		if (why == NULL) {
			if (!gw_listens(8080))
				fail_msg("failure %u: it started, but does not listen", n);
			assert_serves(n);
			gw_stop();
		}
		sim_end();
	}
	assert_true(n > 10 && n < MANY);
	print_message("%u allocations\n", n - 2);
}

/* ---- reload ---- */

#define CONF_2								\
	"version: 1\nlog: { access: off }\nlisteners: { web: { listen: 8080 }, more: { listen: 8081 } }\n" \
	"upstreams: { app: { servers: [\"" SERVER "\"] }, b: { servers: [\"" SERVER_2 "\"] } }\n" \
	"routes: [ { prefix: /, upstream: app, request_id: off },"	\
	" { prefix: /b, upstream: b } ]\n"

static void
check_reload(unsigned n, const char *why, uint64_t before)
{
	if (why != NULL) {
		if (gw_generation() != before)
			fail_msg("failure %u: a refused generation is in force", n);
		if (!gw_listens(8080) || gw_listens(8081))
			fail_msg("failure %u: a refused generation moved listeners", n);
	} else {
		if (gw_generation() != before + 1)
			fail_msg("failure %u: the generation is not in force", n);
		if (!gw_listens(8080) || !gw_listens(8081))
			fail_msg("failure %u: a listener is missing", n);
	}
	assert_serves(n);
}

static void
test_reload(void **state)
{
	bool hit = true;
	unsigned n;

	(void)state;
	for (n = 1; hit && n < MANY; n++) {
		const char *why;

		world_begin(state);
		OK(gw_start(CONF));
		assert_serves(n);
		mem_fail_at(n);
		why = gw_reload(CONF_2);
		hit = mem_fail_hit();
		mem_fail_off();
		check_reload(n, why, 1);
		if (why == NULL) {
			OK(gw_reload(CONF));
			assert_int_equal(gw_generation(), 3);
			assert_false(gw_listens(8081));
		}
		world_end(state);
	}
	assert_true(n > 10 && n < MANY);
	print_message("%u allocations\n", n - 2);
}

/* A table of parts that grows while they are taken over: none is lost, old or new. */
static void
test_reload_of_many(void **state)
{
	enum { UPSTREAMS = 300 };
	char ups[UPSTREAMS * 48 + 64] = "upstreams: { app: { servers: [\"" SERVER "\"] }";
	char routes[UPSTREAMS * 48 + 64] = "routes: [ { prefix: /, upstream: app, request_id: off }";
	char conf[sizeof ups + sizeof routes + 128];
	bool hit = true;
	unsigned n;

	for (unsigned i = 0; i < UPSTREAMS; i++) {
		size_t at = strlen(ups);

		(void)snprintf(ups + at, sizeof ups - at, ", u%u: { servers: [\"10.1.%u.%u:80\"] }", i,
		    i / 250, i % 250);
		at = strlen(routes);
		(void)snprintf(routes + at, sizeof routes - at, ", { prefix: /%u, upstream: u%u }", i, i);
	}
	(void)snprintf(conf, sizeof conf, CONF_LISTEN("") "%s }\n%s ]\n", ups, routes);
	for (n = 1; hit && n < MANY; n++) {
		world_begin(state);
		OK(gw_start(n % 2 == 0 ? conf : CONF));
		mem_fail_at(n / 2 + 1);
		(void)gw_reload(conf);
		hit = mem_fail_hit();
		mem_fail_off();
		assert_serves(n);
		world_end(state);
	}
	assert_true(n > 20 && n < MANY);
}

/* ---- requests ---- */

struct load {
	const char	*name;
	size_t		 field;		/* bytes of a field of the request */
	size_t		 body;		/* of the request */
	size_t		 answer;	/* bytes of the answer's body */
	const char	*path;
	const char	*whole;		/* the start of a good answer */
	bool		 is_local;
	bool		 chunked;
	bool		 is_mirrored;
};

static const struct load loads[] = {
	{ .name = "get", .answer = 5, .path = "/a", .whole = "HTTP/1.1 200 OK\r\n" },
	{ .name = "long head", .field = 7000, .answer = 5, .path = "/a",
	    .whole = "HTTP/1.1 200 OK\r\n" },
	{ .name = "bodies", .body = 100000, .answer = 200000, .path = "/a",
	    .whole = "HTTP/1.1 200 OK\r\n" },
	{ .name = "chunked", .body = 3000, .answer = 5000, .chunked = true, .path = "/a",
	    .whole = "HTTP/1.1 200 OK\r\n" },
	{ .name = "with an id", .answer = 5, .path = "/id/x", .whole = "HTTP/1.1 200 OK\r\n" },
	{ .name = "rewritten", .answer = 5, .path = "/re/x", .whole = "HTTP/1.1 200 OK\r\n" },
	{ .name = "mirrored", .answer = 5, .path = "/m/x", .is_mirrored = true,
	    .whole = "HTTP/1.1 200 OK\r\n" },
	{ .name = "mirrored body", .body = 30000, .answer = 5, .path = "/m/x", .is_mirrored = true,
	    .whole = "HTTP/1.1 200 OK\r\n" },
	{ .name = "mirrored chunks", .body = 3000, .chunked = true, .answer = 5, .path = "/m/x",
	    .is_mirrored = true, .whole = "HTTP/1.1 200 OK\r\n" },
	{ .name = "redirect", .path = "/r", .is_local = true,
	    .whole = "HTTP/1.1 308 Permanent Redirect\r\n" },
	{ .name = "respond", .path = "/s", .is_local = true, .whole = "HTTP/1.1 200 OK\r\n" },
	{ .name = "refused", .path = "/../..%00", .is_local = true,
	    .whole = "HTTP/1.1 400 Bad Request\r\n" },
};

#define CONF_LOADS CONF_LISTEN("")					\
	"upstreams: { app: { servers: [\"" SERVER "\"] }, copy: { servers: [\"" SERVER_2 "\"] } }\n" \
	"routes: [ { prefix: /, upstream: app, request_id: off },"	\
	" { prefix: /id, upstream: app },"				\
	" { prefix: /m, upstream: app, request_id: off, mirror: { upstream: copy } },"	\
	" { prefix: /re, upstream: app, request_id: off, strip_prefix: true,"	\
	" request_headers: { set: { x-a: b } }, response_headers: { add: { x-c: d } } },"	\
	" { path: /r, redirect: { to: /t } }, { path: /s, respond: { body: hi } } ]\n"

static void
send_bytes(struct sim_conn *c, size_t n)
{
	char *p = malloc(n + 1);

	memset(p, 'x', n);
	sim_send(c, slice_of(p, n));
	free(p);
}

static void
send_body(struct sim_conn *c, size_t n, bool chunked)
{
	char size[32];

	if (!chunked || n == 0) {
		send_bytes(c, n);
		return;
	}
	sim_send(c, slice_of(size, (size_t)snprintf(size, sizeof size, "%zx\r\n", n)));
	send_bytes(c, n);
	sim_send(c, SL("\r\n0\r\n\r\n"));
}

static void
send_request(struct sim_conn *c, const struct load *l)
{
	char head[256];
	int n = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: a\r\nX-Long: ",
	    l->body > 0 ? "POST" : "GET", l->path);

	sim_send(c, slice_of(head, (size_t)n));
	send_bytes(c, l->field);
	if (l->body > 0 && l->chunked)
		n = snprintf(head, sizeof head, "\r\nTransfer-Encoding: chunked\r\n\r\n");
	else if (l->body > 0)
		n = snprintf(head, sizeof head, "\r\nContent-Length: %zu\r\n\r\n", l->body);
	else
		n = snprintf(head, sizeof head, "\r\n\r\n");
	sim_send(c, slice_of(head, (size_t)n));
	send_body(c, l->body, l->chunked);
}

static void
send_answer(struct sim_conn *s, const struct load *l)
{
	char head[128];
	int n;

	if (l->chunked)
		n = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\n"
		    "Transfer-Encoding: chunked\r\n\r\n");
	else
		n = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\n"
		    "Content-Length: %zu\r\n\r\n", l->answer);
	sim_send(s, slice_of(head, (size_t)n));
	send_body(s, l->answer, l->chunked);
}

static bool
starts_with(struct slice s, const char *text)
{
	return (s.len >= strlen(text) && memcmp(s.p, text, strlen(text)) == 0);
}

/* What the client may see when memory failed once: all, overloaded, or an end. */
static void
check_answer(unsigned n, const struct load *l, struct sim_conn *c)
{
	struct slice got = sim_received(c);
	bool is_open = sim_expect_open(c) == NULL;

	if (starts_with(got, "HTTP/1.1 503 ")) {
		if (memmem(got.p, got.len, "overloaded", 10) == NULL)
			fail_msg("%s, failure %u: a 503 of another kind: %.*s", l->name, n,
			    (int)got.len, got.p);
		return;
	}
	if (starts_with(got, l->whole)) {
		if (is_open && got.len < l->answer)
			fail_msg("%s, failure %u: %zu bytes, and the client waits", l->name, n,
			    got.len);
		return;
	}
	if (got.len > 0 || is_open)
		fail_msg("%s, failure %u: \"%.*s\", %s", l->name, n, (int)got.len, got.p,
		    is_open ? "open" : "closed");
}

enum shortage {
	ONE_FAILS,	/* the n-th allocation */
	FEW_PAGES	/* there are only n */
};

static void
begin_shortage(enum shortage what, unsigned n)
{
	if (what == FEW_PAGES)
		gw_limit_pages(n);
	else
		mem_fail_at(n);
}

static void
end_shortage(void)
{
	gw_limit_pages(0);
	mem_fail_off();
}

/* The copy is answered, if there is one; without a failure there must be. */
static void
end_mirror(unsigned n, const struct load *l, bool hit)
{
	struct sim_conn *s = sim_server_take(SERVER_2);

	if (s != NULL) {
		send_answer(s, l);
		sim_run_until_idle();
		sim_close(s);
		sim_run_until_idle();
	}
	if (!hit && gw_mirrored("ok") != 1)
		fail_msg("%s, failure %u: not mirrored", l->name, n);
}

/* False: the n-th allocation was not needed. */
static bool
run_load(void **state, const struct load *l, enum shortage what, unsigned n)
{
	struct sim_conn *c, *s;
	bool hit;

	world_begin(state);
	OK(gw_start(CONF_LOADS));
	begin_shortage(what, n);
	c = client();
	send_request(c, l);
	s = sim_server_take(SERVER);
	if (s != NULL && sim_received(s).len > 0)
		send_answer(s, l);
	sim_run_until_idle();
	/* A listener that could not be watched rests for a moment. */
	sim_advance(1000);
	if (s == NULL && !l->is_local && (s = sim_server_take(SERVER)) != NULL)
		send_answer(s, l);
	sim_run_until_idle();
	hit = what == FEW_PAGES ? n < PAGES_ENOUGH : mem_fail_hit();
	end_shortage();
	check_answer(n, l, c);
	if (l->is_mirrored)
		end_mirror(n, l, hit);
	if (!hit && !starts_with(sim_received(c), l->whole))
		fail_msg("%s: not answered without a failure: \"%.*s\"", l->name,
		    (int)sim_received(c).len, sim_received(c).p);
	sim_close(c);
	sim_advance(5000);
	if (s != NULL)
		sim_reset(s);
	OK(gw_is_empty(true));
	assert_int_equal(gw_up_conns(), 0);
	assert_serves(n);
	world_end(state);
	return (hit);
}

static void
test_requests(void **state)
{
	for (size_t i = 0; i < sizeof loads / sizeof loads[0]; i++) {
		unsigned n = 1;

		while (run_load(state, &loads[i], ONE_FAILS, n))
			assert_true(++n < MANY);
		assert_true(n > 1);
		print_message("%s: %u allocations\n", loads[i].name, n - 1);
	}
}

/*
 * A client that may not ask is never let in because memory was short when its address was read: it
 * stands behind a proxy that may, in a list of many lines, for which the arena has to grow.
 */
static void
test_forwarded_client(void **state)
{
	enum { LINES = 90 };
	static const char conf[] = CONF_LISTEN(", trusted_proxies: [198.51.100.0/24]"
	    ", limits: { header_bytes: 64KiB }") CONF_SERVERS("\"" SERVER "\"")
	    CONF_ROUTE(", ip: { allow: [198.51.100.0/24] }");
	unsigned denied = 0;

	for (unsigned n = 1; n <= PAGES_ENOUGH; n++) {
		struct sim_conn *c;

		world_begin(state);
		OK(gw_start(conf));
		gw_limit_pages(n);
		c = client();
		sim_send(c, SL("GET /a HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\n"));
		for (unsigned i = 0; i < LINES; i++)
			sim_send(c, SL("X-Forwarded-For: 198.51.100.9\r\n"));
		sim_send(c, SL("\r\n"));
		sim_advance(1000);
		if (sim_server_count(SERVER) > 0)
			fail_msg("%u pages: let in", n);
		denied += has(c, "HTTP/1.1 403 ");
		world_end(state);
	}
	assert_true(denied > 0 && denied < PAGES_ENOUGH);
}

static void
test_few_pages(void **state)
{
	for (size_t i = 0; i < sizeof loads / sizeof loads[0]; i++) {
		for (unsigned n = 1; n <= PAGES_ENOUGH; n++)
			(void)run_load(state, &loads[i], FEW_PAGES, n);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_start, no_begin),
		cmocka_unit_test_setup(test_reload, no_begin),
		cmocka_unit_test_setup(test_reload_of_many, no_begin),
		cmocka_unit_test_setup(test_requests, no_begin),
		cmocka_unit_test_setup(test_forwarded_client, no_begin),
		cmocka_unit_test_setup(test_few_pages, no_begin),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

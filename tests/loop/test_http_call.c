/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/clients/http_call.h"
#include "engine/upstream/pool.h"
#include "engine/upstream/upstream.h"
#include "filters/filters.h"
#include "tests/loop/rig.h"

/* A filter that asks another server and goes by its answer, in a whole gateway. */

enum { ANSWER_MAX = 2000 };

static unsigned n_gone;
static uint32_t connect_ms = 100;

static struct upstream *
upstream_named(const char *name)
{
	const struct gate *gate = rig_worker()->snap->snap->root;

	for (unsigned i = 0; i < gate->n_upstreams; i++) {
		if (slice_eq(gate->upstreams[i]->part.name, slice_str(name)))
			return (gate->upstreams[i]);
	}
	fail_msg("no upstream %s", name);
	return (NULL);
}

static enum filter_verdict
ask_start(struct filter_call *fc, struct msg_req *req)
{
	static const struct http_call_field fields[] = {
		{ SLICE_INIT("X-Ask"), SLICE_INIT("please") },
	};
	struct http_call_request ask = { .method = METHOD_GET, .target = SLICE("/check?a=b"),
		.host = SLICE("authz.test"), .fields = fields, .n_fields = 1, .connect_ms = connect_ms,
		.timeout_ms = 200, .max_body = ANSWER_MAX };

	if (req->method == METHOD_POST) {
		ask.method = METHOD_POST;
		ask.has_body = true;
		ask.body = SLICE("may he?");
	}
	if (http_call_start(fc->arena, fc->worker, upstream_named("authz"), &ask, &fc->pending,
	    fc->ctx))
		return (FILTER_WAIT);
	filter_fault(fc, REASON_OVERLOADED);
	return (FILTER_FAULT);
}

static enum filter_verdict
ask_req(struct filter_call *fc, struct msg_req *req)
{
	const struct http_call_result *r = fc->ctx;

	if (slice_eq(req->path, SLICE("/authz")))
		return (FILTER_NEXT);
	if (!fc->woken)
		return (ask_start(fc, req));
	if (r->reason != REASON_NONE) {
		assert_non_null(fc->pending_err);
		assert_null(r->resp);
		filter_fault(fc, r->reason);
		return (FILTER_FAULT);
	}
	assert_null(fc->pending_err);
	if (r->resp->status == 200) {
		const struct hdr *h = headers_find(&r->resp->m.headers, SLICE("X-User"));

		(void)headers_set(&req->m.headers, SLICE("X-User"), hdr_value(h));
		return (FILTER_NEXT);
	}
	filter_reply(fc, 403, SLICE("text/plain"), r->body);
	return (FILTER_REPLY);
}

static void
ask_gone(struct filter_call *fc)
{
	(void)fc;
	n_gone++;
}

static const struct filter_ops ask = {
	.name = "ask", .ctx_size = sizeof(struct http_call_result), .on_req_headers = ask_req,
	.on_gone = ask_gone, .timeout_ms = 1000,
};
static const struct filter_ops *const filters[] = { &ask };
static const struct proxy_program program = {
	.filters = filters, .n_filters = 1,
	.via = SLICE_INIT("Via: 1.1 rig\r\n"),
	.via_1_0 = SLICE_INIT("Via: 1.0 rig\r\n"), .server_name = SLICE_INIT("rig"),
};

#define AUTHZ	"10.0.0.9:80"
#define AUTHZ2	"10.0.0.8:80"
#define SERVER	"10.0.0.1:80"

static struct sim_conn *
start(const char *request)
{
	struct sim_conn *c;

	n_gone = 0;
	rig_start(&program,
	    "version: 1\n"
	    "listeners: { web: { listen: \"127.0.0.1:8080\" } }\n"
	    "upstreams:\n"
	    "  u: { servers: [\"" SERVER "\"] }\n"
	    "  authz: { servers: [\"" AUTHZ "\", \"" AUTHZ2 "\"], balance: round_robin }\n"
	    "routes:\n"
	    "  - { prefix: /, upstream: u }\n"
	    "  - { path: /authz, upstream: authz }\n");
	sim_server(SERVER, SIM_ACCEPT);
	sim_server(AUTHZ, SIM_ACCEPT);
	sim_server(AUTHZ2, SIM_ACCEPT);
	c = sim_client_connect(8080);
	sim_send(c, slice_str(request));
	sim_run_until_idle();
	return (c);
}

/* The same with these servers to be asked. */
static struct sim_conn *
start_asking(const char *servers)
{
	char conf[512];
	struct sim_conn *c;

	(void)snprintf(conf, sizeof conf,
	    "version: 1\n"
	    "listeners: { web: { listen: \"127.0.0.1:8080\" } }\n"
	    "upstreams: { u: { servers: [\"" SERVER "\"] }, authz: { servers: [%s] } }\n"
	    "routes:\n"
	    "  - { prefix: /, upstream: u }\n"
	    "  - { path: /authz, upstream: authz }\n", servers);
	n_gone = 0;
	rig_start(&program, conf);
	sim_server(SERVER, SIM_ACCEPT);
	c = sim_client_connect(8080);
	return (c);
}

#define GET "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
#define POST "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx"

static struct sim_conn *
authz(void)
{
	struct sim_conn *s = sim_server_take(AUTHZ);

	if (s == NULL)
		s = sim_server_take(AUTHZ2);
	assert_non_null(s);
	return (s);
}

static void
expect_answer(struct sim_conn *c, const char *status, const char *what)
{
	struct slice got = sim_received(c);

	if (!slice_has_prefix(got, slice_str(status)) || slice_find(got, slice_str(what)) < 0)
		fail_msg("expected %s and %s, got %.*s", status, what, (int)got.len, got.p);
	sim_close(c);
	rig_stop();
}

static void
serve(void)
{
	struct sim_conn *s = sim_server_take(SERVER);

	assert_non_null(s);
	assert_true(slice_find(sim_received(s), SLICE("\r\nX-User: ann\r\n")) > 0);
	sim_send(s, SLICE("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"));
	sim_run_until_idle();
}

static void
test_allowed(void **state)
{
	struct sim_conn *c = start(GET), *a = authz();

	(void)state;
	assert_null(sim_expect(a, SLICE("GET /check?a=b HTTP/1.1\r\nHost: authz.test\r\n"
	    "X-Ask: please\r\n\r\n")));
	assert_int_equal(sim_server_count(SERVER), 0);
	sim_send(a, SLICE("HTTP/1.1 200 OK\r\nX-User: ann\r\nContent-Length: 0\r\n\r\n"));
	sim_run_until_idle();
	/* The connection is kept for the next one. */
	assert_null(sim_expect_open(a));
	serve();
	expect_answer(c, "HTTP/1.1 200 ", "hi");
}

static void
test_body_there_and_back(void **state)
{
	struct sim_conn *c = start(POST), *a = authz();

	(void)state;
	assert_true(slice_find(sim_received(a), SLICE("Content-Length: 7\r\n\r\nmay he?")) > 0);
	sim_chunk(a, 1);
	sim_send(a, SLICE("HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "3\r\nno,\r\n4\r\n no!\r\n0\r\n\r\n"));
	sim_run_until_idle();
	assert_int_equal(sim_server_count(SERVER), 0);
	expect_answer(c, "HTTP/1.1 403 ", "\r\n\r\nno, no!");
}

static void
test_answer_too_long(void **state)
{
	static char big[ANSWER_MAX + 1];
	struct sim_conn *c, *a;

	(void)state;
	memset(big, 'x', sizeof big);
	for (unsigned over = 0; over < 2; over++) {
		c = start(GET);
		a = authz();
		sim_send(a, SLICE("HTTP/1.1 401 No\r\nConnection: close\r\n\r\n"));
		sim_send(a, slice_of(big, ANSWER_MAX + over));
		sim_close(a);
		sim_run_until_idle();
		expect_answer(c, over ? "HTTP/1.1 502 " : "HTTP/1.1 403 ",
		    over ? "response_too_large" : "xxx");
	}
}

static void
test_time_out(void **state)
{
	struct sim_conn *c = start(GET), *a = authz();

	(void)state;
	sim_send(a, SLICE("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"));
	sim_advance(199);
	assert_int_equal(sim_received(c).len, 0);
	sim_advance(1);
	assert_non_null(sim_expect_open(a));
	expect_answer(c, "HTTP/1.1 504 ", "upstream_timeout");
}

/* How far the call has come when something happens to it. */
enum stage {
	CONNECTING,
	ASKED,
	HALF_A_HEAD,
	HALF_A_BODY,
	REUSED,		/* over a connection that had been idle */
	N_STAGES
};

static struct sim_conn *
start_at(enum stage stage, struct sim_conn **a_r)
{
	struct sim_conn *c = start(stage == REUSED ? "GET /authz HTTP/1.1\r\nHost: h\r\n\r\n" : "");

	*a_r = NULL;
	if (stage == CONNECTING) {
		sim_server(AUTHZ, SIM_BLACKHOLE);
		sim_server(AUTHZ2, SIM_BLACKHOLE);
	} else if (stage == REUSED) {
		/* Two requests, for two servers in turn: whichever is called has one idle. */
		*a_r = authz();
		sim_send(*a_r, SLICE("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
		sim_run_until_idle();
		(void)sim_received(c);
		sim_send(c, SLICE("GET /authz HTTP/1.1\r\nHost: h\r\n\r\n"));
		sim_run_until_idle();
		sim_send(authz(), SLICE("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
		sim_run_until_idle();
	}
	sim_send(c, SLICE(GET));
	sim_run_until_idle();
	if (stage == CONNECTING || stage == REUSED)
		return (c);
	*a_r = authz();
	if (stage == HALF_A_HEAD)
		sim_send(*a_r, SLICE("HTTP/1.1 200 OK\r\nContent-"));
	else if (stage == HALF_A_BODY)
		sim_send(*a_r, SLICE("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"));
	sim_run_until_idle();
	return (c);
}

#define CONF_WITHOUT							\
	"version: 1\n"							\
	"listeners: { web: { listen: \"127.0.0.1:8080\" } }\n"		\
	"upstreams: { u: { servers: [\"" SERVER "\"] } }\n"		\
	"routes: [ { prefix: /, upstream: u } ]\n"

/* With and without the upstream that is called gone from the configuration meanwhile. */
static void
test_ends_in_each_stage(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2 * N_STAGES; i++) {
		enum stage stage = (enum stage)(i / 2);
		struct sim_conn *a, *c = start_at(stage, &a);

		if (i % 2 == 1)
			rig_reload(CONF_WITHOUT);
		sim_reset(c);
		sim_run_until_idle();
		assert_int_equal(n_gone, 1);
		sim_advance(1000);
		rig_stop();

		c = start_at(stage, &a);
		if (i % 2 == 1)
			rig_reload(CONF_WITHOUT);
		sim_advance(1000);
		expect_answer(c, stage == REUSED ? "HTTP/1.1 200 " : "HTTP/1.1 504 ", "timeout");
	}
}

static void
test_answered_after_a_reload(void **state)
{
	struct sim_conn *a, *c = start_at(HALF_A_HEAD, &a);

	(void)state;
	assert_null(sim_expect(a, SLICE("GET /check?a=b HTTP/1.1\r\nHost: authz.test\r\n"
	    "X-Ask: please\r\n\r\n")));
	rig_reload(CONF_WITHOUT);
	sim_send(a, SLICE("Length: 0\r\nX-User: ann\r\n\r\n"));
	sim_run_until_idle();
	assert_null(sim_expect_open(a));
	serve();
	/* That request was the last that needed its pool. */
	assert_null(sim_expect_closed(a));
	expect_answer(c, "HTTP/1.1 200 ", "hi");
}

static void
test_client_goes(void **state)
{
	struct sim_conn *c = start(GET), *a = authz();

	(void)state;
	sim_reset(c);
	sim_run_until_idle();
	assert_int_equal(n_gone, 1);
	assert_non_null(sim_expect_open(a));
	rig_stop();
}

static void
test_broken_answers(void **state)
{
	static const struct { const char *bytes, *says; } cases[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", "upstream_closed" },
		{ "", "upstream_closed" },
		{ "HELO\r\n\r\n", "upstream_malformed" },
	};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct sim_conn *c = start(GET), *a = authz();

		sim_send(a, slice_str(cases[i].bytes));
		sim_close(a);
		sim_run_until_idle();
		expect_answer(c, "HTTP/1.1 502 ", cases[i].says);
	}
}

static void
test_another_server_when_one_refuses(void **state)
{
	struct sim_conn *c, *a;

	(void)state;
	c = start("GET /authz HTTP/1.1\r\nHost: h\r\n\r\n");
	a = authz();
	sim_send(a, SLICE("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"));
	sim_run_until_idle();
	sim_close(a);
	sim_server(AUTHZ, SIM_REFUSE);
	for (unsigned i = 0; i < 2; i++) {
		sim_send(c, SLICE(GET));
		sim_run_until_idle();
		a = sim_server_take(AUTHZ2);
		assert_non_null(a);
		sim_send(a, SLICE("HTTP/1.1 200 OK\r\nConnection: close\r\nX-User: ann\r\n"
		    "Content-Length: 0\r\n\r\n"));
		sim_run_until_idle();
		sim_close(a);
		if (i == 0) {
			struct sim_conn *s = sim_server_take(SERVER);

			sim_send(s, SLICE("HTTP/1.1 200 OK\r\nConnection: close\r\n"
			    "Content-Length: 0\r\n\r\n"));
			sim_run_until_idle();
			sim_close(s);
		}
	}
	serve();
	expect_answer(c, "HTTP/1.1 200 ", "hi");
}

static void
test_nobody_there(void **state)
{
	struct sim_conn *c;

	(void)state;
	c = start("GET /authz HTTP/1.1\r\nHost: h\r\n\r\n");
	sim_send(authz(), SLICE("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
	sim_run_until_idle();
	(void)sim_received(c);
	sim_server(AUTHZ, SIM_REFUSE);
	sim_server(AUTHZ2, SIM_REFUSE);
	sim_send(c, SLICE(GET));
	sim_run_until_idle();
	assert_true(slice_find(sim_received(c), SLICE("upstream_connect_failed")) > 0);
	sim_close(c);
	rig_stop();
}

/* One that refuses is asked once: there is no other. */
static void
test_one_server_refuses(void **state)
{
	struct sim_conn *c = start_asking("\"" AUTHZ "\"");

	(void)state;
	sim_server(AUTHZ, SIM_REFUSE);
	sim_send(c, SLICE(GET));
	sim_run_until_idle();
	assert_int_equal(sim_server_count(AUTHZ), 1);
	expect_answer(c, "HTTP/1.1 503 ", "upstream_connect_failed");
}

/* As when a name has other addresses: they are in force between a failed try and the next. */
static void
test_servers_change_between_tries(void **state)
{
	enum { CONNECT_MS = 50 };
	static const char *const others[] = { "10.0.0.4:80", "10.0.0.5:80", "10.0.0.6:80" };
	struct server now[3] = { { .weight = 1 }, { .weight = 1 }, { .weight = 1 } };
	struct sim_conn *c = start_asking("\"" AUTHZ "\", \"" AUTHZ2 "\", \"10.0.0.7:80\"");
	struct endset *set;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		now[i].name = now[i].address = slice_str(others[i]);
		assert_true(addr_parse(now[i].name, &now[i].addr));
		sim_server(others[i], SIM_BLACKHOLE);
	}
	set = endset_new(now, 3);
	sim_server(AUTHZ, SIM_BLACKHOLE);
	sim_server(AUTHZ2, SIM_BLACKHOLE);
	sim_server("10.0.0.7:80", SIM_BLACKHOLE);
	connect_ms = CONNECT_MS;
	sim_send(c, SLICE(GET));
	sim_advance(CONNECT_MS + CONNECT_MS / 2);
	assert_true(pool_swap(pool_local(rig_worker(), upstream_named("authz")), set));
	sim_advance(1000);
	connect_ms = 100;
	endset_unref(&set);
	expect_answer(c, "HTTP/1.1 504 ", "upstream_");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_body_there_and_back),
		cmocka_unit_test(test_answer_too_long),
		cmocka_unit_test(test_time_out),
		cmocka_unit_test(test_client_goes),
		cmocka_unit_test(test_ends_in_each_stage),
		cmocka_unit_test(test_answered_after_a_reload),
		cmocka_unit_test(test_broken_answers),
		cmocka_unit_test(test_another_server_when_one_refuses),
		cmocka_unit_test(test_nobody_there),
		cmocka_unit_test(test_one_server_refuses),
		cmocka_unit_test(test_servers_change_between_tries),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

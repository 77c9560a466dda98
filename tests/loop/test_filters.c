/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/panic.h"
#include "engine/http/headers.h"
#include "engine/proxy/facts.h"
#include "filters/filters.h"
#include "tests/loop/rig.h"

/* Filters that wait, fault, answer and change bodies, in a whole gateway. */

int	__real_bind(int fd, const struct sockaddr *a, socklen_t len);	/* see rig.c */

/* ---- a service: done after a time, now, or never ---- */

struct op {
	struct timer	 timer;
	struct pending	*pending;
	struct err	*err;
};

static struct seen {
	unsigned calls, wokens, cancels, gones, logs, behind;
	uint64_t body_bytes;
	unsigned body_calls, body_ends;
	uint64_t phase_us[FACTS_PHASE__MAX];	/* as the log was told */
} seen;

static void
op_done(void *arg)
{
	struct op *op = arg;

	pending_done(op->pending, op->err);
}

static void
op_cancel(struct pending *p)
{
	struct op *op = p->service;

	seen.cancels++;
	timer_clear(&op->timer);
}

static void
op_start(struct op *op, struct pending *p, uint64_t ms, struct err *err)
{
	struct loop *loop = rig_worker()->loop;

	timer_init(&op->timer, op_done, op);
	op->pending = p;
	op->err = err;
	pending_arm(p, op_cancel, op);
	if (ms != UINT64_MAX)
		timer_set(loop, &op->timer, loop_now_ms(loop) + ms);
}

/* ---- probe: what its word says ---- */

enum word {
	PASS, WAIT, FAIL, INSTANT, ASKED, NEVER, TIMED, UNHANDLED, BUG, CIRCLE, REPLY, NOREPLY,
	RESP_WAIT, RESP_REPLY, RESP_FAULT, EARLY, DUMP
};
static const struct schema_enum words[] = {
	{ "pass", PASS }, { "wait", WAIT }, { "fail", FAIL }, { "instant", INSTANT },
	{ "asked", ASKED }, { "never", NEVER }, { "timed", TIMED }, { "unhandled", UNHANDLED },
	{ "bug", BUG }, { "circle", CIRCLE }, { "reply", REPLY }, { "noreply", NOREPLY },
	{ "resp_wait", RESP_WAIT }, { "resp_reply", RESP_REPLY }, { "resp_fault", RESP_FAULT },
	{ "early", EARLY }, { "dump", DUMP },
	{ NULL, 0 },
};
struct probe_conf {
	struct schema_obj	 obj;
	enum word		 word;
};
static const struct schema_row probe_rows[] = {
	SCHEMA_ROW("word", ENUM, struct probe_conf, word, .names = words, .help = "what it does"),
	SCHEMA_ROWS_END,
};
static struct schema probe_schema = SCHEMA_DEFINE("probe", struct probe_conf, probe_rows,
    .scalar = "word");
static const struct schema_key_ext probe_key = {
	.row = SCHEMA_EXT_ROW("probe", OBJECT, .sub = &probe_schema, .help = "a test"),
};

static enum word
word_of(const struct filter_call *fc)
{
	return (((const struct probe_conf *)fc->conf)->word);
}

static enum filter_verdict
waiting(struct filter_call *fc, enum word word)
{
	static struct err no = { .code = ERR_STATE, .what = "no" };
	struct op *op = fc->ctx;

	if (word == CIRCLE || (!fc->woken && (word == INSTANT || word == ASKED))) {
		op_start(op, &fc->pending, UINT64_MAX, NULL);
		pending_done(&fc->pending, NULL);
		if (word == ASKED && fc->pending.state == PENDING_DONE)
			return (FILTER_NEXT);
		return (FILTER_WAIT);
	}
	if (!fc->woken) {
		op_start(op, &fc->pending, word == WAIT ? 50 : word == FAIL ? 20 : UINT64_MAX,
		    word == FAIL ? &no : NULL);
		return (FILTER_WAIT);
	}
	seen.wokens++;
	if (fc->timed_out)
		return (word == TIMED ? FILTER_NEXT : word == UNHANDLED ? FILTER_FAULT :
		    FILTER_WAIT);
	if (fc->pending_err != NULL) {
		filter_reply(fc, 403, SLICE("text/plain"), slice_str(fc->pending_err->what));
		return (FILTER_REPLY);
	}
	return (FILTER_NEXT);
}

/* What a failed check would print here. */
static char dumped[8192];

static void
dump_here(void)
{
	int fd = memfd_create("dump", MFD_CLOEXEC), err = dup(STDERR_FILENO);
	ssize_t n;

	assert_true(fd >= 0 && err >= 0);
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	panic_dump();
	assert_int_equal(dup2(err, STDERR_FILENO), STDERR_FILENO);
	n = pread(fd, dumped, sizeof dumped - 1, 0);
	assert_true(n > 0);
	dumped[n] = '\0';
	(void)close(fd);
	(void)close(err);
}

static enum filter_verdict
probe_req(struct filter_call *fc, struct msg_req *req)
{
	seen.calls++;
	(void)headers_set(&req->m.headers, SLICE("X-Probe"), SLICE("1"));
	switch (word_of(fc)) {
	case WAIT: case FAIL: case INSTANT: case ASKED: case NEVER: case TIMED: case UNHANDLED:
	case CIRCLE:
		return (waiting(fc, word_of(fc)));
	case BUG:
		return (FILTER_WAIT);
	case DUMP:
		dump_here();
		return (FILTER_NEXT);
	case REPLY:
		filter_reply(fc, 418, SLICE("text/plain"), SLICE("tea"));
		(void)headers_set(&filter_reply_head(fc)->m.headers, SLICE("X-Pot"), SLICE("small"));
		return (FILTER_REPLY);
	case NOREPLY:
		return (FILTER_REPLY);
	case EARLY:
		op_start(fc->ctx, &fc->pending, 5, NULL);
		return (FILTER_NEXT);
	default:
		return (FILTER_NEXT);
	}
}

static enum filter_verdict
probe_resp(struct filter_call *fc, struct msg_resp *resp)
{
	(void)resp;
	switch (word_of(fc)) {
	case RESP_WAIT:
		return (fc->woken ? FILTER_NEXT : waiting(fc, WAIT));
	case RESP_REPLY:
		filter_reply(fc, 410, SLICE("text/plain"), SLICE("gone"));
		return (FILTER_REPLY);
	case RESP_FAULT:
		filter_fault(fc, REASON_UPSTREAM_MALFORMED);
		return (FILTER_FAULT);
	case EARLY:
		seen.wokens += fc->woken;
		return (fc->woken ? FILTER_NEXT : FILTER_WAIT);
	default:
		return (FILTER_NEXT);
	}
}

static void
probe_log(struct filter_call *fc, const struct facts *f)
{
	(void)fc;
	seen.logs++;
	memcpy(seen.phase_us, f->phase_us, sizeof seen.phase_us);
}

static void
probe_gone(struct filter_call *fc)
{
	(void)fc;
	seen.gones++;
}

static const struct filter_ops probe = {
	.name = "probe", .ctx_size = sizeof(struct op), .conf_size = sizeof(struct probe_conf),
	.key = &probe_key, .timeout_ms = 1000, .on_req_headers = probe_req,
	.on_resp_headers = probe_resp, .on_log = probe_log, .on_gone = probe_gone,
};

/* ---- behind: whether the chain came so far ---- */

static enum filter_verdict
behind_req(struct filter_call *fc, struct msg_req *req)
{
	(void)fc;
	(void)req;
	seen.behind++;
	return (FILTER_NEXT);
}

static enum filter_verdict
behind_resp(struct filter_call *fc, struct msg_resp *resp)
{
	(void)fc;
	(void)headers_add(&resp->m.headers, SLICE("X-Behind"), SLICE("1"));
	return (FILTER_NEXT);
}

static const struct filter_ops behind = {
	.name = "behind", .on_req_headers = behind_req, .on_resp_headers = behind_resp,
};

/* ---- shout: bodies in capitals ---- */

enum shout_do { SHOUT, SHOUT_DROP, SHOUT_FAULT, SHOUT_REPLY };
static const struct schema_enum shout_modes[] = {
	{ "stream", BODY_STREAM }, { "whole", BODY_WHOLE }, { NULL, 0 },
};
static const struct schema_enum shout_dos[] = {
	{ "shout", SHOUT }, { "drop", SHOUT_DROP }, { "fault", SHOUT_FAULT },
	{ "reply", SHOUT_REPLY }, { NULL, 0 },
};
struct shout_conf {
	struct schema_obj	 obj;
	enum body_mode		 req, resp;
	enum shout_do		 what;
	bool			 wait;
};
static const struct schema_row shout_rows[] = {
	SCHEMA_ROW("req", ENUM, struct shout_conf, req, .names = shout_modes, .help = "t"),
	SCHEMA_ROW("resp", ENUM, struct shout_conf, resp, .names = shout_modes, .help = "t"),
	SCHEMA_ROW("do", ENUM, struct shout_conf, what, .names = shout_dos, .help = "t"),
	SCHEMA_ROW("wait", BOOL, struct shout_conf, wait, .def = "false", .help = "t"),
	SCHEMA_ROWS_END,
};
static struct schema shout_schema = SCHEMA_DEFINE("shout", struct shout_conf, shout_rows);
static const struct schema_key_ext shout_key = {
	.row = SCHEMA_EXT_ROW("shout", OBJECT, .sub = &shout_schema, .help = "a test"),
};

static enum filter_verdict
shout_body(struct filter_call *fc, struct body_view *view)
{
	const struct shout_conf *conf = fc->conf;

	if (conf->wait && !fc->woken) {
		op_start(fc->ctx, &fc->pending, 10, NULL);
		return (FILTER_WAIT);
	}
	seen.body_calls++;
	seen.body_ends += view->end;
	for (unsigned i = 0; i < view->n; i++) {
		struct span *s = &view->v[i];
		char *p = arena_alloc(fc->arena, s->len + 1);

		seen.body_bytes += s->len;
		for (uint32_t j = 0; j < s->len; j++)
			p[j] = s->p[j] >= 'a' && s->p[j] <= 'z' ? (char)(s->p[j] - 32) : s->p[j];
		*s = (struct span){ .p = p, .len = s->len };
	}
	switch (conf->what) {
	case SHOUT:
		return (FILTER_NEXT);
	case SHOUT_DROP:
		view->n = 0;
		return (FILTER_NEXT);
	case SHOUT_FAULT:
		filter_fault(fc, REASON_IP_DENIED);
		return (FILTER_FAULT);
	case SHOUT_REPLY:
		filter_reply(fc, 422, SLICE("text/plain"), SLICE("loud"));
		return (FILTER_REPLY);
	}
	return (FILTER_NEXT);
}

static enum filter_verdict
shout_req(struct filter_call *fc, struct msg_req *req)
{
	const struct shout_conf *conf = fc->conf;

	(void)req;
	if (schema_has(&conf->obj, "req"))
		filter_watch_req_body(fc, conf->req);
	return (FILTER_NEXT);
}

static enum filter_verdict
shout_resp(struct filter_call *fc, struct msg_resp *resp)
{
	const struct shout_conf *conf = fc->conf;

	(void)resp;
	if (schema_has(&conf->obj, "resp"))
		filter_watch_resp_body(fc, conf->resp);
	return (FILTER_NEXT);
}

static void
shout_gone(struct filter_call *fc)
{
	(void)fc;
	seen.gones++;
}

static const struct filter_ops shout = {
	.name = "shout", .ctx_size = sizeof(struct op), .conf_size = sizeof(struct shout_conf),
	.key = &shout_key, .on_req_headers = shout_req, .on_req_body = shout_body,
	.on_resp_headers = shout_resp, .on_resp_body = shout_body, .on_gone = shout_gone,
};

static const struct filter_ops *const filters[] = { &probe, &shout, &behind };
static const struct filter_ops *const responses[] = { &shout, &probe, &behind };
static const struct proxy_program program = {
	.filters = filters, .n_filters = 3, .responses = responses, .n_responses = 3,
	.via = SLICE_INIT("Via: 1.1 rig\r\n"),
	.via_1_0 = SLICE_INIT("Via: 1.0 rig\r\n"), .server_name = SLICE_INIT("rig"),
};

/* ---- the stage ---- */

#define HEAD								\
	"version: 1\n"							\
	"listeners: { web: { listen: \"127.0.0.1:8080\" } }\n"		\
	"upstreams: { u: { servers: [\"10.0.0.1:80\"] } }\n"		\
	"routes:\n"

static void
start(const char *policy)
{
	char text[1024];

	memset(&seen, 0, sizeof seen);
	snprintf(text, sizeof text, HEAD "  - { prefix: /, upstream: u, body_limit: 100KiB, %s }\n",
	    policy);
	rig_start(&program, text);
	sim_server("10.0.0.1:80", SIM_ACCEPT);
}

static bool
has(struct slice all, const char *what)
{
	return (slice_find(all, slice_str(what)) >= 0);
}

static struct sim_conn *
get(void)
{
	struct sim_conn *c = sim_client_connect(8080);

	assert_non_null(c);
	sim_send(c, SLICE("GET /a HTTP/1.1\r\nHost: h\r\n\r\n"));
	sim_run_until_idle();
	return (c);
}

/* The upstream gets a request and answers; returns what it got. */
static struct slice
answer(const char *response)
{
	struct sim_conn *s = sim_server_take("10.0.0.1:80");
	struct slice got;

	assert_non_null(s);
	got = sim_received(s);
	sim_send(s, slice_str(response));
	sim_run_until_idle();
	return (got);
}

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

static void
expect_end(struct sim_conn *c, const char *status, const char *what)
{
	struct slice got = sim_received(c);

	if (!slice_has_prefix(got, slice_str(status)) || !has(got, what))
		fail_msg("expected %s and %s, got %.*s", status, what, (int)got.len, got.p);
	sim_close(c);
	rig_stop();
	assert_int_equal(seen.logs, 1);
}

/* In ms; there was no other. */
static void
expect_phases(uint64_t auth, uint64_t first_byte, uint64_t body)
{
	assert_int_equal(seen.phase_us[FACTS_AUTH], auth * 1000);
	assert_int_equal(seen.phase_us[FACTS_FIRST_BYTE], first_byte * 1000);
	assert_int_equal(seen.phase_us[FACTS_BODY], body * 1000);
	assert_int_equal(seen.phase_us[FACTS_HEADERS] + seen.phase_us[FACTS_QUEUE] +
	    seen.phase_us[FACTS_CONNECT], 0);
}

/* ---- header phases ---- */

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

/* ---- bodies ---- */

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

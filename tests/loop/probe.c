/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <sys/mman.h>
#include <unistd.h>

#include "engine/base/panic.h"
#include "tests/loop/probe.h"

/* ---- a service: done after a time, now, or never ---- */

struct op {
	struct timer	 timer;
	struct pending	*pending;
	struct err	*err;
};

struct seen seen;

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
char dumped[DUMPED_BYTES];

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
const struct proxy_program program = {
	.filters = filters, .n_filters = 3, .responses = responses, .n_responses = 3,
	.via = SLICE_INIT("Via: 1.1 rig\r\n"),
	.via_1_0 = SLICE_INIT("Via: 1.0 rig\r\n"), .server_name = SLICE_INIT("rig"),
};

/* ---- the stage ---- */

void
start(const char *policy)
{
	char text[1024];

	memset(&seen, 0, sizeof seen);
	snprintf(text, sizeof text, HEAD "  - { prefix: /, upstream: u, body_limit: 100KiB, %s }\n",
	    policy);
	rig_start(&program, text);
	sim_server("10.0.0.1:80", SIM_ACCEPT);
}

bool
has(struct slice all, const char *what)
{
	return (slice_find(all, slice_str(what)) >= 0);
}

struct sim_conn *
get(void)
{
	struct sim_conn *c = sim_client_connect(8080);

	assert_non_null(c);
	sim_send(c, SLICE("GET /a HTTP/1.1\r\nHost: h\r\n\r\n"));
	sim_run_until_idle();
	return (c);
}

struct slice
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

void
expect_end(struct sim_conn *c, const char *status, const char *what)
{
	struct slice got = sim_received(c);

	if (!slice_has_prefix(got, slice_str(status)) || !has(got, what))
		fail_msg("expected %s and %s, got %.*s", status, what, (int)got.len, got.p);
	sim_close(c);
	rig_stop();
	assert_int_equal(seen.logs, 1);
}

void
expect_phases(uint64_t auth, uint64_t first_byte, uint64_t body)
{
	assert_int_equal(seen.phase_us[FACTS_AUTH], auth * 1000);
	assert_int_equal(seen.phase_us[FACTS_FIRST_BYTE], first_byte * 1000);
	assert_int_equal(seen.phase_us[FACTS_BODY], body * 1000);
	assert_int_equal(seen.phase_us[FACTS_HEADERS] + seen.phase_us[FACTS_QUEUE] +
	    seen.phase_us[FACTS_CONNECT], 0);
}

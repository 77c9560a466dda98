/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/h1/h1_in.h"
#include "tests/unit/h1/rig.h"

#define SMALL	"GET /hello HTTP/1.1\r\nHost: a.test\r\nAccept: */*\r\n\r\n"
#define HOST	"Host: a.test\r\n"

#define CAN_REUSE(r)	((r)->h1.c.ops->can_reuse(&(r)->h1.c))
#define IS_IDLE(r)	((r)->h1.c.ops->is_idle(&(r)->h1.c))
#define FEED(r, lit)	rig_feed((r), (lit), sizeof(lit) - 1, 0)

static void
plain_request(void **state)
{
	struct rig *r = rig_new(CODEC_SERVER);

	(void)state;
	assert_int_equal(FEED(r, SMALL), CODEC_MORE);
	assert_string_equal(rig_log(r),
	    "head GET /hello /hello host=a.test v11 body0 len-1 keep end [Host: a.test] [Accept: */*]\n"
	    "end\n");
	assert_false(IS_IDLE(r));
	rig_put(r, "hi\n");
	assert_true(rig_send_status(r, 200, MSG_BODY_LENGTH, 3));
	pipe_put_end(&r->body, NULL);
	assert_int_equal(rig_write(r, 0), 1);
	assert_string_equal(rig_out(r), "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi\n");
	assert_int_equal(r->n_sent, 1);
	assert_true(CAN_REUSE(r));
	assert_true(IS_IDLE(r));
	rig_free(r);
}

/* A head that cannot be written is not sent, and nothing is left that a writer would turn on. */
static void
refused_head_leaves_nothing(void **state)
{
	struct rig *r = rig_new(CODEC_SERVER);
	struct msg_resp resp;
	struct iovec v[8];

	(void)state;
	(void)FEED(r, SMALL);
	msg_resp_init(&resp, &r->arena);
	resp.phrase = SLICE("two\r\nlines");
	resp.status = 103;
	assert_false(r->h1.c.ops->send_info(&r->h1.s, &resp));
	assert_int_equal(r->h1.c.ops->gather(&r->h1.c, v, array_len(v)), 0);
	resp.status = 200;
	assert_false(r->h1.c.ops->send(&r->h1.s, &resp.m, NULL));
	assert_int_equal(r->h1.c.ops->gather(&r->h1.c, v, array_len(v)), 0);
	rig_free(r);
}

/* The second request waits until the first is answered; its head may come in pieces. */
static void
pipelined(void **state)
{
	struct rig *r = rig_new(CODEC_SERVER);

	(void)state;
	assert_int_equal(FEED(r, SMALL "GET /two HTTP/1.1\r\n" HOST "\r\nGET /thr"), CODEC_BLOCKED);
	assert_int_equal(r->n_heads, 1);
	assert_true(rig_send_status(r, 200, MSG_BODY_NONE, -1));
	(void)rig_write(r, 0);
	r->rc = CODEC_MORE;
	assert_int_equal(FEED(r, "ee HTTP/1.1\r\n"), CODEC_BLOCKED);
	assert_int_equal(r->n_heads, 2);
	assert_true(rig_send_status(r, 200, MSG_BODY_NONE, -1));
	(void)rig_write(r, 0);
	assert_int_equal(FEED(r, HOST "\r\n"), CODEC_MORE);
	assert_int_equal(r->n_heads, 3);
	assert_non_null(strstr(rig_log(r), "head GET /three /three"));
	rig_free(r);
}

static void
request_bodies(void **state)
{
	static const char text[] =
	    "POST /a HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"
	    "POST /b HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
	    "5;x=y\r\nhello\r\n006\r\n world\r\n0\r\nX-Sum: 1\r\nHost: evil\r\nX_A: b\r\n\r\n"
	    "PUT /c HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n";
	static const char want[] =
	    "head POST /a /a host=a.test v11 body1 len5 keep [Host: a.test]\nbody 5 hello\nend\n"
	    "head POST /b /b host=a.test v11 body2 len-1 keep [Host: a.test]\n"
	    "body 11 hello world\nend [X-Sum: 1]\n"
	    "head PUT /c /c host=a.test v11 body0 len0 keep end [Host: a.test]\nend\n";

	(void)state;
	for (size_t piece = 0; piece < 40; piece++) {
		struct rig *r = rig_new(CODEC_SERVER);

		r->answer = true;
		assert_int_equal(rig_feed(r, text, sizeof(text) - 1, piece), CODEC_MORE);
		assert_string_equal(rig_log(r), want);
		rig_free(r);
	}
}

static void
pause_and_resume(void **state)
{
	struct rig *r = rig_new(CODEC_SERVER);

	(void)state;
	r->pause = true;
	assert_int_equal(FEED(r, "POST / HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nabc"), CODEC_BLOCKED);
	assert_int_equal(FEED(r, "def"), CODEC_BLOCKED);
	assert_int_equal(r->n_body, 1);
	r->h1.c.ops->resume(&r->h1.s);
	r->pause = false;
	assert_int_equal(FEED(r, "ghi"), CODEC_MORE);
	assert_int_equal(r->n_body, 2);
	assert_int_equal(r->n_ends, 1);
	rig_free(r);
}

static void
refused_then_answered(void **state)
{
	struct rig *r = rig_new(CODEC_SERVER);

	(void)state;
	assert_int_equal(FEED(r, "GET /x?y HTTP/1.1\r\nHost : a\r\n\r\n"), CODEC_ERROR);
	assert_string_equal(rig_log(r), "error request_malformed\n");
	assert_true(slice_eq(r->msg.req.path_raw, SLICE("/x")));
	assert_true(slice_eq(r->msg.req.query, SLICE("y")));
	assert_true(rig_send_status(r, 400, MSG_BODY_NONE, 0));
	(void)rig_write(r, 0);
	assert_string_equal(rig_out(r),
	    "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
	assert_false(CAN_REUSE(r));
	r->rc = CODEC_MORE;
	assert_int_equal(FEED(r, SMALL), CODEC_ERROR);
	assert_int_equal(r->n_heads, 0);
	rig_free(r);
}

static void
reasons(void **state)
{
	static const struct {
		const char *bytes;
		enum reason reason;
	} rows[] = {
		{ "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", REASON_METHOD_REFUSED },
		{ "GET / HTTP/2.0\r\n", REASON_VERSION_REFUSED },
		{ "GET / HTTP/1.1\r\n" HOST "Expect: tea\r\n\r\n", REASON_EXPECTATION_FAILED },
		{ "GET / HTTP/1.1\r\n" HOST "Upgrade: x\r\nContent-Length: 1\r\n\r\n",
		    REASON_REQUEST_MALFORMED },
		{ "GET / HTTP/1.1\r\n" HOST "Upgrade: x\r\nTransfer-Encoding: chunked\r\n\r\n",
		    REASON_REQUEST_MALFORMED },
	};

	(void)state;
	for (size_t i = 0; i < array_len(rows); i++) {
		struct rig *r = rig_new(CODEC_SERVER);

		assert_int_equal(rig_feed(r, rows[i].bytes, strlen(rows[i].bytes), 0), CODEC_ERROR);
		assert_int_equal(r->reason, rows[i].reason);
		rig_free(r);
	}
}

/* The response is out before the request is in: it says close, and the rest is thrown away. */
static void
early_response(void **state)
{
	struct rig *r = rig_new(CODEC_SERVER);

	(void)state;
	assert_int_equal(FEED(r, "POST / HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nabc"), CODEC_MORE);
	assert_true(rig_send_status(r, 413, MSG_BODY_NONE, 0));
	(void)rig_write(r, 0);
	assert_non_null(strstr(rig_out(r), "Connection: close\r\n"));
	assert_int_equal(r->n_sent, 1);
	assert_false(CAN_REUSE(r));
	assert_int_equal(FEED(r, "defghiGET / HTTP/1.1\r\n" HOST "\r\n"), CODEC_MORE);
	assert_int_equal(r->n_heads, 1);
	assert_int_equal(r->n_body, 1);
	rig_free(r);
}

static void
old_clients(void **state)
{
	struct rig *r = rig_new(CODEC_SERVER);
	struct msg_resp info;

	(void)state;
	assert_int_equal(FEED(r, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), CODEC_MORE);
	msg_resp_init(&info, &r->arena);
	info.status = 103;
	assert_true(r->h1.c.ops->send_info(&r->h1.s, &info));
	assert_true(rig_send_status(r, 200, MSG_BODY_NONE, -1));
	(void)rig_write(r, 0);
	assert_string_equal(rig_out(r),
	    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
	assert_true(CAN_REUSE(r));
	assert_int_equal(FEED(r, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), CODEC_MORE);
	assert_true(rig_send_status(r, 200, MSG_BODY_STREAM, -1));
	rig_put(r, "some");
	(void)rig_write(r, 0);
	assert_int_equal(r->n_sent, 1);
	rig_put(r, "more");
	pipe_put_end(&r->body, NULL);
	(void)rig_write(r, 0);
	assert_string_equal(rig_out(r), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nsomemore");
	assert_int_equal(r->n_sent, 2);
	assert_false(CAN_REUSE(r));
	rig_free(r);
}

static void
info_then_answer(void **state)
{
	struct rig *r = rig_new(CODEC_SERVER);
	struct msg_resp info;

	(void)state;
	(void)FEED(r, "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nExpect: 100-Continue\r\n\r\n");
	assert_non_null(strstr(rig_log(r), " expect "));
	msg_resp_init(&info, &r->arena);
	info.status = 100;
	assert_true(r->h1.c.ops->send_info(&r->h1.s, &info));
	assert_int_equal(FEED(r, "x"), CODEC_MORE);
	assert_true(rig_send_status(r, 204, MSG_BODY_NONE, -1));
	(void)rig_write(r, 3);
	assert_string_equal(rig_out(r),
	    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n");
	assert_true(CAN_REUSE(r));
	rig_free(r);
}

static void
head_request(void **state)
{
	struct rig *r = rig_new(CODEC_SERVER);

	(void)state;
	(void)FEED(r, "HEAD / HTTP/1.1\r\n" HOST "\r\n");
	rig_put(r, "never sent");
	assert_true(rig_send_status(r, 200, MSG_BODY_LENGTH, 10));
	(void)rig_write(r, 0);
	assert_string_equal(rig_out(r), "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
	assert_true(CAN_REUSE(r));
	rig_free(r);
}

/* Chunked out, written in steps of every size, with bytes arriving in between. */
static void
chunked_out(void **state)
{
	static char big[3000];

	(void)state;
	memset(big, 'b', sizeof(big) - 1);
	for (size_t step = 1; step < 60; step++) {
		struct rig *r = rig_new(CODEC_SERVER), *back = rig_new(CODEC_CLIENT);
		struct headers trailers;
		const char *out;
		size_t n;

		(void)FEED(r, SMALL);
		assert_true(rig_send_status(r, 200, MSG_BODY_STREAM, -1));
		rig_put(r, "tiny");
		(void)rig_write(r, step);
		rig_put(r, big);
		rig_put(r, "and ");
		rig_put(r, "more");
		(void)rig_write(r, step);
		headers_init(&trailers, &r->arena);
		assert_true(headers_add(&trailers, SLICE("X-Sum"), SLICE("42")));
		rig_put(r, "z");
		pipe_put_end(&r->body, step % 2 == 0 ? &trailers : NULL);
		(void)rig_write(r, step);
		assert_int_equal(r->n_sent, 1);
		assert_true(CAN_REUSE(r));
		n = r->out_len;
		out = rig_out(r);
		assert_true(rig_send_get(back, "/"));
		(void)rig_write(back, 0);
		assert_int_equal(rig_feed(back, out, n, step), CODEC_MORE);
		assert_int_equal(back->n_ends, 1);
		assert_true(CAN_REUSE(back));
		assert_int_equal(back->in_len, 0);
		out = rig_log(back);
		assert_non_null(strstr(out, "body 3012 tinybbbb"));
		assert_int_equal(strstr(out, "end [X-Sum: 42]") != NULL, step % 2 == 0);
		rig_free(back);
		rig_free(r);
	}
}

static void
length_kept(void **state)
{
	struct rig *r = rig_new(CODEC_SERVER);

	(void)state;
	(void)FEED(r, SMALL);
	assert_true(rig_send_status(r, 200, MSG_BODY_LENGTH, 10));
	rig_put(r, "short");
	pipe_put_end(&r->body, NULL);
	(void)rig_write(r, 0);
	assert_int_equal(r->n_sent, 0);
	assert_int_equal(r->n_errors, 1);
	assert_int_equal(r->reason, REASON_INTERNAL_ERROR);
	assert_false(CAN_REUSE(r));
	rig_free(r);

	r = rig_new(CODEC_SERVER);
	(void)FEED(r, SMALL);
	assert_true(rig_send_status(r, 200, MSG_BODY_LENGTH, 3));
	rig_put(r, "too long");
	(void)rig_write(r, 0);
	assert_string_equal(rig_out(r), "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntoo");
	assert_int_equal(r->n_sent, 1);
	assert_false(CAN_REUSE(r));
	rig_free(r);
}

static void
broken_pipe(void **state)
{
	struct rig *r = rig_new(CODEC_SERVER);

	(void)state;
	(void)FEED(r, SMALL);
	assert_true(rig_send_status(r, 200, MSG_BODY_STREAM, -1));
	rig_put(r, "part");
	pipe_break(&r->body);
	(void)rig_write(r, 0);
	assert_string_equal(rig_out(r),
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n");
	assert_int_equal(r->n_errors, 1);
	assert_int_equal(r->reason, REASON_NONE);
	assert_int_equal(r->n_sent, 0);
	assert_false(CAN_REUSE(r));
	assert_false(rig_send_status(r, 200, MSG_BODY_NONE, 0));
	rig_free(r);
}

static void
client_exchange(void **state)
{
	struct rig *r = rig_new(CODEC_CLIENT);

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_true(CAN_REUSE(r));
		assert_true(rig_send_get(r, "/p%3Fq"));
		assert_false(CAN_REUSE(r));
		(void)rig_write(r, 7);
		assert_string_equal(rig_out(r), "GET /p%3Fq HTTP/1.1\r\nHost: a.test\r\n\r\n");
		assert_int_equal(FEED(r, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
		    "HTTP/1.1 200 \r\nContent-Length: 2\r\nKeep-Alive: max=3, timeout=7\r\n\r\nok"),
		    CODEC_MORE);
		assert_string_equal(rig_log(r), "info 103 [Link: </a>]\n"
		    "head 200 '' ka=7 v11 body1 len2 keep\nbody 2 ok\nend\n");
	}
	assert_true(CAN_REUSE(r));
	/* What nobody asked for. */
	assert_int_equal(FEED(r, "HTTP/1.1 408 x\r\n\r\n"), CODEC_ERROR);
	assert_int_equal(r->n_errors, 0);
	assert_false(CAN_REUSE(r));
	rig_free(r);
}

static void
client_ends(void **state)
{
	struct rig *r = rig_new(CODEC_CLIENT);

	(void)state;
	assert_true(rig_send_get(r, "/"));
	(void)rig_write(r, 0);
	assert_int_equal(FEED(r, "HTTP/1.1 200 OK\r\n\r\nuntil "), CODEC_MORE);
	assert_int_equal(FEED(r, "close"), CODEC_MORE);
	assert_int_equal(r->n_ends, 0);
	assert_int_equal(rig_eof(r), CODEC_MORE);
	assert_string_equal(rig_log(r), "head 200 'OK' v11 body3 len-1\nbody 11 until close\nend\n");
	assert_false(CAN_REUSE(r));
	rig_free(r);

	r = rig_new(CODEC_CLIENT);
	assert_true(rig_send_get(r, "/"));
	(void)rig_write(r, 0);
	assert_int_equal(rig_eof(r), CODEC_ERROR);
	assert_int_equal(r->reason, REASON_UPSTREAM_CLOSED);
	assert_int_equal(r->n_errors, 1);
	rig_free(r);
}

static void
client_limits(void **state)
{
	struct rig *r = rig_new(CODEC_CLIENT);

	(void)state;
	assert_true(rig_send_get(r, "/"));
	(void)rig_write(r, 0);
	for (int i = 0; i < H1_INFO_MAX; i++)
		assert_int_equal(FEED(r, "HTTP/1.1 102 P\r\n\r\n"), CODEC_MORE);
	assert_int_equal(FEED(r, "HTTP/1.1 102 P\r\n\r\n"), CODEC_ERROR);
	assert_int_equal(r->reason, REASON_UPSTREAM_MALFORMED);
	rig_free(r);

	r = rig_new(CODEC_CLIENT);
	r->limits.fields = 2;
	assert_true(rig_send_get(r, "/"));
	(void)rig_write(r, 0);
	assert_int_equal(FEED(r, "HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\nC: 3\r\n"), CODEC_ERROR);
	assert_int_equal(r->reason, REASON_UPSTREAM_HEADER_TOO_LARGE);
	rig_free(r);
}

/* A response that is whole before the request is: the connection is not used again. */
static void
client_early_answer(void **state)
{
	struct rig *r = rig_new(CODEC_CLIENT);
	struct msg_req q;

	(void)state;
	msg_req_init(&q, &r->arena);
	q.method = METHOD_POST;
	q.path_raw = SLICE("/");
	q.m.body = MSG_BODY_STREAM;
	assert_true(r->h1.c.ops->send(&r->h1.s, &q.m, &r->body));
	rig_put(r, "first");
	(void)rig_write(r, 0);
	assert_string_equal(rig_out(r), "POST / HTTP/1.1\r\nHost: \r\n"
	    "Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
	assert_int_equal(FEED(r, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), CODEC_MORE);
	assert_int_equal(r->n_ends, 1);
	assert_false(IS_IDLE(r));
	pipe_put_end(&r->body, NULL);
	(void)rig_write(r, 0);
	assert_string_equal(rig_out(r), "0\r\n\r\n");
	assert_true(IS_IDLE(r));
	assert_false(CAN_REUSE(r));
	rig_free(r);
}

static void
tunnel(void **state)
{
	struct rig *down = rig_new(CODEC_SERVER), *up = rig_new(CODEC_CLIENT);

	(void)state;
	assert_int_equal(FEED(down, "GET /ws HTTP/1.1\r\n" HOST
	    "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nEARLY"), CODEC_BLOCKED);
	assert_non_null(strstr(rig_log(down), "upgrade=websocket"));
	assert_true(up->h1.c.ops->send(&up->h1.s, &down->msg.m, &up->body));
	(void)rig_write(up, 0);
	assert_string_equal(rig_out(up), "GET /ws HTTP/1.1\r\n" HOST
	    "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n");
	/* on_sent has made a new pipe of the same struct: still the request's. */
	assert_int_equal(FEED(up, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
	    "Upgrade: WebSocket\r\n\r\nhello"), CODEC_TUNNEL);
	assert_non_null(strstr(rig_log(up), "body 5 hello"));
	rig_put(up, "raw up");
	(void)rig_write(up, 2);
	assert_string_equal(rig_out(up), "raw up");

	assert_true(rig_send_status(down, 101, MSG_BODY_TUNNEL, -1));
	rig_put(down, "raw down");
	(void)rig_write(down, 0);
	assert_string_equal(rig_out(down), "HTTP/1.1 101 Switching Protocols\r\n"
	    "Connection: upgrade\r\nUpgrade: websocket\r\n\r\nraw down");
	down->rc = CODEC_MORE;
	assert_int_equal(FEED(down, "!"), CODEC_TUNNEL);
	assert_non_null(strstr(rig_log(down), "body 6 EARLY!"));
	assert_int_equal(rig_eof(down), CODEC_MORE);
	assert_non_null(strstr(rig_log(down), "end"));
	assert_int_equal(down->n_sent, 0);
	pipe_put_end(&down->body, NULL);
	(void)rig_write(down, 0);
	assert_int_equal(down->n_sent, 1);
	assert_false(CAN_REUSE(down));
	assert_false(CAN_REUSE(up));
	rig_free(down);
	rig_free(up);
}

static void
drained(void **state)
{
	struct rig *r = rig_new(CODEC_SERVER);

	(void)state;
	r->h1.c.ops->drain(&r->h1.c);
	(void)FEED(r, SMALL);
	assert_true(rig_send_status(r, 200, MSG_BODY_NONE, 0));
	(void)rig_write(r, 0);
	assert_non_null(strstr(rig_out(r), "Connection: close\r\n"));
	assert_false(CAN_REUSE(r));
	rig_free(r);
}

/* Ended in the middle of both directions: what it held of pages goes back, which rig_free() sees. */
static void
ended_midway(void **state)
{
	struct rig *r = rig_new(CODEC_SERVER);

	(void)state;
	(void)FEED(r, "POST / HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nabc");
	assert_true(rig_send_status(r, 200, MSG_BODY_STREAM, -1));
	r->h1.c.ops->fini(&r->h1.c);
	assert_int_equal(r->n_heads, 1);
	assert_int_equal(r->n_errors + r->n_sent + r->n_ends, 0);
	rig_free(r);
}

/* One exchange of a server and one of a client, in which each event happens; `step` bytes at a time,
   0: all. What comes behind the message is not read. */
static void
play_server(struct rig *r, size_t step, const char *bytes)
{
	(void)rig_feed(r, bytes, strlen(bytes), step);
	if (r->h1.c.magic == 0)
		return;
	rig_put(r, "hi");
	assert_true(rig_send_status(r, 200, MSG_BODY_STREAM, -1));
	pipe_put_end(&r->body, NULL);
	(void)rig_write(r, step);
}

static void
play_client(struct rig *r, size_t step, const char *bytes)
{
	assert_true(rig_send_get(r, "/"));
	(void)rig_write(r, step);
	if (r->h1.c.magic == 0)
		return;
	(void)rig_feed(r, bytes, strlen(bytes), step);
	(void)rig_eof(r);
}

/* The owner ends the codec in an event: the call that raised it raises no other. */
static void
ended_in_an_event(void **state)
{
	static const struct {
		bool is_client;
		const char *bytes;
		unsigned events;	/* bits of those that happen */
	} plays[] = {
		{ false, SMALL SMALL, 1 << RIG_HEAD | 1 << RIG_END | 1 << RIG_SENT },
		{ false, "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc" SMALL,
		    1 << RIG_HEAD | 1 << RIG_BODY | 1 << RIG_END | 1 << RIG_SENT },
		{ false, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
		    "2\r\nab\r\n1\r\nc\r\n0\r\nX: y\r\n\r\n" SMALL,
		    1 << RIG_HEAD | 1 << RIG_BODY | 1 << RIG_END | 1 << RIG_SENT },
		{ false, "GET / HTTP/1.0\r\n" HOST "\r\n", 1 << RIG_HEAD | 1 << RIG_END | 1 << RIG_SENT },
		{ false, "GET /\n\n" SMALL, 1 << RIG_ERROR | 1 << RIG_SENT },
		{ true, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
		    1 << RIG_INFO | 1 << RIG_HEAD | 1 << RIG_END | 1 << RIG_SENT },
		{ true, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi more",
		    1 << RIG_HEAD | 1 << RIG_BODY | 1 << RIG_END | 1 << RIG_SENT },
		{ true, "HTTP/1.1 200 OK\r\n\r\nuntil the end",
		    1 << RIG_HEAD | 1 << RIG_BODY | 1 << RIG_END | 1 << RIG_SENT },
		{ true, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut", 1 << RIG_HEAD |
		    1 << RIG_BODY | 1 << RIG_ERROR | 1 << RIG_SENT },
		{ true, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nx\r\n",
		    1 << RIG_HEAD | 1 << RIG_BODY | 1 << RIG_ERROR | 1 << RIG_SENT },
	};

	(void)state;
	for (size_t i = 0; i < array_len(plays); i++) {
		for (unsigned k = 0; k < 2 * (RIG_SENT + 1); k++) {
			struct rig *r = rig_new(plays[i].is_client ? CODEC_CLIENT : CODEC_SERVER);
			bool happens = (plays[i].events >> k / 2 & 1) != 0;

			r->fini_in = (enum rig_event)(k / 2);
			(plays[i].is_client ? play_client : play_server)(r, k % 2, plays[i].bytes);
			if ((r->h1.c.magic == 0) != happens)
				fail_msg("play %zu, event %u, step %u", i, k / 2, k % 2);
			assert_int_equal(r->n_after, 0);
			rig_free(r);
		}
	}
}

static void
no_memory(void **state)
{
	struct rig *r = rig_new(CODEC_SERVER);
	struct page *all[64];
	unsigned n = 0;

	(void)state;
	r->no_memory = true;
	assert_int_equal(FEED(r, SMALL), CODEC_ERROR);
	assert_int_equal(r->n_errors, 0);
	rig_free(r);

	r = rig_new(CODEC_SERVER);
	(void)FEED(r, SMALL);
	r->pages->max = 16;
	while (n < 64 && (all[n] = page_get(r->pages)) != NULL)
		n++;
	assert_false(rig_send_status(r, 200, MSG_BODY_NONE, 0));
	r->pages->max = 4096;
	while (n > 0)
		page_unref(&all[--n]);
	assert_true(rig_send_status(r, 200, MSG_BODY_NONE, 0));
	rig_free(r);
}

/* Heads above a page, in and out: 50 fields of 1 KiB. */
static void
large_head(void **state)
{
	struct rig *r = rig_new(CODEC_CLIENT), *s = rig_new(CODEC_SERVER);
	static char text[60000];
	size_t n = 0;

	(void)state;
	n += (size_t)sprintf(text, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
	for (int i = 0; i < 50; i++)
		n += (size_t)sprintf(text + n, "X-%d: %01000d\r\n", i, i);
	n += (size_t)sprintf(text + n, "\r\n");
	r->limits.head_bytes = 65536;
	assert_true(rig_send_get(r, "/"));
	(void)rig_write(r, 0);
	assert_int_equal(rig_feed(r, text, n, 777), CODEC_MORE);
	assert_int_equal(r->n_ends, 1);
	(void)FEED(s, SMALL);
	assert_true(s->h1.c.ops->send(&s->h1.s, &r->msg.m, NULL));
	(void)rig_write(s, 5000);
	assert_true(s->out_len > 50000);
	assert_true(memcmp(s->out, "HTTP/1.1 200 OK\r\nX-0: 000", 25) == 0);
	rig_free(r);
	rig_free(s);
}

/* What we write is what we read: random requests, edited or not, through both codecs. */
static void
round_trip(void **state)
{
	unsigned seed = 7;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		struct rig *c = rig_new(CODEC_CLIENT), *s = rig_new(CODEC_SERVER);
		unsigned n = (unsigned)rand_r(&seed) % 40;
		char name[64][16], value[64][40];
		struct msg_req q;
		size_t len;

		msg_req_init(&q, &c->arena);
		q.method = METHOD_DELETE;
		q.path_raw = SLICE("/a/b");
		q.has_query = i % 2 == 0;
		assert_true(headers_add(&q.m.headers, SLICE("Host"), SLICE("a.test")));
		for (unsigned k = 0; k < n; k++) {
			unsigned v = (unsigned)rand_r(&seed);

			sprintf(name[k], "X-%x", v);
			sprintf(value[k], "%.*s", (int)(v % 37), "some value with blanks, and: colons");
			assert_true(headers_add(&q.m.headers, slice_str(name[k]), slice_str(value[k])));
		}
		assert_true(c->h1.c.ops->send(&c->h1.s, &q.m, NULL));
		(void)rig_write(c, 100);
		len = c->out_len;
		assert_int_equal(rig_feed(s, rig_out(c), len, 1 + (unsigned)i % 200), CODEC_MORE);
		assert_int_equal(s->n_ends, 1);
		assert_int_equal(s->msg.req.method, METHOD_DELETE);
		assert_int_equal(s->msg.req.has_query, q.has_query);
		assert_int_equal(s->msg.m.headers.n, n + 1);
		for (unsigned k = 0; k < n; k++) {
			const struct hdr *row = &s->msg.m.headers.v[k + 1];

			assert_true(slice_eq(hdr_name(row), slice_str(name[k])));
			assert_true(slice_eq(hdr_value(row), slice_trim(slice_str(value[k]))));
		}
		rig_free(c);
		rig_free(s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_request),
		cmocka_unit_test(refused_head_leaves_nothing),
		cmocka_unit_test(pipelined),
		cmocka_unit_test(request_bodies),
		cmocka_unit_test(pause_and_resume),
		cmocka_unit_test(refused_then_answered),
		cmocka_unit_test(reasons),
		cmocka_unit_test(early_response),
		cmocka_unit_test(old_clients),
		cmocka_unit_test(info_then_answer),
		cmocka_unit_test(head_request),
		cmocka_unit_test(chunked_out),
		cmocka_unit_test(length_kept),
		cmocka_unit_test(broken_pipe),
		cmocka_unit_test(client_exchange),
		cmocka_unit_test(client_ends),
		cmocka_unit_test(client_limits),
		cmocka_unit_test(client_early_answer),
		cmocka_unit_test(tunnel),
		cmocka_unit_test(drained),
		cmocka_unit_test(ended_midway),
		cmocka_unit_test(ended_in_an_event),
		cmocka_unit_test(no_memory),
		cmocka_unit_test(large_head),
		cmocka_unit_test(round_trip),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

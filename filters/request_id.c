/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/base/rnd.h"
#include "engine/mem/alloc.h"
#include "filters/filters.h"

/*
 * A name for each request: X-Request-Id on the way to the upstream and back to the client, and
 * `request_id` in the log. A client's own id is replaced, unless it comes through a trusted proxy
 * (or `keep` says otherwise) and is short and harmless. A new one is 128 random bits in hex, the
 * shape of a trace id. It names, it does not protect: the numbers are not secret ones.
 */

enum {
	ID_BYTES = 32,
	ID_KEPT_MAX = 128,	/* longest id that is taken over */
	NAME_BYTES = sizeof "X-Request-Id: " - 1,
	LINE_BYTES = NAME_BYTES + ID_BYTES + 2
};

enum request_id_keep {
	KEEP_TRUSTED,
	KEEP_ALWAYS,
	KEEP_NEVER
};

struct request_id_conf {
	struct schema_obj	 obj;
	enum request_id_keep	 keep;
};

struct request_id_ctx {
	struct slice	 line;	/* "X-Request-Id: ...\r\n"; empty: the client's id was kept */
	struct slice	 id;	/* empty: the request never came here */
};

struct request_id_worker {
	unsigned	 magic;
#define REQUEST_ID_WORKER_MAGIC	0x2f7a90c6
	struct rnd	 rnd;
};

static const struct schema_enum keep_words[] = {
	{ "trusted", KEEP_TRUSTED },
	{ "always", KEEP_ALWAYS },
	{ "never", KEEP_NEVER },
	{ NULL, 0 },
};
static const struct schema_row rows[] = {
	SCHEMA_ROW("keep", ENUM, struct request_id_conf, keep, .names = keep_words,
	    .def = "trusted", .help = "whose X-Request-Id is taken over: that of trusted proxies, "
	    "of every client, of none"),
	SCHEMA_ROWS_END,
};
static struct schema schema = SCHEMA_DEFINE("request_id", struct request_id_conf, rows);
static const struct schema_key_ext key = {
	.row = SCHEMA_EXT_ROW("request_id", OBJECT, .sub = &schema,
	    .flags = SCHEMA_CAN_OFF | SCHEMA_ALWAYS,
	    .help = "X-Request-Id for the upstream, the client and the log"),
};

static struct err *
on_worker_start(void **state_r, struct worker *w)
{
	struct request_id_worker *rw = mem_try_calloc(1, sizeof *rw);

	(void)w;
	if (rw == NULL)
		return (err_memory());
	rw->magic = REQUEST_ID_WORKER_MAGIC;
	rnd_init(&rw->rnd);
	*state_r = rw;
	return (NULL);
}

static void
on_worker_stop(void *state)
{
	struct request_id_worker *rw;

	CAST_OBJ(rw, state, REQUEST_ID_WORKER_MAGIC);
	rw->magic = 0;
	xfree(rw);
}

#define EACH_BYTE	0x0101010101010101u

/* Eight digits at once, from a byte each: above nine they go on with letters. */
static char *
put_digits(char *p, uint64_t digits)
{
	uint64_t letters = (digits + EACH_BYTE * (0x80 - 10)) >> 7 & EACH_BYTE;
	uint64_t text = digits + EACH_BYTE * '0' + letters * ('a' - '0' - 10);

	return (mempcpy(p, &text, sizeof text));
}

/* All sixteen digits of a random number, in whatever order is quickest. */
static char *
put_hex(char *p, uint64_t v)
{
	p = put_digits(p, v & EACH_BYTE * 0xf);
	return (put_digits(p, v >> 4 & EACH_BYTE * 0xf));
}

/* Letters, digits and what uuids, base64 and trace ids are made of: nothing that a log, a shell
   or a header could read as more than a word. */
static bool
is_harmless(struct slice id)
{
	if (id.len == 0 || id.len > ID_KEPT_MAX)
		return (false);
	for (size_t i = 0; i < id.len; i++) {
		char c = id.p[i];
		bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		    (c >= 'A' && c <= 'Z');

		if (!alnum && memchr("-_.:+/=~@", c, 9) == NULL)
			return (false);
	}
	return (true);
}

/* The client's own id, if it may be taken over; else empty. */
static struct slice
kept_id(const struct filter_call *fc, const struct headers *hs)
{
	const struct request_id_conf *conf = fc->conf;
	const struct hdr *h;

	if (conf->keep == KEEP_NEVER)
		return (SLICE_NONE);
	h = headers_get(hs, HDR_X_REQUEST_ID);
	if (h == NULL || headers_next(hs, h) != NULL || !is_harmless(hdr_value(h)))
		return (SLICE_NONE);
	if (conf->keep == KEEP_TRUSTED && !filter_is_trusted(fc))
		return (SLICE_NONE);
	return (hdr_value(h));
}

static enum filter_verdict
on_req_headers(struct filter_call *fc, struct msg_req *req)
{
	struct request_id_ctx *ctx = fc->ctx;
	struct request_id_worker *rw;
	char *line, *p;

	ctx->id = kept_id(fc, &req->m.headers);
	if (ctx->id.len == 0) {
		CAST_OBJ(rw, fc->worker_state, REQUEST_ID_WORKER_MAGIC);
		(void)headers_remove_id(&req->m.headers, HDR_X_REQUEST_ID);
		line = arena_alloc(fc->arena, LINE_BYTES);
		if (line == NULL)
			goto no_memory;
		p = mempcpy(line, "X-Request-Id: ", NAME_BYTES);
		p = put_hex(p, rnd_u64(&rw->rnd));
		p = put_hex(p, rnd_u64(&rw->rnd));
		memcpy(p, "\r\n", 2);
		ctx->line = slice_of(line, LINE_BYTES);
		ctx->id = slice_of(line + NAME_BYTES, ID_BYTES);
		if (!headers_add_raw(&req->m.headers, HDR_X_REQUEST_ID, ctx->line))
			goto no_memory;
	}
	filter_set_request_id(fc, ctx->id);
	return (FILTER_NEXT);

no_memory:
	filter_fault(fc, REASON_OVERLOADED);
	return (FILTER_FAULT);
}

static enum filter_verdict
on_resp_headers(struct filter_call *fc, struct msg_resp *resp)
{
	const struct request_id_ctx *ctx = fc->ctx;
	struct headers *hs = &resp->m.headers;
	bool ok = true;

	if (ctx->line.len > 0) {
		(void)headers_remove_id(hs, HDR_X_REQUEST_ID);
		ok = headers_add_raw(hs, HDR_X_REQUEST_ID, ctx->line);
	} else if (ctx->id.len > 0) {
		ok = headers_set_id(hs, HDR_X_REQUEST_ID, ctx->id);
	}
	if (ok)
		return (FILTER_NEXT);
	filter_fault(fc, REASON_OVERLOADED);
	return (FILTER_FAULT);
}

static void
explain(const struct filter_call *fc, bool met, FILE *out)
{
	const struct request_id_ctx *ctx = fc->ctx;

	if (met)
		fputs(ctx->line.len > 0 ? "a new one" : "the client's own is kept", out);
}

const struct filter_ops filter_request_id = {
	.name = "request_id",
	.ctx_size = sizeof(struct request_id_ctx),
	.conf_size = sizeof(struct request_id_conf),
	.key = &key,
	.worker_start = on_worker_start,
	.worker_stop = on_worker_stop,
	.on_req_headers = on_req_headers,
	.on_resp_headers = on_resp_headers,
	.dry = FILTER_DRY,
	.explain = explain,
};

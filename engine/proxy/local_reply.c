/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/base/check.h"
#include "engine/base/text.h"
#include "engine/http/date.h"
#include "engine/http/msg.h"
#include "engine/proxy/ex.h"
#include "engine/proxy/gate.h"
#include "engine/proxy/local_reply.h"
#include "engine/proxy/route.h"

/* Where a reader finds what a reason means: docs/reasons.md, by its name. */
#define REASON_URL	"https://weir.dev/reasons#"

enum {
	PROBLEM_BYTES = 768	/* of the longest problem document: all parts are bounded */
};

static void
begin(struct exchange *ex, unsigned status)
{
	ex_phase(ex, FACTS_BODY);
	/* What an upstream had begun to say is not said. */
	exchange_reset_response(ex);
	ex->resp.m.version = HTTP_1_1;
	ex->resp.m.keep_alive = true;
	ex->resp.status = (uint16_t)status;
	ex->resp.m.body = MSG_BODY_LENGTH;
	ex->resp.m.content_length = 0;
	ex->local = true;
	ex->resp_forwarded = false;
}

bool
local_reply_make(struct exchange *ex, unsigned status, struct slice content_type, struct slice body)
{
	begin(ex, status);
	if (status == 204 || status == 304) {
		ex->resp.m.body = MSG_BODY_NONE;
		ex->resp.m.content_length = -1;
		return (true);
	}
	ex->resp.m.content_length = (int64_t)body.len;
	if (content_type.len > 0 &&
	    !headers_set_id(&ex->resp.m.headers, HDR_CONTENT_TYPE, content_type))
		return (false);
	if (ex->req.method == METHOD_HEAD) {
		ex->resp.m.body = MSG_BODY_NONE;	/* the length stays: that of the GET */
		return (true);
	}
	if (body.len > 0)
		(void)pipe_put(&ex->resp_body, (struct span){ NULL, body.p, (uint32_t)body.len });
	pipe_put_end(&ex->resp_body, NULL);
	return (true);
}

static void
put_request_id(struct text *t, struct worker *w)
{
	text_hex(t, rnd_u64(&w->rnd), LOCAL_REPLY_ID_BYTES / 2);
	text_hex(t, rnd_u64(&w->rnd), LOCAL_REPLY_ID_BYTES / 2);
}

/* What fails before a route is known has not met the filter that names requests. */
static bool
name_request(struct exchange *ex)
{
	struct text t;
	char *buf;

	if (ex->request_id.len > 0)
		return (true);
	buf = arena_alloc(&ex->arena, LOCAL_REPLY_ID_BYTES + 1);
	if (buf == NULL)
		return (false);
	text_init(&t, buf, LOCAL_REPLY_ID_BYTES + 1);
	put_request_id(&t, ex->worker);
	ex->request_id = text_slice(&t);
	return (true);
}

static void
put_problem(struct text *t, const struct reason_info *info, struct slice request_id)
{
	text_puts(t, "{\"type\":\"" REASON_URL);
	text_put(t, info->name);
	text_puts(t, "\",\"title\":\"");
	text_put(t, info->title);
	text_puts(t, "\",\"status\":");
	text_u64(t, info->status);
	text_puts(t, ",\"reason\":\"");
	text_put(t, info->name);
	text_puts(t, "\",\"request_id\":\"");
	text_json(t, request_id);
	text_puts(t, "\"}\n");
}

static struct slice
problem(struct exchange *ex, const struct reason_info *info)
{
	char *buf = arena_alloc(&ex->arena, PROBLEM_BYTES);
	struct text t;

	if (buf == NULL)
		return (SLICE(""));
	text_init(&t, buf, PROBLEM_BYTES);
	put_problem(&t, info, ex->request_id);
	return (t.full ? SLICE("") : text_slice(&t));
}

/* weir-gateway; error=http_request_denied; details="no_route" (RFC 9209) */
static bool
add_proxy_status(struct exchange *ex, const struct reason_info *info)
{
	const char *s;

	s = arena_printf(&ex->arena, SLICE_FMT "%s" SLICE_FMT "; details=\"" SLICE_FMT "\"",
	    SLICE_ARG(proxy_program->server_name), info->proxy_error.len > 0 ? "; error=" : "",
	    SLICE_ARG(info->proxy_error), SLICE_ARG(info->name));
	return (s != NULL && headers_set_id(&ex->resp.m.headers, HDR_PROXY_STATUS, slice_str(s)));
}

/* A gRPC client reads its status from the head of an answer without content: trailers-only. */
static bool
grpc_reply(struct exchange *ex, const struct reason_info *info)
{
	struct headers *hs = &ex->resp.m.headers;
	const char *s = arena_printf(&ex->arena, "%u", (unsigned)info->grpc);

	return (s != NULL && local_reply_make(ex, 200, SLICE("application/grpc"), SLICE("")) &&
	    headers_set_id(hs, HDR_GRPC_STATUS, slice_str(s)) &&
	    headers_set_id(hs, HDR_GRPC_MESSAGE, info->title));
}

bool
local_reply_reason(struct exchange *ex, enum reason reason)
{
	const struct reason_info *info = reason_info(reason);
	bool ok;

	if (!name_request(ex))
		return (false);
	if (ex_is_grpc(&ex->req.m.headers))
		ok = grpc_reply(ex, info);
	else
		ok = local_reply_make(ex, info->status, SLICE("application/problem+json"),
		    problem(ex, info));
	if (ok && (info->status == 429 || info->status == 503))
		ok = headers_set_id(&ex->resp.m.headers, HDR_RETRY_AFTER,
		    SLICE(LOCAL_REPLY_RETRY_AFTER));
	if (ok && info->status == 405)
		ok = headers_set_id(&ex->resp.m.headers, HDR_ALLOW,
		    SLICE(LOCAL_REPLY_ALLOW));
	/* Where no filter has seen the request none will tell its name. */
	if (ok && (ex->route == NULL ||
	    (ex->chain.chain == NULL && ex->route->policy->chain->n_calls > 0)))
		ok = headers_set_id(&ex->resp.m.headers, HDR_X_REQUEST_ID, ex->request_id);
	return (ok && add_proxy_status(ex, info));
}

void
local_reply_last_words(struct local_reply_words *words, struct worker *w, enum reason reason)
{
	const struct reason_info *info = reason_info(reason);
	char body[PROBLEM_BYTES];
	struct text t, b;

	text_init(&t, words->id, sizeof words->id);
	put_request_id(&t, w);
	words->request_id = text_slice(&t);
	text_init(&b, body, sizeof body);
	put_problem(&b, info, words->request_id);
	words->body_bytes = (uint32_t)b.len;
	text_init(&t, words->bytes, sizeof words->bytes);
	text_printf(&t, "HTTP/1.1 %u %s\r\n", info->status, status_phrase(info->status));
	text_puts(&t, "Content-Type: application/problem+json\r\n"
	    "Retry-After: " LOCAL_REPLY_RETRY_AFTER "\r\n");
	text_printf(&t, "X-Request-Id: " SLICE_FMT "\r\n", SLICE_ARG(words->request_id));
	text_printf(&t, "Proxy-Status: " SLICE_FMT "; error=" SLICE_FMT "; details=\"" SLICE_FMT
	    "\"\r\n", SLICE_ARG(proxy_program->server_name), SLICE_ARG(info->proxy_error),
	    SLICE_ARG(info->name));
	text_put(&t, date_now(&proxy_of(w)->date, loop_wall_us(w->loop)));
	text_printf(&t, "Content-Length: %zu\r\nConnection: close\r\n\r\n", b.len);
	text_put(&t, text_slice(&b));
	must(!t.full);
	words->all = text_slice(&t);
}

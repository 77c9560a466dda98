/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/proxy/filter.h"

#include "engine/base/check.h"
#include "engine/proxy/down_conn.h"
#include "engine/proxy/ex.h"
#include "engine/proxy/gate.h"
#include "engine/proxy/local_reply.h"

/* What filters ask of their exchange. */

static struct exchange *
ex_of(const struct filter_call *fc)
{
	CHECK_OBJ(fc, FILTER_CALL_MAGIC);
	return (fc->ex);
}

void
filter_reply(struct filter_call *fc, unsigned status, struct slice content_type, struct slice body)
{
	struct exchange *ex = ex_of(fc);

	if (ex->reply_begun)
		ex->chain.reason = REASON_INTERNAL_ERROR;	/* too late for another */
	else if (local_reply_make(ex, status, content_type, body))
		ex->chain.replied = true;
	else
		ex->chain.reason = REASON_OVERLOADED;
}

struct msg_resp *
filter_reply_head(struct filter_call *fc)
{
	return (&ex_of(fc)->resp);
}

static void
watch(struct filter_call *fc, enum chain_dir dir, enum body_mode mode)
{
	struct chain_run *run = &ex_of(fc)->chain;

	run->watch[dir] = true;
	run->whole[dir] = run->whole[dir] || mode == BODY_WHOLE;
}

void
filter_watch_req_body(struct filter_call *fc, enum body_mode mode)
{
	if (surprise(ex_of(fc)->chain.phase != CHAIN_REQ_HEADERS))
		return;
	must(fc->ops->on_req_body != NULL);
	fc->watch_req = true;
	watch(fc, CHAIN_REQ, mode);
}

void
filter_watch_resp_body(struct filter_call *fc, enum body_mode mode)
{
	if (surprise(ex_of(fc)->chain.phase != CHAIN_RESP_HEADERS))
		return;
	must(fc->ops->on_resp_body != NULL);
	fc->watch_resp = true;
	watch(fc, CHAIN_RESP, mode);
}

void
filter_fault(struct filter_call *fc, enum reason reason)
{
	ex_of(fc)->chain.reason = reason;
}

void
filter_set_request_id(struct filter_call *fc, struct slice id)
{
	ex_of(fc)->request_id = id;
}

void
filter_set_target(struct filter_call *fc, struct slice path, struct slice query, bool has_query)
{
	struct exchange *ex = ex_of(fc);
	struct msg_req *req = &ex->req;

	/* The codec writes these two; req->target and req->path stay what the client meant. */
	if (ex->path.len == 0)
		ex->path = req->path_raw;
	req->path_raw = path;
	req->query = query;
	req->has_query = has_query;
}

size_t
filter_target_max(const struct filter_call *fc)
{
	return (ex_of(fc)->down->local->limits.codec.line_bytes);
}

enum regex_result
filter_search(const struct filter_call *fc, const struct regex *re, struct slice subject,
    struct regex_captures *captures_r)
{
	return (regex_search(re, proxy_of(ex_of(fc)->worker)->regex, subject, captures_r));
}

const struct msg_req *
filter_request(const struct filter_call *fc)
{
	return (&ex_of(fc)->req);
}

enum filter_preflight
filter_preflight(const struct filter_call *fc)
{
	return ((enum filter_preflight)ex_of(fc)->preflight);
}

const struct addr *
filter_client(const struct filter_call *fc)
{
	return (ex_client(ex_of(fc)));
}

bool
filter_is_trusted(const struct filter_call *fc)
{
	const struct down_conn *dc = ex_of(fc)->down;
	const struct cidr_set *trusted = dc->local->listener->trusted;

	return (trusted != NULL && cidr_set_has(trusted, &dc->peer));
}

struct slice
filter_matched_prefix(const struct filter_call *fc)
{
	return (ex_of(fc)->route->prefix);
}

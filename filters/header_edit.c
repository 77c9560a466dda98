/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/proxy/edit.h"
#include "filters/filters.h"

/*
 * `request_headers` and `response_headers`: fields removed, set and added, in this order. Of the
 * same shape, and two filters, since a route may have one without the other. Answers of the proxy
 * itself are edited like those of an upstream.
 */

struct header_edit_conf {
	struct schema_obj	 obj;
	struct schema_map	 set;		/* field name to struct slice */
	struct schema_map	 add;
	struct schema_list	 remove;	/* struct slice */
	/* compiled */
	struct edit_list	 edits;
};

static const struct schema_row rows[] = {
	SCHEMA_ROW("set", MAP, struct header_edit_conf, set, .key = SCHEMA_HEADER_NAME,
	    .elem = SCHEMA_HEADER_VALUE, .help = "one line of this value replaces all"),
	SCHEMA_ROW("add", MAP, struct header_edit_conf, add, .key = SCHEMA_HEADER_NAME,
	    .elem = SCHEMA_HEADER_VALUE, .help = "one more line"),
	SCHEMA_ROW("remove", LIST, struct header_edit_conf, remove, .elem = SCHEMA_HEADER_NAME,
	    .help = "no line of this name"),
	SCHEMA_ROWS_END,
};
static struct schema schema = SCHEMA_DEFINE("header edits", struct header_edit_conf, rows);
static const struct schema_key_ext request_key = {
	.row = SCHEMA_EXT_ROW("request_headers", OBJECT, .sub = &schema, .flags = SCHEMA_CAN_OFF,
	    .also = "proxy_set_header",
	    .help = "edits of the request's fields, as the upstream gets them"),
};
static const struct schema_key_ext response_key = {
	.row = SCHEMA_EXT_ROW("response_headers", OBJECT, .sub = &schema, .flags = SCHEMA_CAN_OFF,
	    .also = "add_header",
	    .help = "edits of the response's fields, as the client gets them"),
};

static void
compile(struct header_edit_conf *conf, const struct snapshot_build *b, bool is_request,
    bool *needed_r)
{
	edit_compile(&conf->edits, &conf->set, &conf->add, &conf->remove, is_request, b->arena,
	    b->diag);
	*needed_r = conf->edits.n > 0;
}

static void
compile_request(void *conf, const struct snapshot_build *b, bool *needed_r)
{
	compile(conf, b, true, needed_r);
}

static void
compile_response(void *conf, const struct snapshot_build *b, bool *needed_r)
{
	compile(conf, b, false, needed_r);
}

static enum filter_verdict
apply(struct filter_call *fc, struct headers *hs)
{
	const struct header_edit_conf *conf = fc->conf;

	if (edit_apply(&conf->edits, hs))
		return (FILTER_NEXT);
	filter_fault(fc, REASON_OVERLOADED);
	return (FILTER_FAULT);
}

static enum filter_verdict
on_req_headers(struct filter_call *fc, struct msg_req *req)
{
	return (apply(fc, &req->m.headers));
}

static enum filter_verdict
on_resp_headers(struct filter_call *fc, struct msg_resp *resp)
{
	return (apply(fc, &resp->m.headers));
}

static void
explain(const struct filter_call *fc, bool met, FILE *out)
{
	const struct header_edit_conf *conf = fc->conf;

	(void)met;
	edit_explain(&conf->edits, out);
}

const struct filter_ops filter_request_headers = {
	.name = "request_headers",
	.conf_size = sizeof(struct header_edit_conf),
	.key = &request_key,
	.compile = compile_request,
	.on_req_headers = on_req_headers,
	.dry = FILTER_DRY,
	.explain = explain,
};

const struct filter_ops filter_response_headers = {
	.name = "response_headers",
	.conf_size = sizeof(struct header_edit_conf),
	.key = &response_key,
	.compile = compile_response,
	.on_resp_headers = on_resp_headers,
	.dry = FILTER_DRY,
	.explain = explain,
};

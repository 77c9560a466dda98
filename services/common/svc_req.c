/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>

#include "services/common/svc_internal.h"
#include "services/common/svc_text.h"

#define FIELD_ERRORS_MAX 32 /* enough to help; a hostile body cannot make the answer grow */

struct svc_req *
svc_req_new(struct svc *svc, struct evhttp_request *ev)
{
	struct svc_req *req = calloc(1, sizeof(*req));
	const struct evkeyvalq *in = evhttp_request_get_input_headers(ev);

	if (req == NULL)
		return (NULL);
	req->magic = SVC_REQ_MAGIC;
	req->job.magic = SVC_JOB_MAGIC;
	req->svc = svc;
	req->ev = ev;
	req->conn = evhttp_request_get_connection(ev);
	req->start_us = svc_steady_us();
	req->is_head = evhttp_request_get_command(ev) == EVHTTP_REQ_HEAD;
	svc_trace_request_id(evhttp_find_header(in, "X-Request-Id"), req->id);
	svc_trace_id(evhttp_find_header(in, "traceparent"), req->trace_id);
	return (req);
}

void
svc_req_free(struct svc_req **req)
{
	struct svc_req *r = *req;

	*req = NULL;
	if (r == NULL)
		return;
	assert(r->magic == SVC_REQ_MAGIC);
	svc_route_params_fini(&r->params);
	if (r->query != NULL) {
		evhttp_clear_headers(r->query);
		free(r->query);
	}
	json_decref(r->json);
	json_decref(r->errors);
	free(r->body);
	free(r->out);
	r->magic = 0;
	free(r);
}

const char *
svc_req_id(const struct svc_req *req)
{
	return (req->id);
}

const char *
svc_req_trace_id(const struct svc_req *req)
{
	return (req->trace_id);
}

const char *
svc_req_path(const struct svc_req *req)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req->ev);
	const char *path = uri == NULL ? NULL : evhttp_uri_get_path(uri);

	return (path == NULL ? "" : path);
}

const char *
svc_req_param(const struct svc_req *req, const char *name)
{
	return (svc_route_param(&req->params, name));
}

const char *
svc_req_header(const struct svc_req *req, const char *name)
{
	return (evhttp_find_header(evhttp_request_get_input_headers(req->ev), name));
}

const char *
svc_req_query(const struct svc_req *req, const char *name)
{
	return (req->query == NULL ? NULL : evhttp_find_header(req->query, name));
}

const json_t *
svc_req_json(const struct svc_req *req)
{
	return (req->json);
}

void
svc_req_context(const struct svc_req *req, struct evkeyvalq *out)
{
	svc_trace_copy(evhttp_request_get_input_headers(req->ev), req->id, out);
}

bool
svc_req_go_slow(struct svc_req *req)
{
	if (req->is_slow)
		return (false);
	req->wants_slow = true;
	return (true);
}

static void
set_reply(struct svc_req *req, int status, char *out, const char *type)
{
	free(req->out);
	req->status = status;
	req->out = out;
	req->out_len = out == NULL ? 0 : strlen(out);
	req->out_type = type;
}

void
svc_reply_json(struct svc_req *req, int status, json_t *body)
{
	char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);

	json_decref(body);
	set_reply(req, text == NULL ? 500 : status, text, "application/json");
}

void
svc_reply_empty(struct svc_req *req, int status)
{
	set_reply(req, status, NULL, NULL);
}

void
svc_reply_header(struct svc_req *req, const char *name, const char *fmt, ...)
{
	struct evkeyvalq *out = evhttp_request_get_output_headers(req->ev);
	char value[512];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= sizeof(value))
		return;
	evhttp_remove_header(out, name);
	evhttp_add_header(out, name, value);
}

/* RFC 9110 section 15; what is not here has no use in these services. */
static const char *
title_of(int status)
{
	static const struct {
		int status;
		const char *title;
	} titles[] = {
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 409, "Conflict" },
		{ 412, "Precondition Failed" },
		{ 413, "Content Too Large" },
		{ 415, "Unsupported Media Type" },
		{ 422, "Unprocessable Content" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
	};

	for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
		if (titles[i].status == status)
			return (titles[i].title);
	}
	return ("Error");
}

static void
reply_problem(struct svc_req *req, int status, const char *reason, const char *detail)
{
	json_t *body = json_pack("{s:s, s:s, s:i, s:s, s:s, s:s}", "type", "about:blank", "title",
	    title_of(status), "status", status, "reason", reason, "detail", detail, "request_id",
	    req->id);

	if (body != NULL && req->errors != NULL)
		json_object_set(body, "errors", req->errors);
	svc_reply_json(req, status, body);
	req->out_type = "application/problem+json";
}

/* A text that quotes input may have been cut inside a character; a plain one never is. */
static void SVC_PRINTF(3, 0) format_text(char *out, size_t size, const char *fmt, va_list ap)
{
	vsnprintf(out, size, fmt, ap);
	svc_text_trim_utf8(out);
}

void
svc_problem(struct svc_req *req, int status, const char *reason, const char *fmt, ...)
{
	char detail[512];
	va_list ap;

	va_start(ap, fmt);
	format_text(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	reply_problem(req, status, reason, detail);
}

void
svc_field_error(struct svc_req *req, const char *field, const char *fmt, ...)
{
	char message[256];
	char name[128];
	va_list ap;

	if (req->errors == NULL)
		req->errors = json_array();
	if (json_array_size(req->errors) >= FIELD_ERRORS_MAX)
		return;
	va_start(ap, fmt);
	format_text(message, sizeof(message), fmt, ap);
	va_end(ap);
	snprintf(name, sizeof(name), "%s", field);
	svc_text_trim_utf8(name);
	json_array_append_new(
	    req->errors, json_pack("{s:s, s:s}", "field", name, "message", message));
}

bool
svc_reply_errors(struct svc_req *req)
{
	if (req->errors == NULL)
		return (false);
	reply_problem(
	    req, 400, "invalid_input", "the request has fields that cannot be taken; see errors");
	return (true);
}

static bool
is_json_type(const char *type)
{
	static const char *const names[] = { "application/json", "application/merge-patch+json" };

	for (size_t i = 0; type != NULL && i < sizeof(names) / sizeof(names[0]); i++) {
		size_t len = strlen(names[i]);

		if (strncasecmp(type, names[i], len) == 0 && strchr("; \t", type[len]) != NULL)
			return (true);
	}
	return (false);
}

bool
svc_req_parse_json(struct svc_req *req)
{
	json_error_t error;

	if (!is_json_type(svc_req_header(req, "Content-Type"))) {
		svc_problem(req, 415, "media_type", "the body must be application/json");
		return (false);
	}
	/*
	 * a NUL inside a string and a repeated key are errors: both are ways to be read twice in
	 * two ways
	 */
	req->json = json_loadb(
	    req->body == NULL ? "" : req->body, req->body_len, JSON_REJECT_DUPLICATES, &error);
	if (req->json == NULL) {
		svc_problem(req, 400, "malformed_json",
		    "line %d, column %d: the body is not valid JSON", error.line, error.column);
		return (false);
	}
	if (!json_is_object(req->json)) {
		svc_problem(req, 400, "malformed_json", "the body must be a JSON object");
		return (false);
	}
	return (true);
}

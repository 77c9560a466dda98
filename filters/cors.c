/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/base/text.h"
#include "engine/config/diag.h"
#include "engine/http/field.h"
#include "engine/http/uri.h"
#include "filters/filters.h"

/*
 * `cors`: which pages of other origins may read what a route answers (Fetch, 3.3 and 4.8).
 *
 * A preflight is answered here, with 204, and goes no further: before anybody is asked who he
 * is, since browsers send no credentials with it. It is routed by the method that it announces
 * (filter.h). Any other request passes, whatever its origin: it is the browser that keeps the
 * answer from the page. Every answer of the route is marked, those of the gateway too, or
 * scripts would not see their status. What a server says of these fields does not count: one of
 * the two has to decide.
 *
 * An answer that depends on who asks says so in Vary, also to those that no page sent. With
 * `origins: ["*"]` it does not depend on it, so then it is marked without being asked.
 */

enum {
	CORS_ORIGINS_MAX = 1000,
	CORS_AGE_MAX_MS = 24 * 3600 * 1000,	/* no browser keeps an answer longer */
	CORS_ASKED_MAX = 2048	/* bytes of the field names that a preflight lists */
};

struct cors_origin {			/* tiny, in an array: no magic */
	struct slice	 line;		/* an exact one: the field, ready */
	struct slice	 begin;		/* all of it, or up to the wildcard: "https://" */
	struct slice	 end;		/* behind the wildcard: ".example.com:8443" */
};

struct cors_conf {
	struct schema_obj	 obj;
	struct schema_list	 origins;	/* struct slice */
	struct schema_list	 methods;
	struct schema_list	 headers;
	struct schema_list	 expose;
	bool			 credentials;
	uint64_t		 max_age_ms;
	/* compiled */
	struct cors_origin	*v;
	unsigned		 n;
	bool			 any_origin;
	bool			 any_method;
	bool			 any_header;
	/* fields, ready; empty: not sent */
	struct slice		 methods_line;
	struct slice		 headers_line;
	struct slice		 expose_line;
	struct slice		 age_line;
};

struct cors_ctx {
	bool		 is_known;	/* the rest is filled */
	bool		 is_allowed;
	bool		 is_preflight;
	struct slice	 line;		/* Access-Control-Allow-Origin, ready; or empty, and */
	struct slice	 origin;	/* this is its value */
	struct slice	 method;	/* of a preflight: what it asks for, if it can be echoed */
	struct slice	 names;
};

/* ---- the key ---- */

static bool
is_scheme(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = slice_to_lower_byte(s.p[i]);
		bool is_alpha = c >= 'a' && c <= 'z';

		if (!is_alpha && (i == 0 || memchr("0123456789+-.", c, 13) == NULL))
			return (false);
	}
	return (s.len > 0);
}

/* A browser leaves out a port that is the usual one, and writes no zeros before others. */
static const char *
port_wrong(struct slice scheme, struct slice port)
{
	uint64_t n;

	if (!text_to_u64(port, &n) || n == 0 || n > UINT16_MAX || port.p[0] == '0')
		return ("that is no port");
	if ((n == 80 && slice_eq_fold(scheme, SLICE("http"))) ||
	    (n == 443 && slice_eq_fold(scheme, SLICE("https"))))
		return ("browsers leave out the port that is usual for the scheme; so must this");
	return (NULL);
}

/* What is wrong with one of `origins`, or NULL. */
static const char *
origin_wrong(const void *value)
{
	const struct slice *s = value;
	ssize_t at = slice_find(*s, SLICE("://"));
	struct slice rest, host;

	if (slice_eq(*s, SLICE("*")) || slice_eq(*s, SLICE("null")))
		return (NULL);
	if (at < 0 || !is_scheme(slice_sub(*s, 0, (size_t)at)))
		return ("an origin is a scheme and a host, https://app.example.com, and the port "
		    "if it is not the usual one");
	rest = slice_skip(*s, (size_t)at + 3);
	if (slice_find_byte(rest, '/') >= 0 || slice_find_byte(rest, '?') >= 0 ||
	    slice_find_byte(rest, '#') >= 0)
		return ("an origin has no path and no slash at its end");
	if (slice_has_prefix(rest, SLICE("*.")))
		rest = slice_skip(rest, 2);
	if (slice_find_byte(rest, '*') >= 0)
		return ("`*` stands alone, or for the first labels of a name: "
		    "https://*.example.com");
	if (rest.len == 0 || !uri_split_authority(rest, &host) || host.len == 0)
		return ("that is no host, or no port; international names are written as xn--");
	rest = slice_skip(rest, host.len);
	if (rest.len > 0 && rest.p[0] != ':')
		return ("browsers name a host with a dot at its end only where the page's own "
		    "address has it; leave it out");
	return (rest.len == 0 ? NULL : port_wrong(slice_sub(*s, 0, (size_t)at),
	    slice_skip(rest, 1)));
}

/* It is sent in seconds. */
static const char *
age_wrong(const void *value)
{
	const uint64_t *ms = value;

	return (*ms % 1000 == 0 ? NULL : "whole seconds are due");
}

static const struct schema_row rows[] = {
	SCHEMA_ROW("origins", LIST, struct cors_conf, origins, .elem = SCHEMA_STRING,
	    .flags = SCHEMA_NOT_EMPTY, .max = CORS_ORIGINS_MAX,
	    .check = origin_wrong,
	    .help = "pages that may read answers: https://app.example.com, "
		    "https://*.example.com, \"*\", \"null\""),
	SCHEMA_ROW("methods", LIST, struct cors_conf, methods, .elem = SCHEMA_METHOD,
	    .def = "[GET, HEAD, POST]", .flags = SCHEMA_NOT_EMPTY,
	    .help = "methods that they may use; \"*\": what is asked for"),
	SCHEMA_ROW("headers", LIST, struct cors_conf, headers, .elem = SCHEMA_HEADER_NAME,
	    .def = "[\"*\"]", .help = "request fields that they may set; \"*\": what is asked for"),
	SCHEMA_ROW("expose", LIST, struct cors_conf, expose, .elem = SCHEMA_HEADER_NAME,
	    .help = "response fields that they may read, besides the harmless ones"),
	SCHEMA_ROW("credentials", BOOL, struct cors_conf, credentials, .def = "false",
	    .help = "they may send cookies and other credentials"),
	SCHEMA_ROW("max_age", DURATION, struct cors_conf, max_age_ms, .def = "5s",
	    .max = CORS_AGE_MAX_MS, .check = age_wrong,
	    .help = "how long a browser may keep the answer to a preflight"),
	SCHEMA_ROWS_END,
};
static struct schema schema = SCHEMA_DEFINE("cors", struct cors_conf, rows);
static const struct schema_key_ext key = {
	.row = SCHEMA_EXT_ROW("cors", OBJECT, .sub = &schema, .flags = SCHEMA_CAN_OFF,
	    .help = "which pages of other origins may read the answers"),
};

/* ---- compiling ---- */

static bool
holds(const struct schema_list *list, struct slice word)
{
	for (uint32_t i = 0; i < list->count; i++) {
		if (slice_eq(SCHEMA_AT(struct slice, *list, i), word))
			return (true);
	}
	return (false);
}

static struct slice
lower(struct arena *arena, struct slice s)
{
	char *p = arena_alloc(arena, s.len + 1);

	for (size_t i = 0; i < s.len; i++)
		p[i] = slice_to_lower_byte(s.p[i]);
	return (slice_of(p, s.len));
}

/* "Name: a, b\r\n"; empty for a list of nothing. */
static struct slice
list_line(struct arena *arena, const char *name, const struct schema_list *list)
{
	size_t size = strlen(name) + sizeof ": \r\n";
	struct text t;

	if (list->count == 0)
		return (SLICE(""));
	for (uint32_t i = 0; i < list->count; i++)
		size += SCHEMA_AT(struct slice, *list, i).len + 2;
	text_init(&t, arena_alloc(arena, size), size);
	text_puts(&t, name);
	for (uint32_t i = 0; i < list->count; i++) {
		text_puts(&t, i == 0 ? ": " : ", ");
		text_put(&t, SCHEMA_AT(struct slice, *list, i));
	}
	text_puts(&t, "\r\n");
	must(!t.full);
	return (text_slice(&t));
}

static void
compile_origin(struct cors_conf *conf, struct slice text, struct arena *arena)
{
	struct cors_origin *o = &conf->v[conf->n++];
	ssize_t at;

	text = lower(arena, text);
	at = slice_find(text, SLICE("*."));
	if (at >= 0) {
		o->begin = slice_sub(text, 0, (size_t)at);
		o->end = slice_skip(text, (size_t)at + 1);
		return;
	}
	o->begin = text;
	o->line = slice_str(arena_printf(arena, "Access-Control-Allow-Origin: " SLICE_FMT "\r\n",
	    SLICE_ARG(text)));
}

/* What cannot be meant. Each origin by itself is sound. */
static void
check(const struct cors_conf *conf, const struct snapshot_build *b)
{
	/* Not a required key: a route may add methods to the origins of a lower layer. */
	if (conf->origins.count == 0)
		diag_error(b->diag, schema_obj_mark(&conf->obj),
		    "cors of route \"" SLICE_FMT "\" names no origins; write which pages may read "
		    "its answers, or `cors: off`", SLICE_ARG(b->route));
	if (conf->any_origin && conf->origins.count > 1)
		diag_error(b->diag, schema_mark(&conf->obj, "origins"),
		    "\"*\" allows every origin, so the others say nothing; keep either");
	if (!conf->credentials)
		return;
	if (conf->any_origin)
		diag_error(b->diag, schema_mark(&conf->obj, "credentials"),
		    "browsers refuse credentials together with origins \"*\": name the origins, "
		    "or leave credentials out");
	if (holds(&conf->origins, SLICE("null")))
		diag_error(b->diag, schema_mark(&conf->obj, "credentials"),
		    "every page can make itself a \"null\" origin, so with credentials that "
		    "would be everybody: leave out one of the two");
	if (holds(&conf->expose, SLICE("*")))
		diag_error(b->diag, schema_mark(&conf->obj, "expose"),
		    "with credentials browsers take \"*\" for the name of a field: name the "
		    "fields that are meant");
}

static void
compile(void *arg, const struct snapshot_build *b, bool *needed_r)
{
	struct cors_conf *conf = arg;

	(void)needed_r;
	conf->any_origin = holds(&conf->origins, SLICE("*"));
	conf->any_method = holds(&conf->methods, SLICE("*"));
	conf->any_header = holds(&conf->headers, SLICE("*"));
	check(conf, b);
	conf->v = arena_zarray(b->arena, conf->origins.count, sizeof *conf->v);
	for (uint32_t i = 0; i < conf->origins.count; i++)
		compile_origin(conf, SCHEMA_AT(struct slice, conf->origins, i), b->arena);
	if (!conf->any_method)
		conf->methods_line = list_line(b->arena, "Access-Control-Allow-Methods",
		    &conf->methods);
	if (!conf->any_header)
		conf->headers_line = list_line(b->arena, "Access-Control-Allow-Headers",
		    &conf->headers);
	conf->expose_line = list_line(b->arena, "Access-Control-Expose-Headers", &conf->expose);
	conf->age_line = slice_str(arena_printf(b->arena, "Access-Control-Max-Age: %llu\r\n",
	    (unsigned long long)(conf->max_age_ms / 1000)));
}

/* ---- requests ---- */

/* Labels between the dots: nothing empty, and nothing but what names are made of. */
static bool
is_labels(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];

		if (c == '.' ? i == 0 || s.p[i - 1] == '.' : (c < 'a' || c > 'z') &&
		    (c < '0' || c > '9') && c != '-' && c != '_')
			return (false);
	}
	return (s.len > 0 && s.p[s.len - 1] != '.');
}

/* Browsers write an origin in one way (Fetch, 3.2), so bytes are compared. */
static bool
origin_matches(const struct cors_origin *o, struct slice origin)
{
	if (o->line.len > 0)
		return (slice_eq(o->begin, origin));
	if (!slice_has_prefix(origin, o->begin) || !slice_has_suffix(origin, o->end) ||
	    origin.len <= o->begin.len + o->end.len)
		return (false);
	return (is_labels(slice_sub(origin, o->begin.len,
	    origin.len - o->begin.len - o->end.len)));
}

/* The value of a field that stands once; empty: it does not. */
static struct slice
only_value(const struct headers *hs, enum hdr_id id)
{
	const struct hdr *h = headers_get(hs, id);

	return (h == NULL || headers_next(hs, h) != NULL ? SLICE("") : hdr_value(h));
}

static void
know_origin(struct cors_ctx *ctx, const struct cors_conf *conf, const struct msg_req *req)
{
	struct slice origin = only_value(&req->m.headers, HDR_ORIGIN);

	ctx->is_known = true;
	if (conf->any_origin) {
		ctx->line = conf->v[0].line;
		ctx->is_allowed = true;
		return;
	}
	for (unsigned i = 0; i < conf->n && origin.len > 0; i++) {
		if (origin_matches(&conf->v[i], origin)) {
			ctx->line = conf->v[i].line;
			ctx->origin = origin;
			ctx->is_allowed = true;
			return;
		}
	}
}

/* A list of names of fields, of a length that is worth sending back; else empty. */
static struct slice
names_asked(const struct headers *hs)
{
	struct slice all = only_value(hs, HDR_ACCESS_CONTROL_REQUEST_HEADERS);
	struct slice rest = all, name;

	if (all.len > CORS_ASKED_MAX)
		return (SLICE(""));
	while (field_list_next(&rest, &name)) {
		if (!field_is_token(name))
			return (SLICE(""));
	}
	return (all);
}

static enum filter_verdict
on_req_headers(struct filter_call *fc, struct msg_req *req)
{
	const struct headers *hs = &req->m.headers;
	struct cors_ctx *ctx = fc->ctx;

	enum filter_preflight preflight = filter_preflight(fc);

	know_origin(ctx, fc->conf, req);
	if (likely(preflight == PREFLIGHT_NONE))
		return (FILTER_NEXT);
	ctx->is_preflight = true;
	ctx->is_allowed &= preflight == PREFLIGHT_OWN;
	ctx->method = only_value(hs, HDR_ACCESS_CONTROL_REQUEST_METHOD);
	if (!field_is_token(ctx->method))
		ctx->is_allowed = false;
	ctx->names = names_asked(hs);
	filter_reply(fc, 204, SLICE(""), SLICE(""));
	return (FILTER_REPLY);
}

/* ---- responses ---- */

static void
remove_theirs(struct headers *hs)
{
	static const enum hdr_id ids[] = {
		HDR_ACCESS_CONTROL_ALLOW_ORIGIN, HDR_ACCESS_CONTROL_ALLOW_CREDENTIALS,
		HDR_ACCESS_CONTROL_ALLOW_METHODS, HDR_ACCESS_CONTROL_ALLOW_HEADERS,
		HDR_ACCESS_CONTROL_EXPOSE_HEADERS, HDR_ACCESS_CONTROL_MAX_AGE,
	};

	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
		(void)headers_remove_id(hs, ids[i]);
}

static bool
varies_by_origin(const struct headers *hs)
{
	for (const struct hdr *h = headers_get(hs, HDR_VARY); h != NULL; h = headers_next(hs, h)) {
		if (field_list_has(hdr_value(h), SLICE("Origin")) ||
		    field_list_has(hdr_value(h), SLICE("*")))
			return (true);
	}
	return (false);
}

static bool
add_vary(const struct cors_conf *conf, const struct cors_ctx *ctx, struct headers *hs)
{
	if (ctx->is_preflight)
		return (headers_add_raw(hs, HDR_VARY, SLICE("Vary: Origin, "
		    "Access-Control-Request-Method, Access-Control-Request-Headers\r\n")));
	return (conf->any_origin || varies_by_origin(hs) ||
	    headers_add_raw(hs, HDR_VARY, SLICE("Vary: Origin\r\n")));
}

static bool
add_line(struct headers *hs, enum hdr_id id, struct slice line)
{
	return (line.len == 0 || headers_add_raw(hs, id, line));
}

static bool
add_preflight(const struct cors_conf *conf, const struct cors_ctx *ctx, struct headers *hs)
{
	if (conf->any_method &&
	    !headers_set_id(hs, HDR_ACCESS_CONTROL_ALLOW_METHODS, ctx->method))
		return (false);
	if (conf->any_header && ctx->names.len > 0 &&
	    !headers_set_id(hs, HDR_ACCESS_CONTROL_ALLOW_HEADERS, ctx->names))
		return (false);
	return (add_line(hs, HDR_ACCESS_CONTROL_ALLOW_METHODS, conf->methods_line) &&
	    add_line(hs, HDR_ACCESS_CONTROL_ALLOW_HEADERS, conf->headers_line) &&
	    add_line(hs, HDR_ACCESS_CONTROL_MAX_AGE, conf->age_line));
}

static bool
add_allowed(const struct cors_conf *conf, const struct cors_ctx *ctx, struct headers *hs)
{
	bool ok = ctx->line.len > 0 ?
	    headers_add_raw(hs, HDR_ACCESS_CONTROL_ALLOW_ORIGIN, ctx->line) :
	    headers_set_id(hs, HDR_ACCESS_CONTROL_ALLOW_ORIGIN, ctx->origin);

	if (ok && conf->credentials)
		ok = headers_add_raw(hs, HDR_ACCESS_CONTROL_ALLOW_CREDENTIALS,
		    SLICE("Access-Control-Allow-Credentials: true\r\n"));
	if (!ok)
		return (false);
	return (ctx->is_preflight ? add_preflight(conf, ctx, hs) :
	    add_line(hs, HDR_ACCESS_CONTROL_EXPOSE_HEADERS, conf->expose_line));
}

static enum filter_verdict
on_resp_headers(struct filter_call *fc, struct msg_resp *resp)
{
	const struct cors_conf *conf = fc->conf;
	struct headers *hs = &resp->m.headers;
	struct cors_ctx *ctx = fc->ctx;

	/* What was refused before it came here is marked too. */
	if (!ctx->is_known)
		know_origin(ctx, conf, filter_request(fc));
	remove_theirs(hs);
	if (add_vary(conf, ctx, hs) && (!ctx->is_allowed || add_allowed(conf, ctx, hs)))
		return (FILTER_NEXT);
	filter_fault(fc, REASON_OVERLOADED);
	return (FILTER_FAULT);
}

static void
explain(const struct filter_call *fc, bool met, FILE *out)
{
	const struct cors_ctx *ctx = fc->ctx;
	struct slice origin = only_value(&filter_request(fc)->m.headers, HDR_ORIGIN);

	if (!met)
		return;
	if (ctx->is_preflight)
		fputs("a preflight; ", out);
	if (origin.len == 0)
		fputs(ctx->is_allowed ? "pages of every origin may read the answer" :
		    "no page of another origin asks", out);
	else
		fprintf(out, "pages of " SLICE_FMT " may%s %s", SLICE_ARG(origin),
		    ctx->is_allowed ? "" : " not",
		    ctx->is_preflight ? "ask so" : "read the answer");
}

const struct filter_ops filter_cors = {
	.name = "cors",
	.ctx_size = sizeof(struct cors_ctx),
	.conf_size = sizeof(struct cors_conf),
	.key = &key,
	.answers_preflight = true,
	.compile = compile,
	.on_req_headers = on_req_headers,
	.on_resp_headers = on_resp_headers,
	.dry = FILTER_DRY,
	.explain = explain,
};

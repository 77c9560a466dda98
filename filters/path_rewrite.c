/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/config/diag.h"
#include "engine/http/uri.h"
#include "engine/proxy/template.h"
#include "engine/regex/regex.h"
#include "filters/filters.h"

/*
 * `strip_prefix` and `rewrite`: another path for the upstream, made from the canonical one, so
 * that what was matched is what is sent. The query stays as it came. A path of which nothing is
 * left is `/`. The prefix is the one that the route matched; with `/` it is empty: nothing to
 * strip. `rewrite: { prefix: /a }` puts /a before the path there, and on a route without a
 * prefix.
 * `rewrite: { path }` is a template (template.h), with the captures of the regex that the route
 * matches by; `rewrite: { regex, with }` puts one in place of the part of the path that its regex
 * matches first, and leaves alone what it does not match. Nothing that a template made may lead
 * out of where it leads to (template_settle_path). Targets without a path (OPTIONS *, CONNECT)
 * are left alone.
 */

struct strip_prefix_conf {
	struct schema_obj	 obj;
	bool			 on;
};

enum rewrite_kind {
	REWRITE_WHOLE,	/* this path */
	REWRITE_BEGIN,	/* this instead of the prefix */
	REWRITE_MADE,	/* the path that the template makes */
	REWRITE_PART	/* what it makes instead of what the regex matched */
};

struct rewrite_conf {
	struct schema_obj	 obj;
	struct slice		 path;
	struct slice		 prefix;
	struct slice		 regex;
	struct slice		 with;
	/* compiled; what stands in place of what */
	enum rewrite_kind	 kind;
	bool			 encodes_slash;	/* the template itself */
	struct slice		 text;		/* of WHOLE, and BEGIN, which ends in no slash */
	struct template		 template;	/* of MADE and PART */
	const struct regex	*re;		/* whose captures it has; NULL: none */
};

static const struct schema_row strip_rows[] = {
	SCHEMA_ROW("on", BOOL, struct strip_prefix_conf, on, .def = "true", .flags = SCHEMA_WORD),
	SCHEMA_ROWS_END,
};
static struct schema strip_schema = SCHEMA_DEFINE("strip_prefix", struct strip_prefix_conf,
    strip_rows, .scalar = "on", .is_alternative = true);
static const struct schema_key_ext strip_key = {
	.row = SCHEMA_EXT_ROW("strip_prefix", OBJECT, .sub = &strip_schema,
	    .flags = SCHEMA_CAN_OFF,
	    .help = "true: the upstream sees the path without the route's prefix; needs one"),
};

static const struct schema_row rewrite_rows[] = {
	SCHEMA_ROW("path", PATH, struct rewrite_conf, path,
	    .help = "the upstream sees this path; may hold {host}, {path}, {scheme} and, with a "
		    "regex on the route, $1 to $9"),
	SCHEMA_ROW("prefix", PATH, struct rewrite_conf, prefix,
	    .help = "this stands in place of the route's prefix, the rest stays"),
	SCHEMA_ROW("regex", STRING, struct rewrite_conf, regex, .flags = SCHEMA_NOT_EMPTY,
	    .needs = "with", .help = "what of the path is replaced by `with`, where it matches"),
	SCHEMA_ROW("with", STRING, struct rewrite_conf, with, .needs = "regex",
	    .help = "what stands there then; may hold $1 to $9, {host}, {path} and {scheme}"),
	SCHEMA_ROWS_END,
};
static const struct schema_group rewrite_groups[] = {
	{ .keys = { "path", "prefix", "regex" }, .is_due = true },
	{ .keys = { NULL } },
};
static struct schema rewrite_schema = SCHEMA_DEFINE("rewrite", struct rewrite_conf,
    rewrite_rows, .groups = rewrite_groups, .is_alternative = true);
static const struct schema_key_ext rewrite_key = {
	.row = SCHEMA_EXT_ROW("rewrite", OBJECT, .sub = &rewrite_schema, .flags = SCHEMA_CAN_OFF,
	    .help = "another path for the upstream"),
};

/* Has the request a path that can be changed? */
static bool
has_path(const struct msg_req *req)
{
	return (req->form == TARGET_ORIGIN || req->form == TARGET_ABSOLUTE);
}

/* What of the canonical path lies behind the matched prefix: "" or "/rest". */
static struct slice
rest_of_path(const struct filter_call *fc, const struct msg_req *req)
{
	struct slice prefix = filter_matched_prefix(fc);

	if (surprise(!slice_has_prefix(req->path, prefix)))
		return (req->path);
	return (slice_skip(req->path, prefix.len));
}

static void
set_path(struct filter_call *fc, const struct msg_req *req, struct slice path)
{
	filter_set_target(fc, path.len > 0 ? path : SLICE("/"), req->query, req->has_query);
}

/* ---- strip_prefix ---- */

/* Inherited, it is meant for routes that have a prefix. On the route itself it must have one. */
static void
compile_strip(void *arg, const struct snapshot_build *b, bool *needed_r)
{
	const struct strip_prefix_conf *conf = arg;

	*needed_r = conf->on && b->is_below_root;
	if (!conf->on || b->has_prefix || !schema_has(b->own, "strip_prefix"))
		return;
	diag_add(b->diag, DIAG_ERROR, schema_mark(b->own, "strip_prefix"), NULL,
	    b->path.len == 0 ? "write prefix: /PATH beside it" :
	    arena_printf(b->arena, "write prefix: " SLICE_FMT " in place of path, or rewrite: "
	    "{ path: / } in place of strip_prefix", SLICE_ARG(b->path)),
	    "strip_prefix takes off the route's prefix, and route \"" SLICE_FMT "\" has %s",
	    SLICE_ARG(b->route), b->path.len == 0 ? "none" : "an exact path");
}

static enum filter_verdict
on_strip(struct filter_call *fc, struct msg_req *req)
{
	if (has_path(req))
		set_path(fc, req, rest_of_path(fc, req));
	return (FILTER_NEXT);
}

/* ---- rewrite ---- */

static void
refuse(const struct rewrite_conf *conf, const char *key, struct slice text, const char *why,
    const struct snapshot_build *b)
{
	diag_error(b->diag, schema_mark(&conf->obj, key), "%s \"" SLICE_FMT "\": %s", key,
	    SLICE_ARG(text), why);
}

/* The canonical form of a configured path, in the arena. */
static struct slice
canonical(const struct rewrite_conf *conf, const char *key, struct slice path,
    const struct snapshot_build *b)
{
	struct slice out = SLICE("/");

	switch (uri_canonical(path, b->arena, &out)) {
	case URI_OK:
	case URI_ENCODED_SLASH:
		return (arena_dup(b->arena, out));
	case URI_MALFORMED:
	case URI_NO_MEMORY:
		break;
	}
	refuse(conf, key, path,
	    "that is no path; bytes other than those of a URL are written %XX", b);
	return (SLICE("/"));
}

static bool
compile_template(struct rewrite_conf *conf, const char *key, struct slice text,
    const struct snapshot_build *b)
{
	int groups = conf->re == NULL ? -1 : (int)regex_groups(conf->re);
	const char *why = template_compile(&conf->template, TEMPLATE_IN_PATH, text, groups,
	    b->arena);

	if (why == NULL && !template_is_plain(&conf->template) &&
	    template_has_dots(template_sample(&conf->template, b->arena)))
		why = "a segment that is . or .. leads elsewhere";
	if (why != NULL)
		refuse(conf, key, text, why, b);
	conf->encodes_slash = template_has_encoded_slash(text);
	return (why == NULL);
}

static void
compile_path(struct rewrite_conf *conf, const struct snapshot_build *b)
{
	conf->re = b->regex;
	if (!compile_template(conf, "path", conf->path, b))
		return;
	conf->kind = template_is_plain(&conf->template) ? REWRITE_WHOLE : REWRITE_MADE;
	if (conf->kind == REWRITE_WHOLE)
		conf->text = canonical(conf, "path", template_sample(&conf->template, b->arena), b);
	if (!template_uses(&conf->template, TEMPLATE_CAPTURE))
		conf->re = NULL;
}

static void
compile_prefix(struct rewrite_conf *conf, const struct snapshot_build *b)
{
	struct slice text = conf->prefix;
	ssize_t at = slice_find_byte(text, '$');

	conf->kind = REWRITE_BEGIN;
	if (slice_find_byte(text, '{') >= 0 || (at >= 0 && (size_t)at + 1 < text.len &&
	    text.p[at + 1] >= '0' && text.p[at + 1] <= '9'))
		refuse(conf, "prefix", text, "this is taken as it is; captures and {host} are for "
		    "`path`, and for `with` beside `regex`", b);
	text = canonical(conf, "prefix", text, b);
	while (text.len > 0 && text.p[text.len - 1] == '/')
		text.len--;
	conf->text = text;
}

/* Whatever it matches at the beginning is replaced by what begins otherwise than a path does. */
static bool
loses_slash(const struct rewrite_conf *conf)
{
	const struct template_piece *first = conf->template.v;

	return (conf->regex.p[0] == '^' && conf->template.n > 0 &&
	    (first->kind == TEMPLATE_TEXT ? first->text.p[0] != '/' :
	    first->kind == TEMPLATE_HOST || first->kind == TEMPLATE_SCHEME));
}

static void
compile_regex(struct rewrite_conf *conf, const struct snapshot_build *b)
{
	struct mark mark = schema_mark(&conf->obj, "regex");
	struct err *err = regex_compile(b->arena, conf->regex, mark, REGEX_DEFAULT, &conf->re);

	conf->kind = REWRITE_PART;
	if (err != NULL) {
		diag_error(b->diag, mark, "%s", err->what);
		return;
	}
	if (compile_template(conf, "with", conf->with, b) && loses_slash(conf))
		refuse(conf, "with", conf->with, "the path would not begin with a slash", b);
}

static void
compile_rewrite(void *arg, const struct snapshot_build *b, bool *needed_r)
{
	struct rewrite_conf *conf = arg;

	/* With none of the three, reading it has said so. */
	*needed_r = conf->path.len > 0 || conf->prefix.len > 0 || conf->regex.len > 0;
	if (!*needed_r)
		return;
	if (schema_has(b->policies, "strip_prefix") && !schema_is_off(b->policies, "strip_prefix"))
		diag_error(b->diag, schema_obj_mark(&conf->obj),
		    "route \"" SLICE_FMT "\" has strip_prefix and rewrite; either does all of it, "
		    "so leave one out, or write `strip_prefix: off`", SLICE_ARG(b->route));
	if (conf->path.len > 0)
		compile_path(conf, b);
	else if (conf->prefix.len > 0)
		compile_prefix(conf, b);
	else
		compile_regex(conf, b);
}

/* The path with `out` left out and what the template makes in its place. */
static enum reason
make_path(struct filter_call *fc, const struct template_input *in, struct slice out,
    struct slice *path_r)
{
	const struct rewrite_conf *conf = fc->conf;
	struct slice path = in->req->path;
	struct slice before = slice_sub(path, 0, (size_t)(out.p - path.p));
	struct slice after = slice_skip(path, before.len + out.len);
	size_t len = before.len + template_len(&conf->template, in) + after.len;
	char *p, *at;

	if (template_uses(&conf->template, TEMPLATE_HOST) && in->req->host.len == 0)
		return (REASON_REQUEST_MALFORMED);
	if (len > filter_target_max(fc))
		return (REASON_URI_TOO_LONG);
	p = arena_alloc(fc->arena, len + 1);
	if (p == NULL)
		return (REASON_OVERLOADED);
	at = template_put(&conf->template, in, mempcpy(p, before.p, before.len));
	at = mempcpy(at, after.p, after.len);
	*path_r = slice_of(p, (size_t)(at - p));
	return (template_settle_path(fc->arena, in->req, conf->encodes_slash, path_r));
}

/* By a template; *path_r stays empty where the regex does not match. */
static enum reason
apply_template(struct filter_call *fc, const struct msg_req *req, struct slice *path_r)
{
	const struct rewrite_conf *conf = fc->conf;
	struct regex_captures captures;
	struct template_input in = { .req = req };
	struct slice out = req->path;

	*path_r = SLICE_NONE;
	if (conf->re != NULL) {
		switch (filter_search(fc, conf->re, req->path, &captures)) {
		case REGEX_MATCH:
			in.captures = &captures;
			break;
		case REGEX_NO_MATCH:
			return (REASON_NONE);
		case REGEX_LIMIT:
			return (REASON_MATCH_LIMIT);
		}
	}
	if (conf->kind == REWRITE_PART)
		out = captures.at[0];
	/* A match may end before it begins, by \K. */
	if (out.p == NULL)
		return (REASON_NONE);
	return (make_path(fc, &in, out, path_r));
}

static enum reason
apply_prefix(struct filter_call *fc, const struct msg_req *req, struct slice *path_r)
{
	const struct rewrite_conf *conf = fc->conf;
	struct slice rest = rest_of_path(fc, req);
	char *p = arena_alloc(fc->arena, conf->text.len + rest.len + 1);

	if (p == NULL)
		return (REASON_OVERLOADED);
	memcpy(p, conf->text.p, conf->text.len);
	if (rest.len > 0)
		memcpy(p + conf->text.len, rest.p, rest.len);
	*path_r = slice_of(p, conf->text.len + rest.len);
	return (REASON_NONE);
}

static enum filter_verdict
on_rewrite(struct filter_call *fc, struct msg_req *req)
{
	const struct rewrite_conf *conf = fc->conf;
	enum reason reason = REASON_NONE;
	struct slice path = conf->text;

	if (!has_path(req))
		return (FILTER_NEXT);
	if (conf->kind == REWRITE_BEGIN)
		reason = apply_prefix(fc, req, &path);
	else if (conf->kind != REWRITE_WHOLE)
		reason = apply_template(fc, req, &path);
	if (reason != REASON_NONE) {
		filter_fault(fc, reason);
		return (FILTER_FAULT);
	}
	if (path.p != NULL)
		set_path(fc, req, path);
	return (FILTER_NEXT);
}

static void
explain_strip(const struct filter_call *fc, bool met, FILE *out)
{
	if (met && has_path(filter_request(fc)))
		fprintf(out, "takes off " SLICE_FMT, SLICE_ARG(filter_matched_prefix(fc)));
}

static void
explain_rewrite(const struct filter_call *fc, bool met, FILE *out)
{
	if (met && has_path(filter_request(fc)))
		fprintf(out, "the path becomes " SLICE_FMT,
		    SLICE_ARG(filter_request(fc)->path_raw));
}

const struct filter_ops filter_strip_prefix = {
	.name = "strip_prefix",
	.conf_size = sizeof(struct strip_prefix_conf),
	.key = &strip_key,
	.compile = compile_strip,
	.on_req_headers = on_strip,
	.dry = FILTER_DRY,
	.explain = explain_strip,
};

const struct filter_ops filter_rewrite = {
	.name = "rewrite",
	.conf_size = sizeof(struct rewrite_conf),
	.key = &rewrite_key,
	.compile = compile_rewrite,
	.on_req_headers = on_rewrite,
	.dry = FILTER_DRY,
	.explain = explain_rewrite,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/config/diag.h"
#include "engine/http/uri.h"
#include "filters/filters.h"

/*
 * `strip_prefix` and `rewrite`: another path for the upstream, made from the canonical one, so
 * that what was matched is what is sent. The query stays as it came. A path of which nothing is
 * left is `/`. The prefix is the one that the route matched; with `/` it is empty: nothing to
 * strip. `rewrite: { prefix: /a }` puts /a before the path there, and on a route without a prefix.
 * Targets without a path (OPTIONS *, CONNECT) are left alone.
 */

struct strip_prefix_conf {
	struct schema_obj	 obj;
	bool			 on;
};

struct rewrite_conf {
	struct schema_obj	 obj;
	struct slice		 path;
	struct slice		 prefix;
	/* compiled; of the two one is not empty */
	struct slice		 whole;		/* the new path */
	struct slice		 begin;		/* in place of the prefix; no slash at its end */
	bool			 is_whole;
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
	SCHEMA_ROW("path", PATH, struct rewrite_conf, path, .help = "the upstream sees this path"),
	SCHEMA_ROW("prefix", PATH, struct rewrite_conf, prefix,
	    .help = "this stands in place of the route's prefix, the rest stays"),
	SCHEMA_ROWS_END,
};
static const struct schema_group rewrite_groups[] = {
	{ .keys = { "path", "prefix" }, .is_due = true },
	{ .keys = { NULL } },
};
static struct schema rewrite_schema = SCHEMA_DEFINE("rewrite", struct rewrite_conf, rewrite_rows,
    .groups = rewrite_groups, .is_alternative = true);
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

/* The canonical form of a configured path, in the arena. */
static struct slice
canonical(const struct rewrite_conf *conf, const char *name, struct slice path,
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
	diag_error(b->diag, schema_mark(&conf->obj, name),
	    "\"" SLICE_FMT "\" is no path; bytes other than those of a URL are written %%XX",
	    SLICE_ARG(path));
	return (SLICE("/"));
}

static void
compile_rewrite(void *arg, const struct snapshot_build *b, bool *needed_r)
{
	struct rewrite_conf *conf = arg;

	/* With neither of the two, reading it has said so. */
	*needed_r = conf->path.len > 0 || conf->prefix.len > 0;
	if (!*needed_r)
		return;
	if (schema_has(b->policies, "strip_prefix") && !schema_is_off(b->policies, "strip_prefix"))
		diag_error(b->diag, schema_obj_mark(&conf->obj),
		    "route \"" SLICE_FMT "\" has strip_prefix and rewrite; either does all of it, "
		    "so leave one out, or write `strip_prefix: off`", SLICE_ARG(b->route));
	conf->is_whole = conf->path.len > 0;
	if (conf->is_whole) {
		conf->whole = canonical(conf, "path", conf->path, b);
	} else {
		conf->begin = canonical(conf, "prefix", conf->prefix, b);
		while (conf->begin.len > 0 && conf->begin.p[conf->begin.len - 1] == '/')
			conf->begin.len--;
	}
}

static enum filter_verdict
on_rewrite(struct filter_call *fc, struct msg_req *req)
{
	const struct rewrite_conf *conf = fc->conf;
	struct slice rest;
	char *p;

	if (!has_path(req))
		return (FILTER_NEXT);
	if (conf->is_whole) {
		set_path(fc, req, conf->whole);
		return (FILTER_NEXT);
	}
	rest = rest_of_path(fc, req);
	p = arena_alloc(fc->arena, conf->begin.len + rest.len + 1);
	if (p == NULL) {
		filter_fault(fc, REASON_OVERLOADED);
		return (FILTER_FAULT);
	}
	memcpy(p, conf->begin.p, conf->begin.len);
	if (rest.len > 0)
		memcpy(p + conf->begin.len, rest.p, rest.len);
	set_path(fc, req, slice_of(p, conf->begin.len + rest.len));
	return (FILTER_NEXT);
}

const struct filter_ops filter_strip_prefix = {
	.name = "strip_prefix",
	.conf_size = sizeof(struct strip_prefix_conf),
	.key = &strip_key,
	.compile = compile_strip,
	.on_req_headers = on_strip,
};

const struct filter_ops filter_rewrite = {
	.name = "rewrite",
	.conf_size = sizeof(struct rewrite_conf),
	.key = &rewrite_key,
	.compile = compile_rewrite,
	.on_req_headers = on_rewrite,
};

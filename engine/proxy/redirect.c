/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/http/uri.h"
#include "engine/proxy/down_conn.h"
#include "engine/proxy/exchange.h"
#include "engine/proxy/gate.h"
#include "engine/proxy/local_reply.h"
#include "engine/proxy/redirect.h"
#include "engine/proxy/route.h"

/* What of the canonical path lies behind the route's prefix: "" or "/rest". */
static struct slice
rest_of_path(const struct exchange *ex)
{
	struct slice path = ex->req.path;

	return (slice_skip(path, ex->route->prefix.len));
}

/* The path of the target and the rest of the request's, joined by one slash; a rest of nothing adds
   nothing. */
static char *
put_path(const struct route_redirect *r, const struct template_input *in, struct slice rest,
    char *at)
{
	char *begin = at;

	at = template_put(&r->path, in, at);
	if (rest.len > 0 && at > begin && at[-1] == '/' && rest.p[0] == '/')
		at--;
	return (rest.len > 0 ? mempcpy(at, rest.p, rest.len) : at);
}

/* What a template made of the host must be one. */
static bool
is_origin(struct slice origin)
{
	ssize_t at = slice_find(origin, SLICE("://"));
	struct slice host;

	return (at > 0 && uri_split_authority(slice_skip(origin, (size_t)at + 3), &host));
}

static enum reason
make_location(struct exchange *ex, const struct template_input *in, struct slice *to_r)
{
	const struct route_redirect *r = ex->route->redirect;
	struct slice rest = r->keep_rest ? rest_of_path(ex) : SLICE("");
	struct slice query = r->keep_query && ex->req.has_query ? ex->req.query : SLICE("");
	size_t len = template_len(&r->origin, in) + template_len(&r->path, in) + rest.len + 1 +
	    query.len + template_len(&r->tail, in);
	enum reason reason = REASON_NONE;
	struct slice path;
	char *p, *at;

	if (len > ex->down->local->limits.codec.line_bytes)
		return (REASON_URI_TOO_LONG);
	p = at = arena_alloc(&ex->arena, len + 1);
	if (p == NULL)
		return (REASON_OVERLOADED);
	at = template_put(&r->origin, in, at);
	if (r->needs_host && !is_origin(slice_of(p, (size_t)(at - p))))
		return (REASON_REQUEST_MALFORMED);
	path.p = at;
	path.len = (size_t)(put_path(r, in, rest, at) - at);
	if (!template_is_plain(&r->path))
		reason = template_settle_path(&ex->arena, &ex->req, r->encodes_slash, &path);
	if (reason != REASON_NONE)
		return (reason);
	at += path.len;
	if (r->keep_query && ex->req.has_query)
		*at++ = '?';
	if (query.len > 0)
		at = mempcpy(at, query.p, query.len);
	at = template_put(&r->tail, in, at);
	*to_r = slice_of(p, (size_t)(at - p));
	return (REASON_NONE);
}

enum reason
redirect_make(struct exchange *ex)
{
	const struct route_redirect *r = ex->route->redirect;
	struct template_input in = { .req = &ex->req };
	struct regex_captures captures;
	struct slice to = SLICE("");
	enum reason reason;

	if (r->regex != NULL) {
		if (regex_search(r->regex, proxy_of(ex->worker)->regex, ex->req.path, &captures) !=
		    REGEX_MATCH)
			return (REASON_MATCH_LIMIT);
		in.captures = &captures;
	}
	reason = make_location(ex, &in, &to);
	if (reason != REASON_NONE)
		return (reason);
	if (local_reply_make(ex, r->status, SLICE(""), SLICE("")) &&
	    headers_set_id(&ex->resp.m.headers, HDR_LOCATION, to))
		return (REASON_NONE);
	return (REASON_OVERLOADED);
}

enum reason
respond_make(struct exchange *ex)
{
	const struct route_respond *r = ex->route->respond;

	if (!local_reply_make(ex, r->status, r->content_type, r->body))
		return (REASON_OVERLOADED);
	for (unsigned i = 0; i < r->n_fields; i++) {
		if (!headers_set(&ex->resp.m.headers, r->fields[i].name, r->fields[i].value))
			return (REASON_OVERLOADED);
	}
	return (REASON_NONE);
}

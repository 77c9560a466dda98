/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/proxy/exchange.h"
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

/*
 * `to` and the rest, joined by one slash; a rest of nothing adds nothing. Then the query, and the
 * fragment that `to` ends with.
 */
static struct slice
location(struct exchange *ex, const struct route_redirect *r)
{
	struct slice rest = r->keep_rest ? rest_of_path(ex) : SLICE("");
	struct slice to = r->to, query = ex->req.query;
	bool has_query = ex->req.has_query && !slice_has_prefix(r->tail, SLICE("?"));
	char *p, *at;

	if (rest.len > 0 && to.len > 0 && to.p[to.len - 1] == '/' && rest.p[0] == '/')
		to.len--;
	p = at = arena_alloc(&ex->arena, to.len + rest.len + 1 + query.len + r->tail.len + 1);
	if (p == NULL)
		return (SLICE_NONE);
	at = mempcpy(at, to.p, to.len);
	if (rest.len > 0)
		at = mempcpy(at, rest.p, rest.len);
	if (has_query) {
		*at++ = '?';
		if (query.len > 0)
			at = mempcpy(at, query.p, query.len);
	}
	if (r->tail.len > 0)
		at = mempcpy(at, r->tail.p, r->tail.len);
	return (slice_of(p, (size_t)(at - p)));
}

bool
redirect_make(struct exchange *ex)
{
	const struct route_redirect *r = ex->route->redirect;
	struct slice to = location(ex, r);

	return (to.p != NULL && local_reply_make(ex, r->status, SLICE(""), SLICE("")) &&
	    headers_set_id(&ex->resp.m.headers, HDR_LOCATION, to));
}

bool
respond_make(struct exchange *ex)
{
	const struct route_respond *r = ex->route->respond;

	if (!local_reply_make(ex, r->status, r->content_type, r->body))
		return (false);
	for (unsigned i = 0; i < r->n_fields; i++) {
		if (!headers_set(&ex->resp.m.headers, r->fields[i].name, r->fields[i].value))
			return (false);
	}
	return (true);
}

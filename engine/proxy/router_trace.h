/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_ROUTER_TRACE_H
#define WEIR_PROXY_ROUTER_TRACE_H

/*
 * Why a request goes where it goes: the lookup of router_find() told rule by rule, for people.
 *
 * Told are, in the order in which the router prefers them: every rule of each host that fits
 * (exact, wildcards from the longest, none) whose path or prefix fits, and all expressions of these
 * hosts; then rules with such a path on other hosts, ROUTER_TRACE_OTHERS_MAX at most. A route
 * stands there once for each of its hosts that fits, and once for each set of listeners that it was
 * built for: who shows it takes the verdict that comes first, but for LISTENER, which another may
 * better.
 */
#include "engine/proxy/router.h"

enum {
	ROUTER_TRACE_OTHERS_MAX = 16	/* enough to see that the host is what is wrong */
};

enum router_why {
	ROUTER_WON,
	/* it does not take the request: */
	ROUTER_LOST_HOST,	/* its path fits, its hosts do not */
	ROUTER_LOST_PATH,	/* its expression is not found in the path */
	ROUTER_LOST_LISTENER,
	ROUTER_LOST_METHOD,
	ROUTER_LOST_FIELD,	/* .field: of the header or of the query */
	ROUTER_LOST_LIMIT,	/* not known: an expression (.field's, or its own) has no end */
	/* it would take it, but the winner: */
	ROUTER_LOST_TO_HOST,	/* names the host more closely */
	ROUTER_LOST_TO_PATH,	/* comes first: exact, long prefixes, expressions, `/` */
	ROUTER_LOST_TO_MATCHERS	/* has more matchers, or as many and stands first */
};

enum router_path_kind {
	ROUTER_PATH_EXACT,
	ROUTER_PATH_PREFIX,
	ROUTER_PATH_REGEX,
	ROUTER_PATH_ROOT	/* `prefix: /`, or none of the others */
};

/* Lives during the call of the function below. */
struct router_verdict {
	const struct route	*route;
	enum router_why		 why;
	enum router_path_kind	 kind;
	struct slice		 host;	/* of the rule; empty: none; behind "*." of a wildcard */
	bool			 is_wildcard;
	const struct router_field *field;	/* LOST_FIELD, LOST_LIMIT; else NULL */
};

typedef void router_verdict_fn(void *arg, const struct router_verdict *);

/*
 * What router_find() says of the same request, which it says as often as it is asked; calls fn for
 * each rule before it returns. *route_r as there. With ROUTER_LIMIT the verdicts end at the rule
 * that came to no end. Any thread that has a regex_work; linear in the paths of the router, so not
 * for workers that serve.
 */
enum router_rc	 router_trace(const struct router *, const struct router_request *,
		    router_verdict_fn *fn, void *arg, const struct route **route_r);

#endif

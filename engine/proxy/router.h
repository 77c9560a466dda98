/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_ROUTER_H
#define WEIR_PROXY_ROUTER_H

/*
 * From host, path, method and listener to a route, at a cost that does not grow with the number
 * of routes. Built once on the main thread, then immutable.
 *
 * Precedence (the contract): host first: exact, longest wildcard, none; all matching routes
 * compete, so a route without hosts still serves a named host. Then exact path, longest prefix
 * other than `/`, regex in file order, `prefix: /`. Then more matchers beat fewer.
 *
 * Hosts: ASCII case, a port and a trailing dot do not matter. `*.example.com` matches any number of
 * labels before the suffix (a.example.com, a.b.example.com), never example.com itself. A request
 * without host meets the rules without hosts only.
 */
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/slice.h"
#include "engine/http/msg.h"
#include "engine/mem/arena.h"
#include "engine/mem/err.h"
#include "engine/proxy/route.h"

struct router;

/*
 * One route's matchers. What the slices point to and method_names outlive the router (the part's
 * arena). Neither path nor prefix: `prefix: /`. A slash at the end of a prefix changes nothing; 63
 * segments at most.
 */
struct router_rule {
	const struct route	*route;
	const struct slice	*hosts;		/* lower case; "*.x" wildcards; none: every host */
	unsigned		 n_hosts;
	struct slice		 path;		/* exact and canonical; empty: no exact path */
	struct slice		 prefix;	/* canonical, "/" for all; empty: no prefix */
	uint64_t		 methods;	/* bits by enum http_method; 0: all */
	const struct slice	*method_names;	/* those that are METHOD_OTHER */
	unsigned		 n_method_names;
	uint64_t		 listeners;	/* bits by listener index; 0: all */
	struct mark		 mark;
};

/*
 * Reports every rule that ties with another ("they ..."), and every one that can never match (other
 * is NULL then, and the subject is the rule), through `report` (may be NULL), before it returns;
 * `what` goes behind names and a colon and is static. NULL when there was one, or no memory. The
 * rules may go once it has returned; what their slices point to may not.
 */
typedef void router_report_fn(void *arg, const struct router_rule *,
    const struct router_rule *other, const char *what);
struct router	*router_build(struct arena *, const struct router_rule *, unsigned n,
		    router_report_fn *, void *arg);

/*
 * Worker's thread; no allocation, at most about a microsecond whatever the number of routes.
 * `path` is canonical and begins with a slash; listener is below 64. NULL: no route.
 */
const struct route *router_find(const struct router *, struct slice host, struct slice path,
		    unsigned method, struct slice method_text, unsigned listener);

#endif

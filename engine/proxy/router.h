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
#include "engine/http/headers.h"
#include "engine/http/msg.h"
#include "engine/mem/arena.h"
#include "engine/mem/err.h"
#include "engine/proxy/route.h"
#include "engine/regex/regex.h"

struct router;

enum router_field_kind {
	ROUTER_FIELD_IS,	/* a value is exactly this */
	ROUTER_FIELD_PREFIX,	/* a value begins so */
	ROUTER_FIELD_REGEX,	/* the expression is found in a value */
	ROUTER_FIELD_PRESENT,	/* it is there, with whatever value */
	ROUTER_FIELD_ABSENT
};

/*
 * What is asked of one header field or one parameter of the query. One that stands several times
 * has several values, and any of them will do. Fields: lines as received, without blanks around;
 * those of one connection (RFC 9110, 7.6.1) are never there. Parameters: name and value decoded
 * (%XX and +) once; without `=` the value is empty. Case matters but in names of fields.
 */
struct router_field {
	struct slice		 name;
	struct slice		 value;		/* IS, PREFIX */
	const struct regex	*regex;		/* REGEX */
	uint8_t			 kind;		/* enum router_field_kind */
	bool			 is_query;
};

/*
 * One route's matchers. What the slices point to and method_names outlive the router (the part's
 * arena). None of path, prefix and regex: `prefix: /`. A slash at the end of a prefix changes
 * nothing; 63 segments at most.
 */
struct router_rule {
	const struct route	*route;
	const struct slice	*hosts;		/* lower case; "*.x" wildcards; none: every host */
	unsigned		 n_hosts;
	struct slice		 path;		/* exact and canonical; empty: no exact path */
	struct slice		 prefix;	/* canonical, "/" for all; empty: no prefix */
	/* searched for in the canonical path; the same pattern is the same place in the order, that
	   of the first rule of a host which has it */
	const struct regex	*regex;
	const struct router_field *fields;	/* of each name one, in any order */
	unsigned		 n_fields;
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

/* What is asked of a request; lives during the call. */
struct router_request {
	struct slice		 host;		/* with or without port and final dot, or empty */
	struct slice		 path;		/* canonical, begins with a slash */
	struct slice		 query;		/* as received, without `?` */
	struct slice		 method_text;
	const struct headers	*headers;
	struct regex_work	*regex;
	unsigned		 method;	/* enum http_method */
	unsigned		 listener;	/* below 64 */
};

enum router_rc {
	ROUTER_FOUND,
	ROUTER_NONE,
	ROUTER_LIMIT	/* it takes more than it may: which route it is cannot be said */
};

enum {
	/* of all expressions of a lookup together: a millisecond or two in the worst case */
	ROUTER_STEPS = 2 * REGEX_STEPS,
	/* of the query, that a lookup looks at, one by one for each rule that asks for one: below a
	   millisecond, as measured; a request line holds 4,000 */
	ROUTER_PARAMETERS = 32768,
	ROUTER_VALUE_MAX = 8192	/* bytes of an encoded parameter that an expression can see */
};

/*
 * Worker's thread; no allocation; without expressions and questions about fields at most about a
 * microsecond whatever the number of routes. Rules of one path that ask for fields are tried one
 * by one. *route_r is set for ROUTER_FOUND only.
 */
enum router_rc	 router_find(const struct router *, const struct router_request *,
		    const struct route **route_r);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_APP_EXPLAIN_IMPL_H
#define WEIR_APP_EXPLAIN_IMPL_H

/* Private to explain*.c. */
#include "engine/app/build_impl.h"
#include "engine/app/explain.h"
#include "engine/proxy/dry.h"

/* One value in force. Texts are the scratch arena's. */
struct explain_setting {
	const char	*of;		/* "route", "listener", "upstream" */
	const char	*key;
	const char	*value;
	struct mark	 where;		/* no file: a default */
};

struct explain {
	unsigned		 magic;
#define EXPLAIN_MAGIC	0x1d7e60b4
	struct build		*b;
	struct snapshot		*snap;
	const struct gate	*gate;
	bool			 is_live;
	struct dry		*dry;
	struct arena		*scratch;	/* of one request */
};

enum {
	/* routes that are told of, the one that won included */
	EXPLAIN_RULES_MAX = 64
};

/* A request on one listener. */
struct explain_case {
	struct explain		*e;
	struct listener		*listener;
	struct dry_request	 req;
	struct dry_result	 r;
	bool			 failed;	/* no memory to say it */
	struct router_verdict	 rules[EXPLAIN_RULES_MAX];	/* a route once */
	unsigned		 n_rules, n_more;
	struct slice		 last_more;	/* the route that n_more counted last */
	/* of its route; NULL: there is none */
	const struct router_rule *rule;
	const struct schema_obj	*policies;	/* merged */
	VEC(struct explain_setting) settings;
};

/* explain_places.c: finds rule, policies and settings. Without memory it goes to the trap. */
void	explain_places(struct explain_case *);
/* Where a key of the merged policies, or of the listener, was written; else no file. */
struct mark explain_policy_mark(const struct explain_case *, const char *key);
/* The setting of this name, or NULL. */
const struct explain_setting *explain_setting(const struct explain_case *, const char *key);

/* explain_rules.c: router_verdict_fn; arg is the case. And all of them, told. */
void	explain_on_rule(void *arg, const struct router_verdict *);
json_t	*explain_rules(struct explain_case *);
/* explain_places.c: what the router was given for it; *first_r: of its file, in the list of all
   routes. NULL: none. */
const struct router_rule *explain_rule_of(const struct gate *, const struct route *,
	    uint32_t *first_r);

/* explain_say.c: what came of it; NULL: no memory. */
json_t	*explain_say(struct explain_case *);

#endif

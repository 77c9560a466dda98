/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_APP_BUILD_IMPL_H
#define WEIR_APP_BUILD_IMPL_H

/* Private to the build_*.c files: the state of a build, and its steps. */
#include "engine/app/build.h"
#include "engine/mem/map.h"
#include "engine/proxy/chain.h"
#include "engine/proxy/gate.h"
#include "engine/proxy/listener_conf.h"
#include "engine/proxy/route.h"
#include "engine/proxy/route_conf.h"
#include "engine/proxy/router.h"
#include "engine/upstream/upstream.h"
#include "engine/upstream/upstream_conf.h"

/* Listeners whose policies are the same stand on one layer: its routes are compiled once. */
struct build_layer {
	const struct schema_obj	*policies;	/* defaults and listener merged; NULL: neither */
	uint64_t		 listeners;	/* bits */
	/* of routes without policies of their own, once one was seen: no prefix, `/`, another */
	const struct route_policy *plain[3];
};

struct build_policies {
	struct build		*b;
	struct build_layer	 layers[GATE_LISTENERS_MAX + 1];
	unsigned		 n_layers;
	struct map		 known;		/* private to build_policy.c: what was made */
};

struct build_names {
	struct map	 upstreams;	/* name to struct upstream; while there are no mistakes */
	struct map	 used;		/* names of upstreams that something refers to */
	struct map	 listeners;	/* name to place in the gate, plus one */
	uint64_t	 served;	/* bits of the listeners that a route takes requests of */
	/* What a mistake elsewhere does not put in doubt: */
	bool		 knows_upstreams;	/* a name that is not there is a mistake */
	bool		 knows_listeners;
	bool		 knows_uses;		/* an upstream that is not in `used` is one */
	bool		 knows_served;		/* so is a listener that is not in `served` */
};

/* build_parts.c: upstreams and listeners, shared where they did not change. */
void	build_upstreams(struct build *, struct build_names *);
void	build_listeners(struct build *, struct build_names *);
void	build_check_used(struct build *, const struct build_names *);

/* build_policy.c: the layers of the file; and what the route does on one of them, shared with the
   routes for which that is the same. Its name and prefix must be set. Never NULL. */
void	build_policies_init(struct build_policies *, struct build *);
const struct route_policy *build_policy(struct build_policies *, struct build_layer *,
	    const struct route_conf *, const struct route *);

/* build_routes.c: routes, and the router. */
void	build_routes(struct build *, struct build_names *);

/* build.c: what registry_extend() returned. */
unsigned build_first_filter(void);

/* The key that a misspelt name probably meant, or NULL. */
const char *build_nearest_key(struct build *, const struct schema_map *, struct slice name);

static inline int
build_slice_len(struct slice s)
{
	return ((int)s.len);
}

#endif

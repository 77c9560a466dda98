/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_LISTENER_CONF_H
#define WEIR_PROXY_LISTENER_CONF_H

/*
 * A listener as decoded from the file: one entry of `listeners:`. Lives as long as what read it;
 * what requests need of it is copied into the part (gate.h).
 */
#include <stdint.h>

#include "engine/proxy/route_conf.h"

struct arena;
struct diag;
struct listener;

struct listener_timeout_conf {
	struct schema_obj	 obj;
	uint64_t		 headers_ms;
	uint64_t		 body_idle_ms;		/* SCALAR_UNLIMITED allowed, as below */
	uint64_t		 write_idle_ms;
	uint64_t		 keepalive_ms;
};

struct listener_min_rate_conf {
	struct schema_obj	 obj;
	uint64_t		 rate;			/* bytes a second */
	uint64_t		 grace_ms;
};

struct listener_limits_conf {
	struct schema_obj	 obj;
	uint64_t		 header_bytes;
	uint64_t		 header_count;
	uint64_t		 line;
	uint64_t		 requests;		/* SCALAR_UNLIMITED allowed */
	uint64_t		 age_ms;		/* SCALAR_UNLIMITED allowed */
};

struct listener_conf {
	struct schema_obj			 obj;
	struct scalar_listen			 listen;
	struct schema_list			 trusted_proxies;	/* struct cidr */
	const struct listener_timeout_conf	*timeout;
	const struct listener_min_rate_conf	*min_rate;		/* NULL: off */
	const struct listener_limits_conf	*limits;
	struct route_policies			 policies;	/* under those of its routes */
};

extern struct schema listener_schema;

/*
 * Makes the part (PART_LISTENER) with one reference, the caller's; `index` is its place in the
 * gate, `hash` the digest of conf and index. Never NULL: without memory it goes to the trap and
 * leaves nothing behind. Main thread.
 */
struct listener	*listener_build(struct slice name, const struct listener_conf *, unsigned index,
		    uint64_t hash);

#endif

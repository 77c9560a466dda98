/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_ROUTE_H
#define WEIR_PROXY_ROUTE_H

/*
 * A route as compiled: what it does with a request that it matched. Immutable; lives in the part
 * PART_ROUTES of its file, which generations share while the file and what it stands on stay. So it
 * names upstreams by slot: those are another part. How one is found: router.h.
 */
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/slice.h"
#include "engine/proxy/template.h"
#include "engine/upstream/lb_key.h"
#include "engine/worker/snapshot.h"

struct addr;
struct chain;
struct msg_req;
struct rnd;
struct route_mirror;
struct router_rule;
struct source;

enum route_action {
	ROUTE_UPSTREAM,
	ROUTE_SPLIT,
	ROUTE_REDIRECT,
	ROUTE_RESPOND
};

struct route_target {		/* of a split: weights of any sum */
	uint32_t	 upstream;	/* slot in the gate: gate_upstream() */
	uint32_t	 upto;		/* sum of the weights up to and with this one */
	uint64_t	 seed;		/* of its name: route_split_seed() */
};

struct route_split {
	bool			 is_sticky;	/* `by` holds; else by chance */
	struct lb_key		 by;
	unsigned		 n;
	struct route_target	 v[];
};

struct route_redirect {
	struct template	 origin;	/* of an absolute URL; or empty */
	struct template	 path;
	/* its own query, which the request's gives way to, and fragment */
	struct template	 tail;
	const struct regex *regex;	/* of the route, if its captures are wanted; or NULL */
	uint16_t	 status;	/* 301, 302, 303, 307, 308 */
	/* the route has a prefix: `to` takes its place, the rest is kept */
	bool		 keep_rest;
	bool		 keep_query;
	bool		 needs_host;
	bool		 encodes_slash;	/* `to` itself */
};

struct route_respond {
	uint16_t	 status;
	struct slice	 content_type;	/* empty: no body */
	struct slice	 body;
	const struct route_field {
		struct slice name, value;
	}		*fields;
	unsigned	 n_fields;
};

struct route_timeouts {		/* ms; 0: none */
	uint32_t	 connect;
	uint32_t	 first_byte;
	uint32_t	 idle;
	uint32_t	 total;
	/* Of what is quiet by nature, never less than the two above: events, gRPC, and protocols
	   that were switched to. */
	uint32_t	 stream_first_byte;
	uint32_t	 stream_idle;
	uint32_t	 tunnel_idle;
};

/*
 * What is done whatever the target: defaults, listener and route merged. Routes of one generation
 * for which that is the same share it, and with it the chain of filters.
 */
struct route_policy {
	const struct chain	*chain;
	uint64_t		 body_limit;	/* bytes; UINT64_MAX: unlimited */
	const struct route_mirror *mirror;	/* mirror.h; NULL: none */
	struct route_timeouts	 timeout;
	bool			 allow_encoded_slash;
	/* Host is the server's name, not the client's */
	bool			 host_upstream;
};

/* A cache line: of many routes each request finds another one cold. */
struct route {
	unsigned		 magic;
#define ROUTE_MAGIC	0x4e26f8b3
	uint32_t		 index;		/* in its file; the same on each layer */
	uint8_t			 action;	/* enum route_action: which of the union */
	bool			 names_parameters; /* `;` stands in its path, prefix or regex */
	const struct route_policy *policy;
	union {
		uint32_t			 upstream; /* slot in the gate */
		const struct route_split	*split;
		const struct route_redirect	*redirect;
		const struct route_respond	*respond;
	};
	/* as configured, or from its place: "routes[3]", of other files than the first
	   "conf.d/a.yaml[3]" */
	struct slice		 name;
	/* canonical, no slash at its end; empty: `/` or no prefix */
	struct slice		 prefix;
};

/* The routes of one file: the head of a part, PART_ROUTES, whose name is the file's. */
struct route_file {
	struct part		 part;
	struct source		*source;	/* main thread */
	struct route		*routes;	/* each once for each layer that it stands on */
	unsigned		 n_routes;
	/* What the router is made from, in the order of the file, those of one route side by side:
	   for the next generation, and for who shows them. */
	struct router_rule	*rules;
	unsigned		 n_rules;
	uint32_t		 n_written;	/* routes that stand in the file */
	uint32_t		 order;		/* among the files, while a router is built */
#define ROUTE_FILE_GONE		UINT32_MAX
};

/*
 * Which target of a split serves a request, as an index: a pure function, for whoever wants to
 * know. The same client goes to the same target while the weights stand; where they change, or a
 * target comes or goes, next to no other client moves than must. False: the request does not say
 * (chance decides, or it has not the key).
 */
bool		 route_split_side(const struct route_split *, const struct msg_req *,
		    const struct addr *client, unsigned *side_r);
/* The same, with chance where the request does not say. */
unsigned	 route_split_pick(const struct route_split *, const struct msg_req *,
		    const struct addr *client, struct rnd *);
/* Of an upstream's name. */
uint64_t	 route_split_seed(struct slice name);

#endif

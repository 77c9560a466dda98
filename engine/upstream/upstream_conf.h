/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_UPSTREAM_UPSTREAM_CONF_H
#define WEIR_UPSTREAM_UPSTREAM_CONF_H

/*
 * An upstream in the configuration: as decoded from the file (struct upstream_spec, in the
 * reader's arena, gone with the generation that read it), and as it is used (struct upstream_conf,
 * inside the part that generations share; it points to nothing of the reader's).
 */
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/addr.h"
#include "engine/base/slice.h"
#include "engine/config/schema.h"

struct arena;
struct diag;
struct upstream;

enum upstream_balance {
	UPSTREAM_LEAST_REQUEST,
	UPSTREAM_ROUND_ROBIN,
	UPSTREAM_RANDOM,
	UPSTREAM_HASH
};

enum upstream_hash_by {
	UPSTREAM_HASH_CLIENT_IP,
	UPSTREAM_HASH_PATH,
	UPSTREAM_HASH_HEADER,	/* hash_name: the field */
	UPSTREAM_HASH_COOKIE	/* hash_name: the cookie */
};

/* ---- as it is used ---- */

struct upstream_server {
	struct slice	 text;		/* as configured: the label in logs and metrics */
	struct slice	 name;		/* a host name to resolve; empty: `addr` is set */
	uint16_t	 port;		/* of a name */
	uint32_t	 weight;	/* at least 1 */
	struct addr	 addr;
};

struct upstream_conf {
	unsigned			 magic;
#define UPSTREAM_CONF_MAGIC	0x7ac04e5d
	enum upstream_balance		 balance;
	enum upstream_hash_by		 hash_by;	/* with UPSTREAM_HASH */
	struct slice			 hash_name;
	const struct upstream_server	*servers;	/* at least one */
	unsigned			 n_servers;
};

/* ---- as decoded ---- */

struct upstream_server_spec {
	struct schema_obj	 obj;
	struct scalar_server	 address;
	uint64_t		 weight;
};

struct upstream_hash_spec {
	struct schema_obj	 obj;
	enum upstream_hash_by	 word;	/* client_ip or path; what `hash: WORD` sets */
	struct slice		 header;
	struct slice		 cookie;
};

struct upstream_balance_spec {
	struct schema_obj		 obj;
	enum upstream_balance		 policy;	/* what `balance: WORD` sets */
	const struct upstream_hash_spec	*hash;		/* NULL: `policy` holds */
};

struct upstream_pool_spec {
	struct schema_obj	 obj;
	uint64_t		 idle;
	uint64_t		 idle_timeout_ms;
	uint64_t		 max_age_ms;		/* SCALAR_UNLIMITED */
};

struct upstream_spec {
	struct schema_obj			 obj;
	struct schema_list			 servers; /* struct upstream_server_spec */
	const struct upstream_balance_spec	*balance;
	const struct upstream_pool_spec		*pool;
};

/* Of a key of requests, wherever one is chosen by (lb_key.h). */
extern struct schema upstream_hash_schema;
/* What it says; the name, of a header or a cookie, is the spec's own, or empty. */
enum upstream_hash_by upstream_hash_of(const struct upstream_hash_spec *, struct slice *name_r);

extern struct schema upstream_schema;	/* of one entry of `upstreams:` */

/* What the rows cannot say: an address named twice. Main thread. */
void		 upstream_check(const struct upstream_spec *, struct slice name,
		    struct arena *scratch, struct diag *);

/*
 * Makes the part (PART_UPSTREAM) with one reference, the caller's; `hash` is the digest of the
 * spec. Literal addresses make its first endset; names are left to the resolver (has_names).
 * Never NULL: without memory it goes to the trap, and leaves nothing behind. Main thread.
 */
struct upstream	*upstream_build(struct slice name, const struct upstream_spec *, uint64_t hash);

#endif

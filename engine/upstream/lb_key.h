/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_UPSTREAM_LB_KEY_H
#define WEIR_UPSTREAM_LB_KEY_H

/*
 * What a request is known by where the same one shall always go the same way: for balancers
 * (`balance: { hash: ... }`) and routes (`split_by`). Pure functions, any thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/siphash.h"
#include "engine/base/slice.h"
#include "engine/http/hdr_id.h"
#include "engine/upstream/upstream_conf.h"

struct addr;
struct msg_req;

struct lb_key {
	enum upstream_hash_by	 by;
	enum hdr_id		 id;	/* of the header, HDR_OTHER: by name */
	struct slice		 name;	/* of the header or the cookie */
};

/* The name is not copied. */
struct lb_key	lb_key_make(enum upstream_hash_by, struct slice name);
/* The hash of the request's key; who hashes for another purpose salts in another way. False: the
   request has no such key (no such field, a client without an address; NULL: it is not known). */
bool		lb_key_hash(const struct lb_key *, const struct msg_req *,
		    const struct addr *client, const uint8_t salt[SIPHASH_KEY_BYTES],
		    uint64_t *hash_r);

#endif

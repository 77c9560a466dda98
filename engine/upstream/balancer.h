/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_UPSTREAM_BALANCER_H
#define WEIR_UPSTREAM_BALANCER_H

/*
 * Picks a server for a request. Worker's thread; state per worker and list of servers; no
 * allocation but in build. A peer in pick->tried is avoided while others are left. Picking costs
 * O(1), round robin with unequal weights O(log n).
 */
#include <stdbool.h>
#include <stdint.h>

struct pick;
struct up_local;
struct up_peer;

struct balancer_ops {
	const char	*name;
	/*
	 * Makes the state for these peers, which the caller is about to put in place; the rest of
	 * up_local stands already. One block of mem/alloc.h (the caller frees it), or NULL where
	 * none is needed. False: no memory. May be NULL.
	 */
	bool		 (*build)(struct up_local *, struct up_peer *const *peers, unsigned n,
			    void **state_r);
	/* There is at least one peer. */
	struct up_peer	*(*pick)(struct up_local *, const struct pick *);
	/* Does this request alone decide on the peer, neither chance nor what went before? NULL: it
	   never does. */
	bool		 (*is_settled)(const struct up_local *, const struct pick *);
};

extern const struct balancer_ops lb_round_robin, lb_least_request, lb_random, lb_hash;

/* For balancers: was this peer's server tried for the request already? */
bool		 lb_is_tried(const struct pick *, const struct up_peer *);
/* The first from `i` on, around the list, that was not tried; `i` when all were. */
struct up_peer	*lb_untried(struct up_local *, const struct pick *, unsigned i);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_UPSTREAM_BALANCER_H
#define WEIR_UPSTREAM_BALANCER_H

/*
 * Picks a server for a request. Worker's thread; state per worker and endset; no allocation but in
 * build. A peer in pick->tried is avoided while others are left.
 */
struct pick;
struct up_local;
struct up_peer;

struct balancer_ops {
	const char	*name;
	/* After every change of the list of servers; NULL ops: none is needed. False: no memory. */
	_Bool		 (*build)(struct up_local *);
	void		 (*drop)(struct up_local *);
	/* NULL: there is no server. */
	struct up_peer	*(*pick)(struct up_local *, const struct pick *);
};

extern const struct balancer_ops lb_round_robin, lb_least_request, lb_random, lb_hash;

#endif

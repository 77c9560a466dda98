/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_UPSTREAM_UP_CHOICE_H
#define WEIR_UPSTREAM_UP_CHOICE_H

/*
 * Which server a request would be taken to, for people who ask beforehand: by the balancer that
 * serves, on a worker that serves nothing.
 */
#include <stdbool.h>

struct endset;
struct pick;
struct server;
struct upstream;
struct worker;

/*
 * Of the servers in `now`. *server_r NULL: chance, load or what went before decides, or there are
 * none; it lives until upstream_worker_leave(). False: no memory. The worker has entered
 * (upstream_worker_enter), no thread runs it, and it asks no server of anything.
 */
bool	up_choose(struct worker *, struct upstream *, const struct endset *now,
	    const struct pick *, const struct server **server_r);

#endif

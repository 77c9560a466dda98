/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_UPSTREAM_UPSTREAM_H
#define WEIR_UPSTREAM_UPSTREAM_H

/*
 * A named backend, as configured: immutable, a part of the snapshot, shared by workers and by the
 * generations that did not change it. What a worker keeps for it (idle connections, balancer
 * state) hangs at per_worker[], each entry touched by its worker alone.
 *
 * Servers given by name are resolved on the main thread and swapped in as a new endset, by
 * mailbox, without a reload; see names.h.
 */
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/addr.h"
#include "engine/base/slice.h"
#include "engine/upstream/endset.h"
#include "engine/worker/snapshot.h"
#include "engine/worker/worker.h"

struct balancer_ops;
struct names_watch;
struct upstream_conf;
struct up_local;

/* As decoded, in the units of use; ms. */
struct upstream_pool_limits {
	uint32_t	 idle;			/* connections a server and worker */
	uint32_t	 idle_timeout_ms;
	uint64_t	 max_age_ms;		/* UINT64_MAX: unlimited */
};

struct upstream {
	struct part			 part;
	const struct upstream_conf	*conf;		/* decoded */
	struct upstream_pool_limits	 pool;
	const struct balancer_ops	*balancer;
	/* of literal addresses, and of names that were known when it was published */
	struct endset			*first_set;
	struct up_local			**per_worker;	/* WORKER_MAX entries, lazily made */
	bool				 has_names;
	struct names_watch		*watch;		/* main thread: see names.c */
};

/* Worker thread, at its start and end (after those who use upstreams have left). */
struct err	*upstream_worker_enter(struct worker *);
void		 upstream_worker_leave(struct worker *);
/* What the worker keeps of all upstreams goes now. */
void		 upstream_forget(struct worker *);
/* Worker thread: its generation has it not. Idle connections go now, busy ones, of requests on an
   older generation, when they are done. */
void		 upstream_retire(struct worker *, struct upstream *);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_UPSTREAM_UPSTREAM_H
#define WEIR_UPSTREAM_UPSTREAM_H

/*
 * A named backend, as configured: immutable, a part of the snapshot, shared by workers and by the
 * generations that did not change it. What a worker keeps for it (idle connections, balancer
 * state) hangs at per_worker[], each entry touched by its worker alone.
 *
 * Servers given by name are resolved on the main thread and swapped in as a new endset, by
 * mailbox, without a reload; see endset.h.
 */
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/addr.h"
#include "engine/base/slice.h"
#include "engine/upstream/endset.h"
#include "engine/worker/snapshot.h"
#include "engine/worker/worker.h"

struct balancer_ops;
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
	struct endset			*first_set;	/* of literal addresses; empty for names */
	struct up_local			**per_worker;	/* WORKER_MAX entries, lazily made */
	bool				 has_names;
};

/* Worker thread, at its start and end. */
struct err	*upstream_worker_enter(struct worker *);
void		 upstream_worker_leave(struct worker *);
/* Worker thread: no generation that this worker still uses has it; its connections go. */
void		 upstream_retire(struct worker *, struct upstream *);

#endif

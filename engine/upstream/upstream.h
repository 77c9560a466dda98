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
#include "engine/upstream/upstream_conf.h"
#include "engine/worker/snapshot.h"

struct balancer_ops;
struct endset;
struct up_local;

struct upstream {
	struct part			 part;
	struct upstream_conf		 conf;		/* decoded; see upstream_conf.h */
	const struct balancer_ops	*balancer;
	struct endset			*first_set;	/* of literal addresses; empty for names */
	struct up_local			**per_worker;	/* WORKER_MAX entries, lazily made */
	bool				 has_names;
};

/* One address of an endset. Immutable but for the counters that only one worker writes. */
struct server {
	unsigned		 magic;
#define SERVER_MAGIC	0x0b9e77f4
	uint32_t		 index;		/* in its endset */
	uint32_t		 weight;	/* at least 1 */
	struct addr		 addr;
	struct slice		 name;		/* as configured: the label in logs and metrics */
	struct slice		 address;	/* "10.0.0.1:8080", as text */
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_REGISTRY_H
#define WEIR_PROXY_REGISTRY_H

/*
 * The program's table of filters (proxy_program->filters), at configuration time and at the start
 * of workers. Requests meet the filters in the order of that table. Responses have an order of
 * their own, proxy_program->responses: a filter that stands there runs by its place in it; those
 * that do not stand there run after them, in the order of the table.
 */
#include "engine/config/schema.h"
#include "engine/mem/err.h"
#include "engine/proxy/chain.h"
#include "engine/proxy/filter.h"

struct worker;

enum {
	REGISTRY_FILTERS_MAX = 48	/* their keys share the policies' 64 rows */
};

/*
 * Appends every filter's key to the schema of policies, before its first use. Returns what
 * registry_chain() wants as `first`. Main thread, once.
 */
unsigned	 registry_extend(struct schema *policies);

/*
 * The chain of one route. `policies` is the merged object (defaults, listener, route) of the schema
 * that was extended; b->arena is where the chain and its confs lie. Mistakes are in b->diag. Never
 * NULL. Main thread.
 */
const struct chain *registry_chain(const struct schema_obj *policies, unsigned first,
		    const struct snapshot_build *b);

/*
 * Worker thread: fills state (proxy_program->n_filters entries, zeroed by the caller) by
 * worker_start of every filter. When one fails, those before it are stopped.
 */
struct err	*registry_worker_start(void **state, struct worker *);
void		 registry_worker_stop(void **state);

#endif

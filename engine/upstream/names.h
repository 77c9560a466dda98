/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_UPSTREAM_NAMES_H
#define WEIR_UPSTREAM_NAMES_H

/*
 * Servers given by name: resolved on the main thread, again whenever the answer's time to live is
 * over, and given to the workers by mailbox as a new endset. All addresses of a name are used, each
 * with the server's weight. When a name cannot be resolved what was known stays.
 *
 * Main thread only, all of it. The order of a start or reload:
 *
 *	upstream_names_prepare(names, upstreams of the new generation, ready, ...);
 *	(a start, before loop_run) upstream_names_wait(names);
 *	(a reload) `ready` is called
 *	snapshot_publish(...), and in the same callback
 *	upstream_names_commit(names);		or upstream_names_abort(names)
 *
 * Names that are watched already are known at once, so that a reload that only changes a weight
 * has no moment without servers. A new name whose first answer takes too long is warned of, and
 * may still be under way at the commit: requests get upstream_unresolved until it is there.
 */
#include <stdbool.h>

struct endset;
struct upstream;
struct upstream_names;
struct worker;

typedef void upstream_names_ready_fn(void *arg);

/* `main` gives the loop. The workers must have entered, and outlive it. NULL: no memory. */
struct upstream_names *upstream_names_new(struct worker *main, struct worker *const *workers,
		    unsigned n_workers);
/* After the workers have been joined and the main loop's mailbox drained, while the parts' arenas
   may still be freed. NULL is fine. */
void		 upstream_names_free(struct upstream_names **);

/*
 * The upstreams of a generation that is not published yet (those without names are let pass);
 * parts are referenced as long as they are watched. `ready` may be NULL; else it is called once,
 * from the loop, when each new name has had its first answer, good or bad, or 5 s are over; not
 * after an abort. False: no memory; nothing has changed.
 */
bool		 upstream_names_prepare(struct upstream_names *, struct upstream *const *v,
		    unsigned n, upstream_names_ready_fn *ready, void *arg);
/* Turns the main loop until it is ready: for a start, before loop_run. False: the loop was told to
   stop. */
bool		 upstream_names_wait(struct upstream_names *);
/* The prepared upstreams are in force: those of before are watched no more. */
void		 upstream_names_commit(struct upstream_names *);
/* The servers as they are now, a reference for the caller; NULL: no memory. */
struct endset	*upstream_names_now(struct upstream *);
/* The prepared upstreams will not be: those of before stay watched. Harmless without any. */
void		 upstream_names_abort(struct upstream_names *);

#endif

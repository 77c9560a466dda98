/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_CHAIN_INT_H
#define WEIR_PROXY_CHAIN_INT_H

/* Private to chain.c and chain_body.c: how one filter is run, and how one waits. */
#include "engine/proxy/chain.h"

/* The filter's call, filled when it is first needed. */
struct filter_call	*chain_call(struct chain_run *, const struct chain_link *);

/*
 * Runs the filter at link l in this phase, or lets it go on where it waited at `wait`. FILTER_WAIT:
 * it waits there, or still does, or is in the middle of another phase; who waits is woken then.
 */
enum filter_verdict	 chain_activate(struct chain_run *, const struct chain_link *,
			    enum chain_phase, void *what, struct chain_wait *wait);
/* Its filter waits no more; whoever stood behind it is woken. */
void			 chain_wait_end(struct chain_run *, struct chain_wait *);

/* The header phase is through: starts the body's way. FILTER_WAIT: it is wanted whole. */
enum filter_verdict	 chain_body_start(struct chain_run *, enum chain_dir);
/* Something that stood in the body's way may be gone. */
void			 chain_body_kick(struct chain_body *);
/* Nulls. */
void			 chain_body_drop(struct chain_body **);

#endif

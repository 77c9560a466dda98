/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LOOP_TURN_H
#define WEIR_LOOP_TURN_H

/*
 * The steps of a turn that ask nothing of the kernel: deferred calls and hooks, whose functions
 * for everybody stand in loop.h. Private to the loop and its simulated twin, which links this file.
 */
#include "engine/loop/loop.h"

/* Empty queues, once for each loop. */
void	turn_init(struct loop *l);

/* Step 2: what is queued now; what these calls queue waits for the next turn. */
void	turn_run_deferred(struct loop *l);

/* Step 4. */
void	turn_run_hooks(struct loop *l);

#endif /* WEIR_LOOP_TURN_H */

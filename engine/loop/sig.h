/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LOOP_SIG_H
#define WEIR_LOOP_SIG_H

/*
 * Signals as events, read from a signalfd. Main thread only, on one loop of the process, and
 * before any other thread is started, since a signal must be blocked in all of them.
 */

#include "engine/loop/loop.h"

/* Called on the loop's thread as any event; signals that pile up are told once. */
typedef void sig_fn(void *arg, int signo);

/* Blocks signo in the calling thread and calls fn for it. One fn a signal. Errors, constants all:
   ERR_INVALID (no such signal), ERR_STATE (it has a fn), ERR_SYSTEM, ERR_MEMORY. */
struct err *sig_add(struct loop *l, int signo, sig_fn *fn, void *arg);

/* Ends it; unblocks signo if sig_add() blocked it. Harmless for a signal never added. */
void	sig_del(struct loop *l, int signo);

#endif /* WEIR_LOOP_SIG_H */

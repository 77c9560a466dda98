/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_APP_SOCKETS_H
#define WEIR_APP_SOCKETS_H

/*
 * Which addresses the process listens on. Sockets of new addresses are bound before a generation is
 * published, one for each worker, so that an address that is taken fails the reload whole; workers
 * take them over (gate_fd) and close them themselves. Internet addresses only. Main thread.
 */
#include <stdbool.h>

#include "engine/config/diag.h"
#include "engine/mem/arena.h"
#include "engine/proxy/gate.h"

struct sockets;

/* Never NULL: for the start of the process. */
struct sockets	*sockets_new(unsigned n_workers);
/* The descriptors of what was committed are the workers'. */
void		 sockets_free(struct sockets **);
/*
 * Binds what is new in this gate and fills gate->fds (in `a`). False: one could not be bound, diag
 * says which, and nothing is held; or no memory (diag says nothing).
 */
bool		 sockets_prepare(struct sockets *, struct gate *, struct arena *a, struct diag *);
/* The gate was published: its addresses are the process's now. */
void		 sockets_commit(struct sockets *);
/* It was not: what was bound is closed. */
void		 sockets_abort(struct sockets *);

#endif

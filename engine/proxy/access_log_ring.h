/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_ACCESS_LOG_RING_H
#define WEIR_PROXY_ACCESS_LOG_RING_H

/*
 * Private to access_log*.c: a ring of bytes with one writer (a worker) and one reader (the thread).
 * Counters only grow; the place is the counter modulo the size. Only whole lines are published.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/cc.h"
#include "engine/base/slice.h"

enum {
	ACCESS_LOG_RING_BYTES = 512 * 1024,	/* a power of two */
	ACCESS_LOG_WAKE_BYTES = 64 * 1024
};

struct access_log_ring {
	char			*p;
	_Atomic uint64_t	 put CC_CACHELINE(64);	/* bytes ever written */
	uint64_t		 seen;			/* the writer's copy of `taken` */
	_Atomic uint64_t	 taken CC_CACHELINE(64);
};

/* Worker thread. False: no room. */
bool	access_log_ring_put(struct access_log_ring *, struct slice line);

/* Main thread: the end that the ring belongs to goes, with it. */
void	access_log_ring_free(struct access_log_ring *);

/* access_log_writer.c. Any thread: a ring takes part in what is written; false: too many. */
bool	access_log_writer_add(struct access_log_ring *);
/* Any thread: there is something to write. */
void	access_log_writer_wake(void);

#endif

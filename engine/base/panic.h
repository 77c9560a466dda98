/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is printed when a check fails.
 *
 * A module registers, once at start, a dump function for the magic number of its type.  A thread
 * says with panic_watch() which objects it works on (by convention slot 0 the worker, 1 the
 * connection, 2 the exchange).  When a check fails, the watched objects of the failing thread are
 * dumped by their functions and the process aborts.
 */
#ifndef WEIR_BASE_PANIC_H
#define WEIR_BASE_PANIC_H

#include "engine/base/cc.h"

struct text;

enum { PANIC_SLOTS = 4, PANIC_TYPES_MAX = 64 };

/* Writes a few lines about obj.  Called on the failing thread: must not lock, allocate or follow
   pointers it does not trust. */
typedef void (*panic_dump_fn)(const void *obj, struct text *out);

/* Before threads start.  A magic number registered twice replaces the first. */
void panic_register(unsigned magic, const char *name, panic_dump_fn dump);

extern _Thread_local const void *panic_watched[PANIC_SLOTS];

/* obj begins with its magic number; NULL ends the watch.  One store: fit for the hot path. */
static inline void
panic_watch(unsigned slot, const void *obj)
{
	panic_watched[slot % PANIC_SLOTS] = obj;
}

/* Prints backtrace and watched objects to fd 2; for check.c and for fatal signals. */
CC_COLD void panic_dump(void);

#endif

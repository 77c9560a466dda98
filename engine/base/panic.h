/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is printed when a check fails.
 *
 * A module registers, once at start, a dump function for the magic number of its type.  A thread
 * says with panic_watch() which objects it works on, or did last.  When a check fails, the watched
 * objects of the failing thread are dumped by their functions and the process aborts.
 */
#ifndef WEIR_BASE_PANIC_H
#define WEIR_BASE_PANIC_H

#include <stddef.h>

#include "engine/base/cc.h"

struct text;

enum panic_slot {
	PANIC_SLOT_WORKER,
	PANIC_SLOT_CONN,
	PANIC_SLOT_EXCHANGE,
	PANIC_SLOT__MAX
};

enum { PANIC_TYPES_MAX = 64 };

/* Writes a few lines about obj.  Called on the failing thread: must not lock, allocate or follow
   pointers it does not trust. */
typedef void (*panic_dump_fn)(const void *obj, struct text *out);

/* At start, by one thread at a time.  A magic number registered twice replaces the first. */
void panic_register(unsigned magic, const char *name, panic_dump_fn dump);

extern _Thread_local const void *panic_watched[PANIC_SLOT__MAX];

/* obj begins with its magic number and is there until NULL, or another, takes its place.  One
   store: fit for the hot path. */
static inline void
panic_watch(enum panic_slot slot, const void *obj)
{
	panic_watched[slot] = obj;
}

/* Before obj goes: ends the watch if it is the one that is watched. */
static inline void
panic_unwatch(enum panic_slot slot, const void *obj)
{
	if (panic_watched[slot] == obj)
		panic_watched[slot] = NULL;
}

/* Prints backtrace and watched objects to fd 2; for check.c. */
CC_COLD void panic_dump(void);

#endif

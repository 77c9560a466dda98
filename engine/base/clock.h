/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only readers of the system's clocks.  Any thread.  The data path does not call these: it
 * uses the time that its loop read once a turn.
 */
#ifndef WEIR_BASE_CLOCK_H
#define WEIR_BASE_CLOCK_H

#include <stdint.h>

enum clock_kind {
	CLOCK_MONO, /* never goes back; starts anywhere */
	CLOCK_WALL  /* since 1970-01-01 UTC; may jump */
};

/* Returns microseconds. */
typedef uint64_t (*clock_fn)(enum clock_kind kind);

uint64_t clock_mono_us(void);
uint64_t clock_mono_ms(void);
uint64_t clock_wall_us(void);

/* Replaces the source, for simulation and tests; NULL puts the system's back.  Before threads. */
void clock_override(clock_fn fn);

#endif

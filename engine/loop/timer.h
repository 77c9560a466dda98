/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LOOP_TIMER_H
#define WEIR_LOOP_TIMER_H

/*
 * Timers on a wheel of 4 levels of 64 slots, the finest slot 1 ms. Setting, moving and
 * clearing are O(1) and make no system call. An object keeps one timer and as many deadlines
 * as it likes, and sets the timer to the nearest.
 *
 * A timer never fires early: at its callback loop_now_ms() >= deadline. It fires in the first
 * turn whose time has reached the deadline. Timers due in one turn fire by deadline; the order
 * of equal deadlines is not specified. A deadline that had passed when it was set fires in the
 * next turn's timer step (or in this turn's, when set before that step began), before the others
 * and in the order of setting.
 *
 * Moving a deadline later only stores it: the wheel visits the timer at its old place, sees
 * the later deadline and moves it on, without calling back.
 */

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/list.h"

#define TIMER_MAGIC	0x54494d52u	/* "TIMR" */
#define TIMER_NEVER	UINT64_MAX	/* a deadline that does not come */

struct loop;

/*
 * Called on the loop's thread, never from timer_set(). The timer is not set at that moment;
 * the callback may set it again, clear other timers, and free its owner.
 */
typedef void timer_fn(void *arg);

/* Embedded in its owner. */
struct timer {
	unsigned	 magic;
	struct list	 link;		/* in a slot, or self-linked */
	uint64_t	 deadline_ms;	/* on the scale of loop_now_ms(); TIMER_NEVER: not set */
	uint64_t	 slot_ms;	/* where the wheel has it; at most deadline_ms */
	timer_fn	*fn;
	void		*arg;
	struct loop	*loop;		/* of the last timer_set() */
};

void	timer_init(struct timer *t, timer_fn *fn, void *arg);

/*
 * Sets or moves. TIMER_NEVER unsets as timer_clear() does for the caller, but cheaper: the
 * wheel may keep the link for a while, so use timer_clear() before the memory goes.
 * A timer is set on one loop at a time.
 */
void	timer_set(struct loop *l, struct timer *t, uint64_t deadline_ms);

/* Unsets and unlinks: the memory may go after it. Harmless when not set. */
void	timer_clear(struct timer *t);

static inline bool
timer_is_set(const struct timer *t)
{
	return (t->deadline_ms != TIMER_NEVER);
}

#endif /* WEIR_LOOP_TIMER_H */

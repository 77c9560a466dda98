/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LOOP_WHEEL_H
#define WEIR_LOOP_WHEEL_H

/*
 * The timer wheel itself: knows timers and ticks, nothing of the loop. Private to this folder
 * and its tests. A hierarchical timing wheel after Varghese and Lauck (1987), scheme 7.
 *
 * Level k has 64 slots of 64^k ms. A timer whose expiry is less than 64^(k+1) ticks ahead sits
 * in level k, in the slot that holds its expiry. When the tick reaches the start of a slot of
 * level 1 or higher, its timers move down. Beyond 64^4 ms (4.6 h) they park in the last level
 * and are placed anew when their slot comes up.
 *
 * Invariants:
 *  1. Every timer in a slot of level k has slot_ms in (tick, tick + 64^(k+1)).
 *  2. slot_ms <= deadline_ms: a visit may come early, never late; an early visit re-places.
 *  3. Bit s of used[k] is set if and only if slots[k][s] is not empty, outside wheel_advance().
 *  4. Timers in `due` had a deadline at or before the loop's time when they were set.
 */

#include <stdint.h>

#include "engine/base/list.h"

#define WHEEL_MAGIC	0x5748454cu	/* "WHEL" */

enum {
	WHEEL_LEVELS	= 4,
	WHEEL_BITS	= 6,
	WHEEL_SLOTS	= 1 << WHEEL_BITS,
};

struct timer;

struct wheel {
	unsigned	magic;
	uint64_t	tick;			/* the last tick whose slot was run */
	uint64_t	used[WHEEL_LEVELS];	/* a bit a slot */
	struct list	due;			/* for the next wheel_advance() */
	struct list	slots[WHEEL_LEVELS][WHEEL_SLOTS];
};

void	wheel_init(struct wheel *w, uint64_t now_ms);

/* Places t, which is not linked, by its deadline. now_ms is the loop's time. */
void	wheel_add(struct wheel *w, struct timer *t, uint64_t now_ms);

/* Unlinks t, which is linked. */
void	wheel_remove(struct wheel *w, struct timer *t);

/*
 * The next tick at which there is something to do (fire, or move down a level), 0 when timers
 * are due already, TIMER_NEVER when the wheel is empty. Never later than the first deadline.
 */
uint64_t wheel_next(const struct wheel *w);

/* Runs everything due up to and with now_ms, except what the callbacks set to a past deadline. */
void	wheel_advance(struct wheel *w, uint64_t now_ms);

#endif /* WEIR_LOOP_WHEEL_H */

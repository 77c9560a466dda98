/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/loop/wheel.h"

#include "engine/base/cc.h"
#include "engine/base/check.h"
#include "engine/loop/timer.h"

/* The farthest expiry that a slot can hold, in ticks ahead. */
#define WHEEL_SPAN	((UINT64_C(1) << (WHEEL_BITS * WHEEL_LEVELS)) - 1)
#define SLOT_MASK	((uint64_t)WHEEL_SLOTS - 1)

static unsigned
slot_at(uint64_t tick, unsigned level)
{
	return ((unsigned)((tick >> (WHEEL_BITS * level)) & SLOT_MASK));
}

/* Links t into the slot of its deadline, which is at or after the tick. */
static void
place(struct wheel *w, struct timer *t)
{
	uint64_t ahead = t->deadline_ms - w->tick;
	unsigned level = 0;
	unsigned slot;

	if (ahead > WHEEL_SPAN)
		ahead = WHEEL_SPAN;
	t->slot_ms = w->tick + ahead;
	if (ahead >= WHEEL_SLOTS)
		level = (63u - (unsigned)__builtin_clzll(ahead)) / WHEEL_BITS;
	slot = slot_at(t->slot_ms, level);
	w->used[level] |= UINT64_C(1) << slot;
	list_add_tail(&w->slots[level][slot], &t->link);
}

void
wheel_init(struct wheel *w, uint64_t now_ms)
{
	w->magic = WHEEL_MAGIC;
	w->tick = now_ms;
	list_init(&w->due);
	for (unsigned k = 0; k < WHEEL_LEVELS; k++) {
		w->used[k] = 0;
		for (unsigned s = 0; s < WHEEL_SLOTS; s++)
			list_init(&w->slots[k][s]);
	}
}

void
wheel_add(struct wheel *w, struct timer *t, uint64_t now_ms)
{
	if (t->deadline_ms <= now_ms || t->deadline_ms <= w->tick) {
		t->slot_ms = t->deadline_ms;
		list_add_tail(&w->due, &t->link);
		return;
	}
	place(w, t);
}

/*
 * When t is alone in its list, its neighbour on both sides is the list's head, and the head's
 * place in the array names level and slot: so a timer need not carry them.
 */
void
wheel_remove(struct wheel *w, struct timer *t)
{
	const struct list *head = t->link.next;
	uintptr_t at = (uintptr_t)head;
	uintptr_t first = (uintptr_t)&w->slots[0][0];
	bool last = head == t->link.prev;

	list_del(&t->link);
	if (last && at >= first && at < first + sizeof w->slots) {
		size_t i = (at - first) / sizeof(struct list);

		w->used[i / WHEEL_SLOTS] &= ~(UINT64_C(1) << (i % WHEEL_SLOTS));
	}
}

/* The next tick at which a slot fires or moves down. */
static uint64_t
next_tick(const struct wheel *w)
{
	uint64_t next = TIMER_NEVER;

	for (unsigned k = 0; k < WHEEL_LEVELS; k++) {
		uint64_t used = w->used[k];
		uint64_t start;
		unsigned first;

		if (used == 0)
			continue;
		/* Rotate so that bit 0 is the slot after the current one. */
		first = (slot_at(w->tick, k) + 1) & (unsigned)SLOT_MASK;
		used = used >> first | used << ((WHEEL_SLOTS - first) & (unsigned)SLOT_MASK);
		start = (w->tick >> (WHEEL_BITS * k)) + 1 + (unsigned)__builtin_ctzll(used);
		start <<= WHEEL_BITS * k;
		if (start < next)
			next = start;
	}
	return (next);
}

uint64_t
wheel_next(const struct wheel *w)
{
	return (list_is_empty(&w->due) ? next_tick(w) : 0);
}

static struct timer *
pop(struct list *from)
{
	struct timer *t;

	if (list_is_empty(from))
		return (NULL);
	t = list_first_entry(from, struct timer, link);
	CHECK_OBJ(t, TIMER_MAGIC);
	list_del(&t->link);
	return (t);
}

static void
fire(struct timer *t)
{
	t->deadline_ms = TIMER_NEVER;
	t->fn(t->arg);
}

/* Empties a slot into `to`. Callbacks then never see, nor touch, a list that is being walked. */
static void
take_slot(struct wheel *w, unsigned level, unsigned slot, struct list *to)
{
	list_init(to);
	list_splice(to, &w->slots[level][slot]);
	w->used[level] &= ~(UINT64_C(1) << slot);
}

/* Moves the timers of the slots that begin at this tick down, from the top. */
static void
cascade(struct wheel *w)
{
	struct list moving;
	struct timer *t;

	for (unsigned k = WHEEL_LEVELS - 1; k > 0; k--) {
		if ((w->tick & ((UINT64_C(1) << (WHEEL_BITS * k)) - 1)) != 0)
			continue;
		take_slot(w, k, slot_at(w->tick, k), &moving);
		while ((t = pop(&moving)) != NULL) {
			if (t->deadline_ms != TIMER_NEVER)
				place(w, t);
		}
	}
}

static void
run_tick(struct wheel *w)
{
	struct list ready;
	struct timer *t;

	take_slot(w, 0, slot_at(w->tick, 0), &ready);
	while ((t = pop(&ready)) != NULL) {
		if (t->deadline_ms <= w->tick)
			fire(t);
		else if (t->deadline_ms != TIMER_NEVER)
			place(w, t);
	}
}

/* What was past already when the wheel ran last goes first; the rest takes its turn by deadline. */
static void
run_due(struct wheel *w)
{
	struct list ready;
	struct timer *t;

	list_init(&ready);
	list_splice(&ready, &w->due);
	while ((t = pop(&ready)) != NULL) {
		if (t->deadline_ms <= w->tick)
			fire(t);
		else if (t->deadline_ms != TIMER_NEVER)
			place(w, t);
	}
}

void
wheel_advance(struct wheel *w, uint64_t now_ms)
{
	uint64_t next;

	if (!list_is_empty(&w->due))
		run_due(w);
	/* The same millisecond still: all of it has been run. */
	if (now_ms <= w->tick)
		return;
	/* What callbacks add to the due list from here on waits for the next call. */
	while ((next = next_tick(w)) <= now_ms) {
		w->tick = next;
		cascade(w);
		run_tick(w);
	}
	w->tick = now_ms;
}

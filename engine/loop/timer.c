/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/loop/timer.h"

#include "engine/loop/loop_int.h"

void
timer_init(struct timer *t, timer_fn *fn, void *arg)
{
	t->magic = TIMER_MAGIC;
	list_init(&t->link);
	t->deadline_ms = TIMER_NEVER;
	t->slot_ms = TIMER_NEVER;
	t->fn = fn;
	t->arg = arg;
	t->loop = NULL;
}

void
timer_set(struct loop *l, struct timer *t, uint64_t deadline_ms)
{
	struct loop_impl *li;

	CHECK_OBJ(t, TIMER_MAGIC);
	t->deadline_ms = deadline_ms;
	if (list_is_linked(&t->link)) {
		/* The common case: the wheel finds the later deadline when it comes by. */
		if (likely(deadline_ms >= t->slot_ms))
			return;
		li = loop_impl(t->loop);
		wheel_remove(&li->wheel, t);
	} else if (deadline_ms == TIMER_NEVER) {
		return;
	}
	t->loop = l;
	li = loop_impl(l);
	wheel_add(&li->wheel, t, li->pub.now_ms);
}

void
timer_clear(struct timer *t)
{
	CHECK_OBJ(t, TIMER_MAGIC);
	t->deadline_ms = TIMER_NEVER;
	if (list_is_linked(&t->link))
		wheel_remove(&loop_impl(t->loop)->wheel, t);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/loop/turn.h"

#include "engine/base/check.h"

void
turn_init(struct loop *l)
{
	list_init(&l->deferred);
	list_init(&l->hooks);
}

void
turn_run_deferred(struct loop *l)
{
	struct list ready;
	struct deferred *d;

	/* Our own head: what is queued from here on is for the next turn; cancelling works. */
	list_init(&ready);
	list_splice(&ready, &l->deferred);
	while ((d = list_first_entry(&ready, struct deferred, link)) != NULL) {
		CHECK_OBJ(d, DEFERRED_MAGIC);
		list_del(&d->link);
		d->fn(d->arg);
	}
}

void
turn_run_hooks(struct loop *l)
{
	struct turn_hook *h;
	struct turn_hook *next;

	LIST_FOREACH_SAFE(h, next, &l->hooks, struct turn_hook, link) {
		CHECK_OBJ(h, TURN_HOOK_MAGIC);
		h->fn(h->arg);
	}
}

void
deferred_init(struct deferred *d, deferred_fn *fn, void *arg)
{
	d->magic = DEFERRED_MAGIC;
	list_init(&d->link);
	d->fn = fn;
	d->arg = arg;
}

void
loop_defer(struct loop *l, struct deferred *d)
{
	CHECK_OBJ(l, LOOP_MAGIC);
	CHECK_OBJ(d, DEFERRED_MAGIC);
	if (!list_is_linked(&d->link))
		list_add_tail(&l->deferred, &d->link);
}

void
deferred_cancel(struct deferred *d)
{
	CHECK_OBJ(d, DEFERRED_MAGIC);
	list_del(&d->link);
}

bool
deferred_is_queued(const struct deferred *d)
{
	return (list_is_linked(&d->link));
}

void
turn_hook_init(struct turn_hook *h, turn_hook_fn *fn, void *arg)
{
	h->magic = TURN_HOOK_MAGIC;
	list_init(&h->link);
	h->fn = fn;
	h->arg = arg;
}

void
loop_on_turn_end(struct loop *l, struct turn_hook *h)
{
	CHECK_OBJ(l, LOOP_MAGIC);
	CHECK_OBJ(h, TURN_HOOK_MAGIC);
	if (!list_is_linked(&h->link))
		list_add_tail(&l->hooks, &h->link);
}

void
turn_hook_remove(struct turn_hook *h)
{
	CHECK_OBJ(h, TURN_HOOK_MAGIC);
	list_del(&h->link);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/loop/mailbox.h"

#include <errno.h>
#include <sys/eventfd.h>

#include "engine/loop/loop_int.h"

void
mail_init(struct mail *m, mail_fn *fn)
{
	m->magic = MAIL_MAGIC;
	m->next = NULL;
	m->fn = fn;
}

void
mailbox_post(struct loop *l, struct mail *m)
{
	struct loop_impl *li = loop_impl(l);
	struct mail *old = atomic_load_explicit(&li->mail, memory_order_relaxed);
	int rc;

	CHECK_OBJ(m, MAIL_MAGIC);
	do {
		m->next = old;
	} while (!atomic_compare_exchange_weak_explicit(&li->mail, &old, m,
	    memory_order_release, memory_order_relaxed));
	if (old != NULL)
		return;		/* whoever posted first wakes the loop, or did */
	do {
		rc = eventfd_write(li->mail_fd, 1);
	} while (rc != 0 && errno == EINTR);
	/* The watch is edge-triggered and the count is never read: it has 2^64 - 2 posts. */
	must(rc == 0);
}

void
mailbox_drain(struct loop *l)
{
	struct loop_impl *li = loop_impl(l);
	struct mail *newest;
	struct mail *oldest = NULL;

	newest = atomic_exchange_explicit(&li->mail, NULL, memory_order_acquire);
	while (newest != NULL) {
		struct mail *next = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	while (oldest != NULL) {
		struct mail *m = oldest;

		CHECK_OBJ(m, MAIL_MAGIC);
		oldest = m->next;
		m->next = NULL;
		m->fn(m);
	}
}

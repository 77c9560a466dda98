/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stddef.h>

#include "engine/base/check.h"
#include "engine/worker/pending.h"

void
pending_init(struct pending *p, pending_wake_fn *wake, void *waiter)
{
	*p = (struct pending){ .magic = PENDING_MAGIC, .wake = wake, .waiter = waiter };
}

void
pending_arm(struct pending *p, pending_cancel_fn *cancel, void *service)
{
	CHECK_OBJ(p, PENDING_MAGIC);
	must(p->state != PENDING_ARMED);
	p->state = PENDING_ARMED;
	p->cancel = cancel;
	p->service = service;
}

void
pending_done(struct pending *p, struct err *err)
{
	CHECK_OBJ(p, PENDING_MAGIC);
	must(p->state == PENDING_ARMED);
	p->state = PENDING_DONE;
	p->cancel = NULL;
	if (p->wake != NULL)
		p->wake(p, err);
}

void
pending_cancel(struct pending *p)
{
	pending_cancel_fn *cancel;

	CHECK_OBJ(p, PENDING_MAGIC);
	if (p->state != PENDING_ARMED)
		return;
	p->state = PENDING_CANCELLED;
	cancel = p->cancel;
	p->cancel = NULL;
	if (cancel != NULL)
		cancel(p);
}

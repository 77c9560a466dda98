/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_WORKER_PENDING_H
#define WEIR_WORKER_PENDING_H

/*
 * One asynchronous operation that someone waits for. The waiter owns the struct and sets `wake`;
 * the service that does the work arms it with its own `cancel`, and calls pending_done() once,
 * any number of turns later, on the same worker. It may also be done before the service's call
 * returns: the waiter then finds PENDING_DONE and does not wait at all.
 *
 * A waiter that loses interest calls pending_cancel(): the service's cancel runs (at most once)
 * and `wake` will not be called. Whoever is woken must not do its work inside the waking call:
 * `wake` only defers.
 */
#include <stdbool.h>
#include <stdint.h>

struct err;
struct pending;

enum pending_state {
	PENDING_IDLE,
	PENDING_ARMED,
	PENDING_DONE,
	PENDING_CANCELLED
};

typedef void pending_cancel_fn(struct pending *);
typedef void pending_wake_fn(struct pending *, struct err *);

struct pending {
	unsigned		 magic;
#define PENDING_MAGIC	0x1fe2d9b7
	uint8_t			 state;		/* enum pending_state */
	pending_cancel_fn	*cancel;	/* the service's */
	void			*service;	/* the service's own word */
	pending_wake_fn		*wake;		/* the waiter's */
	void			*waiter;	/* the waiter's own word */
};

void	pending_init(struct pending *, pending_wake_fn *, void *waiter);
void	pending_arm(struct pending *, pending_cancel_fn *, void *service);
void	pending_done(struct pending *, struct err *);	/* err: NULL, or why it failed */
void	pending_cancel(struct pending *);		/* safe in any state */

static inline bool
pending_is_armed(const struct pending *p)
{
	return (p->state == PENDING_ARMED);
}

#endif

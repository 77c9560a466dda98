/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LOOP_MAILBOX_H
#define WEIR_LOOP_MAILBOX_H

/*
 * Messages to a loop from any thread. Every loop has one mailbox. Posting is lock-free and
 * wakes the loop only when the list was empty.
 */

#include "engine/loop/loop.h"

#define MAIL_MAGIC	0x4d41494cu	/* "MAIL" */

struct mail;

/* Called on the loop's thread; owns the mail from then on: may free or post it again. */
typedef void mail_fn(struct mail *m);

/* Embedded in the message. Belongs to the loop from mailbox_post() until fn is called. */
struct mail {
	unsigned	 magic;
	struct mail	*next;
	mail_fn		*fn;
};

void	mail_init(struct mail *m, mail_fn *fn);

/*
 * Any thread, the loop's own included. The mail of one thread arrives in the order posted.
 * Everything the poster wrote before is visible to fn. Mail posted from a fn runs in the
 * next turn. The loop must outlive the call: stop posting before loop_free().
 */
void	mailbox_post(struct loop *l, struct mail *m);

/* Delivers what is queued now, on the loop's thread: for the end of a worker. */
void	mailbox_drain(struct loop *l);

#endif /* WEIR_LOOP_MAILBOX_H */

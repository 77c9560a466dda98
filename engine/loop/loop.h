/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LOOP_LOOP_H
#define WEIR_LOOP_LOOP_H

/*
 * One event loop a thread. Everything here is called on the loop's own thread; the only
 * way in from another thread is mailbox_post() (mailbox.h).
 *
 * One turn is, in this order:
 *   1. wait for readiness (not at all when a deferred call or a timer is due), take the time,
 *      run the io callbacks of the batch and the mail that came in;
 *   2. the deferred calls that were queued before this step began; what they queue runs in
 *      the next turn, so a turn always ends;
 *   3. the timers that are due, ordered by deadline;
 *   4. the turn hooks.
 * No callback runs from inside loop_defer(), timer_set(), io_add() or mailbox_post().
 */

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/list.h"

struct err;

#define LOOP_MAGIC	0x4c4f4f50u	/* "LOOP" */
#define DEFERRED_MAGIC	0x44454652u	/* "DEFR" */
#define TURN_HOOK_MAGIC	0x54484f4bu	/* "THOK" */

/*
 * The part of a loop that the implementations share: engine/loop, and the simulated twin in
 * tests. Users read it through the inline functions below.
 */
struct loop {
	unsigned	magic;
	unsigned	last_turn_us;	/* see loop_last_turn_us() */
	uint64_t	now_ms;		/* monotonic, now_us / 1000 */
	uint64_t	now_us;		/* monotonic */
	uint64_t	wall_us;	/* since the epoch, derived from now_us */
	uint64_t	turns;		/* turns begun */
	struct list	deferred;	/* struct deferred: what waits for step 2 */
	struct list	hooks;		/* struct turn_hook: step 4 */
};

typedef void deferred_fn(void *arg);
typedef void turn_hook_fn(void *arg);

/* A call to be made soon, embedded in its owner; the loop owns nothing. */
struct deferred {
	unsigned	 magic;
	struct list	 link;		/* in the loop's queue, or self-linked */
	deferred_fn	*fn;
	void		*arg;
};

/* A call made at the end of each turn, embedded in its owner. */
struct turn_hook {
	unsigned	 magic;
	struct list	 link;
	turn_hook_fn	*fn;
	void		*arg;
};

/* The library below, as in "libevent 2.1.12-stable"; for `version`. */
const char *loop_library(void);

/*
 * Makes a loop; *r is set on success only. Errors, constants all: no epoll, out of descriptors or
 * memory. The loop may be made on one thread and handed to another before its first turn.
 */
struct err *loop_new(struct loop **r);

/*
 * Frees and nulls. Every io must be deleted and every timer and deferred call cleared before;
 * mail not yet delivered is dropped (its senders own it): see mailbox_drain().
 */
void	loop_free(struct loop **l);

/* Turns until loop_stop(). A stop asked for before the run begins ends it after no turn. */
void	loop_run(struct loop *l);

/* Ends loop_run() after the turn in progress. */
void	loop_stop(struct loop *l);

/* loop_stop() was called, and no loop_run() has ended since. */
bool	loop_is_stopping(struct loop *l);

/* One turn; waits for readiness only when may_block and nothing is due. */
void	loop_turn(struct loop *l, bool may_block);

/*
 * Queues d to run in step 2 of this turn or of the next. Queueing what is queued changes
 * nothing. The callback may queue d again, cancel others, and free its owner.
 */
void	deferred_init(struct deferred *d, deferred_fn *fn, void *arg);
void	loop_defer(struct loop *l, struct deferred *d);
void	deferred_cancel(struct deferred *d);	/* also right when it is not queued */
bool	deferred_is_queued(const struct deferred *d);

/*
 * Runs h at the end of every turn, in the order of registration, until removed. A hook may
 * remove itself and free its owner; it may not remove another hook.
 */
void	turn_hook_init(struct turn_hook *h, turn_hook_fn *fn, void *arg);
void	loop_on_turn_end(struct loop *l, struct turn_hook *h);
void	turn_hook_remove(struct turn_hook *h);

/* The time as this turn sees it, read once after the wait. Monotonic. */
static inline uint64_t
loop_now_ms(const struct loop *l)
{
	return (l->now_ms);
}

static inline uint64_t
loop_now_us(const struct loop *l)
{
	return (l->now_us);
}

/*
 * Microseconds since the epoch, for logs and dates. Follows the monotonic clock and is set
 * right by the wall clock once a second, so it may step back with it.
 */
static inline uint64_t
loop_wall_us(const struct loop *l)
{
	return (l->wall_us);
}

/* How long the last finished turn worked, from the end of its wait to its own end. */
static inline unsigned
loop_last_turn_us(const struct loop *l)
{
	return (l->last_turn_us);
}

static inline uint64_t
loop_turns(const struct loop *l)
{
	return (l->turns);
}

#endif /* WEIR_LOOP_LOOP_H */

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LOOP_LOOP_INT_H
#define WEIR_LOOP_LOOP_INT_H

/* What the files of this folder share of a loop. Private. */

#include <stdatomic.h>

#include "engine/base/cc.h"
#include "engine/base/check.h"
#include "engine/loop/io.h"
#include "engine/loop/loop.h"
#include "engine/loop/mailbox.h"
#include "engine/loop/timer.h"
#include "engine/loop/wheel.h"

struct event_base;
struct loop_signals;

struct loop_impl {
	struct loop		 pub;
	bool			 stale;		/* the time was not read since the wait */
	bool			 turning;	/* inside loop_turn() */
	bool			 stopping;
	struct event_base	*base;
	uint64_t		 armed_ms;	/* what the timerfd is set to, or TIMER_NEVER */
	uint64_t		 wall_from_us;	/* when wall_offset_us was taken */
	uint64_t		 wall_offset_us;/* wall minus monotonic */
	struct wheel		 wheel;
	struct io		 timer_io;
	struct io		 mail_io;
	struct loop_signals	*signals;	/* of sig.c, or NULL */
	_Alignas(64) _Atomic(struct mail *) mail;	/* newest first; other threads write here */
	int			 mail_fd;
	char			 pad[64];	/* nothing else on the line that others write */
};

static inline struct loop_impl *
loop_impl(struct loop *l)
{
	CHECK_OBJ(l, LOOP_MAGIC);
	return (container_of(l, struct loop_impl, pub));
}

/* Reads the clocks; the first callback of a batch does it, or the turn after the wait. */
void	loop_refresh_time(struct loop_impl *li);

/*
 * Watches an eventfd or timerfd for reading, edge-triggered. It need not be read: each write or
 * expiry is an edge of its own.
 */
bool	io_add_wake(struct loop *l, struct io *io, int fd, io_ready_fn *fn, void *arg);

#endif /* WEIR_LOOP_LOOP_INT_H */

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/loop/io.h"

#include <event2/event.h>
#include <event2/event_struct.h>

#include "engine/loop/loop_int.h"

_Static_assert(sizeof(struct event) <= sizeof(((struct io *)0)->ev),
    "struct io has room for the library's event");
_Static_assert(_Alignof(struct event) <= 8, "struct io aligns the library's event");

static struct event *
io_event(struct io *io)
{
	return ((struct event *)(void *)io->ev);
}

/* Every readiness comes through here; nothing of io may be touched after fn. */
static void
on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct io *io;
	struct loop_impl *li;
	unsigned mask = 0;

	(void)fd;
	CAST_OBJ(io, arg, IO_MAGIC);
	li = container_of(io->loop, struct loop_impl, pub);
	if (unlikely(li->stale))
		loop_refresh_time(li);
	if ((what & EV_READ) != 0)
		mask |= IO_READ;
	if ((what & EV_WRITE) != 0)
		mask |= IO_WRITE;
	if ((what & EV_CLOSED) != 0)
		mask |= IO_CLOSED;
	io->fn(io->arg, mask);
}

static bool
watch(struct loop *l, struct io *io, int fd, short events, io_ready_fn *fn, void *arg)
{
	struct loop_impl *li = loop_impl(l);

	must(fd >= 0);
	io->magic = IO_MAGIC;
	io->fd = -1;
	io->fn = fn;
	io->arg = arg;
	io->loop = l;
	if (event_assign(io_event(io), li->base, fd, (short)(events | EV_PERSIST), on_ready, io)
	    != 0)
		return (false);
	if (event_add(io_event(io), NULL) != 0)
		return (false);
	io->fd = fd;
	return (true);
}

void
io_init(struct io *io)
{
	io->magic = IO_MAGIC;
	io->fd = -1;
	io->fn = NULL;
	io->arg = NULL;
	io->loop = NULL;
}

bool
io_add(struct loop *l, struct io *io, int fd, io_ready_fn *fn, void *arg)
{
	return (watch(l, io, fd, EV_READ | EV_WRITE | EV_CLOSED | EV_ET, fn, arg));
}

bool
io_add_wake(struct loop *l, struct io *io, int fd, io_ready_fn *fn, void *arg)
{
	return (watch(l, io, fd, EV_READ | EV_ET, fn, arg));
}

bool
io_add_listener(struct loop *l, struct io *io, int fd, io_ready_fn *fn, void *arg)
{
	return (watch(l, io, fd, EV_READ, fn, arg));
}

bool
io_add_level(struct loop *l, struct io *io, int fd, unsigned what, io_ready_fn *fn, void *arg)
{
	short events = 0;

	must((what & ~(unsigned)(IO_READ | IO_WRITE)) == 0 && what != 0);
	if ((what & IO_READ) != 0)
		events |= EV_READ;
	if ((what & IO_WRITE) != 0)
		events |= EV_WRITE;
	return (watch(l, io, fd, events, fn, arg));
}

/* event_del() also takes the event from the list of active ones, so a fetched edge dies here. */
void
io_del(struct io *io)
{
	CHECK_OBJ(io, IO_MAGIC);
	if (io->fd < 0)
		return;
	io->fd = -1;
	must(event_del(io_event(io)) == 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LOOP_IO_H
#define WEIR_LOOP_IO_H

/*
 * Readiness of one descriptor. A stream socket is added once, edge-triggered, for all its
 * life; pausing a source or waiting for room then costs no system call: the owner keeps the
 * edges it was told of and forgets one when a read or write says EAGAIN.
 *
 * The rules of the edge:
 *  - After IO_READ, read until EAGAIN. A read shorter than the buffer may stand for EAGAIN
 *    only if IO_CLOSED was not in the same mask; if it was, read on to the end (0), because
 *    data and FIN that come together give one callback and no second.
 *  - An error on the socket is told as IO_READ|IO_WRITE without IO_CLOSED (libevent folds
 *    EPOLLERR so); the next read or write returns it. So data followed at once by a reset
 *    looks like data: the reset shows in the next read or write that is tried.
 *  - A new watch reports what is ready already in the next turn.
 */

#include <stdbool.h>

#define IO_MAGIC	0x494f5743u	/* "IOWC" */

struct loop;

enum {
	IO_READ		= 1,	/* bytes, a connection to accept, or an error */
	IO_WRITE	= 2,	/* room, a finished connect, or an error */
	IO_CLOSED	= 4,	/* the peer sent FIN; unread bytes may come first */
};

/* Called on the loop's thread. May io_del() this watch or any other, and free their owners. */
typedef void io_ready_fn(void *arg, unsigned what);

/* Embedded in its owner. Must not move between io_add() and io_del(). */
struct io {
	unsigned	 magic;
	int		 fd;		/* -1 when not watched */
	io_ready_fn	*fn;
	void		*arg;
	struct loop	*loop;
	/* The library's event; io.c checks its size. */
	_Alignas(8) unsigned char ev[128];
};

/*
 * Puts the watch in the state in which io_is_added() is false; io_del() is then harmless.
 * Not needed before io_add().
 */
void	io_init(struct io *io);

/*
 * Watches fd for reading, writing and closing, edge-triggered. The caller owns fd. False:
 * out of memory or of the kernel's watches; nothing is held then.
 * Allocates only for a descriptor number that this loop never saw before.
 */
bool	io_add(struct loop *l, struct io *io, int fd, io_ready_fn *fn, void *arg);

/* Watches a listening socket for connections: level-triggered, IO_READ only. */
bool	io_add_listener(struct loop *l, struct io *io, int fd, io_ready_fn *fn, void *arg);

/* A level-triggered watch for IO_READ and/or IO_WRITE. Not for the data path. */
bool	io_add_level(struct loop *l, struct io *io, int fd, unsigned what, io_ready_fn *fn,
	    void *arg);

/*
 * Ends the watch; call it before close(fd). After it fn is not called any more, not even for
 * readiness already fetched from the kernel in this turn, nor for another descriptor that
 * takes the same number meanwhile. Harmless on a watch that was deleted or io_init()ed.
 */
void	io_del(struct io *io);

static inline bool
io_is_added(const struct io *io)
{
	return (io->fd >= 0);
}

#endif /* WEIR_LOOP_IO_H */

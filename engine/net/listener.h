/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_NET_LISTENER_H
#define WEIR_NET_LISTENER_H

/*
 * Listening sockets. One struct listener_socket per worker and address (SO_REUSEPORT), so that
 * the kernel spreads connections; bound on the main thread, where errors can be reported, then
 * handed to the worker that accepts from it.
 */
#include <stdbool.h>

#include "engine/base/addr.h"
#include "engine/loop/io.h"
#include "engine/loop/timer.h"
#include "engine/mem/err.h"

struct loop;
struct arena;

enum {
	LISTENER_BATCH = 16	/* sockets accepted in a turn, so that neighbours are not starved */
};

/* A connection has come. The callee owns fd (non-blocking, close-on-exec). */
typedef void listener_accept_fn(void *arg, int fd, const struct addr *peer);

struct listener_socket {
	unsigned		 magic;
#define LISTENER_SOCKET_MAGIC	0x11573e4a
	int			 fd;
	struct io		 io;
	struct timer		 backoff;	/* the end of a rest */
	struct loop		*loop;
	listener_accept_fn	*on_accept;
	void			*arg;
	bool			 paused;	/* not watched: at rest, or stopped */
};

/* Binds and listens; main thread. NULL: fine, *fd_r is the socket. Errors carry the address. */
struct err	*listener_bind(struct arena *, struct mark, const struct addr *, bool dual_stack,
		    int *fd_r);
/* A bound socket that no worker started: closes it. Main thread. */
void		 listener_discard(int fd);
/*
 * Worker thread, once; the fd is the listener's from then on. Level-triggered: what is left after a
 * batch is reported again. Where there is no descriptor or memory for a connection, or none for the
 * watch, it rests for a moment and tries again, and again.
 */
void		 listener_start(struct listener_socket *, struct loop *, int fd,
		    listener_accept_fn *, void *arg);
/* Stops accepting and closes the socket. Connections that the kernel has queued by then are
   accepted and handed over first, so that none is reset; but not while it rests. Those that come
   meanwhile are reset: a flood does not hold the worker. Worker thread. */
void		 listener_stop(struct listener_socket *);

#endif

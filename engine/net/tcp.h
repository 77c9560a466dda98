/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_NET_TCP_H
#define WEIR_NET_TCP_H

/*
 * The plain transport, over TCP and Unix sockets. tests/sim/sim_net.c has the same symbols over
 * a scripted network. Sockets are non-blocking, close-on-exec; TCP has NODELAY.
 */
#include <stdbool.h>

#include "engine/base/slice.h"
#include "engine/net/transport.h"

struct loop;

/* Takes over an accepted, non-blocking fd (NODELAY came from the listener) and watches it.
   False: the watch could not be made; the fd is closed. */
bool		tcp_accept_fd(struct transport *, struct loop *, int fd, io_ready_fn *, void *arg);

/*
 * Starts a connection. IO_OK: connected already (Unix sockets); IO_AGAIN: wait for IO_WRITE, then
 * ask ops->connected; IO_RESET: failed at once (errno tells), nothing to close.
 */
enum io_rc	tcp_connect(struct transport *, struct loop *, const struct addr *, io_ready_fn *,
		    void *arg);

/* An accepted fd that will not be served: says these last words, if the kernel takes them, throws
   away what has come, so that they arrive, and closes it. */
void		tcp_refuse(int fd, struct slice last_words);

#endif

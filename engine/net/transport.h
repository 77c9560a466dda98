/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_NET_TRANSPORT_H
#define WEIR_NET_TRANSPORT_H

/*
 * A byte stream: TCP or a Unix socket now, TLS later, the tests' simulated network. One call is
 * at most one system call. A transport never calls back: whoever holds it is woken by its io
 * watch, which is edge-triggered, so a reader goes on until IO_AGAIN, or until a read came back
 * shorter than asked while no IO_CLOSED was seen (loop/io.h has the rules of the edge).
 *
 * Belongs to one worker. `close` ends it; the struct itself is its owner's.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "engine/base/addr.h"
#include "engine/loop/io.h"

struct transport;

enum io_rc {
	IO_OK,		/* *n_r bytes moved, at least one */
	IO_AGAIN,	/* the kernel has none, or takes none, now */
	IO_EOF,		/* the peer ended its direction */
	IO_RESET	/* the connection is dead */
};

enum close_how {
	CLOSE_CLEAN,	/* what was written will still be delivered */
	CLOSE_RESET	/* RST: the peer must not take what it has for the whole */
};

struct transport_ops {
	const char	*name;
	enum io_rc	(*read)(struct transport *, struct iovec *, unsigned n_vec, size_t *n_r);
	enum io_rc	(*write)(struct transport *, struct iovec *, unsigned n_vec, size_t *n_r);
	/* Ends our direction only (FIN); the peer may still send. */
	void		(*shut)(struct transport *);
	/* Removes the watch, closes the socket. Never fails. */
	void		(*close)(struct transport *, enum close_how);
	/* After IO_WRITE following tcp_connect: IO_OK connected, IO_AGAIN not yet, IO_RESET failed,
	   and errno tells why. */
	enum io_rc	(*connected)(struct transport *);
	/* Bytes written that the peer's kernel has not acknowledged, -1 where that is not known. */
	int64_t		(*unacked)(struct transport *);
};

struct transport {
	unsigned			 magic;
#define TRANSPORT_MAGIC	0x7a4b90d1
	const struct transport_ops	*ops;
	struct io			 io;	/* io.fd is the socket */
};

static inline enum io_rc
transport_read(struct transport *t, struct iovec *v, unsigned n, size_t *n_r)
{
	return (t->ops->read(t, v, n, n_r));
}

static inline enum io_rc
transport_write(struct transport *t, struct iovec *v, unsigned n, size_t *n_r)
{
	return (t->ops->write(t, v, n, n_r));
}

#endif

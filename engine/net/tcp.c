/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <linux/sockios.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/base/check.h"
#include "engine/loop/loop.h"
#include "engine/net/tcp.h"

static enum io_rc
rc_of_errno(void)
{
	return (errno == EAGAIN ? IO_AGAIN : IO_RESET);
}

/*
 * recv and send as plain system calls: the C library's wrappers are cancellation points, and in a
 * program with threads each call pays two atomic operations for that. Nobody cancels our threads.
 */
static ssize_t
sys_recv(int fd, void *buf, size_t n)
{
	return (syscall(SYS_recvfrom, fd, buf, n, 0, NULL, NULL));
}

static ssize_t
sys_send(int fd, const void *buf, size_t n)
{
	return (syscall(SYS_sendto, fd, buf, n, MSG_NOSIGNAL, NULL, 0));
}

static ssize_t
sys_sendmsg(int fd, struct iovec *v, unsigned n_vec)
{
	struct msghdr m = { .msg_iov = v, .msg_iovlen = n_vec };

	return (syscall(SYS_sendmsg, fd, &m, MSG_NOSIGNAL));
}

static enum io_rc
tcp_read(struct transport *t, struct iovec *v, unsigned n_vec, size_t *n_r)
{
	ssize_t n;

	/* recv is measurably cheaper than readv for the usual single piece. */
	do {
		n = n_vec == 1 ? sys_recv(t->io.fd, v->iov_base, v->iov_len) :
		    readv(t->io.fd, v, (int)n_vec);
	} while (n < 0 && errno == EINTR);
	if (n > 0) {
		*n_r = (size_t)n;
		return (IO_OK);
	}
	*n_r = 0;
	return (n == 0 ? IO_EOF : rc_of_errno());
}

static enum io_rc
tcp_write(struct transport *t, struct iovec *v, unsigned n_vec, size_t *n_r)
{
	ssize_t n;

	do {
		n = n_vec == 1 ? sys_send(t->io.fd, v->iov_base, v->iov_len) :
		    sys_sendmsg(t->io.fd, v, n_vec);
	} while (n < 0 && errno == EINTR);
	if (n >= 0) {
		*n_r = (size_t)n;
		return (IO_OK);
	}
	*n_r = 0;
	return (rc_of_errno());
}

static void
tcp_shut(struct transport *t)
{
	(void)shutdown(t->io.fd, SHUT_WR);
}

static void
tcp_close(struct transport *t, enum close_how how)
{
	int fd = t->io.fd;

	if (fd < 0)
		return;
	if (how == CLOSE_RESET) {
		/* A zero linger turns close into RST; Unix sockets have none. */
		struct linger l = { .l_onoff = 1, .l_linger = 0 };
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
	}
	/*
	 * Close first: the kernel takes a closed socket out of epoll by itself, and the library's
	 * own removal then fails at once with EBADF, which it expects, so the work is not done
	 * twice. Should another thread have been given the number meanwhile, our epoll does not
	 * know it. ThreadSanitizer cannot see that, so for it the order is the other one.
	 */
#ifdef __SANITIZE_THREAD__
	io_del(&t->io);
#endif
	(void)close(fd);
	io_del(&t->io);
	t->io.fd = -1;
}

static enum io_rc
tcp_connected(struct transport *t)
{
	int err = 0;
	socklen_t len = sizeof err;

	if (getsockopt(t->io.fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		return (IO_RESET);
	errno = err;
	if (err == 0)
		return (IO_OK);
	return (err == EINPROGRESS || err == EALREADY ? IO_AGAIN : IO_RESET);
}

static int64_t
tcp_unacked(struct transport *t)
{
	int n = 0;

	/* Unacknowledged bytes in the send queue (tcp(7), SIOCOUTQ); other families do not say. */
	if (ioctl(t->io.fd, SIOCOUTQ, &n) < 0)
		return (-1);
	return (n);
}

static const struct transport_ops tcp_ops = {
	.name = "tcp",
	.read = tcp_read,
	.write = tcp_write,
	.shut = tcp_shut,
	.close = tcp_close,
	.connected = tcp_connected,
	.unacked = tcp_unacked,
};

static void
transport_init(struct transport *t)
{
	t->magic = TRANSPORT_MAGIC;
	t->ops = &tcp_ops;
	t->io.fd = -1;
}

bool
tcp_accept_fd(struct transport *t, struct loop *loop, int fd, io_ready_fn *fn, void *arg)
{
	transport_init(t);
	if (io_add(loop, &t->io, fd, fn, arg))
		return (true);
	(void)close(fd);
	t->io.fd = -1;
	return (false);
}

enum io_rc
tcp_connect(struct transport *t, struct loop *loop, const struct addr *to, io_ready_fn *fn,
    void *arg)
{
	const int one = 1;
	bool at_once;
	int fd;

	transport_init(t);
	fd = socket(to->u.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return (IO_RESET);
	if (addr_is_ip(to))
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	at_once = connect(fd, &to->u.sa, to->len) == 0;
	/* EAGAIN is a Unix socket's full backlog: a failure, since nothing would wake us. */
	if ((!at_once && errno != EINPROGRESS) || !io_add(loop, &t->io, fd, fn, arg)) {
		int saved = at_once || errno == EINPROGRESS ? ENOMEM : errno;

		(void)close(fd);
		errno = saved;
		t->io.fd = -1;
		return (IO_RESET);
	}
	return (at_once ? IO_OK : IO_AGAIN);
}

void
tcp_refuse(int fd, struct slice last_words)
{
	/* A close with bytes unread is a reset, which may overtake the words. */
	enum { READS = 16, WASTE_BYTES = 4096 };
	char waste[WASTE_BYTES];

	(void)send(fd, last_words.p, last_words.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)shutdown(fd, SHUT_WR);
	for (unsigned i = 0; i < READS; i++) {
		if (recv(fd, waste, sizeof waste, MSG_DONTWAIT) <= 0)
			break;
	}
	(void)close(fd);
}

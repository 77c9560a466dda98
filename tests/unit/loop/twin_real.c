/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/unit/loop/twin.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/check.h"
#include "engine/loop/loop.h"
#include "engine/loop/timer.h"

static int peers[256];

void
twin_begin(void)
{
}

void
twin_end(void)
{
}

static void
on_until(void *arg)
{
	bool *reached = arg;

	*reached = true;
}

void
twin_wait_ms(struct loop *l, uint64_t ms)
{
	bool reached = false;
	struct timer until;

	timer_init(&until, on_until, &reached);
	timer_set(l, &until, loop_now_ms(l) + ms);
	while (!reached)
		loop_turn(l, true);
}

void
twin_stall_ms(uint64_t ms)
{
	struct timespec ts = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

	must(clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL) == 0);
}

int
twin_fd_new(void)
{
	int sv[2];

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv) == 0);
	/* The peer moves out of the way, so that the low numbers are reused as in a server. */
	must(sv[0] < 256);
	peers[sv[0]] = fcntl(sv[1], F_DUPFD_CLOEXEC, 256);
	must(peers[sv[0]] >= 256);
	must(close(sv[1]) == 0);
	return (sv[0]);
}

void
twin_fd_send(int fd)
{
	must(write(peers[fd], "x", 1) == 1);
}

void
twin_fd_finish(int fd)
{
	must(shutdown(peers[fd], SHUT_WR) == 0);
}

void
twin_fd_take(int fd)
{
	char buf[64];

	while (read(fd, buf, sizeof buf) > 0)
		continue;
}

void
twin_fd_close(int fd)
{
	must(close(peers[fd]) == 0);
	must(close(fd) == 0);
}

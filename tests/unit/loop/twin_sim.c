/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/unit/loop/twin.h"

#include "engine/loop/io.h"
#include "engine/loop/loop.h"
#include "tests/sim/sim.h"

void
twin_begin(void)
{
	sim_begin();
}

void
twin_end(void)
{
	sim_end();
}

void
twin_wait_ms(struct loop *l, uint64_t ms)
{
	(void)l;
	sim_advance(ms);
}

void
twin_stall_ms(uint64_t ms)
{
	sim_stall(ms);
}

int
twin_fd_new(void)
{
	return (sim_fd_new());
}

void
twin_fd_send(int fd)
{
	sim_fd_set(fd, IO_READ);
}

void
twin_fd_finish(int fd)
{
	sim_fd_set(fd, IO_READ | IO_CLOSED);
}

void
twin_fd_take(int fd)
{
	sim_fd_unset(fd, IO_READ);
}

void
twin_fd_close(int fd)
{
	sim_fd_free(fd);
}

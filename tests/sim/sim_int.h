/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TESTS_SIM_INT_H
#define WEIR_TESTS_SIM_INT_H

/* What the files of the simulator share. */

#include <stdbool.h>
#include <stdint.h>

/* The readiness of a descriptor at this moment, IO_* bits. */
typedef unsigned sim_poll_fn(void *owner);

/* The lowest free number, as the kernel gives them; it begins at 1000 to stand out. */
int	sim_fd_open(sim_poll_fn *poll, void *owner);
void	sim_fd_close(int fd);
void	*sim_fd_owner(int fd, sim_poll_fn *poll);	/* checked */

/* Something happened on fd: an edge-triggered watch reports what poll says then. */
void	sim_fd_edge(int fd);

/*
 * A part of the world that has things under way; adds itself at its first use, so that the loop
 * can be linked without the network. step moves on by one step and is false when nothing moved;
 * end forgets all. Either may be NULL. Adding twice changes nothing.
 */
struct sim_part {
	bool			(*step)(void);
	void			(*end)(void);
	struct sim_part		*next;
	bool			 added;
};

void	sim_add_part(struct sim_part *part);

#endif

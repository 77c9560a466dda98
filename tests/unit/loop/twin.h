/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TESTS_LOOP_TWIN_H
#define WEIR_TESTS_LOOP_TWIN_H

/*
 * What a test needs to drive a loop without knowing whether it is the engine's or the simulated
 * one. test_loop.c is linked once with twin_real.c and libengine_loop.a, once with twin_sim.c
 * and libsim.a.
 */

#include <stdint.h>

struct loop;

void	twin_begin(void);
void	twin_end(void);

/* Turns l until its time has moved on by ms, waiting in the wait of the turn. */
void	twin_wait_ms(struct loop *l, uint64_t ms);

/* Lets time pass by ms without a turn, as when a callback takes long. */
void	twin_stall_ms(uint64_t ms);

/* A descriptor that is not ready for reading, and ways to make it so. */
int	twin_fd_new(void);
void	twin_fd_send(int fd);		/* a byte arrives */
void	twin_fd_finish(int fd);		/* the peer's FIN arrives */
void	twin_fd_take(int fd);		/* reads all there is */
void	twin_fd_close(int fd);		/* the number may be used again after it */

#endif

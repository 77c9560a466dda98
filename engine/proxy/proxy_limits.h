/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_LIMITS_H
#define WEIR_PROXY_LIMITS_H

/*
 * How many client connections the process holds, over all workers: refused at 95 % of the limit,
 * keep-alive given up at 90 %, so that there is room for new clients before there is none. Relaxed
 * atomics, touched at accept and close only, never per request. Any thread.
 */
#include <stdbool.h>
#include <stdint.h>

enum {
	PROXY_LIMITS_REFUSE_PERCENT = 95,
	PROXY_LIMITS_SHED_PERCENT = 90
};

/* Set at start and by a reload. */
void	 proxy_limits_set(uint64_t max_connections);
/* From the limit on file descriptors: (RLIMIT_NOFILE - 64) / 2. */
uint64_t proxy_limits_auto(void);
/* Counts one in; false: refuse it (it has not been counted). */
bool	 proxy_limits_open(void);
void	 proxy_limits_close(void);
/* Should a connection that has just answered be closed rather than kept? */
bool	 proxy_limits_shed(void);
uint64_t proxy_limits_count(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_ACCESS_LOG_H
#define WEIR_PROXY_ACCESS_LOG_H

/*
 * The access log: one JSON object a line (or the common format), formatted on the worker into
 * pages, written by a thread of its own. A worker never waits: what does not fit is dropped and
 * counted (weir_log_dropped_total).
 */
#include <stdbool.h>
#include <stdint.h>

struct facts;
struct access_log;	/* a worker's end */

void	access_log_write(struct access_log *, const struct facts *);

#endif

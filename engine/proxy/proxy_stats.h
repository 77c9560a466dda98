/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_STATS_H
#define WEIR_PROXY_STATS_H

/*
 * The proxy's metrics of a request, into the worker's shard. No lock, no allocation in the usual
 * case (a label set seen before).
 */
struct facts;
struct worker;

void	proxy_stats_request(struct worker *, const struct facts *);

#endif

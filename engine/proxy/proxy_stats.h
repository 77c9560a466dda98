/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_STATS_H
#define WEIR_PROXY_STATS_H

/*
 * The proxy's metrics of requests and client connections, into the worker's shard. No lock; no
 * allocation for a set of labels that was seen before. Worker thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "engine/mem/err.h"

struct facts;
struct listener_local;
struct proxy_stats;
struct worker;

/* At the worker's start and end; w->stats must be set (NULL: nothing will be counted). The result
   goes to proxy_local.stats. */
struct err	*proxy_stats_enter(struct worker *, struct proxy_stats **r);
void		 proxy_stats_leave(struct proxy_stats **);

/* A request has ended. */
void	proxy_stats_request(struct worker *, const struct facts *);
/* It took this many tries besides the first; the last of them brought an answer, or did not. */
void	proxy_stats_retried(struct worker *, const struct facts *, uint32_t retries, bool answered);
/* A client connection of this listener was accepted, is closed. */
void	proxy_stats_opened(struct listener_local *);
void	proxy_stats_closed(struct listener_local *);
/* A reload gave the listener another name: those that are open, so many, count under it now. */
void	proxy_stats_renamed(struct listener_local *, uint32_t n_open);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TESTS_LOOP_GW_H
#define WEIR_TESTS_LOOP_GW_H

/*
 * The whole gateway in one process and one thread over the simulated world (tests/sim/sim.h): one
 * worker, its upstreams and the proxy, with a generation built from YAML by the program's own
 * build. What start.c does with threads, signals and sockets is done here without.
 *
 * Functions that return const char * return NULL when all is well and else a sentence.
 */
#include <stdbool.h>
#include <stdint.h>

#include "engine/http/reason.h"
#include "engine/proxy/facts.h"
#include "tests/sim/sim.h"

enum {
	GW_LOG_MAX = 64,	/* requests remembered: the last so many */
	GW_TEXT = 128
};

/* What the log and the metrics are told of a request that has ended. */
struct gw_line {
	unsigned	 status;
	enum reason	 reason;
	unsigned	 attempts;
	uint64_t	 bytes_in, bytes_out;
	uint64_t	 duration_ms, duration_us;
	uint64_t	 phase_us[FACTS_PHASE__MAX];
	char		 path[GW_TEXT];		/* as the log says it */
	char		 upstream[GW_TEXT];	/* empty: none was asked */
	char		 server[GW_TEXT];	/* the same */
};

/* sim_begin() comes before. NULL and a gateway that serves, or why not and nothing is left. */
const char	*gw_start(const char *yaml);
/* The same from a file. */
const char	*gw_start_file(const char *path);
/* mem_fail_at(n) at the next start, once that begins which may fail without ending the process. */
void		 gw_fail_start_at(uint64_t n);
/* As the process ends: cuts what is open, frees all; sim_end() comes after. Once more does nothing. */
void		 gw_stop(void);

/* As SIGHUP does with this as the file. NULL also when it waits, for names or for one that does. */
const char	*gw_reload(const char *yaml);
bool		 gw_reload_waits(void);
bool		 gw_reload_failed(void);	/* the last one that was told */
uint64_t	 gw_generation(void);		/* that the worker serves; 0: none */
bool		 gw_listens(uint16_t port);	/* a worker accepts there */
/* As SIGTERM does: no new connections, idle ones end. */
void		 gw_drain(void);
bool		 gw_drain_is_over(void);	/* all have gone, or its time is up: the process ends */

/* Requests that have ended since the start. */
unsigned	 gw_requests(void);
/* The one that ended as the n-th (from 0); it must be among the last GW_LOG_MAX. */
const struct gw_line *gw_log(unsigned n);
const struct gw_line *gw_last(void);

/* ---- what is held at this moment ---- */

unsigned	 gw_clients(void);		/* connections */
/* As /metrics has it: weir_connections of this listener. */
int64_t		 gw_clients_of(const char *listener);
/* weir_mirror_total of this result, whatever the route. */
int64_t		 gw_mirrored(const char *result);
unsigned	 gw_exchanges(void);
unsigned	 gw_pages(void);
/* At most so many pages from now on, as when memory is short; 0: as at the start. */
void		 gw_limit_pages(unsigned max);
unsigned	 gw_up_conns(void);		/* idle or not */
/* Runs until idle; no exchange, upstream stream or page is left and, with all, no connection. */
const char	*gw_is_empty(bool all);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TESTS_LOOP_RIG_H
#define WEIR_TESTS_LOOP_RIG_H

/*
 * A whole gateway with one worker in the simulated world (tests/sim/sim.h): built from the text of
 * a configuration file, with the filters that the test brings.
 *
 *	rig_start(&program, "version: 1\n...");
 *	c = sim_client_connect(8080);
 *	...
 *	rig_stop();
 */
#include "engine/proxy/gate.h"
#include "engine/worker/worker.h"
#include "tests/sim/sim.h"

/* Begins the world. The test fails when the configuration is not right. The program's table of
   filters must be the same for every start of one process: it becomes keys of the schema. */
void	rig_start(const struct proxy_program *, const char *yaml);
/* Another configuration is in force; what runs ends by the one it began with. */
void	rig_reload(const char *yaml);
/* Ends all of it; what was not given back is found here. */
void	rig_stop(void);
/* What is wrong with this configuration, as `check` says it; outside of a world. Free it. */
char	*rig_mistakes(const struct proxy_program *, const char *yaml);
/* The worker, for services that a test's filters wait for. */
struct worker *rig_worker(void);

#endif

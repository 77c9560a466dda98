/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/loop/gw.h"
#include "tests/sim/subject.h"

/* `start gateway FILE`: the gateway with a configuration of tests/loop/conf/, for .sim scripts. */

static const char *
start(const char *argument)
{
	const char *src = getenv("WEIR_SRCDIR");
	char path[1024];

	(void)snprintf(path, sizeof path, "%s/tests/loop/conf/%s", src != NULL ? src : ".",
	    argument);
	return (gw_start_file(path));
}

static const struct sim_subject gateway = {
	.name = "gateway", .argument = "FILE", .start = start, .stop = gw_stop,
};

const struct sim_subject *const sim_subjects[] = {&gateway, NULL};

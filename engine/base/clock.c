/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/base/clock.h"

#include <stddef.h>
#include <time.h>

static clock_fn clock_source;

static uint64_t
clock_system(clockid_t id)
{
	struct timespec ts = {0, 0};

	(void)clock_gettime(id, &ts); /* cannot fail for these two clocks */
	return ((uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u);
}

uint64_t
clock_mono_us(void)
{
	return (clock_source != NULL ? clock_source(CLOCK_MONO) : clock_system(CLOCK_MONOTONIC));
}

uint64_t
clock_mono_ms(void)
{
	return (clock_mono_us() / 1000u);
}

uint64_t
clock_wall_us(void)
{
	return (clock_source != NULL ? clock_source(CLOCK_WALL) : clock_system(CLOCK_REALTIME));
}

void
clock_override(clock_fn fn)
{
	clock_source = fn;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/proxy/facts.h"
#include "engine/proxy/proxy_stats.h"

/* Nothing is counted yet. */
void
proxy_stats_request(struct worker *w, const struct facts *f)
{
	(void)w;
	(void)f;
}

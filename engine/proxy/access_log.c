/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/proxy/access_log.h"
#include "engine/proxy/facts.h"

/* Nothing is written yet. */
void
access_log_write(struct access_log *log, const struct facts *f)
{
	(void)log;
	(void)f;
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_STATS_PROCESS_H
#define WEIR_STATS_PROCESS_H

/*
 * The process's own metrics, by the names that Prometheus's client libraries agreed on:
 * https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics
 */
#include "engine/stats/prom.h"

/* What /proc does not tell is left out. Main thread; reads files of /proc, which do not wait. */
void	stats_process_put(struct prom_text *, enum prom_format);

#endif

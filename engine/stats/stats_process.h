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

/* When the machine started, in seconds since 1970, from a file like /proc/stat; 0: not told. For
   stats_process.c and its test. */
uint64_t stats_process_boot_s(const char *path);

#endif

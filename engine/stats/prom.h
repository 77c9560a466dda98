/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_STATS_PROM_H
#define WEIR_STATS_PROM_H

/*
 * All metrics as text, in either of two formats:
 *   Prometheus 0.0.4	https://prometheus.io/docs/instrumenting/exposition_formats/
 *   OpenMetrics 1.0.0	https://github.com/prometheus/OpenMetrics (v1.0.0, specification)
 * Main thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/slice.h"
#include "engine/stats/stats.h"

enum prom_format {
	PROM_TEXT,
	PROM_OPENMETRICS
};

/* Text that grows; fails (and then stays as it is) when there is no memory. Zeroed: empty. */
struct prom_text {
	char	*p;
	size_t	 len, cap;
	bool	 failed;
};

/* As Content-Type says it. */
struct slice	prom_content_type(enum prom_format);
/*
 * Appends every metric, the process's own, and what was built (`version`, as a label). False: no
 * memory. The text is the caller's: prom_text_free().
 */
bool		prom_render(struct stats *, enum prom_format, struct slice version,
		    struct prom_text *);
void		prom_text_free(struct prom_text *);

/* For metrics that others make: raw bytes, and an escaped label value with its quotes. */
void		prom_put(struct prom_text *, struct slice);
void		prom_put_u64(struct prom_text *, uint64_t);
void		prom_put_label(struct prom_text *, struct slice value);
/* Microseconds as seconds, in the shortest exact form, always with a point: 0.001, 2.0. */
void		prom_put_seconds(struct prom_text *, int64_t us);

#endif

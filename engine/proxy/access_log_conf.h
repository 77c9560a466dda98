/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_ACCESS_LOG_CONF_H
#define WEIR_PROXY_ACCESS_LOG_CONF_H

/*
 * `log:` as it stands in the file. Main thread.
 */
#include "engine/config/schema.h"
#include "engine/proxy/access_log.h"

struct arena;
struct diag;

struct access_log_sample_conf {
	struct schema_obj	 obj;
	uint64_t		 share[ACCESS_LOG_CLASSES];	/* ppm; [0] is not used */
};

struct access_log_conf {
	struct schema_obj	 obj;
	struct slice		 to;		/* stdout, off, syslog, or a file */
	int			 format;	/* enum access_log_format */
	struct schema_list	 fields;	/* of enum access_log_field; count 0: the usual */
	struct schema_list	 request_headers, response_headers;	/* of struct slice */
	struct schema_list	 redact;	/* of struct slice; may be off */
	const struct access_log_sample_conf *sample;	/* NULL: all */
};

struct proxy_log_conf {
	struct schema_obj		 obj;
	const struct access_log_conf	*access;	/* NULL: off */
	int				 level;		/* enum log_level */
};
extern struct schema proxy_log_schema;

/* Compiles it, in the arena. Mistakes go to the diag. */
const struct access_log_plan *access_log_plan_build(struct arena *, struct diag *,
		    const struct proxy_log_conf *);

#endif

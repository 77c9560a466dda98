/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICES_COMMON_SVC_LOG_H
#define SERVICES_COMMON_SVC_LOG_H

/* The log: one JSON object a line, to standard output, one write a line. Any thread. */

#include <stdbool.h>

#include <jansson.h>

enum svc_level {
	SVC_INFO,
	SVC_WARN,
	SVC_ERROR,
	SVC_OFF
};

/* Before any thread starts. The strings must live as long as the program. */
void svc_log_init(const char *service, const char *instance, enum svc_level least);
/* Names as on the command line: info, warn, error, off. */
bool svc_log_level_parse(const char *name, enum svc_level *level_r);
bool svc_log_is_on(enum svc_level level);
/* A line with `msg` and the members of `fields`, which is taken over and may be NULL. */
void svc_log(enum svc_level level, const char *msg, json_t *fields);
/* Lines of libevent itself go to this log. */
void svc_log_libevent(int severity, const char *msg);

#endif

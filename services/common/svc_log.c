/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "services/common/svc_log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "services/common/svc_trace.h"

static const char *const level_names[] = { "info", "warn", "error", "off" };

/* Written once before threads start, read only afterwards. */
static const char *log_service = "";
static const char *log_instance = "";
static enum svc_level log_least = SVC_INFO;

void
svc_log_init(const char *service, const char *instance, enum svc_level least)
{
	log_service = service;
	log_instance = instance;
	log_least = least;
}

bool
svc_log_level_parse(const char *name, enum svc_level *level_r)
{
	for (unsigned i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*level_r = (enum svc_level)i;
			return (true);
		}
	}
	return (false);
}

bool
svc_log_is_on(enum svc_level level)
{
	return (level >= log_least);
}

/* Lines are shorter than PIPE_BUF nearly always, so that lines of several threads do not mix. */
static void
write_line(char *line, size_t len)
{
	size_t done = 0;

	line[len++] = '\n';
	while (done < len) {
		ssize_t n = write(STDOUT_FILENO, line + done, len - done);

		if (n <= 0)
			return;
		done += (size_t)n;
	}
}

void
svc_log(enum svc_level level, const char *msg, json_t *fields)
{
	char when[SVC_TIME_SIZE];
	json_t *line;
	char *text;

	if (!svc_log_is_on(level)) {
		json_decref(fields);
		return;
	}
	svc_time_format(svc_now_ms(), when);
	line = json_pack("{s:s, s:s, s:s, s:s, s:s}", "time", when, "level", level_names[level],
	    "service", log_service, "instance", log_instance, "msg", msg);
	if (line != NULL && fields != NULL)
		json_object_update(line, fields);
	json_decref(fields);
	text = line == NULL ?
	    NULL :
	    json_dumps(line, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9));
	json_decref(line);
	if (text == NULL)
		return;
	/* the terminating zero gives way to the line's end */
	write_line(text, strlen(text));
	free(text);
}

void
svc_log_libevent(int severity, const char *msg)
{
	enum svc_level level = severity == EVENT_LOG_ERR ? SVC_ERROR :
	    severity == EVENT_LOG_WARN                   ? SVC_WARN :
							   SVC_INFO;

	svc_log(level, "libevent", json_pack("{s:s}", "detail", msg));
}

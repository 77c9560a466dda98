/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_ACCESS_LOG_H
#define WEIR_PROXY_ACCESS_LOG_H

/*
 * The access log: one JSON object a line (or the common format), formatted on the worker into a
 * ring of its own, written by a thread. A worker never waits: what does not fit is dropped and
 * counted (weir_log_dropped_total). The thread writes what has gathered when a ring holds 64 KiB,
 * and once a second.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/slice.h"
#include "engine/mem/err.h"
#include "engine/proxy/access_log_redact.h"

struct access_log;	/* a worker's end */
struct arena;
struct facts;
struct stats_shard;

/* In the order in which they stand in a line. */
enum access_log_field {
	ACCESS_LOG_TIME,
	ACCESS_LOG_REQUEST_ID,
	ACCESS_LOG_TRACE_ID,
	ACCESS_LOG_LISTENER,
	ACCESS_LOG_ROUTE,
	ACCESS_LOG_METHOD,
	ACCESS_LOG_HOST,
	ACCESS_LOG_PATH,
	ACCESS_LOG_QUERY,		/* only when asked for */
	ACCESS_LOG_PROTOCOL,
	ACCESS_LOG_STATUS,
	ACCESS_LOG_REASON,
	ACCESS_LOG_UPSTREAM,
	ACCESS_LOG_SERVER,
	ACCESS_LOG_ATTEMPTS,
	ACCESS_LOG_CLIENT_IP,
	ACCESS_LOG_BYTES_IN,
	ACCESS_LOG_BYTES_OUT,
	ACCESS_LOG_DURATION_MS,
	ACCESS_LOG_PHASES,
	ACCESS_LOG_USER_AGENT,
	/* where keys of their own ask for them */
	ACCESS_LOG_REQUEST_HEADERS,
	ACCESS_LOG_RESPONSE_HEADERS,
	ACCESS_LOG_SAMPLE_RATE,
	ACCESS_LOG_FIELD__MAX
};

enum {
	ACCESS_LOG_NAMED = ACCESS_LOG_REQUEST_HEADERS,	/* those that `fields` may name */
	ACCESS_LOG_HEADERS_MAX = 8,	/* fields of the message, in either direction */
	ACCESS_LOG_HEADER_BYTES = 64,	/* of such a field's name */
	ACCESS_LOG_CLASSES = 6		/* of statuses, by their first digit; 0: always told */
};

enum access_log_format {
	ACCESS_LOG_JSON,
	ACCESS_LOG_COMMON	/* the log format of NCSA httpd, times in UTC */
};

enum access_log_to {
	ACCESS_LOG_OFF,
	ACCESS_LOG_STDOUT,
	ACCESS_LOG_FILE,
	ACCESS_LOG_SYSLOG	/* facility local7, level info */
};

/* A header field of the message that is told. */
struct access_log_header {
	struct slice	 name;
	struct slice	 key;		/* as it stands in a line: ,"x-tenant": */
	bool		 is_secret;	/* only that it was there */
	bool		 is_url;	/* its query may hold secrets */
};

/* The share of lines that is written, a class of statuses each. */
struct access_log_share {
	uint32_t	 ppm;
	uint8_t		 len;
	char		 text[11];	/* as a number between 0 and 1, exact */
};

/* What to write and where. Immutable; lives as long as the generation it belongs to. */
struct access_log_plan {
	unsigned	 magic;
#define ACCESS_LOG_PLAN_MAGIC	0x1d80c3b5
	uint8_t		 to;			/* enum access_log_to */
	uint8_t		 format;		/* enum access_log_format */
	uint8_t		 level;			/* enum log_level, of the error log */
	uint8_t		 n_fields;
	uint8_t		 fields[ACCESS_LOG_FIELD__MAX];	/* JSON: in this order */
	uint8_t		 n_request_headers, n_response_headers;
	const struct access_log_header *request_headers, *response_headers;
	struct access_log_redact redact;
	const struct access_log_share *sample;	/* ACCESS_LOG_CLASSES; NULL: all is written */
	const char	*path;			/* FILE: as open(2) takes it */
	struct mark	 mark;
};

/* All fields but the query and those with keys of their own, to standard output. */
void	access_log_plan_default(struct access_log_plan *);

/* ---- worker thread ---- */

/* This worker's end, off at first; its drops are counted in the shard. NULL: no memory. It
   lives until access_log_stop(). */
struct access_log *access_log_new(struct stats_shard *);
/* With each generation; NULL: off. The plan outlives its use. */
void	access_log_use(struct access_log *, const struct access_log_plan *);
/* At most 600 ns; no allocation, no lock; a system call for each 64 KiB. */
void	access_log_write(struct access_log *, const struct facts *);

/* ---- main thread ---- */

/* First: the shard in which the thread counts what it could not write; nobody else's. */
void	access_log_init(struct stats_shard *);

/*
 * A generation's destination: prepare opens it (a file that cannot be opened fails the load), then
 * commit hands it to the thread, or abort gives it up. What was written before goes to the old one.
 */
struct err *access_log_prepare(struct arena *, const struct access_log_plan *);
void	access_log_commit(void);
void	access_log_abort(void);
/* A file that was moved away is opened anew; after what was written before has gone to the old. */
void	access_log_reopen(void);
/* Workers have ended: writes what there is, for at most `ms`. False: the reader took too long, the
   rest is lost and the memory is left to the end of the process. */
bool	access_log_stop(uint64_t ms);

#endif

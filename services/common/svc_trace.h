/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICES_COMMON_SVC_TRACE_H
#define SERVICES_COMMON_SVC_TRACE_H

/*
 * Identifiers of requests and things, and the fields that tie calls together. Pure functions, any
 * thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct evkeyvalq;

#define SVC_ID_SIZE       129 /* a request id of at most 128 bytes and its end */
#define SVC_TRACE_ID_SIZE 33
#define SVC_UUID_SIZE     37

/*
 * A new UUID version 7 (RFC 9562 section 5.7): sorts by the time it was made, to the millisecond.
 */
void svc_uuid_new(char out[SVC_UUID_SIZE]);
/* 36 characters in the canonical lower-case form? */
bool svc_uuid_is_valid(const char *text);

/*
 * Takes the caller's request id if it is 1 to 128 letters, digits or `-._:+/=`; else makes a new
 * one.
 */
void svc_trace_request_id(const char *from_caller, char out[SVC_ID_SIZE]);
/* The trace id of a valid traceparent (W3C Trace Context section 3.2), else "". */
void svc_trace_id(const char *traceparent, char out[SVC_TRACE_ID_SIZE]);
/* Copies X-Request-Id (as `request_id`), traceparent, tracestate and baggage from `in` to `out`. */
void svc_trace_copy(const struct evkeyvalq *in, const char *request_id, struct evkeyvalq *out);

/* Wall clock in ms since 1970, and steady clock in us. */
int64_t svc_now_ms(void);
uint64_t svc_steady_us(void);
#define SVC_TIME_SIZE 32
/* RFC 3339 in UTC with milliseconds. */
void svc_time_format(int64_t ms, char out[SVC_TIME_SIZE]);

#endif

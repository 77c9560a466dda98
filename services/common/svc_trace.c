/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "services/common/svc_trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <time.h>

#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/util.h>

static const char hex_digits[] = "0123456789abcdef";

static bool
is_hex(const char *s, size_t len)
{
	return (strspn(s, hex_digits) >= len);
}

void
svc_uuid_new(char out[SVC_UUID_SIZE])
{
	uint8_t b[16];
	uint64_t ms = (uint64_t)svc_now_ms();
	size_t o = 0;

	/*
	 * so few bytes come whole once the kernel's generator is seeded, which is long before this
	 * program starts
	 */
	if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
		abort();
	for (unsigned i = 0; i < 6; i++)
		b[i] = (uint8_t)(ms >> (40 - 8 * i));
	b[6] = (uint8_t)(0x70 | (b[6] & 0x0f));
	b[8] = (uint8_t)(0x80 | (b[8] & 0x3f));
	for (unsigned i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			out[o++] = '-';
		out[o++] = hex_digits[b[i] >> 4];
		out[o++] = hex_digits[b[i] & 15];
	}
	out[o] = '\0';
}

bool
svc_uuid_is_valid(const char *text)
{
	if (strlen(text) != SVC_UUID_SIZE - 1)
		return (false);
	for (unsigned i = 0; i < SVC_UUID_SIZE - 1; i++) {
		bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (is_dash ? text[i] != '-' : !is_hex(text + i, 1))
			return (false);
	}
	return (true);
}

void
svc_trace_request_id(const char *from_caller, char out[SVC_ID_SIZE])
{
	static const char allowed[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:+/=";
	size_t len = from_caller == NULL ? 0 : strlen(from_caller);

	if (len == 0 || len >= SVC_ID_SIZE || strspn(from_caller, allowed) != len) {
		svc_uuid_new(out);
		return;
	}
	memcpy(out, from_caller, len + 1);
}

void
svc_trace_id(const char *traceparent, char out[SVC_TRACE_ID_SIZE])
{
	out[0] = '\0';
	/*
	 * version "-" trace-id "-" parent-id "-" flags; later versions may be longer, after another
	 * "-"
	 */
	if (traceparent == NULL || strlen(traceparent) < 55)
		return;
	if (!is_hex(traceparent, 2) || traceparent[2] != '-' || !is_hex(traceparent + 3, 32) ||
	    traceparent[35] != '-' || !is_hex(traceparent + 36, 16) || traceparent[52] != '-' ||
	    !is_hex(traceparent + 53, 2))
		return;
	if (memcmp(traceparent, "ff", 2) == 0)
		return;
	if (traceparent[55] != '\0' &&
	    (memcmp(traceparent, "00", 2) == 0 || traceparent[55] != '-'))
		return;
	if (strspn(traceparent + 3, "0") >= 32 || strspn(traceparent + 36, "0") >= 16)
		return;
	memcpy(out, traceparent + 3, 32);
	out[32] = '\0';
}

void
svc_trace_copy(const struct evkeyvalq *in, const char *request_id, struct evkeyvalq *out)
{
	static const char *const names[] = { "traceparent", "tracestate", "baggage" };
	const struct evkeyval *field;

	evhttp_add_header(out, "X-Request-Id", request_id);
	TAILQ_FOREACH(field, in, next)
	{
		/* tracestate and baggage may come as several fields: all are kept, in order */
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			if (evutil_ascii_strcasecmp(field->key, names[i]) == 0)
				evhttp_add_header(out, names[i], field->value);
		}
	}
}

int64_t
svc_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}

uint64_t
svc_steady_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000);
}

void
svc_time_format(int64_t ms, char out[SVC_TIME_SIZE])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	size_t len;

	gmtime_r(&seconds, &tm);
	len = strftime(out, SVC_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + len, SVC_TIME_SIZE - len, ".%03dZ", (int)(ms % 1000));
}

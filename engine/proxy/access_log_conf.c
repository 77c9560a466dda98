/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/cc.h"
#include "engine/base/log.h"
#include "engine/config/diag.h"
#include "engine/config/load.h"
#include "engine/mem/arena.h"
#include "engine/proxy/access_log_conf.h"

enum {
	ALL_PPM = 1000000,
	REDACT_MAX = 64
};

static const struct schema_enum formats[] = {
	{ "json", ACCESS_LOG_JSON },
	{ "common", ACCESS_LOG_COMMON },
	{ NULL, 0 },
};

static const struct schema_enum fields[] = {
	{ "time", ACCESS_LOG_TIME },
	{ "request_id", ACCESS_LOG_REQUEST_ID },
	{ "trace_id", ACCESS_LOG_TRACE_ID },
	{ "listener", ACCESS_LOG_LISTENER },
	{ "route", ACCESS_LOG_ROUTE },
	{ "method", ACCESS_LOG_METHOD },
	{ "host", ACCESS_LOG_HOST },
	{ "path", ACCESS_LOG_PATH },
	{ "query", ACCESS_LOG_QUERY },
	{ "protocol", ACCESS_LOG_PROTOCOL },
	{ "status", ACCESS_LOG_STATUS },
	{ "reason", ACCESS_LOG_REASON },
	{ "upstream", ACCESS_LOG_UPSTREAM },
	{ "server", ACCESS_LOG_SERVER },
	{ "attempts", ACCESS_LOG_ATTEMPTS },
	{ "client_ip", ACCESS_LOG_CLIENT_IP },
	{ "bytes_in", ACCESS_LOG_BYTES_IN },
	{ "bytes_out", ACCESS_LOG_BYTES_OUT },
	{ "duration_ms", ACCESS_LOG_DURATION_MS },
	{ "phases", ACCESS_LOG_PHASES },
	{ "user_agent", ACCESS_LOG_USER_AGENT },
	{ NULL, 0 },
};

static const struct schema_enum levels[] = {
	{ "debug", LOG_LEVEL_DEBUG },
	{ "info", LOG_LEVEL_INFO },
	{ "warn", LOG_LEVEL_WARN },
	{ "error", LOG_LEVEL_ERROR },
	{ NULL, 0 },
};

#define SHARE(key, class, def_, help_)                                                             \
	SCHEMA_ROW(key, PERCENT, struct access_log_sample_conf, share[class], .def = (def_),       \
	    .max = ALL_PPM, .help = (help_))

static const struct schema_row sample_rows[] = {
	SHARE("1xx", 1, "100%", "of the lines with 101, a change of protocols"),
	SHARE("2xx", 2, "100%", "of the lines of successes that have no reason"),
	SHARE("3xx", 3, "100%", "of the lines of redirections that have no reason"),
	SHARE("4xx", 4, "100%", "of the lines of clients' errors, 499 among them"),
	SHARE("5xx", 5, "100%", "of the lines of servers' errors"),
	SCHEMA_ROWS_END,
};
static struct schema sample_schema = SCHEMA_DEFINE("sample", struct access_log_sample_conf,
    sample_rows);

static const char *
check_header(const void *value)
{
	return (((const struct slice *)value)->len > ACCESS_LOG_HEADER_BYTES ?
	    "a name of more than 64 bytes is not logged" : NULL);
}

static const struct schema_row access_rows[] = {
	SCHEMA_ROW("to", TEXT, struct access_log_conf, to, .def = "stdout",
	    .flags = SCHEMA_NOT_EMPTY, .help = "stdout, syslog, or a file; off: no access log"),
	SCHEMA_ROW("format", ENUM, struct access_log_conf, format, .def = "json",
	    .names = formats, .help = "json: one object a line; common: that of NCSA httpd"),
	SCHEMA_ROW("fields", LIST, struct access_log_conf, fields, .elem = SCHEMA_ENUM,
	    .names = fields, .max = ACCESS_LOG_NAMED,
	    .help = "of the json format, in this order; all but `query` unless stated"),
	SCHEMA_ROW("request_headers", LIST, struct access_log_conf, request_headers,
	    .elem = SCHEMA_HEADER_NAME, .check = check_header, .max = ACCESS_LOG_HEADERS_MAX,
	    .help = "fields of requests that are logged too, as policies left them"),
	SCHEMA_ROW("response_headers", LIST, struct access_log_conf, response_headers,
	    .elem = SCHEMA_HEADER_NAME, .check = check_header, .max = ACCESS_LOG_HEADERS_MAX,
	    .help = "fields of responses that are logged too"),
	SCHEMA_ROW("redact", LIST, struct access_log_conf, redact, .elem = SCHEMA_STRING,
	    .flags = SCHEMA_CAN_OFF | SCHEMA_NOT_EMPTY, .max = REDACT_MAX,
	    .help = "query parameters and header fields whose values are logged as `***`, besides "
	    "those that are known for secrets; off: all values are logged"),
	SCHEMA_ROW("sample", OBJECT, struct access_log_conf, sample, .sub = &sample_schema,
	    .flags = SCHEMA_CAN_OFF,
	    .help = "the share of lines that is written, by status; adds the field `sample_rate`"),
	SCHEMA_ROWS_END,
};
static struct schema access_schema = SCHEMA_DEFINE("access log", struct access_log_conf,
    access_rows, .scalar = "to");

static const struct schema_row log_rows[] = {
	SCHEMA_ROW("access", OBJECT, struct proxy_log_conf, access, .sub = &access_schema,
	    .flags = SCHEMA_ALWAYS | SCHEMA_CAN_OFF,
	    .help = "where requests are logged: stdout, off, syslog, a file, or a map"),
	SCHEMA_ROW("level", ENUM, struct proxy_log_conf, level, .def = "info", .names = levels,
	    .help = "the least that the error log (standard error) says"),
	SCHEMA_ROWS_END,
};
struct schema proxy_log_schema = SCHEMA_DEFINE("log", struct proxy_log_conf, log_rows);

static void
take_fields(struct access_log_plan *plan, struct diag *diag, const struct access_log_conf *c)
{
	uint64_t seen = 0;

	plan->n_fields = 0;
	for (uint32_t i = 0; i < c->fields.count; i++) {
		int field = SCHEMA_AT(int, c->fields, i);

		if (seen & (uint64_t)1 << field) {
			diag_error(diag, schema_item_mark(&c->fields, i),
			    "field \"%s\" stands twice", fields[field].name);
			continue;
		}
		seen |= (uint64_t)1 << field;
		plan->fields[plan->n_fields++] = (uint8_t)field;
	}
}

/* `name` in a line, in lower case: the key of its value. */
static struct slice
key_of(struct arena *a, struct slice name)
{
	struct slice key = arena_dup(a, slice_str(arena_printf(a, ",\"" SLICE_FMT "\":",
	    SLICE_ARG(name))));

	for (size_t i = 0; i < key.len; i++)
		((char *)(uintptr_t)key.p)[i] = slice_to_lower_byte(key.p[i]);
	return (key);
}

static const struct slice *
copy_names(struct arena *a, const struct schema_list *list)
{
	struct slice *v = arena_zarray(a, list->count + 1, sizeof *v);

	for (uint32_t i = 0; i < list->count; i++)
		v[i] = arena_dup(a, SCHEMA_AT(struct slice, *list, i));
	return (v);
}

static const struct access_log_header *
take_headers(struct access_log_plan *plan, struct arena *a, struct diag *diag,
    const struct schema_list *list, enum access_log_field field)
{
	struct access_log_header *v = arena_zarray(a, list->count + 1, sizeof *v);

	for (uint32_t i = 0; i < list->count; i++) {
		/* The file's own text does not live as long as the plan. */
		struct slice name = arena_dup(a, SCHEMA_AT(struct slice, *list, i));

		for (uint32_t k = 0; k < i; k++) {
			if (slice_eq_fold(name, v[k].name))
				diag_error(diag, schema_item_mark(list, i),
				    "field \"" SLICE_FMT "\" stands twice", SLICE_ARG(name));
		}
		v[i] = (struct access_log_header){ .name = name, .key = key_of(a, name),
			.is_secret = access_log_is_secret_field(&plan->redact, name),
			.is_url = access_log_is_url_field(name) };
	}
	if (list->count > 0)
		plan->fields[plan->n_fields++] = (uint8_t)field;
	return (v);
}

static void
put_share(struct access_log_share *share, uint64_t ppm)
{
	int n = snprintf(share->text, sizeof share->text, "%u.%06u", (unsigned)(ppm / ALL_PPM),
	    (unsigned)(ppm % ALL_PPM));

	while (share->text[n - 1] == '0')
		n--;
	if (share->text[n - 1] == '.')
		n--;
	share->ppm = (uint32_t)ppm;
	share->len = (uint8_t)n;
}

static void
take_sample(struct access_log_plan *plan, struct arena *a, const struct access_log_sample_conf *c)
{
	struct access_log_share *v = arena_zarray(a, ACCESS_LOG_CLASSES, sizeof *v);

	put_share(&v[0], ALL_PPM);
	for (unsigned i = 1; i < ACCESS_LOG_CLASSES; i++)
		put_share(&v[i], c->share[i]);
	plan->sample = v;
	plan->fields[plan->n_fields++] = ACCESS_LOG_SAMPLE_RATE;
}

/* What only the JSON format can tell. */
static void
take_json(struct access_log_plan *plan, struct arena *a, struct diag *diag,
    const struct access_log_conf *c)
{
	plan->redact = (struct access_log_redact){ schema_is_off(&c->obj, "redact"),
		c->redact.count, copy_names(a, &c->redact) };
	plan->request_headers = take_headers(plan, a, diag, &c->request_headers,
	    ACCESS_LOG_REQUEST_HEADERS);
	plan->n_request_headers = (uint8_t)c->request_headers.count;
	plan->response_headers = take_headers(plan, a, diag, &c->response_headers,
	    ACCESS_LOG_RESPONSE_HEADERS);
	plan->n_response_headers = (uint8_t)c->response_headers.count;
	if (c->sample != NULL)
		take_sample(plan, a, c->sample);
}

/* A line of the common format has no place for it: a sample without its rate would tell a lie. */
static void
refuse_json(struct diag *diag, const struct access_log_conf *c)
{
	static const char *const keys[] = { "fields", "request_headers", "response_headers",
		"redact", "sample" };

	for (unsigned i = 0; i < array_len(keys); i++) {
		if (schema_has(&c->obj, keys[i]) && !schema_is_wrong(&c->obj, keys[i]))
			diag_error(diag, schema_key_mark(&c->obj, keys[i]),
			    "the common format has fields of its own: `%s` is for json", keys[i]);
	}
}

static void
take_destination(struct access_log_plan *plan, struct arena *a, const struct access_log_conf *c)
{
	struct mark mark = schema_mark(&c->obj, "to");

	plan->mark = mark;
	if (slice_eq(c->to, SLICE("stdout"))) {
		plan->to = ACCESS_LOG_STDOUT;
	} else if (slice_eq(c->to, SLICE("syslog"))) {
		plan->to = ACCESS_LOG_SYSLOG;
	} else if (slice_eq(c->to, SLICE("off"))) {
		plan->to = ACCESS_LOG_OFF;
	} else {
		plan->to = ACCESS_LOG_FILE;
		plan->path = arena_cstr(a, mark.file == NULL ? c->to :
		    load_resolve(a, mark.file, c->to));
	}
}

const struct access_log_plan *
access_log_plan_build(struct arena *a, struct diag *diag, const struct proxy_log_conf *conf)
{
	struct access_log_plan *plan = arena_znew(a, struct access_log_plan);
	const struct access_log_conf *c = conf->access;

	access_log_plan_default(plan);
	plan->level = (uint8_t)conf->level;
	if (c == NULL) {
		plan->to = ACCESS_LOG_OFF;
		return (plan);
	}
	plan->format = (uint8_t)c->format;
	take_destination(plan, a, c);
	if (plan->format == ACCESS_LOG_COMMON)
		refuse_json(diag, c);
	if (c->fields.count > 0 && !schema_is_wrong(&c->obj, "fields"))
		take_fields(plan, diag, c);
	take_json(plan, a, diag, c);
	return (plan);
}

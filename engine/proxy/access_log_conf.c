/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/log.h"
#include "engine/config/diag.h"
#include "engine/config/load.h"
#include "engine/mem/arena.h"
#include "engine/proxy/access_log_conf.h"

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

static const struct schema_row access_rows[] = {
	SCHEMA_ROW("to", TEXT, struct access_log_conf, to, .def = "stdout",
	    .flags = SCHEMA_NOT_EMPTY, .help = "stdout, syslog, or a file; off: no access log"),
	SCHEMA_ROW("format", ENUM, struct access_log_conf, format, .def = "json",
	    .names = formats, .help = "json: one object a line; common: that of NCSA httpd"),
	SCHEMA_ROW("fields", LIST, struct access_log_conf, fields, .elem = SCHEMA_ENUM,
	    .names = fields, .max = ACCESS_LOG_FIELD__MAX,
	    .help = "of the json format, in this order; all but `query` unless stated"),
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
	if (c->fields.count > 0 && !schema_is_wrong(&c->obj, "fields")) {
		if (plan->format == ACCESS_LOG_COMMON)
			diag_error(diag, schema_key_mark(&c->obj, "fields"),
			    "the common format has fields of its own: `fields` is for json");
		take_fields(plan, diag, c);
	}
	return (plan);
}

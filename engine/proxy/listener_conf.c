/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/mem/alloc.h"
#include "engine/proxy/gate.h"
#include "engine/proxy/listener_conf.h"

enum {
	TIME_MAX_MS = 24 * 3600 * 1000,
	HEADER_BYTES_LEAST = 1024,
	HEADER_BYTES_MAX = 1024 * 1024,
	HEADER_COUNT_MAX = 254,		/* what a table of header fields can hold */
	RATE_MAX = 1024 * 1024 * 1024,
	/* Chunk extensions mean nothing to anyone: so much is discarded, more is refused. */
	CHUNK_EXT_BYTES = 256
};

static const struct schema_row timeout_rows[] = {
	SCHEMA_ROW("headers", DURATION, struct listener_timeout_conf, headers_ms, .def = "10s",
	    .min = 1, .max = TIME_MAX_MS, .help = "a request's header complete within, else 408"),
	SCHEMA_ROW("body_idle", DURATION, struct listener_timeout_conf, body_idle_ms,
	    .def = "30s", .min = 1, .max = TIME_MAX_MS, .flags = SCHEMA_UNLIMITED,
	    .help = "longest pause within a request's body, else 408"),
	SCHEMA_ROW("write_idle", DURATION, struct listener_timeout_conf, write_idle_ms,
	    .def = "60s", .min = 1, .max = TIME_MAX_MS, .flags = SCHEMA_UNLIMITED,
	    .help = "longest pause of a client that does not take its response"),
	SCHEMA_ROW("keepalive", DURATION, struct listener_timeout_conf, keepalive_ms,
	    .def = "75s", .min = 1, .max = TIME_MAX_MS,
	    .help = "how long an idle connection is kept"),
	SCHEMA_ROWS_END,
};
static struct schema timeout_schema =
    SCHEMA_DEFINE("timeout", struct listener_timeout_conf, timeout_rows);

static const struct schema_row min_rate_rows[] = {
	SCHEMA_ROW("rate", BYTE_RATE, struct listener_min_rate_conf, rate, .def = "240B/s",
	    .min = 1, .max = RATE_MAX, .help = "slower bodies are cut, in both directions"),
	SCHEMA_ROW("grace", DURATION, struct listener_min_rate_conf, grace_ms, .def = "30s",
	    .max = TIME_MAX_MS, .help = "from the start of a body, not counted"),
	SCHEMA_ROWS_END,
};
static struct schema min_rate_schema =
    SCHEMA_DEFINE("min_rate", struct listener_min_rate_conf, min_rate_rows);

static const struct schema_row limits_rows[] = {
	SCHEMA_ROW("header_bytes", BYTES, struct listener_limits_conf, header_bytes,
	    .def = "16KiB", .min = HEADER_BYTES_LEAST, .max = HEADER_BYTES_MAX,
	    .help = "a request's header in all, 32 bytes added for each field, else 431"),
	SCHEMA_ROW("header_count", INT, struct listener_limits_conf, header_count, .def = "100",
	    .min = 1, .max = HEADER_COUNT_MAX, .help = "fields in a request's header, else 431"),
	SCHEMA_ROW("line", BYTES, struct listener_limits_conf, line, .def = "8KiB", .min = 64,
	    .max = HEADER_BYTES_MAX, .help = "a request line or one field, else 414 or 431"),
	SCHEMA_ROW("requests", INT, struct listener_limits_conf, requests, .def = "1000",
	    .min = 1, .max = UINT32_MAX, .flags = SCHEMA_UNLIMITED,
	    .help = "requests on one connection, then it is closed"),
	SCHEMA_ROW("age", DURATION, struct listener_limits_conf, age_ms, .def = "1h", .min = 1,
	    .max = TIME_MAX_MS, .flags = SCHEMA_UNLIMITED,
	    .help = "of a connection, give or take a tenth; then it is closed"),
	SCHEMA_ROWS_END,
};
static struct schema limits_schema =
    SCHEMA_DEFINE("limits", struct listener_limits_conf, limits_rows);

static const struct schema_row listener_rows[] = {
	SCHEMA_ROW("listen", LISTEN, struct listener_conf, listen, .flags = SCHEMA_REQUIRED,
	    .also = "bind address port socket_address",
	    .help = "a port (IPv4 and IPv6), or address:port"),
	SCHEMA_ROW("trusted_proxies", LIST, struct listener_conf, trusted_proxies,
	    .elem = SCHEMA_CIDR, .also = "set_real_ip_from trustedIPs trusted_ips",
	    .help = "addresses whose X-Forwarded-* fields are believed"),
	SCHEMA_ROW("timeout", OBJECT, struct listener_conf, timeout, .sub = &timeout_schema,
	    .flags = SCHEMA_ALWAYS, .help = "how long a client may take"),
	SCHEMA_ROW("min_rate", OBJECT, struct listener_conf, min_rate, .sub = &min_rate_schema,
	    .flags = SCHEMA_ALWAYS | SCHEMA_CAN_OFF, .help = "how slow a body may be"),
	SCHEMA_ROW("limits", OBJECT, struct listener_conf, limits, .sub = &limits_schema,
	    .flags = SCHEMA_ALWAYS, .help = "how much a client may send"),
	SCHEMA_ROW("policies", INLINE, struct listener_conf, policies,
	    .sub = &route_policies_schema),
	SCHEMA_ROWS_END,
};
struct schema listener_schema = SCHEMA_DEFINE("listener", struct listener_conf, listener_rows);

/* Times and counts in use: 0 stands for no limit. */
static uint32_t
limited(uint64_t v)
{
	return (v == SCALAR_UNLIMITED ? 0 : (uint32_t)v);
}

static void
fill_limits(struct listener_limits *l, const struct listener_conf *c)
{
	*l = (struct listener_limits){
		.codec = {
			.head_bytes = (uint32_t)c->limits->header_bytes,
			.line_bytes = (uint32_t)c->limits->line,
			.fields = (uint16_t)c->limits->header_count,
			.chunk_ext = CHUNK_EXT_BYTES,
		},
		.headers_ms = (uint32_t)c->timeout->headers_ms,
		.body_idle_ms = limited(c->timeout->body_idle_ms),
		.write_idle_ms = limited(c->timeout->write_idle_ms),
		.keepalive_ms = (uint32_t)c->timeout->keepalive_ms,
		.requests = limited(c->limits->requests),
		.age_ms = limited(c->limits->age_ms),
	};
	if (c->min_rate != NULL) {
		l->min_rate = (uint32_t)c->min_rate->rate;
		l->min_rate_grace_ms = (uint32_t)c->min_rate->grace_ms;
	}
}

static const struct cidr_set *
copy_trusted(struct arena *a, const struct schema_list *list)
{
	struct cidr_set *set;
	struct cidr *v;

	if (list->count == 0)
		return (NULL);
	set = arena_znew(a, struct cidr_set);
	v = arena_zarray(a, list->count, sizeof *v);
	memcpy(v, list->items, list->count * sizeof *v);
	cidr_set_build(set, v, list->count);
	return (set);
}

struct listener *
listener_build(struct slice name, const struct listener_conf *c, unsigned index, uint64_t hash)
{
	struct mem_trap trap;
	struct part *part = part_new(PART_LISTENER, name, sizeof(struct listener), hash);
	struct listener *l = (struct listener *)part;

	if (MEM_TRAP_ENTER(&trap)) {
		size_t wanted = trap.wanted;

		part_unref(&part);
		mem_failed(wanted);
	}
	l->name = part->name;
	l->index = index;
	l->addrs[0] = c->listen.addr;
	l->is_dual = c->listen.is_dual;
	l->n_addrs = 1;
	fill_limits(&l->limits, c);
	l->trusted = copy_trusted(part->arena, &c->trusted_proxies);
	mem_trap_leave(&trap);
	return (l);
}

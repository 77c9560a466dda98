/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/config/diag.h"
#include "engine/mem/arena.h"
#include "engine/mem/map.h"
#include "engine/upstream/upstream_conf.h"

enum {
	WEIGHT_MAX = 1000,
	POOL_IDLE_MAX = 65536,
	TIME_MAX_MS = 24 * 3600 * 1000
};

static const struct schema_row server_rows[] = {
	SCHEMA_ROW("address", SERVER, struct upstream_server_spec, address,
	    .flags = SCHEMA_REQUIRED, .help = "ip:port, name:port or unix:/path"),
	SCHEMA_ROW("weight", INT, struct upstream_server_spec, weight, .def = "1", .min = 1,
	    .max = WEIGHT_MAX, .help = "its share of the requests, against the other servers'"),
	SCHEMA_ROWS_END,
};
static struct schema server_schema =
    SCHEMA_DEFINE("server", struct upstream_server_spec, server_rows, .scalar = "address");

static const struct schema_enum hash_words[] = {
	{ "client_ip", UPSTREAM_HASH_CLIENT_IP },
	{ "path", UPSTREAM_HASH_PATH },
	{ NULL, 0 },
};
static const struct schema_row hash_rows[] = {
	SCHEMA_ROW("word", ENUM, struct upstream_hash_spec, word, .names = hash_words,
	    .flags = SCHEMA_WORD),
	SCHEMA_ROW("header", HEADER_NAME, struct upstream_hash_spec, header,
	    .help = "a request header whose value chooses"),
	SCHEMA_ROW("cookie", STRING, struct upstream_hash_spec, cookie, .flags = SCHEMA_NOT_EMPTY,
	    .help = "a cookie whose value chooses"),
	SCHEMA_ROWS_END,
};
static const struct schema_group hash_groups[] = {
	{ .keys = { "word", "header", "cookie" }, .is_due = true },
	{ .keys = { NULL } },
};
struct schema upstream_hash_schema = SCHEMA_DEFINE("hash", struct upstream_hash_spec, hash_rows,
    .groups = hash_groups, .scalar = "word", .is_alternative = true);

static const struct schema_enum balance_words[] = {
	{ "least_request", UPSTREAM_LEAST_REQUEST },
	{ "round_robin", UPSTREAM_ROUND_ROBIN },
	{ "random", UPSTREAM_RANDOM },
	{ NULL, 0 },
};
static const struct schema_row balance_rows[] = {
	SCHEMA_ROW("policy", ENUM, struct upstream_balance_spec, policy, .names = balance_words,
	    .def = "least_request", .flags = SCHEMA_WORD),
	SCHEMA_ROW("hash", OBJECT, struct upstream_balance_spec, hash, .sub = &upstream_hash_schema,
	    .help = "the same server for the same key: client_ip, path, a header or a cookie"),
	SCHEMA_ROWS_END,
};
static const struct schema_group balance_groups[] = {
	{ .keys = { "policy", "hash" }, .is_due = true },
	{ .keys = { NULL } },
};
static struct schema balance_schema = SCHEMA_DEFINE("balance", struct upstream_balance_spec,
    balance_rows, .groups = balance_groups, .scalar = "policy", .is_alternative = true);

static const struct schema_row pool_rows[] = {
	SCHEMA_ROW("idle", INT, struct upstream_pool_spec, idle, .def = "64", .max = POOL_IDLE_MAX,
	    .help = "idle connections kept, per server and worker"),
	SCHEMA_ROW("idle_timeout", DURATION, struct upstream_pool_spec, idle_timeout_ms,
	    .def = "55s", .min = 1, .max = TIME_MAX_MS,
	    .help = "how long one is kept idle; less where the server keeps it for less"),
	SCHEMA_ROW("max_age", DURATION, struct upstream_pool_spec, max_age_ms, .def = "1h",
	    .min = 1, .max = TIME_MAX_MS, .flags = SCHEMA_UNLIMITED,
	    .help = "after this a connection is used no more"),
	SCHEMA_ROWS_END,
};
static struct schema pool_schema = SCHEMA_DEFINE("pool", struct upstream_pool_spec, pool_rows);

static const struct schema_row upstream_rows[] = {
	SCHEMA_ROW("servers", LIST, struct upstream_spec, servers, .elem = SCHEMA_OBJECT,
	    .sub = &server_schema, .flags = SCHEMA_REQUIRED | SCHEMA_NOT_EMPTY,
	    .also = "targets endpoints nodes hosts backends load_assignment",
	    .help = "the servers: addresses, or maps with address and weight"),
	SCHEMA_ROW("balance", OBJECT, struct upstream_spec, balance, .sub = &balance_schema,
	    .flags = SCHEMA_ALWAYS,
	    .also = "lb_policy algorithm load_balancing strategy least_conn ip_hash",
	    .help = "which server is next"),
	SCHEMA_ROW("pool", OBJECT, struct upstream_spec, pool, .sub = &pool_schema,
	    .flags = SCHEMA_ALWAYS, .also = "keepalive keepalive_pool",
	    .help = "connections kept for later requests"),
	SCHEMA_ROWS_END,
};
struct schema upstream_schema = SCHEMA_DEFINE("upstream", struct upstream_spec, upstream_rows);

enum upstream_hash_by
upstream_hash_of(const struct upstream_hash_spec *spec, struct slice *name_r)
{
	*name_r = spec->header.len > 0 ? spec->header : spec->cookie;
	if (name_r->len == 0)
		return (spec->word);
	return (spec->header.len > 0 ? UPSTREAM_HASH_HEADER : UPSTREAM_HASH_COOKIE);
}

/* One text for one server, whatever the spelling, so that a map can find two that are the same. */
static struct slice
server_key(struct arena *a, const struct scalar_server *s)
{
	char buf[ADDR_TEXT_MAX];

	if (s->is_name)
		return (slice_str(arena_printf(a, "%.*s:%u", (int)s->name.len, s->name.p,
		    s->port)));
	return (arena_dup(a, slice_of(buf, addr_format(&s->addr, buf, sizeof buf))));
}

void
upstream_check(const struct upstream_spec *spec, struct slice name, struct arena *scratch,
    struct diag *diag)
{
	struct map seen;

	map_init(&seen, scratch);
	for (uint32_t i = 0; i < spec->servers.count; i++) {
		const struct upstream_server_spec *s =
		    SCHEMA_OBJ_AT(struct upstream_server_spec, spec->servers, i);
		const struct upstream_server_spec *first;

		if (!schema_has(&s->obj, "address") || schema_is_wrong(&s->obj, "address"))
			continue;
		first = map_put(&seen, server_key(scratch, &s->address), (void *)(uintptr_t)s);
		if (first != NULL)
			diag_error(diag, schema_obj_mark(&s->obj), "server %.*s stands twice in "
			    "upstream \"%.*s\"; first on line %u; use weight for a larger share",
			    (int)s->address.text.len, s->address.text.p, (int)name.len, name.p,
			    schema_obj_mark(&first->obj).line);
	}
}

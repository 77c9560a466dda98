/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/config/load.h"
#include "tests/unit/config/shape.h"

static const struct schema_row timeout_rows[] = {
	SCHEMA_ROW("connect", DURATION, struct shape_timeout, connect_ms, .def = "3s", .min = 1,
	    .max = 3600000, .help = "connecting to a server, TLS included"),
	SCHEMA_ROW("first_byte", DURATION, struct shape_timeout, first_byte_ms, .def = "15s",
	    .help = "from the request sent to the first byte of the answer"),
	SCHEMA_ROW("idle", DURATION, struct shape_timeout, idle_ms, .def = "60s",
	    .help = "no byte either way"),
	SCHEMA_ROW("total", DURATION, struct shape_timeout, total_ms, .flags = SCHEMA_UNLIMITED,
	    .def = "unlimited", .help = "the whole exchange"),
	SCHEMA_ROWS_END,
};
static struct schema timeout_schema = SCHEMA_DEFINE("timeout", struct shape_timeout, timeout_rows);

static const char *
check_retry_on(const void *value)
{
	const struct slice *s = value;

	if (slice_eq(*s, SLICE("connect")) || slice_eq(*s, SLICE("reset")) || s->len == 3)
		return (NULL);
	return ("not something to retry on");
}

static const struct schema_row retry_rows[] = {
	SCHEMA_ROW("attempts", INT, struct shape_retry, attempts, .def = "1", .max = 10,
	    .help = "tries after the first"),
	SCHEMA_ROW("on", LIST, struct shape_retry, on, .elem = SCHEMA_TEXT,
	    .def = "[connect, reset, 503]", .check = check_retry_on,
	    .help = "what makes another try worth it"),
	SCHEMA_ROW("per_try", DURATION, struct shape_retry, per_try_ms, .flags = SCHEMA_CAN_OFF,
	    .def = "off", .min = 1, .help = "a bound for each try"),
	SCHEMA_ROW("budget", PERCENT, struct shape_retry, budget_ppm, .def = "20%", .max = 1000000,
	    .help = "retries as a share of requests"),
	SCHEMA_ROWS_END,
};
static struct schema retry_schema = SCHEMA_DEFINE("retry", struct shape_retry, retry_rows);

static const struct schema_row edit_rows[] = {
	SCHEMA_ROW("set", MAP, struct shape_edit, set, .key = SCHEMA_HEADER_NAME,
	    .elem = SCHEMA_HEADER_VALUE, .help = "replaced or added"),
	SCHEMA_ROW("add", MAP, struct shape_edit, add, .key = SCHEMA_HEADER_NAME,
	    .elem = SCHEMA_HEADER_VALUE, .help = "added beside what is there"),
	SCHEMA_ROW("remove", LIST, struct shape_edit, remove, .elem = SCHEMA_HEADER_NAME,
	    .help = "taken away"),
	SCHEMA_ROWS_END,
};
static struct schema request_edit_schema = SCHEMA_DEFINE(
    "request_headers", struct shape_edit, edit_rows);
static struct schema response_edit_schema = SCHEMA_DEFINE(
    "response_headers", struct shape_edit, edit_rows);

static const struct schema_row ip_rows[] = {
	SCHEMA_ROW("allow", LIST, struct shape_ip, allow, .elem = SCHEMA_CIDR,
	    .flags = SCHEMA_NOT_EMPTY, .help = "the others are refused"),
	SCHEMA_ROW("deny", LIST, struct shape_ip, deny, .elem = SCHEMA_CIDR,
	    .help = "refused, even if allowed"),
	SCHEMA_ROWS_END,
};
static struct schema ip_schema = SCHEMA_DEFINE("ip", struct shape_ip, ip_rows);

static const struct schema_row rewrite_rows[] = {
	SCHEMA_ROW("path", PATH, struct shape_rewrite, path, .help = "the whole path"),
	SCHEMA_ROW("prefix", PATH, struct shape_rewrite, prefix, .help = "what the prefix becomes"),
	SCHEMA_ROW("regex", STRING, struct shape_rewrite, regex, .needs = "with",
	    .help = "what is replaced"),
	SCHEMA_ROW("with", STRING, struct shape_rewrite, with, .needs = "regex",
	    .help = "by what, with $1 for groups"),
	SCHEMA_ROWS_END,
};
static const struct schema_group rewrite_groups[] = {
	{ .keys = { "path", "prefix", "regex" }, .is_due = true },
	{ .keys = { NULL } },
};
static struct schema rewrite_schema = SCHEMA_DEFINE("rewrite", struct shape_rewrite, rewrite_rows,
    .groups = rewrite_groups, .is_alternative = true);

static const struct schema_enum key_words[] = { { "client_ip", SHAPE_BY_CLIENT_IP }, { NULL, 0 } };
static const struct schema_row key_rows[] = {
	SCHEMA_ROW("word", ENUM, struct shape_key, word, .names = key_words, .flags = SCHEMA_WORD),
	SCHEMA_ROW("header", HEADER_NAME, struct shape_key, header, .help = "a request header"),
	SCHEMA_ROW("claim", STRING, struct shape_key, claim, .help = "a claim of the token"),
	SCHEMA_ROWS_END,
};
static const struct schema_group key_groups[] = {
	{ .keys = { "word", "header", "claim" }, .is_due = true },
	{ .keys = { NULL } },
};
static struct schema key_schema = SCHEMA_DEFINE("by", struct shape_key, key_rows,
    .groups = key_groups, .scalar = "word", .is_alternative = true);

static const struct schema_row rate_limit_rows[] = {
	SCHEMA_ROW("rate", RATE, struct shape_rate_limit, rate, .flags = SCHEMA_REQUIRED,
	    .help = "how many in which time"),
	SCHEMA_ROW("burst", INT, struct shape_rate_limit, burst, .def = "1", .min = 1,
	    .help = "how many at once"),
	SCHEMA_ROW("by", OBJECT, struct shape_rate_limit, by, .sub = &key_schema,
	    .help = "who is counted"),
	SCHEMA_ROW("redis", BOOL, struct shape_rate_limit, is_redis, .def = "false",
	    .help = "count in Redis"),
	SCHEMA_ROWS_END,
};
static struct schema rate_limit_schema = SCHEMA_DEFINE(
    "rate_limit", struct shape_rate_limit, rate_limit_rows);

static const struct schema_row policies_rows[] = {
	SCHEMA_ROW("timeout", OBJECT, struct shape_policies, timeout, .sub = &timeout_schema,
	    .flags = SCHEMA_ALWAYS, .help = "how long each phase may take"),
	SCHEMA_ROW("retry", OBJECT, struct shape_policies, retry, .sub = &retry_schema,
	    .flags = SCHEMA_ALWAYS | SCHEMA_CAN_OFF, .help = "when to try again"),
	SCHEMA_ROW("request_headers", OBJECT, struct shape_policies, request_headers,
	    .sub = &request_edit_schema, .flags = SCHEMA_CAN_OFF, .help = "changes to the request"),
	SCHEMA_ROW("response_headers", OBJECT, struct shape_policies, response_headers,
	    .sub = &response_edit_schema, .flags = SCHEMA_CAN_OFF, .help = "changes to the answer"),
	SCHEMA_ROW("ip", OBJECT, struct shape_policies, ip, .sub = &ip_schema,
	    .flags = SCHEMA_CAN_OFF, .help = "which clients may come"),
	SCHEMA_ROW("rewrite", OBJECT, struct shape_policies, rewrite, .sub = &rewrite_schema,
	    .flags = SCHEMA_CAN_OFF, .help = "another path for the upstream"),
	SCHEMA_ROW("rate_limit", LIST, struct shape_policies, rate_limit, .elem = SCHEMA_OBJECT,
	    .sub = &rate_limit_schema, .flags = SCHEMA_CAN_OFF, .help = "how often"),
	SCHEMA_ROW("body_limit", BYTES, struct shape_policies, body_limit, .def = "16MiB",
	    .flags = SCHEMA_UNLIMITED, .min = 1, .help = "the largest request body"),
	SCHEMA_ROWS_END,
};
struct schema shape_policies_schema = SCHEMA_DEFINE(
    "policies", struct shape_policies, policies_rows);

static const struct schema_row match_rows[] = {
	SCHEMA_ROW("exact", STRING, struct shape_match, exact, .help = "the whole value"),
	SCHEMA_ROW("prefix", STRING, struct shape_match, prefix, .help = "how it begins"),
	SCHEMA_ROW("regex", STRING, struct shape_match, regex, .help = "a regular expression"),
	SCHEMA_ROW("present", BOOL, struct shape_match, present, .help = "there, or not"),
	SCHEMA_ROWS_END,
};
static const struct schema_group match_groups[] = {
	{ .keys = { "exact", "prefix", "regex", "present" }, .is_due = true },
	{ .keys = { NULL } },
};
static struct schema match_schema = SCHEMA_DEFINE("match", struct shape_match, match_rows,
    .groups = match_groups, .scalar = "exact", .is_alternative = true);

static const struct schema_enum redirect_codes[] = { { "301", 301 }, { "302", 302 }, { "303", 303 },
	{ "307", 307 }, { "308", 308 }, { NULL, 0 } };
static const struct schema_row redirect_rows[] = {
	SCHEMA_ROW("to", STRING, struct shape_redirect, to,
	    .flags = SCHEMA_REQUIRED | SCHEMA_NOT_EMPTY, .help = "a path or a URL"),
	SCHEMA_ROW("status", ENUM, struct shape_redirect, status, .names = redirect_codes,
	    .def = "308", .help = "the status sent"),
	SCHEMA_ROWS_END,
};
static struct schema redirect_schema = SCHEMA_DEFINE(
    "redirect", struct shape_redirect, redirect_rows, .is_alternative = true);

static const struct schema_row respond_rows[] = {
	SCHEMA_ROW("status", INT, struct shape_respond, status, .def = "200", .min = 200,
	    .max = 599, .help = "the status sent"),
	SCHEMA_ROW("headers", MAP, struct shape_respond, headers, .key = SCHEMA_HEADER_NAME,
	    .elem = SCHEMA_HEADER_VALUE, .help = "headers sent"),
	SCHEMA_ROW("body", STRING, struct shape_respond, body, .help = "the body"),
	SCHEMA_ROW("file", FILE, struct shape_respond, file, .help = "the body, from a file"),
	SCHEMA_ROWS_END,
};
static const struct schema_group respond_groups[] = {
	{ .keys = { "body", "file" } },
	{ .keys = { NULL } },
};
static struct schema respond_schema = SCHEMA_DEFINE("respond", struct shape_respond, respond_rows,
    .groups = respond_groups, .is_alternative = true);

static const struct schema_row mirror_rows[] = {
	SCHEMA_ROW("upstream", REF, struct shape_mirror, upstream, .flags = SCHEMA_REQUIRED,
	    .help = "who gets the copy"),
	SCHEMA_ROW("share", PERCENT, struct shape_mirror, share_ppm, .def = "100%", .max = 1000000,
	    .help = "how many of the requests"),
	SCHEMA_ROWS_END,
};
static struct schema mirror_schema = SCHEMA_DEFINE("mirror", struct shape_mirror, mirror_rows);

static const struct schema_row route_rows[] = {
	SCHEMA_ROW("name", NAME, struct shape_route, name, .help = "for logs and messages"),
	SCHEMA_ROW("hosts", LIST, struct shape_route, hosts, .elem = SCHEMA_HOST,
	    .flags = SCHEMA_NOT_EMPTY, .help = "host names, exact or *.example.com"),
	SCHEMA_ROW("path", PATH, struct shape_route, path, .is_usual = scalar_is_usual_path,
	    .help = "this path alone"),
	SCHEMA_ROW("prefix", PATH, struct shape_route, prefix, .also = "location uri",
	    .is_usual = scalar_is_usual_path, .help = "whole segments only"),
	SCHEMA_ROW("regex", STRING, struct shape_route, regex, .help = "a regular expression"),
	SCHEMA_ROW("methods", LIST, struct shape_route, methods, .elem = SCHEMA_METHOD,
	    .flags = SCHEMA_NOT_EMPTY, .help = "these methods only"),
	SCHEMA_ROW("listeners", LIST, struct shape_route, listeners, .elem = SCHEMA_REF,
	    .help = "these listeners only"),
	SCHEMA_ROW("headers", MAP, struct shape_route, headers, .key = SCHEMA_HEADER_NAME,
	    .elem = SCHEMA_OBJECT, .sub = &match_schema, .help = "headers that must match"),
	SCHEMA_ROW("query", MAP, struct shape_route, query, .key = SCHEMA_STRING,
	    .elem = SCHEMA_OBJECT, .sub = &match_schema, .help = "parameters that must match"),
	SCHEMA_ROW("upstream", REF, struct shape_route, upstream, .help = "who answers"),
	SCHEMA_ROW("split", MAP, struct shape_route, split, .key = SCHEMA_REF, .elem = SCHEMA_INT,
	    .min = 1, .flags = SCHEMA_NOT_EMPTY, .help = "who answers, by weight"),
	SCHEMA_ROW("redirect", OBJECT, struct shape_route, redirect, .sub = &redirect_schema,
	    .help = "send the client elsewhere"),
	SCHEMA_ROW("respond", OBJECT, struct shape_route, respond, .sub = &respond_schema,
	    .help = "answer here"),
	SCHEMA_ROW("mirror", OBJECT, struct shape_route, mirror, .sub = &mirror_schema,
	    .help = "a copy for another upstream"),
	SCHEMA_ROW("strip_prefix", BOOL, struct shape_route, strip_prefix, .def = "false",
	    .needs = "prefix", .help = "take the prefix off"),
	SCHEMA_ROW("policies", INLINE, struct shape_route, policies, .sub = &shape_policies_schema),
	SCHEMA_ROWS_END,
};
static const struct schema_group route_groups[] = {
	{ .keys = { "path", "prefix", "regex" } },
	{ .keys = { "upstream", "split", "redirect", "respond" }, .is_due = true },
	{ .keys = { NULL } },
};
static struct schema route_schema = SCHEMA_DEFINE(
    "route", struct shape_route, route_rows, .groups = route_groups, .name = "name");

static const struct schema_row server_rows[] = {
	SCHEMA_ROW("address", SERVER, struct shape_server, address, .flags = SCHEMA_REQUIRED,
	    .help = "ip:port, name:port or unix:/path"),
	SCHEMA_ROW("weight", INT, struct shape_server, weight, .def = "1", .min = 1, .max = 1000,
	    .help = "its share"),
	SCHEMA_ROW("labels", MAP, struct shape_server, labels, .key = SCHEMA_NAME,
	    .elem = SCHEMA_STRING, .help = "for subsets"),
	SCHEMA_ROWS_END,
};
static struct schema server_schema = SCHEMA_DEFINE(
    "server", struct shape_server, server_rows, .scalar = "address");

static const struct schema_enum hash_words[] = { { "client_ip", SHAPE_HASH }, { NULL, 0 } };
static const struct schema_row hash_rows[] = {
	SCHEMA_ROW(
	    "word", ENUM, struct shape_hash, word, .names = hash_words, .flags = SCHEMA_WORD),
	SCHEMA_ROW("header", HEADER_NAME, struct shape_hash, header, .help = "a request header"),
	SCHEMA_ROW("cookie", STRING, struct shape_hash, cookie, .help = "a cookie"),
	SCHEMA_ROWS_END,
};
static const struct schema_group hash_groups[] = {
	{ .keys = { "word", "header", "cookie" }, .is_due = true },
	{ .keys = { NULL } },
};
static struct schema hash_schema = SCHEMA_DEFINE("hash", struct shape_hash, hash_rows,
    .groups = hash_groups, .scalar = "word", .is_alternative = true);

static const struct schema_enum balance_words[] = { { "least_request", SHAPE_LEAST_REQUEST },
	{ "round_robin", SHAPE_ROUND_ROBIN }, { "random", SHAPE_RANDOM }, { NULL, 0 } };
static const struct schema_row balance_rows[] = {
	SCHEMA_ROW("policy", ENUM, struct shape_balance, policy, .names = balance_words,
	    .def = "least_request", .flags = SCHEMA_WORD),
	SCHEMA_ROW("hash", OBJECT, struct shape_balance, hash, .sub = &hash_schema,
	    .help = "the same server for the same key"),
	SCHEMA_ROWS_END,
};
static const struct schema_group balance_groups[] = {
	{ .keys = { "policy", "hash" }, .is_due = true },
	{ .keys = { NULL } },
};
static struct schema balance_schema = SCHEMA_DEFINE("balance", struct shape_balance, balance_rows,
    .groups = balance_groups, .scalar = "policy", .is_alternative = true);

static const struct schema_row pool_rows[] = {
	SCHEMA_ROW("idle", INT, struct shape_pool, idle, .def = "64", .help = "kept for later"),
	SCHEMA_ROW("idle_timeout", DURATION, struct shape_pool, idle_timeout_ms, .def = "55s",
	    .help = "for how long"),
	SCHEMA_ROW("max_age", DURATION, struct shape_pool, max_age_ms, .def = "1h",
	    .flags = SCHEMA_UNLIMITED, .help = "then a new one"),
	SCHEMA_ROWS_END,
};
static struct schema pool_schema = SCHEMA_DEFINE("pool", struct shape_pool, pool_rows);

static const struct schema_row tls_rows[] = {
	SCHEMA_ROW("ca", FILE, struct shape_tls, ca, .help = "who is trusted"),
	SCHEMA_ROW("name", STRING, struct shape_tls, name, .help = "the name expected"),
	SCHEMA_ROW("password", SECRET, struct shape_tls, password, .help = "of the key"),
	SCHEMA_ROWS_END,
};
static struct schema tls_schema = SCHEMA_DEFINE("tls", struct shape_tls, tls_rows);

static const struct schema_row upstream_rows[] = {
	SCHEMA_ROW("servers", LIST, struct shape_upstream, servers, .elem = SCHEMA_OBJECT,
	    .sub = &server_schema, .flags = SCHEMA_REQUIRED | SCHEMA_NOT_EMPTY,
	    .help = "where it is"),
	SCHEMA_ROW("balance", OBJECT, struct shape_upstream, balance, .sub = &balance_schema,
	    .flags = SCHEMA_ALWAYS, .help = "which server is next"),
	SCHEMA_ROW("pool", OBJECT, struct shape_upstream, pool, .sub = &pool_schema,
	    .flags = SCHEMA_ALWAYS, .help = "connections kept"),
	SCHEMA_ROW("tls", OBJECT, struct shape_upstream, tls, .sub = &tls_schema,
	    .help = "TLS to the servers"),
	SCHEMA_ROWS_END,
};
static struct schema upstream_schema = SCHEMA_DEFINE(
    "upstream", struct shape_upstream, upstream_rows);

static const struct schema_row min_rate_rows[] = {
	SCHEMA_ROW("rate", BYTE_RATE, struct shape_min_rate, rate, .def = "240B/s",
	    .help = "slower clients are let go"),
	SCHEMA_ROW("grace", DURATION, struct shape_min_rate, grace_ms, .def = "30s",
	    .help = "not counted at the start"),
	SCHEMA_ROWS_END,
};
static struct schema min_rate_schema = SCHEMA_DEFINE(
    "min_rate", struct shape_min_rate, min_rate_rows);

static const struct schema_row listener_rows[] = {
	SCHEMA_ROW("listen", LISTEN, struct shape_listener, listen, .flags = SCHEMA_REQUIRED,
	    .help = "a port, or an address with a port"),
	SCHEMA_ROW("trusted_proxies", LIST, struct shape_listener, trusted_proxies,
	    .elem = SCHEMA_CIDR, .help = "whose X-Forwarded-For is believed"),
	SCHEMA_ROW("min_rate", OBJECT, struct shape_listener, min_rate, .sub = &min_rate_schema,
	    .flags = SCHEMA_ALWAYS, .help = "how slow a client may be"),
	SCHEMA_ROW(
	    "policies", INLINE, struct shape_listener, policies, .sub = &shape_policies_schema),
	SCHEMA_ROWS_END,
};
static struct schema listener_schema = SCHEMA_DEFINE(
    "listener", struct shape_listener, listener_rows);

static const struct schema_row defaults_rows[] = {
	SCHEMA_ROW(
	    "policies", INLINE, struct shape_defaults, policies, .sub = &shape_policies_schema),
	SCHEMA_ROWS_END,
};
static struct schema defaults_schema = SCHEMA_DEFINE(
    "defaults", struct shape_defaults, defaults_rows);

static const struct schema_row root_rows[] = {
	SCHEMA_ROW("version", INT, struct shape, version, .min = 1, .max = 1,
	    .flags = SCHEMA_SAME | SCHEMA_PER_ROOT, .help = "of this language"),
	SCHEMA_ROW(
	    "include", LIST, struct shape, include, .elem = SCHEMA_STRING, .help = "more files"),
	SCHEMA_ROW("listeners", MAP, struct shape, listeners, .key = SCHEMA_NAME,
	    .elem = SCHEMA_OBJECT, .sub = &listener_schema, .help = "where clients come in"),
	SCHEMA_ROW("upstreams", MAP, struct shape, upstreams, .key = SCHEMA_NAME,
	    .elem = SCHEMA_OBJECT, .sub = &upstream_schema, .help = "who answers"),
	SCHEMA_ROW("defaults", OBJECT, struct shape, defaults, .sub = &defaults_schema,
	    .help = "under every route"),
	SCHEMA_ROW("routes", LIST, struct shape, routes, .elem = SCHEMA_OBJECT,
	    .sub = &route_schema, .help = "which request goes where"),
	SCHEMA_ROW("workers", INT, struct shape, workers, .def = "auto", .min = 1, .max = 256,
	    .flags = SCHEMA_CAN_AUTO, .help = "event loops"),
	SCHEMA_ROW("extra", ANY, struct shape, extra, .flags = SCHEMA_DEPRECATED,
	    .note = "leave it out", .help = "anything"),
	SCHEMA_ROWS_END,
};
struct schema shape_schema = SCHEMA_DEFINE("", struct shape, root_rows);

const struct schema_obj *
shape_read(struct arena *arena, struct diag *diag, struct slice text)
{
	const struct load_text file = { "f", text };
	const struct schema_reader rd = { .arena = arena, .diag = diag };
	const struct node *node = load_texts(arena, diag, &shape_schema, &file, 1, NULL, NULL);

	if (node == NULL || slice_find(text, SLICE("password")) >= 0)
		return (NULL);
	return (schema_decode(&rd, &shape_schema, node));
}

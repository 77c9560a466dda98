/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/proxy/route_conf.h"
#include "engine/upstream/upstream_conf.h"

enum {
	TIME_MAX_MS = 24 * 3600 * 1000,
	STATUS_LEAST = 200,	/* 1xx are no answers */
	STATUS_MAX = 599,
	SPLIT_WEIGHT_MAX = 1000000,
	PPM = 1000000
};

static const struct schema_row timeout_rows[] = {
	SCHEMA_ROW("connect", DURATION, struct route_timeout_conf, connect_ms, .def = "3s",
	    .min = 1, .max = TIME_MAX_MS, .help = "a new connection to a server"),
	SCHEMA_ROW("first_byte", DURATION, struct route_timeout_conf, first_byte_ms,
	    .def = "15s", .min = 1, .max = TIME_MAX_MS, .flags = SCHEMA_UNLIMITED,
	    .help = "from the request sent to the first byte of the response, else 504; streams "
		    "wait longer unless it stands on the route"),
	SCHEMA_ROW("idle", DURATION, struct route_timeout_conf, idle_ms, .def = "60s", .min = 1,
	    .also = "read send server", .max = TIME_MAX_MS, .flags = SCHEMA_UNLIMITED,
	    .help = "longest pause within the response; streams 5m and tunnels 1h at least, "
		    "unless it stands on the route"),
	SCHEMA_ROW("total", DURATION, struct route_timeout_conf, total_ms, .def = "unlimited",
	    .min = 1, .max = TIME_MAX_MS, .flags = SCHEMA_UNLIMITED,
	    .help = "the whole exchange, from the request's header on"),
	SCHEMA_ROWS_END,
};
static struct schema timeout_schema =
    SCHEMA_DEFINE("timeout", struct route_timeout_conf, timeout_rows);

static const struct schema_enum host_words[] = {
	{ "client", ROUTE_HOST_CLIENT },
	{ "upstream", ROUTE_HOST_UPSTREAM },
	{ NULL, 0 },
};

static const struct schema_row mirror_rows[] = {
	SCHEMA_ROW("upstream", REF, struct route_mirror_conf, upstream, .flags = SCHEMA_REQUIRED,
	    .help = "the upstream that gets the copies; what it answers is thrown away"),
	SCHEMA_ROW("share", PERCENT, struct route_mirror_conf, share_ppm, .def = "100%", .min = 1,
	    .max = PPM, .help = "how many of the requests are copied, by chance"),
	SCHEMA_ROWS_END,
};
static struct schema mirror_schema = SCHEMA_DEFINE("mirror", struct route_mirror_conf, mirror_rows,
    .is_alternative = true);

static const struct schema_row policies_rows[] = {
	SCHEMA_ROW("timeout", OBJECT, struct route_policies, timeout, .sub = &timeout_schema,
	    .also = "timeouts proxy_connect_timeout proxy_read_timeout proxy_send_timeout",
	    .flags = SCHEMA_ALWAYS, .help = "how long the upstream may take"),
	SCHEMA_ROW("host", ENUM, struct route_policies, host, .names = host_words,
	    .def = "client", .note = "what a route matches stands under \"hosts\"",
	    .also = "preserve_host pass_host passHostHeader host_rewrite",
	    .help = "the Host that the upstream sees: the client's, or the server's"),
	SCHEMA_ROW("allow_encoded_slash", BOOL, struct route_policies, allow_encoded_slash,
	    .def = "false", .help = "let %2F and %5C in a path through instead of answering 400"),
	SCHEMA_ROW("body_limit", BYTES, struct route_policies, body_limit, .def = "16MiB",
	    .also = "client_max_body_size max_body_size max_request_bytes body_size_limit",
	    .flags = SCHEMA_UNLIMITED, .help = "the largest request body, else 413"),
	SCHEMA_ROW("mirror", OBJECT, struct route_policies, mirror, .sub = &mirror_schema,
	    .also = "shadow mirroring request_mirror_policies",
	    .flags = SCHEMA_CAN_OFF, .help = "send copies of requests to another upstream too"),
	SCHEMA_ROWS_END,
};
struct schema route_policies_schema =
    SCHEMA_DEFINE("policies", struct route_policies, policies_rows);

static const struct schema_enum redirect_codes[] = {
	{ "301", 301 }, { "302", 302 }, { "303", 303 }, { "307", 307 }, { "308", 308 },
	{ NULL, 0 },
};
static const struct schema_row redirect_rows[] = {
	SCHEMA_ROW("to", STRING, struct route_redirect_conf, to,
	    .flags = SCHEMA_REQUIRED | SCHEMA_NOT_EMPTY,
	    .help = "a path, or a URL; behind a prefix the rest of the path and the query stay"),
	SCHEMA_ROW("status", ENUM, struct route_redirect_conf, status, .names = redirect_codes,
	    .def = "308", .help = "the status sent"),
	SCHEMA_ROWS_END,
};
static struct schema redirect_schema = SCHEMA_DEFINE("redirect", struct route_redirect_conf,
    redirect_rows, .is_alternative = true);

static const struct schema_row respond_rows[] = {
	SCHEMA_ROW("status", INT, struct route_respond_conf, status, .def = "200",
	    .min = STATUS_LEAST, .max = STATUS_MAX, .help = "the status sent"),
	SCHEMA_ROW("headers", MAP, struct route_respond_conf, headers,
	    .key = SCHEMA_HEADER_NAME, .elem = SCHEMA_HEADER_VALUE, .help = "fields sent with it"),
	SCHEMA_ROW("body", STRING, struct route_respond_conf, body, .help = "the body"),
	SCHEMA_ROW("file", FILE, struct route_respond_conf, file,
	    .help = "the body, read from a file when the configuration is loaded"),
	SCHEMA_ROWS_END,
};
static const struct schema_group respond_groups[] = {
	{ .keys = { "body", "file" } },
	{ .keys = { NULL } },
};
static struct schema respond_schema = SCHEMA_DEFINE("respond", struct route_respond_conf,
    respond_rows, .groups = respond_groups, .is_alternative = true);

/* The rows of what is asked of a field, but for the first. */
#define FIELD_ROWS                                                                            \
	SCHEMA_ROW("prefix", STRING, struct route_field_conf, prefix,                         \
	    .flags = SCHEMA_NOT_EMPTY, .help = "a value begins so"),                          \
	SCHEMA_ROW("regex", STRING, struct route_field_conf, regex,                           \
	    .flags = SCHEMA_NOT_EMPTY, .help = "the expression is found in a value"),         \
	SCHEMA_ROW("present", BOOL, struct route_field_conf, present,                         \
	    .help = "true: it is there, with whatever value; false: it is not"),              \
	SCHEMA_ROWS_END

static const struct schema_row header_rows[] = {
	SCHEMA_ROW("is", HEADER_VALUE, struct route_field_conf, is, .flags = SCHEMA_WORD),
	FIELD_ROWS,
};
static const struct schema_row parameter_rows[] = {
	SCHEMA_ROW("is", STRING, struct route_field_conf, is, .flags = SCHEMA_WORD),
	FIELD_ROWS,
};
static const struct schema_group field_groups[] = {
	{ .keys = { "is", "prefix", "regex", "present" }, .is_due = true },
	{ .keys = { NULL } },
};
static struct schema header_schema = SCHEMA_DEFINE("header", struct route_field_conf,
    header_rows, .groups = field_groups, .scalar = "is", .is_alternative = true);
static struct schema parameter_schema = SCHEMA_DEFINE("parameter", struct route_field_conf,
    parameter_rows, .groups = field_groups, .scalar = "is", .is_alternative = true);

static const struct schema_row route_rows[] = {
	SCHEMA_ROW("name", NAME, struct route_conf, name, .help = "for logs and messages"),
	SCHEMA_ROW("hosts", LIST, struct route_conf, hosts, .elem = SCHEMA_HOST,
	    .flags = SCHEMA_NOT_EMPTY, .also = "server_name domains hostnames virtual_hosts vhost",
	    .help = "host names, exact or *.example.com"),
	SCHEMA_ROW("path", PATH, struct route_conf, path, .is_usual = scalar_is_usual_path,
	    .also = "exact path_exact", .help = "this path alone"),
	SCHEMA_ROW("prefix", PATH, struct route_conf, prefix, .is_usual = scalar_is_usual_path,
	    .also = "location paths uri uris path_prefix path_beg PathPrefix",
	    .help = "this path and all below it, by whole segments"),
	SCHEMA_ROW("regex", STRING, struct route_conf, regex, .flags = SCHEMA_NOT_EMPTY,
	    .also = "safe_regex path_reg path_regex PathRegexp",
	    .help = "paths in which this is found; after prefixes other than /, in the order of "
		    "the file"),
	SCHEMA_ROW("headers", MAP, struct route_conf, headers, .key = SCHEMA_HEADER_NAME,
	    .elem = SCHEMA_OBJECT, .sub = &header_schema, .flags = SCHEMA_NOT_EMPTY,
	    .help = "requests with these header fields only: a value, or one of the keys below"),
	SCHEMA_ROW("query", MAP, struct route_conf, query, .key = SCHEMA_STRING,
	    .elem = SCHEMA_OBJECT, .sub = &parameter_schema, .flags = SCHEMA_NOT_EMPTY,
	    .help = "requests with these parameters in the query only, as with headers"),
	SCHEMA_ROW("methods", LIST, struct route_conf, methods, .elem = SCHEMA_METHOD,
	    .flags = SCHEMA_NOT_EMPTY, .help = "these methods only; GET does not mean HEAD"),
	SCHEMA_ROW("listeners", LIST, struct route_conf, listeners, .elem = SCHEMA_REF,
	    .flags = SCHEMA_NOT_EMPTY, .help = "these listeners only"),
	SCHEMA_ROW("upstream", REF, struct route_conf, upstream,
	    .also = "proxy_pass backend use_backend default_backend cluster service services",
	    .help = "the upstream that answers"),
	SCHEMA_ROW("split", MAP, struct route_conf, split, .key = SCHEMA_REF, .elem = SCHEMA_INT,
	    .also = "split_clients weighted_clusters weighted", .min = 1,
	    .max = SPLIT_WEIGHT_MAX, .flags = SCHEMA_NOT_EMPTY,
	    .help = "upstreams and their shares of the requests"),
	SCHEMA_ROW("split_by", OBJECT, struct route_conf, split_by, .sub = &upstream_hash_schema,
	    .needs = "split", .help = "the same side for the same key: client_ip, path, a header "
		    "or a cookie; without the key by chance"),
	SCHEMA_ROW("redirect", OBJECT, struct route_conf, redirect, .sub = &redirect_schema,
	    .help = "send the client elsewhere"),
	SCHEMA_ROW("respond", OBJECT, struct route_conf, respond, .sub = &respond_schema,
	    .help = "answer here"),
	SCHEMA_ROW("policies", INLINE, struct route_conf, policies,
	    .sub = &route_policies_schema),
	SCHEMA_ROWS_END,
};
static const struct schema_group route_groups[] = {
	{ .keys = { "path", "prefix", "regex" } },
	{ .keys = { "upstream", "split", "redirect", "respond" }, .is_due = true },
	{ .keys = { NULL } },
};
struct schema route_schema = SCHEMA_DEFINE("route", struct route_conf, route_rows,
    .groups = route_groups, .name = "name");

static const struct schema_row defaults_rows[] = {
	SCHEMA_ROW("policies", INLINE, struct route_defaults_conf, policies,
	    .sub = &route_policies_schema),
	SCHEMA_ROWS_END,
};
struct schema route_defaults_schema =
    SCHEMA_DEFINE("defaults", struct route_defaults_conf, defaults_rows);

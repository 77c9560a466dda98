/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_CONFIG_SHAPE_H
#define TESTS_UNIT_CONFIG_SHAPE_H

/*
 * A schema of the shape a gateway needs: listeners, upstreams, routes, and policies on three
 * layers. The tests of the machinery run on it; it is no program's schema.
 */

#include "engine/config/schema.h"

struct shape_timeout {
	struct schema_obj obj;
	uint64_t connect_ms;
	uint64_t first_byte_ms;
	uint64_t idle_ms;
	uint64_t total_ms;
};

struct shape_retry {
	struct schema_obj obj;
	uint64_t attempts;
	struct schema_list on; /* struct slice */
	uint64_t per_try_ms;
	uint64_t budget_ppm;
};

struct shape_edit {
	struct schema_obj obj;
	struct schema_map set; /* header name to struct slice */
	struct schema_map add;
	struct schema_list remove; /* struct slice */
};

struct shape_ip {
	struct schema_obj obj;
	struct schema_list allow; /* struct cidr */
	struct schema_list deny;
};

struct shape_rewrite {
	struct schema_obj obj;
	struct slice path;
	struct slice prefix;
	struct slice regex;
	struct slice with;
};

enum shape_by {
	SHAPE_BY_CLIENT_IP,
	SHAPE_BY_CLAIM
};

struct shape_key {
	struct schema_obj obj;
	enum shape_by word;
	struct slice header;
	struct slice claim;
};

struct shape_rate_limit {
	struct schema_obj obj;
	struct scalar_rate rate;
	uint64_t burst;
	const struct shape_key *by;
	bool is_redis;
};

struct shape_policies {
	struct schema_obj obj;
	const struct shape_timeout *timeout;
	const struct shape_retry *retry;
	const struct shape_edit *request_headers;
	const struct shape_edit *response_headers;
	const struct shape_ip *ip;
	const struct shape_rewrite *rewrite;
	struct schema_list rate_limit; /* struct shape_rate_limit */
	uint64_t body_limit;
};

struct shape_match {
	struct schema_obj obj;
	struct slice exact;
	struct slice prefix;
	struct slice regex;
	bool present;
};

struct shape_redirect {
	struct schema_obj obj;
	struct slice to;
	int status;
};

struct shape_respond {
	struct schema_obj obj;
	uint64_t status;
	struct schema_map headers; /* header name to struct slice */
	struct slice body;
	struct slice file;
};

struct shape_mirror {
	struct schema_obj obj;
	struct slice upstream;
	uint64_t share_ppm;
};

struct shape_route {
	struct schema_obj obj;
	struct slice name;
	struct schema_list hosts;
	struct slice path;
	struct slice prefix;
	struct slice regex;
	struct schema_list methods;
	struct schema_list listeners;
	struct schema_map headers; /* header name to struct shape_match */
	struct schema_map query;   /* string to struct shape_match */
	struct slice upstream;
	struct schema_map split; /* upstream to uint64_t */
	const struct shape_redirect *redirect;
	const struct shape_respond *respond;
	const struct shape_mirror *mirror;
	bool strip_prefix;
	struct shape_policies policies;
};

struct shape_server {
	struct schema_obj obj;
	struct scalar_server address;
	uint64_t weight;
	struct schema_map labels;
};

enum shape_policy {
	SHAPE_LEAST_REQUEST,
	SHAPE_ROUND_ROBIN,
	SHAPE_RANDOM,
	SHAPE_HASH
};

struct shape_hash {
	struct schema_obj obj;
	enum shape_policy word;
	struct slice header;
	struct slice cookie;
};

struct shape_balance {
	struct schema_obj obj;
	enum shape_policy policy;
	const struct shape_hash *hash;
};

struct shape_pool {
	struct schema_obj obj;
	uint64_t idle;
	uint64_t idle_timeout_ms;
	uint64_t max_age_ms;
};

struct shape_tls {
	struct schema_obj obj;
	struct slice ca;
	struct slice name;
	struct scalar_secret password;
};

struct shape_upstream {
	struct schema_obj obj;
	struct schema_list servers; /* struct shape_server */
	const struct shape_balance *balance;
	const struct shape_pool *pool;
	const struct shape_tls *tls;
};

struct shape_min_rate {
	struct schema_obj obj;
	uint64_t rate;
	uint64_t grace_ms;
};

struct shape_listener {
	struct schema_obj obj;
	struct scalar_listen listen;
	struct schema_list trusted_proxies; /* struct cidr */
	const struct shape_min_rate *min_rate;
	struct shape_policies policies;
};

struct shape_defaults {
	struct schema_obj obj;
	struct shape_policies policies;
};

struct shape {
	struct schema_obj obj;
	uint64_t version;
	struct schema_list include;
	struct schema_map listeners;
	struct schema_map upstreams;
	const struct shape_defaults *defaults;
	struct schema_list routes;
	uint64_t workers;
	const struct node *extra;
};

/* Reads one text; NULL when it is no YAML, or holds secrets: those may name files. */
const struct schema_obj *shape_read(struct arena *arena, struct diag *diag, struct slice text);

extern struct schema shape_schema;
extern struct schema shape_policies_schema;

#endif

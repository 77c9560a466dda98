/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_ROUTE_CONF_H
#define WEIR_PROXY_ROUTE_CONF_H

/*
 * A route as decoded from the file, and the policies that stand on a route, on a listener or under
 * `defaults:`. Decoded structs are immutable and live as long as the generation that read them.
 *
 * The policies' table is open: each filter of the program adds a key of its name (schema_extend,
 * when the program starts), so the rows below are only those that the proxy itself obeys.
 */
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/slice.h"
#include "engine/config/schema.h"

struct upstream_hash_spec;

struct route_timeout_conf {
	struct schema_obj	 obj;
	uint64_t		 connect_ms;
	uint64_t		 first_byte_ms;		/* SCALAR_UNLIMITED allowed, as below */
	uint64_t		 idle_ms;
	uint64_t		 total_ms;
};

enum route_host {
	ROUTE_HOST_CLIENT,	/* the upstream sees the Host that the client sent */
	ROUTE_HOST_UPSTREAM	/* it sees the server's name as configured */
};

struct route_mirror_conf {
	struct schema_obj	 obj;
	struct slice		 upstream;
	uint64_t		 share_ppm;
};

struct route_policies {
	struct schema_obj			 obj;
	const struct route_timeout_conf		*timeout;
	enum route_host				 host;
	bool					 allow_encoded_slash;
	uint64_t				 body_limit;	/* SCALAR_UNLIMITED: UINT64_MAX */
	const struct route_mirror_conf		*mirror;	/* NULL: none */
	/* and one object for each filter: schema_ext_at(&obj, i) */
};

struct route_redirect_conf {
	struct schema_obj	 obj;
	struct slice		 to;		/* a path, or an absolute URL */
	int			 status;
};

struct route_respond_conf {
	struct schema_obj	 obj;
	uint64_t		 status;
	struct schema_map	 headers;	/* field name to struct slice */
	struct slice		 body;
	struct slice		 file;
};

/* What is asked of a header field or a parameter of the query: one of these. */
struct route_field_conf {
	struct schema_obj	 obj;
	struct slice		 is;
	struct slice		 prefix;
	struct slice		 regex;
	bool			 present;
};

struct route_conf {
	struct schema_obj			 obj;
	struct slice				 name;
	struct schema_list			 hosts;		/* struct slice, lower case */
	struct slice				 path;
	struct slice				 prefix;
	struct slice				 regex;
	struct schema_map			 headers;	/* to struct route_field_conf */
	struct schema_map			 query;		/* the same */
	struct schema_list			 methods;	/* struct slice */
	struct schema_list			 listeners;	/* struct slice */
	struct slice				 upstream;
	struct schema_map			 split;		/* upstream to uint64_t */
	const struct upstream_hash_spec		*split_by;	/* NULL: by chance */
	const struct route_redirect_conf	*redirect;
	const struct route_respond_conf		*respond;
	struct route_policies			 policies;
};

struct route_defaults_conf {	/* `defaults:` */
	struct schema_obj	 obj;
	struct route_policies	 policies;
};

extern struct schema route_policies_schema;
extern struct schema route_schema;
extern struct schema route_defaults_schema;

#endif

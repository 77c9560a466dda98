/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/app/admin.h"
#include "engine/proxy/access_log_conf.h"
#include "engine/proxy/listener_conf.h"
#include "engine/proxy/route_conf.h"
#include "engine/upstream/upstream_conf.h"
#include "engine/worker/worker.h"
#include "gateway/gateway.h"

struct gateway_conf {
	struct schema_obj			 obj;
	uint64_t				 version;
	struct schema_list			 include;
	struct schema_map			 listeners;
	struct schema_map			 upstreams;
	const struct route_defaults_conf	*defaults;
	struct schema_list			 routes;
	const struct app_limits_conf		*limits;
	const struct proxy_log_conf		*log;
	const struct admin_conf			*admin;
	bool					 watch;
	uint64_t				 workers;
};

static const struct schema_row rows[] = {
	SCHEMA_ROW("version", INT, struct gateway_conf, version, .min = 1, .max = 1,
	    .flags = SCHEMA_SAME | SCHEMA_PER_ROOT, .help = "of this language: 1"),
	SCHEMA_ROW("include", LIST, struct gateway_conf, include, .elem = SCHEMA_STRING,
	    .help = "more files, as patterns relative to this one: conf.d/*.yaml"),
	SCHEMA_ROW("listeners", MAP, struct gateway_conf, listeners, .key = SCHEMA_NAME,
	    .elem = SCHEMA_OBJECT, .sub = &listener_schema,
	    .flags = SCHEMA_REQUIRED | SCHEMA_NOT_EMPTY, .also = "frontends entryPoints bind",
	    .help = "where clients come in"),
	SCHEMA_ROW("upstreams", MAP, struct gateway_conf, upstreams, .key = SCHEMA_NAME,
	    .elem = SCHEMA_OBJECT, .sub = &upstream_schema,
	    .also = "backends clusters", .help = "the servers behind, by name"),
	SCHEMA_ROW("defaults", OBJECT, struct gateway_conf, defaults,
	    .sub = &route_defaults_schema, .help = "policies under those of every route"),
	SCHEMA_ROW("routes", LIST, struct gateway_conf, routes, .elem = SCHEMA_OBJECT,
	    .sub = &route_schema, .flags = SCHEMA_REQUIRED | SCHEMA_NOT_EMPTY,
	    .also = "routers virtual_hosts locations", .help = "which request goes where"),
	SCHEMA_ROW("limits", OBJECT, struct gateway_conf, limits, .sub = &app_limits_schema,
	    .flags = SCHEMA_ALWAYS, .help = "of the process"),
	SCHEMA_ROW("admin", OBJECT, struct gateway_conf, admin, .sub = &admin_schema,
	    .flags = SCHEMA_ALWAYS, .help = "where the process is watched and told what to do"),
	SCHEMA_ROW("log", OBJECT, struct gateway_conf, log, .sub = &proxy_log_schema,
	    .flags = SCHEMA_ALWAYS, .also = "access_log error_log",
	    .help = "what is written about requests and about the process"),
	SCHEMA_ROW("watch", BOOL, struct gateway_conf, watch, .def = "false",
	    .help = "reload when a file that was read, or one that would be, has changed"),
	SCHEMA_ROW("workers", INT, struct gateway_conf, workers, .def = "auto", .min = 1,
	    .max = WORKER_MAX - 2, .flags = SCHEMA_CAN_AUTO,
	    .also = "worker_processes nbthread threads concurrency nginx_worker_processes",
	    .help = "event loops, one thread each; auto: as many as CPUs that we may use"),
	SCHEMA_ROWS_END,
};
struct schema gateway_schema = SCHEMA_DEFINE("", struct gateway_conf, rows);

void
gateway_view(const struct schema_obj *root, struct app_view *v)
{
	const struct gateway_conf *c = (const struct gateway_conf *)root;

	*v = (struct app_view){
		.listeners = &c->listeners,
		.upstreams = &c->upstreams,
		.routes = &c->routes,
		.defaults = c->defaults,
		.limits = c->limits,
		.log = c->log,
		.admin = c->admin,
		.watch = c->watch,
		.workers = c->workers,
	};
}

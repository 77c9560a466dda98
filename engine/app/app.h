/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_APP_APP_H
#define WEIR_APP_APP_H

/*
 * The life of a process: commands, start, workers, signals, reload, drain, end. A program (the
 * gateway, the sidecar) gives its description; its main() is one call.
 */
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/slice.h"
#include "engine/config/schema.h"
#include "engine/proxy/gate.h"

/* Exit codes of every command. */
enum app_exit {
	APP_OK = 0,
	APP_CONFIG_WRONG = 1,
	APP_USAGE_WRONG = 2,
	APP_CANNOT_START = 3
};

struct app_limits_conf {	/* `limits:` */
	struct schema_obj	 obj;
	uint64_t		 connections;	/* SCALAR_AUTO */
};
extern struct schema app_limits_schema;

/* Where the engine finds its part of a program's decoded root. */
struct app_view {
	const struct schema_map			*listeners;
	const struct schema_map			*upstreams;
	const struct schema_list		*routes;
	const struct route_defaults_conf	*defaults;	/* NULL: none */
	const struct app_limits_conf		*limits;
	const struct proxy_log_conf		*log;
	const struct admin_conf			*admin;
	uint64_t				 workers;	/* SCALAR_AUTO */
	bool					 watch;		/* a change of the files reloads */
};

struct app_program {
	unsigned		 magic;
#define APP_PROGRAM_MAGIC	0x41c6d2b9
	const char		*name;		/* "weir-gateway" */
	const char		*what;		/* one line, for the usage */
	const char		*default_file;
	struct schema		*schema;	/* of the root */
	void			(*view)(const struct schema_obj *root, struct app_view *);
	const struct proxy_program *proxy;
};

/* Runs the command; returns the exit code. Once a process, from main(). */
int	app_main(const struct app_program *, int argc, char **argv);

#endif

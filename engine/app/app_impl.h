/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_APP_APP_IMPL_H
#define WEIR_APP_APP_IMPL_H

/* Private to engine/app: the process, and what the command line said. */
#include <stdbool.h>
#include <stdint.h>

#include "engine/app/app.h"
#include "engine/app/build.h"
#include "engine/app/reload.h"
#include "engine/app/sockets.h"
#include "engine/loop/mailbox.h"
#include "engine/loop/timer.h"
#include "engine/upstream/names.h"
#include "engine/worker/worker.h"

struct app_var {		/* -e KEY=VALUE */
	const char	*name;
	const char	*value;
};

struct app_options {
	const char	*command;	/* "run" */
	const char	**paths;	/* of -c; the default file when there was none */
	size_t		 n_paths;
	struct app_var	*vars;
	size_t		 n_vars;
	bool		 json;
	const char	*route;		/* "": all */
	/* of explain */
	const char	*arg;		/* the request; NULL: none */
	const char	*listener;	/* "": not said, as the client */
	const char	*client;
	const char	**fields;	/* of -H */
	size_t		 n_fields;
};

struct admin;
struct app;
struct stats;

/* One worker as the process sees it. */
struct app_worker {
	struct worker	 worker;
	struct app	*app;
	struct mail	 drain;		/* to the worker */
	struct mail	 drained;	/* and back */
	struct timer	 poll;		/* the worker's: is anything left? */
	bool		 is_drained;
};

struct app {
	unsigned			 magic;
#define APP_MAGIC	0x3e95b1f7
	const struct app_program	*prog;
	struct app_options		 opt;
	struct load_options		 load;
	struct worker			 main;
	struct app_worker		*workers;
	struct worker			**workers_v;	/* for snapshot_publish */
	unsigned			 n_workers;
	struct stats			*stats;		/* a shard of it each worker has */
	struct admin			*admin;
	struct sockets			*sockets;
	struct upstream_names		*names;		/* from when workers run */
	struct snapshot			*current;	/* one reference */
	uint64_t			 generation;
	struct reload			 reload;
	bool				 draining;
	/* SIGHUP came before the first generation was in force */
	bool				 reload_due;
	/* `watch: true`: app_watch.c */
	struct {
		bool		 is_wanted;	/* by the configuration in force */
		struct watch	*w;		/* NULL: nothing is watched */
		struct timer	 quiet;
		uint64_t	 since_ms;	/* of the first change; 0: none */
	}				 watching;
	struct timer			 drain_end;
	unsigned			 n_drained;
};

/* app_options.c. False: wrong usage, which has been said. */
bool	app_options_parse(struct app_options *, const struct app_program *, int argc, char **argv);
void	app_usage(const struct app_program *, bool to_stderr);
/* yaml_lookup_fn: -e first, then the environment; arg is the options. */
const char *app_lookup(void *opt, const char *name);

/* app_commands.c */
int	app_check(struct app *);
int	app_show(struct app *);
int	app_defaults(struct app *);
int	app_explain(struct app *);	/* app_explain.c */
int	app_schema(struct app *);
int	app_reference(struct app *);
int	app_version(struct app *);

/* start.c: serves until a signal ends it. */
int	start_run(struct app *);

/* app_parts.c. What a generation needs beside the snapshot and its names, and what can fail:
   sockets, the access log, the admin listener. False: b->diag says what, or b->no_memory, and
   nothing is held. Then commit, when it is published, or abort. */
bool	app_prepare(struct app *, struct build *);
void	app_abort(struct app *);
void	app_commit(struct app *, const struct gate *);
/* app_reload.c. Metrics of the configuration: a generation was loaded, or one was refused. */
void	app_tell_config(struct app *, bool ok);

/* app_watch.c. Watches what is in force and what was read just now (may be NULL), if the
   configuration in force wants that; a change of it that could not be seen is one, too. */
void	app_watch_update(struct app *, struct sources *read);
void	app_watch_end(struct app *);

/* app_drain.c: stop accepting, finish, end the loop; at the latest after the time allowed. */
void	app_drain(struct app *);
/* Before workers run. */
void	app_drain_init(struct app *);
/* Worker thread: the last of what it does, so that none of its timers outlives its loop. */
void	app_drain_leave(struct app_worker *);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdio.h>

#include "engine/app/admin.h"
#include "engine/app/app_impl.h"
#include "engine/base/check.h"
#include "engine/base/log.h"
#include "engine/proxy/access_log.h"
#include "engine/proxy/proxy_limits.h"
#include "engine/stats/stats.h"

/* Each mistake is a line of its own; the number of lines is bounded by DIAG_MAX. */
static void
log_mistakes(struct diag *d)
{
	for (size_t i = 0; i < diag_count(d); i++) {
		const struct diag_item *it = diag_at(d, i);
		const char *hint = it->hint != NULL ? it->hint : "";
		enum log_level level = it->level == DIAG_ERROR ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN;

		if (!log_enabled(level))
			continue;
		if (it->mark.file == NULL)
			log_write(NULL, level, "%s%s%s", it->message, *hint != '\0' ? "; " : "",
			    hint);
		else
			log_write(NULL, level, "%s:%u:%u: %s%s%s", it->mark.file, it->mark.line,
			    it->mark.col, it->message, *hint != '\0' ? "; " : "", hint);
	}
}

static void
warn_of_workers(struct app *app, const struct build *b)
{
	uint64_t n = b->view.workers == SCALAR_AUTO ? worker_count_auto() : b->view.workers;

	if (n != app->n_workers)
		log_warn("workers: %llu takes effect with the next start; %u are running",
		    (unsigned long long)n, app->n_workers);
}

bool
app_prepare(struct app *app, struct build *b)
{
	const struct access_log_plan *log = b->gate->log;
	struct err *err;

	if (!sockets_prepare(app->sockets, b->gate, b->snap->arena, b->diag))
		return (false);
	err = log == NULL ? NULL : access_log_prepare(b->snap->arena, log);
	if (err != NULL) {
		diag_error(b->diag, log->mark, "%s", err->what);
	} else if (b->view.admin != NULL) {
		err = admin_prepare(app->admin, b->snap->arena, b->view.admin);
		if (err != NULL)
			diag_error(b->diag, err->mark, "admin: %s", err->what);
	}
	if (err != NULL)
		app_abort(app);
	return (err == NULL);
}

void
app_abort(struct app *app)
{
	sockets_abort(app->sockets);
	if (app->names != NULL)
		upstream_names_abort(app->names);
	access_log_abort();
	admin_abort(app->admin);
}

void
app_commit(struct app *app, const struct gate *gate)
{
	sockets_commit(app->sockets);
	if (app->names != NULL)
		upstream_names_commit(app->names);
	access_log_commit();
	admin_commit(app->admin);
	if (gate->log != NULL)
		log_set_level((enum log_level)gate->log->level);
	proxy_limits_set(gate->max_connections);
}

static bool
publish(struct app *app, struct build *b)
{
	struct snapshot *s, *before = app->current;

	if (!app_prepare(app, b))
		return (false);
	s = NULL;
	if (upstream_names_prepare(app->names, b->gate->upstreams, b->gate->n_upstreams, NULL,
	    NULL))
		s = build_take(b);
	if (s == NULL || !proxy_publish(s, app->workers_v, app->n_workers, &app->main)) {
		app_abort(app);
		snapshot_discard(&s);
		b->no_memory = true;
		return (false);
	}
	app_commit(app, b->gate);
	app->current = s;
	app->generation = s->generation;
	snapshot_discard(&before);
	return (true);
}

void
app_tell_config(struct app *app, bool ok)
{
	struct stats_shard *sh = app->main.stats;

	stats_set(stats_plain(sh, STATS_CONFIG_LAST_RELOAD_SUCCESSFUL), ok);
	stats_set(stats_plain(sh, STATS_CONFIG_GENERATION), (int64_t)app->generation);
	if (ok)
		stats_set(stats_plain(sh, STATS_CONFIG_LAST_RELOAD_SECONDS),
		    (int64_t)loop_wall_us(app->main.loop));
}

bool
app_reload(struct app *app)
{
	struct build b;
	bool ok;

	CHECK_OBJ(app, APP_MAGIC);
	ok = build_run(&b, app->prog, &app->load, app->current, app->generation + 1) &&
	    publish(app, &b);
	if (b.no_memory)
		log_error("out of memory: the configuration stays as it was");
	else if (b.diag != NULL)
		log_mistakes(b.diag);
	if (ok) {
		warn_of_workers(app, &b);
		log_info("configuration %llu is in force", (unsigned long long)app->generation);
	} else {
		log_error("reload failed: configuration %llu stays in force",
		    (unsigned long long)app->generation);
	}
	app_tell_config(app, ok);
	build_fini(&b);
	return (ok);
}

void
app_reopen_logs(struct app *app)
{
	/* The error log is standard error, which never moves. */
	(void)app;
	access_log_reopen();
}

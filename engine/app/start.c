/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "engine/app/admin.h"
#include "engine/app/app_impl.h"
#include "engine/app/explain.h"
#include "engine/base/check.h"
#include "engine/base/log.h"
#include "engine/loop/sig.h"
#include "engine/mem/alloc.h"
#include "engine/proxy/access_log.h"
#include "engine/stats/stats.h"
#include "engine/upstream/upstream.h"
#include "engine/worker/worker_cpus.h"

/*
 * From nothing to serving, top to bottom: what the process needs of the system, the configuration,
 * workers, sockets, signals. Whatever fails before the loop runs ends with exit code 1 (the
 * configuration is wrong) or 3 (it cannot be served here), and says why on standard error.
 */

enum {
	/* Pages of 16 KiB that a worker may use: 1 GiB; beyond it reading stops. */
	WORKER_PAGES = 65536,
	MAIN_PAGES = 1024,
	/* What the reader of the access log has at the end. */
	LOG_END_MS = 2000
};

static int
cannot_start(struct app *app, const struct err *err)
{
	fprintf(stderr, "%s: cannot start: %s", app->prog->name, err->what);
	for (err = err->cause; err != NULL; err = err->cause)
		fprintf(stderr, ": %s", err->what);
	fprintf(stderr, "\n");
	return (APP_CANNOT_START);
}

/* As many open files as the system lets us have. */
static void
raise_files(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur == r.rlim_max)
		return;
	r.rlim_cur = r.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &r);
}

/* ---- workers ---- */

static struct err *
enter(struct worker *w)
{
	struct err *err = upstream_worker_enter(w);

	if (err != NULL)
		return (err);
	err = proxy_worker_enter(w);
	if (err != NULL)
		upstream_worker_leave(w);
	return (err);
}

static void
leave(struct worker *w)
{
	proxy_worker_leave(w);
	upstream_worker_leave(w);
	app_drain_leave(container_of(w, struct app_worker, worker));
}

static struct err *
start_workers(struct app *app)
{
	struct err *err;

	for (unsigned i = 0; i < app->n_workers; i++) {
		struct app_worker *aw = &app->workers[i];

		aw->app = app;
		app->workers_v[i] = &aw->worker;
		err = worker_init(&aw->worker, i, WORKER_PAGES);
		aw->worker.stats = stats_shard_new(app->stats);
		if (err == NULL)
			err = worker_start(&aw->worker, enter, leave);
		if (err != NULL)
			return (err);
	}
	return (NULL);
}

static void
stop_workers(struct app *app)
{
	for (unsigned i = 0; i < app->n_workers; i++) {
		if (app->workers[i].worker.magic != 0)
			worker_stop(&app->workers[i].worker);
	}
	for (unsigned i = 0; i < app->n_workers; i++) {
		struct worker *w = &app->workers[i].worker;

		if (w->magic == 0)
			continue;
		worker_join(w);
		snapshot_drop_use(w);
	}
	/* References that workers sent back on their way out. */
	mailbox_drain(app->main.loop);
	upstream_names_free(&app->names);
	for (unsigned i = 0; i < app->n_workers; i++) {
		if (app->workers[i].worker.magic != 0)
			worker_fini(&app->workers[i].worker);
	}
}

/* ---- signals ---- */

static void
on_signal(void *arg, int signo)
{
	struct app *app;

	CAST_OBJ(app, arg, APP_MAGIC);
	switch (signo) {
	case SIGHUP:
		/* The file may have changed since it was read for the first one, which is not in
		   force yet. */
		if (app->current == NULL)
			app->reload_due = true;
		else
			app_reload(app, NULL);
		return;
	case SIGUSR1:
		/* The error log is standard error, which never moves. */
		access_log_reopen();
		return;
	case SIGTERM:
	case SIGQUIT:
		/* Once more changes nothing: who wants an end at once says so by SIGINT. */
		if (!app->draining)
			log_info("draining");
		app_drain(app);
		return;
	default:
		break;
	}
	log_info("stopping at once");
	loop_stop(app->main.loop);
}

static struct err *
watch_signals(struct app *app)
{
	static const int all[] = { SIGHUP, SIGUSR1, SIGTERM, SIGQUIT, SIGINT };
	struct err *err;

	/* Writes say it: to who has left, of a file that is as large as it may be. */
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		err = sig_add(app->main.loop, all[i], on_signal, app);
		if (err != NULL)
			return (err);
	}
	return (NULL);
}

static void
unwatch_signals(struct app *app)
{
	static const int all[] = { SIGHUP, SIGUSR1, SIGTERM, SIGQUIT, SIGINT };

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		sig_del(app->main.loop, all[i]);
}

/* ---- what the admin listener asks of the process ---- */

static void
tell_status(void *arg, struct admin_status *r)
{
	struct app *app;

	CAST_OBJ(app, arg, APP_MAGIC);
	*r = (struct admin_status){ .current = app->current, .draining = app->draining,
		.n_workers = app->n_workers, .last = &app->reload.last };
}

static void
ask_reload(void *arg, struct reload_wait *wait)
{
	struct app *app;

	CAST_OBJ(app, arg, APP_MAGIC);
	app_reload(app, wait);
}

static void
ask_drain(void *arg)
{
	struct app *app;

	CAST_OBJ(app, arg, APP_MAGIC);
	app_drain(app);
}

static enum admin_shown
show(void *arg, const struct build_shown *what, FILE *out)
{
	struct app *app;
	struct build b;
	bool has_read, ok;

	CAST_OBJ(app, arg, APP_MAGIC);
	has_read = build_read_again(&b, app->prog, app->current);
	ok = has_read && build_show(&b, app->current->root, what, out);
	build_fini(&b);
	return (ok ? ADMIN_SHOWN : has_read && !b.no_memory ? ADMIN_NO_ROUTE : ADMIN_SHOW_FAILED);
}

static json_t *
explain(void *arg, const struct explain_ask *ask, const char **wrong_r)
{
	struct explain *e = NULL;
	struct app *app;
	struct build b;
	json_t *o = NULL;

	CAST_OBJ(app, arg, APP_MAGIC);
	*wrong_r = NULL;
	if (build_read_again(&b, app->prog, app->current) &&
	    explain_new(&e, &b, app->current, true) == NULL)
		o = explain_request(e, ask, wrong_r);
	explain_free(&e);
	build_fini(&b);
	return (o);
}

/* ---- start and end ---- */

/* The first generation; its workers: is how many there will be. */
static int
first_build(struct app *app, struct build *b)
{
	bool ok = build_run(b, app->prog, &app->load, NULL, 1);

	if (b->no_memory)
		return (cannot_start(app, err_memory()));
	diag_print(b->diag, stderr);
	if (!ok)
		return (APP_CONFIG_WRONG);
	app->n_workers = b->view.workers == SCALAR_AUTO ? worker_count_auto() :
	    (unsigned)b->view.workers;
	app->workers = xcalloc(app->n_workers, sizeof *app->workers);
	app->workers_v = xcalloc(app->n_workers, sizeof *app->workers_v);
	app->sockets = sockets_new(app->n_workers);
	return (APP_OK);
}

static int
publish_first(struct app *app, struct build *b)
{
	struct gate *gate = b->gate;

	app->names = upstream_names_new(&app->main, app->workers_v, app->n_workers);
	if (app->names == NULL || !upstream_names_prepare(app->names, gate->upstreams,
	    gate->n_upstreams, NULL, NULL))
		return (cannot_start(app, err_memory()));
	/* Signals are heard meanwhile; one that ends the process does so before it has served. */
	if (!upstream_names_wait(app->names) || app->draining)
		return (APP_OK);
	app->current = build_take(b);
	if (app->current == NULL || !proxy_publish(app->current, app->workers_v,
	    app->n_workers, &app->main))
		return (cannot_start(app, err_memory()));
	upstream_names_commit(app->names);
	app_commit(app, gate);
	app->generation = 1;
	app_tell_config(app, true);
	app->watching.is_wanted = b->view.watch;
	app_watch_update(app, b->sources);
	log_info("%s %s: %u workers, %u listeners, %u routes, %u upstreams", app->prog->name,
	    PACKAGE_VERSION, app->n_workers, gate->n_listeners, gate->n_routes,
	    gate->n_upstreams);
	return (APP_OK);
}

static int
start_all(struct app *app, struct build *b)
{
	struct err *err;
	int rc = first_build(app, b);

	if (rc != APP_OK)
		return (rc);
	if (!app_prepare(app, b)) {
		diag_print(b->diag, stderr);
		return (APP_CANNOT_START);
	}
	app_drain_init(app);
	err = start_workers(app);
	if (err != NULL)
		return (cannot_start(app, err));
	return (publish_first(app, b));
}

int
start_run(struct app *app)
{
	struct build b;
	struct err *err;
	bool log_ended;
	int rc;

	raise_files();
	err = worker_init(&app->main, WORKER_MAIN, MAIN_PAGES);
	if (err != NULL)
		return (cannot_start(app, err));
	/* Before a socket listens: whoever sees it open may send them. Threads inherit the mask. */
	err = watch_signals(app);
	if (err != NULL) {
		unwatch_signals(app);
		worker_fini(&app->main);
		return (cannot_start(app, err));
	}
	app_reload_init(app);
	app->stats = stats_new();
	app->main.stats = stats_shard_new(app->stats);
	access_log_init(stats_shard_new(app->stats));
	app->admin = admin_new(&app->main, app->stats, app->prog->name,
	    &(const struct admin_hooks){ tell_status, ask_reload, ask_drain, show,
		explain, app });
	rc = start_all(app, &b);
	build_fini(&b);
	if (rc == APP_OK) {
		if (app->reload_due && app->current != NULL)
			app_reload(app, NULL);
		loop_run(app->main.loop);
		timer_clear(&app->drain_end);
		app_reload_cancel(app);
		app_watch_end(app);
	}
	stop_workers(app);
	admin_free(&app->admin);
	log_ended = access_log_stop(LOG_END_MS);
	if (!log_ended)
		log_warn("the access log is not read: its end is lost");
	snapshot_discard(&app->current);
	if (app->sockets != NULL)
		sockets_free(&app->sockets);
	unwatch_signals(app);
	worker_fini(&app->main);
	/* A log that is stuck may still count what it loses. */
	if (log_ended)
		stats_free(&app->stats);
	return (rc);
}

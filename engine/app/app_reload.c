/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/app/app_impl.h"
#include "engine/base/check.h"
#include "engine/base/log.h"
#include "engine/base/text.h"
#include "engine/proxy/gate.h"
#include "engine/stats/stats.h"
#include "engine/worker/worker_cpus.h"

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

static bool
publish(struct app *app, struct build *b)
{
	struct snapshot *s, *before = app->current;

	if (!app_prepare(app, b))
		return (false);
	s = build_take(b);
	if (s == NULL || !proxy_publish(s, app->workers_v, app->n_workers, &app->main)) {
		app_abort(app);
		snapshot_discard(&s);
		b->no_memory = true;
		return (false);
	}
	upstream_names_commit(app->names);
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

/* ---- from the question to the end ---- */

static void begin(struct app *);

static void
tell(struct list *told, const struct reload_end *end)
{
	while (!list_is_empty(told)) {
		struct reload_wait *w = list_first_entry(told, struct reload_wait, link);

		list_del(&w->link);
		w->done(w, end);
	}
}

/* Those who wait for a reload that is not made. */
static void
tell_none(struct list *told)
{
	tell(told, &(const struct reload_end){ .ok = false });
}

/* Of no call site, so that nothing is suppressed: each reload's asker is told how it ended. */
static void
log_end(struct app *app, bool ok)
{
	struct build *b = &app->reload.build;

	if (b->no_memory)
		log_write(NULL, LOG_LEVEL_ERROR,
		    "out of memory: the configuration stays as it was");
	else if (b->diag != NULL)
		log_mistakes(b->diag);
	if (ok) {
		warn_of_workers(app, b);
		log_write(NULL, LOG_LEVEL_INFO, "configuration %llu is in force",
		    (unsigned long long)app->generation);
	} else {
		log_write(NULL, LOG_LEVEL_ERROR,
		    "reload failed: configuration %llu stays in force",
		    (unsigned long long)app->generation);
	}
}

/* A letter of which the end did not fit is left out whole. */
static void
cut_to_letters(struct text *t)
{
	size_t i = t->len;

	while (i > 0 && ((unsigned char)t->p[i - 1] & 0xc0) == 0x80)
		i--;
	if (i > 0 && (unsigned char)t->p[i - 1] >= 0xc0 &&
	    text_utf8_len(slice_of(t->p + i - 1, t->len - i + 1)) == 0)
		t->len = i - 1;
}

static void
put_why(struct text *t, struct build *b)
{
	size_t i = 0, n = b->diag == NULL || b->no_memory ? 0 : diag_count(b->diag);
	const struct diag_item *it;

	while (i < n && diag_at(b->diag, i)->level != DIAG_ERROR)
		i++;
	if (i == n) {
		text_puts(t, b->no_memory ? "out of memory" : "see the log");
		return;
	}
	it = diag_at(b->diag, i);
	if (it->mark.file != NULL) {
		text_puts(t, it->mark.file);
		text_printf(t, ":%u:%u: ", it->mark.line, it->mark.col);
	}
	text_puts(t, it->message);
	if (it->hint != NULL) {
		text_puts(t, "; ");
		text_puts(t, it->hint);
	}
}

static void
remember(struct app *app, bool ok)
{
	struct reload_last *last = &app->reload.last;
	struct text t;

	text_init(&t, last->why, sizeof last->why - 1);
	*last = (struct reload_last){ .ok = ok, .generation = app->generation,
		.wall_us = loop_wall_us(app->main.loop) };
	if (ok)
		return;
	put_why(&t, &app->reload.build);
	if (t.full)
		cut_to_letters(&t);
	last->why[t.len] = '\0';
}

static void
finish(struct app *app, bool ok)
{
	struct reload *r = &app->reload;

	r->waits_for_names = false;
	if (!ok)
		upstream_names_abort(app->names);
	log_end(app, ok);
	app_tell_config(app, ok);
	remember(app, ok);
	if (ok)
		app->watching.is_wanted = r->build.view.watch;
	app_watch_update(app, r->build.sources);
	tell(&r->told, &(const struct reload_end){ .ok = ok, .no_memory = r->build.no_memory,
	    .diag = r->build.diag });
	build_fini(&r->build);
	r->is_running = false;
	if (!r->is_due)
		return;
	r->is_due = false;
	list_splice(&r->told, &r->told_next);
	begin(app);
}

static void
on_names_ready(void *arg)
{
	struct app *app;

	CAST_OBJ(app, arg, APP_MAGIC);
	finish(app, publish(app, &app->reload.build));
}

static void
begin(struct app *app)
{
	struct reload *r = &app->reload;
	struct build *b = &r->build;

	r->is_running = true;
	/* Folders may have been replaced; from here on no change is missed. */
	app_watch_update(app, NULL);
	if (!build_run(b, app->prog, &app->load, app->current, app->generation + 1)) {
		finish(app, false);
		return;
	}
	r->waits_for_names = upstream_names_prepare(app->names, b->gate->upstreams,
	    b->gate->n_upstreams, on_names_ready, app);
	if (!r->waits_for_names) {
		b->no_memory = true;
		finish(app, false);
	}
}

void
app_reload_init(struct app *app)
{
	list_init(&app->reload.told);
	list_init(&app->reload.told_next);
}

void
app_reload(struct app *app, struct reload_wait *wait)
{
	struct reload *r = &app->reload;

	CHECK_OBJ(app, APP_MAGIC);
	if (app->draining) {
		if (wait != NULL)
			wait->done(wait, &(const struct reload_end){ .ok = false });
		return;
	}
	if (wait != NULL)
		list_add_tail(r->is_running ? &r->told_next : &r->told, &wait->link);
	if (r->is_running)
		r->is_due = true;
	else
		begin(app);
}

void
app_reload_cancel(struct app *app)
{
	struct reload *r = &app->reload;

	if (r->waits_for_names) {
		upstream_names_abort(app->names);
		build_fini(&r->build);
		r->waits_for_names = r->is_running = false;
		log_warn("the reload that waits for names is given up: configuration %llu stays "
		    "in force", (unsigned long long)app->generation);
		tell_none(&r->told);
	}
	r->is_due = false;
	tell_none(&r->told_next);
}

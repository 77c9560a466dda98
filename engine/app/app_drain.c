/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/app/app_impl.h"
#include "engine/base/check.h"
#include "engine/base/log.h"

/*
 * The end in peace: workers stop accepting, let idle clients go, say close to the others, and tell
 * when the last connection has gone. What is not done in time is reset by the workers' end, with
 * the reason `draining`.
 */

enum {
	DRAIN_MS = 30 * 1000,
	POLL_MS = 20		/* how often a worker looks whether it is empty */
};

static void
on_drained(struct mail *m)
{
	struct app_worker *aw = container_of(m, struct app_worker, drained);
	struct app *app = aw->app;

	if (++app->n_drained == app->n_workers)
		loop_stop(app->main.loop);
}

/* Worker thread. */
static void
on_poll(void *arg)
{
	struct app_worker *aw = arg;
	struct loop *l = aw->worker.loop;

	if (proxy_is_drained(&aw->worker))
		mailbox_post(aw->app->main.loop, &aw->drained);
	else
		timer_set(l, &aw->poll, loop_now_ms(l) + POLL_MS);
}

/* Worker thread. */
static void
on_drain(struct mail *m)
{
	struct app_worker *aw = container_of(m, struct app_worker, drain);

	proxy_drain(&aw->worker);
	on_poll(aw);
}

static void
on_drain_end(void *arg)
{
	struct app *app;

	CAST_OBJ(app, arg, APP_MAGIC);
	log_warn("not all connections ended in %d s: the others are cut", DRAIN_MS / 1000);
	loop_stop(app->main.loop);
}

void
app_drain_init(struct app *app)
{
	timer_init(&app->drain_end, on_drain_end, app);
	for (unsigned i = 0; i < app->n_workers; i++) {
		mail_init(&app->workers[i].drain, on_drain);
		mail_init(&app->workers[i].drained, on_drained);
		timer_init(&app->workers[i].poll, on_poll, &app->workers[i]);
	}
}

void
app_drain_leave(struct app_worker *aw)
{
	timer_clear(&aw->poll);
}

void
app_drain(struct app *app)
{
	if (app->draining)
		return;
	app->draining = true;
	app_reload_cancel(app);
	timer_set(app->main.loop, &app->drain_end, loop_now_ms(app->main.loop) + DRAIN_MS);
	for (unsigned i = 0; i < app->n_workers; i++)
		mailbox_post(app->workers[i].worker.loop, &app->workers[i].drain);
}

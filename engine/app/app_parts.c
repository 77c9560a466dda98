/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/app/admin.h"
#include "engine/app/app_impl.h"
#include "engine/base/log.h"
#include "engine/proxy/access_log.h"
#include "engine/proxy/proxy_limits.h"

/* What a generation needs of the process beside its snapshot: taken before it is published, and
   in use from then on. */

bool
app_prepare(struct app *app, struct build *b)
{
	const struct access_log_plan *log = b->gate->log;
	struct err *err;

	if (!sockets_prepare(app->sockets, b->gate, b->snap->arena, b->diag)) {
		b->no_memory = diag_is_ok(b->diag);
		return (false);
	}
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
	access_log_abort();
	admin_abort(app->admin);
}

void
app_commit(struct app *app, const struct gate *gate)
{
	sockets_commit(app->sockets);
	access_log_commit();
	admin_commit(app->admin);
	if (gate->log != NULL)
		log_set_level((enum log_level)gate->log->level);
	proxy_limits_set(gate->max_connections);
}

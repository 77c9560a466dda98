/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "services/common/svc_internal.h"

/*
 * Alive: the loop turns. Says nothing of the database, so that a slow disk never gets a process
 * killed.
 */
static void
on_healthz(struct svc_req *req, void *ctx)
{
	(void)ctx;
	svc_reply_json(req, 200,
	    json_pack("{s:s, s:i}", "status", "ok", "in_flight", (int)req->svc->in_flight - 1));
	svc_finish(req);
}

/*
 * Ready: a thread answers and can use what it needs. Not while draining, so that nobody sends more.
 */
static void
on_readyz(struct svc_req *req, void *ctx)
{
	const struct svc_program *program = req->svc->program;

	if (program->ready != NULL && !program->ready(ctx)) {
		svc_problem(req, 503, "not_ready", "the service cannot use its database now");
		svc_reply_header(req, "Retry-After", "1");
		return;
	}
	svc_reply_json(req, 200, json_pack("{s:s}", "status", "ready"));
}

static const struct svc_route builtin[] = {
	{ "GET", "/healthz", on_healthz, SVC_LOOP, false },
	{ "GET", "/readyz", on_readyz, SVC_QUICK, false },
	{ NULL, NULL, NULL, SVC_LOOP, false },
};

bool
svc_builtin_routes(struct svc *svc)
{
	size_t own = 0;
	size_t more = sizeof(builtin) / sizeof(builtin[0]);

	while (svc->program->routes[own].method != NULL)
		own++;
	svc->routes_all = calloc(own + more, sizeof(*svc->routes_all));
	if (svc->routes_all == NULL)
		return (false);
	memcpy(svc->routes_all, svc->program->routes, own * sizeof(*svc->routes_all));
	memcpy(svc->routes_all + own, builtin, sizeof(builtin));
	svc->routes = svc->routes_all;
	return (true);
}

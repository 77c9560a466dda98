/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/base/panic.h"
#include "engine/mem/page.h"
#include "engine/proxy/access_log.h"
#include "engine/proxy/down_conn.h"
#include "engine/proxy/ex.h"
#include "engine/proxy/gate.h"
#include "engine/proxy/mirror.h"
#include "engine/proxy/proxy_stats.h"

/* The last step: tell what happened, let everything go. */

static void
tell(struct exchange *ex)
{
	struct proxy_local *pl = proxy_of(ex->worker);
	const struct pipe *out = chain_pipe(&ex->chain, CHAIN_RESP, &ex->resp_body);
	uint64_t now = loop_now_us(ex->worker->loop);
	struct facts f = {
		.wall_us = loop_wall_us(ex->worker->loop) - (now - ex->t.begin),
		.duration_us = now - ex->t.begin,
		.req = &ex->req,
		.path = ex->path,
		.client = ex_client(ex),
		.listener = ex->down->local->listener,
		.route = ex->route,
		.upstream = ex->upstream,
		.server = ex->server,
		.resp_headers = ex->reply_begun ? &ex->resp.m.headers : NULL,
		.request_id = ex->request_id,
		.status = ex->reply_begun ? ex->resp.status : 0,
		.reason = ex->reason,
		.attempts = ex->attempts,
		.bytes_in = ex->bytes_in,
		.bytes_out = out->total - out->queued,
	};

	if (f.status == 0 && ex->reason == REASON_CLIENT_CLOSED)
		f.status = reason_info(REASON_CLIENT_CLOSED)->status;
	ex_phase(ex, FACTS_BODY);
	memcpy(f.phase_us, ex->t.us, sizeof f.phase_us);
	chain_log(&ex->chain, &f);
	proxy_stats_request(ex->worker, &f);
	if (unlikely(ex->attempts > 1))
		proxy_stats_retried(ex->worker, &f, ex->attempts - 1, ex->resp_ready);
	if (pl->log != NULL)
		access_log_write(pl->log, &f);
}

void
ex_release(struct exchange *ex)
{
	struct worker *w = ex->worker;

	chain_end(&ex->chain);
	ex_drop_servers(ex);
	timer_clear(&ex->timer);
	deferred_cancel(&ex->wake);
	pipe_fini(&ex->req_body);
	pipe_fini(&ex->resp_body);
	if (ex->req_page != NULL)
		page_unref(&ex->req_page);
	if (ex->resp_page != NULL)
		page_unref(&ex->resp_page);
	arena_fini(&ex->arena);
	snapshot_give(&ex->snap);
	ex->stream->owner = NULL;
	w->exchanges--;
	ex->magic = 0;
	panic_watch(PANIC_SLOT_EXCHANGE, NULL);
	slab_put(&proxy_of(w)->exchanges, &ex);
}

enum step_rc
ex_step_finish(struct exchange *ex)
{
	struct down_conn *dc = ex->down;
	const struct codec *codec = ex->stream->codec;
	enum down_next next = ex->req_done && !ex->req.m.keep_alive ? DOWN_NEXT_CLOSE :
	    DOWN_NEXT_LINGER;
	bool gone = ex->client_gone;

	if (ex->reply_sent && !ex->client_gone && codec->ops->can_reuse(codec))
		next = DOWN_NEXT_REQUEST;
	ex_drop_upstream(ex);
	if (unlikely(ex->mirror != NULL))
		mirror_leave(ex);
	tell(ex);
	ex_release(ex);
	if (gone) {
		dc->ex = NULL;
		down_conn_close(dc, CLOSE_RESET);
	} else {
		down_conn_next(dc, next);
	}
	return (STEP_DONE);
}

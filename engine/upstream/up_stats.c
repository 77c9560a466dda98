/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <limits.h>

#include "engine/base/text.h"
#include "engine/stats/stats.h"
#include "engine/upstream/pool.h"
#include "engine/upstream/up_impl.h"
#include "engine/upstream/upstream.h"
#include "engine/worker/worker.h"

/* The series of a server: found once, when the peer is made, then only added to. */

static struct stats_series *
series(const struct up_peer *peer, enum stats_id id, struct slice last)
{
	const struct slice labels[] = { peer->local->upstream->part.name, peer->server.name,
		last };

	/* A worker that serves nothing counts nothing (up_choice.h). */
	return (peer->local->worker->stats == NULL ? NULL :
	    stats_series(peer->local->worker->stats, id, labels));
}

void
up_stats_begin(struct up_peer *peer)
{
	struct up_stats *s = &peer->stats;

	s->idle = series(peer, STATS_UPSTREAM_CONNECTIONS, SLICE("idle"));
	s->active = series(peer, STATS_UPSTREAM_CONNECTIONS, SLICE("active"));
	s->connects_ok = series(peer, STATS_UPSTREAM_CONNECTS, SLICE("ok"));
	s->connects_failed = series(peer, STATS_UPSTREAM_CONNECTS, SLICE("failed"));
	s->connects_timeout = series(peer, STATS_UPSTREAM_CONNECTS, SLICE("timeout"));
	s->first_byte = peer->local->first_byte;
	s->answers_status = UINT_MAX;
}

void
up_stats_answer(struct up_peer *peer, unsigned status)
{
	struct up_stats *s = &peer->stats;
	char buf[TEXT_U64_MAX];
	struct slice code = SLICE("none");

	if (unlikely(status != s->answers_status)) {
		if (peer->gone)
			return;		/* nothing is left that knows its labels */
		if (status != 0)
			code = slice_of(buf, text_u64_digits(buf, status));
		s->answers = series(peer, STATS_UPSTREAM_REQUESTS, code);
		s->answers_status = status;
	}
	stats_add(s->answers, 1);
}

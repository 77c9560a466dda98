/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/upstream/balancer.h"
#include "engine/upstream/pool.h"
#include "engine/upstream/up_choice.h"
#include "engine/upstream/upstream.h"

static bool
is_settled(const struct up_local *l, const struct pick *pick)
{
	const struct balancer_ops *ops = l->upstream->balancer;

	return (l->n_peers == 1 ||
	    (l->n_peers > 1 && ops->is_settled != NULL && ops->is_settled(l, pick)));
}

bool
up_choose(struct worker *w, struct upstream *u, const struct endset *now, const struct pick *pick,
    const struct server **server_r)
{
	struct up_local *l = pool_local(w, u);

	*server_r = NULL;
	/* A new one has the first list. */
	if (l == NULL || (now != u->first_set && !pool_swap(l, now)))
		return (false);
	if (is_settled(l, pick))
		*server_r = &u->balancer->pick(l, pick)->server;
	return (true);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/base/check.h"
#include "engine/mem/alloc.h"
#include "engine/upstream/balancer.h"
#include "engine/upstream/pool.h"
#include "engine/upstream/upstream.h"
#include "engine/upstream/upstream_conf.h"

/* From what stood in the file to the part that serves. */

static const struct balancer_ops *
balancer_of(enum upstream_balance b)
{
	switch (b) {
	case UPSTREAM_LEAST_REQUEST:
		return (&lb_least_request);
	case UPSTREAM_ROUND_ROBIN:
		return (&lb_round_robin);
	case UPSTREAM_RANDOM:
		return (&lb_random);
	case UPSTREAM_HASH:
		return (&lb_hash);
	}
	never("upstream_balance");
}

static void
copy_balance(struct arena *a, struct upstream_conf *c, const struct upstream_balance_spec *spec)
{
	const struct upstream_hash_spec *hash = spec->hash;
	struct slice name;

	c->balance = spec->policy;
	if (hash == NULL)
		return;
	c->balance = UPSTREAM_HASH;
	c->hash_by = upstream_hash_of(hash, &name);
	c->hash_name = arena_dup(a, name);
}

static const struct upstream_server *
copy_servers(struct arena *a, const struct schema_list *list)
{
	struct upstream_server *v = arena_zarray(a, list->count, sizeof *v);

	for (uint32_t i = 0; i < list->count; i++) {
		const struct upstream_server_spec *s =
		    SCHEMA_OBJ_AT(struct upstream_server_spec, *list, i);

		v[i].text = arena_dup(a, s->address.text);
		v[i].weight = (uint32_t)s->weight;
		if (s->address.is_name) {
			v[i].name = arena_dup(a, s->address.name);
			v[i].port = s->address.port;
		} else {
			v[i].addr = s->address.addr;
		}
	}
	return (v);
}

static const struct upstream_conf *
copy_conf(struct arena *a, const struct upstream_spec *spec)
{
	struct upstream_conf *c = arena_znew(a, struct upstream_conf);

	c->magic = UPSTREAM_CONF_MAGIC;
	copy_balance(a, c, spec->balance);
	c->servers = copy_servers(a, &spec->servers);
	c->n_servers = spec->servers.count;
	return (c);
}

/* The servers whose addresses are known now. */
static struct endset *
literal_servers(struct arena *a, const struct upstream_conf *c)
{
	struct server *v = arena_zarray(a, c->n_servers, sizeof *v);
	char buf[ADDR_TEXT_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < c->n_servers; i++) {
		const struct upstream_server *s = &c->servers[i];

		if (s->name.len > 0)
			continue;
		v[n].weight = s->weight;
		v[n].addr = s->addr;
		v[n].name = s->text;
		v[n].address = arena_dup(a, slice_of(buf, addr_format(&s->addr, buf, sizeof buf)));
		n++;
	}
	return (endset_new(v, n));
}

/* Main thread; every worker has let go of it (upstream_retire). */
static void
on_fini(struct part *part)
{
	struct upstream *u = (struct upstream *)part;

	for (unsigned i = 0; u->per_worker != NULL && i < WORKER_MAX; i++)
		must(u->per_worker[i] == NULL);
	if (u->first_set != NULL)
		endset_unref(&u->first_set);
}

struct upstream *
upstream_build(struct slice name, const struct upstream_spec *spec, uint64_t hash)
{
	struct part *part = part_new(PART_UPSTREAM, name, sizeof(struct upstream), hash);
	struct upstream *u = (struct upstream *)part;
	struct arena *a = part->arena;
	struct mem_trap trap;

	part->fini = on_fini;
	if (MEM_TRAP_ENTER(&trap)) {
		size_t wanted = trap.wanted;

		part_unref(&part);
		mem_failed(wanted);
	}
	u->conf = copy_conf(a, spec);
	u->pool = (struct upstream_pool_limits){ .idle = (uint32_t)spec->pool->idle,
		.idle_timeout_ms = (uint32_t)spec->pool->idle_timeout_ms,
		.max_age_ms = spec->pool->max_age_ms };
	u->balancer = balancer_of(u->conf->balance);
	u->per_worker = arena_zarray(a, WORKER_MAX, sizeof(struct up_local *));
	for (unsigned i = 0; i < u->conf->n_servers; i++)
		u->has_names |= u->conf->servers[i].name.len > 0;
	u->first_set = literal_servers(a, u->conf);
	mem_trap_leave(&trap);
	return (u);
}

void
upstream_retire(struct worker *w, struct upstream *u)
{
	pool_free(&u->per_worker[w->index]);
}

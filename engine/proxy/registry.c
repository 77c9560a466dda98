/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/proxy/registry.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/proxy/gate.h"

unsigned
registry_extend(struct schema *policies)
{
	struct schema_key_ext exts[REGISTRY_FILTERS_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < proxy_program->n_filters; i++) {
		if (proxy_program->filters[i]->key == NULL)
			continue;
		must(n < REGISTRY_FILTERS_MAX);
		exts[n] = *proxy_program->filters[i]->key;
		/* Extensions have no defaults of their own: value_of() gives them. */
		exts[n++].row.flags &= ~(uint32_t)SCHEMA_ALWAYS;
	}
	return (schema_extend(policies, exts, n));
}

static uint16_t
resp_rank(const struct filter_ops *ops, unsigned at)
{
	for (unsigned i = 0; i < proxy_program->n_responses; i++) {
		if (proxy_program->responses[i] == ops)
			return ((uint16_t)i);
	}
	return ((uint16_t)(proxy_program->n_responses + at));
}

/* Bytes of what the row decodes to. */
static size_t
decoded_size(const struct schema_row *row)
{
	switch (row->type) {
	case SCHEMA_OBJECT:
		return (row->sub->size);
	case SCHEMA_LIST:
		return (sizeof(struct schema_list));
	case SCHEMA_MAP:
		return (sizeof(struct schema_map));
	default:
		never("type of a filter's row");
	}
}

/* What was decoded for this filter; with ALWAYS its defaults, unless it was written as `off`. */
static const void *
value_of(const struct filter_ops *ops, const struct schema_obj *policies, unsigned ext)
{
	const struct schema_row *row = &ops->key->row;
	const void *value = schema_ext_at(policies, ext);

	if (value == NULL && (row->flags & SCHEMA_ALWAYS) && !schema_is_off(policies, row->name))
		return (schema_defaults(row->sub));
	return (value);
}

static bool
is_there(const struct schema_row *row, const void *value)
{
	if (value == NULL)
		return (false);
	if (row->type == SCHEMA_LIST)
		return (((const struct schema_list *)value)->count > 0);
	if (row->type == SCHEMA_MAP)
		return (((const struct schema_map *)value)->count > 0);
	return (true);
}

/* The filter's own copy of what was decoded, compiled; NULL: it has nothing to do here. */
static const void *
compile(const struct filter_ops *ops, const void *value, const struct snapshot_build *b)
{
	size_t n = ops->key == NULL ? 0 : decoded_size(&ops->key->row);
	bool needed = true;
	void *conf;

	if (ops->key != NULL && !is_there(&ops->key->row, value))
		return (NULL);
	must(ops->conf_size >= n);
	conf = arena_zalloc(b->arena, ops->conf_size > 0 ? ops->conf_size : 1);
	if (n > 0)
		memcpy(conf, value, n);
	if (ops->compile != NULL)
		ops->compile(conf, b, &needed);
	return (needed ? conf : NULL);
}

const struct chain *
registry_chain(const struct schema_obj *policies, unsigned first, const struct snapshot_build *b)
{
	struct chain_item items[REGISTRY_FILTERS_MAX];
	unsigned n = proxy_program->n_filters;
	struct snapshot_build own;

	CHECK_OBJ(b, SNAPSHOT_BUILD_MAGIC);
	own = *b;
	own.policies = policies;
	must(n <= REGISTRY_FILTERS_MAX);
	for (unsigned i = 0; i < n; i++) {
		const struct filter_ops *ops = proxy_program->filters[i];
		const void *value = ops->key == NULL ? NULL :
		    value_of(ops, policies, first++);

		items[i] = (struct chain_item){ .ops = ops, .conf = compile(ops, value, &own),
			.filter = (uint16_t)i, .resp_rank = resp_rank(ops, i) };
	}
	return (chain_build(b->arena, items, n));
}

struct err *
registry_worker_start(void **state, struct worker *w)
{
	for (unsigned i = 0; i < proxy_program->n_filters; i++) {
		const struct filter_ops *ops = proxy_program->filters[i];
		struct err *err;

		if (ops->worker_start == NULL)
			continue;
		err = ops->worker_start(&state[i], w);
		if (err != NULL) {
			state[i] = NULL;
			registry_worker_stop(state);
			return (err);
		}
	}
	return (NULL);
}

void
registry_worker_stop(void **state)
{
	for (unsigned i = proxy_program->n_filters; i-- > 0;) {
		const struct filter_ops *ops = proxy_program->filters[i];

		if (state[i] != NULL && ops->worker_stop != NULL)
			ops->worker_stop(state[i]);
		state[i] = NULL;
	}
}

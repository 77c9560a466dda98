/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/app/explain_impl.h"
#include "engine/base/check.h"
#include "engine/proxy/gate.h"

/* Where the files say what is in force for a request: from what was decoded, beside what runs. */

/* Keys, or groups of them, that bound what a request may take. */
static const char *const route_keys[] = { "timeout", "retry", "hedge", "body_limit",
	"allow_encoded_slash", "host", NULL };
static const char *const listener_keys[] = { "timeout", "min_rate", "limits", NULL };
static const char *const upstream_keys[] = { "balance", "pool", "limits", "eject", NULL };

struct places {
	struct explain_case	*c;
	const char		*of;
	const char *const	*keys;
};

static bool
is_wanted(const char *const *keys, const char *path)
{
	size_t n = strcspn(path, ".");

	for (; *keys != NULL; keys++) {
		if (strlen(*keys) == n && strncmp(*keys, path, n) == 0)
			return (true);
	}
	return (false);
}

static void
add(void *arg, const char *path, const char *value, struct mark where)
{
	const struct places *p = arg;

	if (is_wanted(p->keys, path))
		vec_push(&p->c->settings, ((struct explain_setting){ p->of, path, value, where }));
}

static void
add_all(struct explain_case *c, const char *of, const char *const *keys,
    const struct schema_obj *obj)
{
	struct places p = { c, of, keys };

	schema_each(c->e->scratch, obj, add, &p);
}

const struct router_rule *
explain_rule_of(const struct gate *gate, const struct route *route, uint32_t *first_r)
{
	for (unsigned i = 0; i < gate->n_files; i++) {
		const struct route_file *f = gate->files[i];

		if (route < f->routes || route >= f->routes + f->n_routes)
			continue;
		*first_r = gate->first_of[i];
		for (unsigned k = 0; k < f->n_rules; k++) {
			if (f->rules[k].route == route)
				return (&f->rules[k]);
		}
	}
	return (NULL);
}

void
explain_places(struct explain_case *c)
{
	const struct app_view *v = &c->e->b->view;
	const struct route_conf *conf;
	uint32_t first = 0;
	int64_t at;

	vec_init(&c->settings, c->e->scratch);
	add_all(c, "listener", listener_keys,
	    SCHEMA_OBJ_AT(struct schema_obj, *v->listeners, c->listener->index));
	if (c->r.route == NULL)
		return;
	c->rule = explain_rule_of(c->e->gate, c->r.route, &first);
	if (surprise(c->rule == NULL))
		return;
	conf = SCHEMA_OBJ_AT(struct route_conf, *v->routes, first + c->r.route->index);
	c->policies = build_merged_policies(c->e->b, conf, c->rule->listeners);
	add_all(c, "route", route_keys, c->policies);
	if (c->r.end != DRY_FORWARD || c->r.by_chance)
		return;
	at = schema_map_find(v->upstreams, c->r.upstream->part.name);
	if (at >= 0)
		add_all(c, "upstream", upstream_keys,
		    SCHEMA_OBJ_AT(struct schema_obj, *v->upstreams, (uint32_t)at));
}

struct mark
explain_policy_mark(const struct explain_case *c, const char *key)
{
	return (c->policies != NULL && schema_has(c->policies, key) ?
	    schema_key_mark(c->policies, key) : MARK_NONE);
}

const struct explain_setting *
explain_setting(const struct explain_case *c, const char *key)
{
	for (size_t i = 0; i < c->settings.n; i++) {
		if (strcmp(c->settings.v[i].key, key) == 0)
			return (&c->settings.v[i]);
	}
	return (NULL);
}

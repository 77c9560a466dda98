/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdio.h>

#include "engine/app/app_json.h"
#include "engine/app/explain_impl.h"
#include "engine/base/check.h"
#include "engine/proxy/gate.h"
#include "engine/stats/prom.h"

/* Why a route was taken, and each other was not: the router's verdicts in words. */

/* A route comes once for each host that fits, and for each layer of policies. */
void
explain_on_rule(void *arg, const struct router_verdict *v)
{
	struct explain_case *c = arg;

	for (unsigned i = 0; i < c->n_rules; i++) {
		struct router_verdict *known = &c->rules[i];

		if (!slice_eq(known->route->name, v->route->name))
			continue;
		/* The same route may be on this listener by another layer. */
		if (known->why == ROUTER_LOST_LISTENER)
			*known = *v;
		return;
	}
	if (c->n_rules < EXPLAIN_RULES_MAX) {
		c->rules[c->n_rules++] = *v;
		return;
	}
	/* Its layers come one behind the other. */
	c->n_more += !slice_eq(c->last_more, v->route->name);
	c->last_more = v->route->name;
	/* The one that won is always told. */
	if (v->why == ROUTER_WON)
		c->rules[EXPLAIN_RULES_MAX - 1] = *v;
}

static void
put_host(const struct router_verdict *v, FILE *out)
{
	if (v->host.len > 0)
		fprintf(out, "host %s" SLICE_FMT, v->is_wildcard ? "*." : "",
		    SLICE_ARG(v->host));
	else
		fputs("any host", out);
}

static void
put_taken(const struct router_verdict *v, FILE *out)
{
	static const char *const kinds[] = {
		[ROUTER_PATH_EXACT] = "exact path", [ROUTER_PATH_PREFIX] = "prefix",
		[ROUTER_PATH_REGEX] = "regex", [ROUTER_PATH_ROOT] = "prefix /",
	};

	fputs("by ", out);
	put_host(v, out);
	fprintf(out, ", %s", kinds[v->kind]);
	if (v->kind == ROUTER_PATH_PREFIX)
		fprintf(out, " " SLICE_FMT, SLICE_ARG(v->route->prefix));
}

static void
put_field(const struct router_field *f, FILE *out)
{
	if (f == NULL) {
		fputs("its regex", out);
		return;
	}
	fprintf(out, "%s " SLICE_FMT, f->is_query ? "parameter" : "field", SLICE_ARG(f->name));
	switch ((enum router_field_kind)f->kind) {
	case ROUTER_FIELD_IS:
		fprintf(out, " is not \"" SLICE_FMT "\"", SLICE_ARG(f->value));
		return;
	case ROUTER_FIELD_PREFIX:
		fprintf(out, " does not begin with \"" SLICE_FMT "\"", SLICE_ARG(f->value));
		return;
	case ROUTER_FIELD_REGEX:
		fprintf(out, " does not match \"" SLICE_FMT "\"",
		    SLICE_ARG(regex_pattern(f->regex)));
		return;
	case ROUTER_FIELD_PRESENT:
		fputs(" is not there", out);
		return;
	case ROUTER_FIELD_ABSENT:
		fputs(" is there", out);
		return;
	}
	never("router_field_kind");
}

static void
put_why(const struct explain_case *c, const struct router_verdict *v, FILE *out)
{
	switch (v->why) {
	case ROUTER_WON:
		put_taken(v, out);
		return;
	case ROUTER_LOST_HOST:
		fputs("it is for ", out);
		put_host(v, out);
		return;
	case ROUTER_LOST_PATH:
		fputs("its regex does not match the path", out);
		return;
	case ROUTER_LOST_LISTENER:
		fprintf(out, "it is not on listener " SLICE_FMT, SLICE_ARG(c->listener->name));
		return;
	case ROUTER_LOST_METHOD:
		fputs("it does not take the method", out);
		return;
	case ROUTER_LOST_FIELD:
		put_field(v->field, out);
		return;
	case ROUTER_LOST_LIMIT:
		fputs("a regex of it came to no end", out);
		return;
	case ROUTER_LOST_TO_HOST:
		fputs("the other names the host more closely", out);
		return;
	case ROUTER_LOST_TO_PATH:
		fputs("the other's path comes first: exact, longer prefix, regex, /", out);
		return;
	case ROUTER_LOST_TO_MATCHERS:
		fputs("the other has more matchers, or as many and stands first", out);
		return;
	}
	never("router_why");
}

static json_t *
why_of(const struct explain_case *c, const struct router_verdict *v)
{
	struct prom_text t = { 0 };
	FILE *out = app_json_print(&t);

	if (out != NULL)
		put_why(c, v, out);
	return (app_json_printed(out, &t));
}

json_t *
explain_rules(struct explain_case *c)
{
	json_t *all = json_array();

	for (unsigned i = 0; i < c->n_rules; i++) {
		const struct router_verdict *v = &c->rules[i];
		const struct router_rule *rule;
		json_t *o = json_object();
		uint32_t first;

		rule = explain_rule_of(c->e->gate, v->route, &first);
		c->failed |= json_object_set_new(o, "route", app_json_text(v->route->name)) < 0;
		c->failed |= json_object_set_new(o, "place",
		    app_json_mark(rule == NULL ? MARK_NONE : rule->mark)) < 0;
		c->failed |= json_object_set_new(o, "is_taken",
		    json_boolean(v->why == ROUTER_WON)) < 0;
		c->failed |= json_object_set_new(o, "why", why_of(c, v)) < 0;
		c->failed |= json_array_append_new(all, o) < 0;
	}
	return (all);
}

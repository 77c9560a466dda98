/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/app/build_impl.h"
#include "engine/base/check.h"
#include "engine/mem/alloc.h"

/*
 * What is in force, for people: all of it as the files say it, or one route with everything that
 * it inherits. Values come from decoded structs, places with them; what runs from the gate.
 */

/* ---- the order of policies ---- */

static bool
is_in(const struct chain *chain, enum chain_phase phase, const struct filter_ops *ops)
{
	for (unsigned i = 0; i < chain->phase[phase].n; i++) {
		if (chain->phase[phase].v[i].ops == ops)
			return (true);
	}
	return (false);
}

static void
put_name(const char *name, bool *is_first, FILE *out)
{
	fprintf(out, "%s%s", *is_first ? "" : ", ", name);
	*is_first = false;
}

/* Those of requests run in the order of the program's table, then the proxy's own. NULL: of no
   route, all that can. */
static void
put_requests(const struct route_policy *policy, FILE *out)
{
	const struct chain *chain = policy == NULL ? NULL : policy->chain;
	bool is_first = true;

	fputs("#   request:  ", out);
	for (unsigned i = 0; i < proxy_program->n_filters; i++) {
		const struct filter_ops *ops = proxy_program->filters[i];

		if (chain == NULL ? ops->on_req_headers != NULL || ops->on_req_body != NULL :
		    is_in(chain, CHAIN_REQ_HEADERS, ops) || is_in(chain, CHAIN_REQ_BODY, ops))
			put_name(ops->name, &is_first, out);
	}
	if (policy == NULL || policy->mirror != NULL)
		put_name("mirror", &is_first, out);
	fputs(is_first ? "none\n" : "\n", out);
}

static void
put_response(const struct filter_ops *ops, const struct chain *chain, bool *is_first, FILE *out)
{
	if (chain == NULL ? ops->on_resp_headers != NULL || ops->on_resp_body != NULL :
	    is_in(chain, CHAIN_RESP_HEADERS, ops) || is_in(chain, CHAIN_RESP_BODY, ops))
		put_name(ops->name, is_first, out);
}

/* Those of responses: first what the table of responses names (registry.h). */
static void
put_responses(const struct chain *chain, FILE *out)
{
	bool is_first = true;

	fputs("#   response: ", out);
	for (unsigned i = 0; i < proxy_program->n_responses; i++)
		put_response(proxy_program->responses[i], chain, &is_first, out);
	for (unsigned i = 0; i < proxy_program->n_filters; i++) {
		const struct filter_ops *ops = proxy_program->filters[i];
		bool has_rank = false;

		for (unsigned k = 0; k < proxy_program->n_responses; k++)
			has_rank |= proxy_program->responses[k] == ops;
		if (!has_rank)
			put_response(ops, chain, &is_first, out);
	}
	fputs(is_first ? "none\n" : "\n", out);
}

/* ---- one route ---- */

static void
say_no_route(struct build *b, const struct gate *gate, struct slice name)
{
	VEC(const char *) names;
	const char *near;

	vec_init(&names, b->arena);
	for (unsigned i = 0; i < gate->n_files; i++) {
		const struct route_file *f = gate->files[i];

		for (unsigned k = 0; k < f->n_rules; k++)
			vec_push(&names, arena_cstr(b->arena, f->rules[k].route->name));
	}
	near = diag_nearest(name, names.v, names.n);
	diag_add(b->diag, DIAG_ERROR, MARK_NONE, NULL,
	    near == NULL ? NULL : arena_printf(b->arena, "did you mean \"%s\"?", near),
	    "there is no route \"%.*s\"", build_slice_len(name), name.p);
}

static void
put_listeners(const struct build *b, uint64_t bits, FILE *out)
{
	const struct schema_map *all = b->view.listeners;
	bool is_first = true;

	fputs("# on listener ", out);
	for (uint32_t i = 0; i < all->count; i++) {
		if (bits == 0 || bits >> i & 1) {
			fprintf(out, "%s%.*s", is_first ? "" : ", ", build_slice_len(all->keys[i]),
			    all->keys[i].p);
			is_first = false;
		}
	}
	fputs("\n", out);
}

const struct schema_obj *
build_merged_policies(struct build *b, const struct route_conf *c, uint64_t bits)
{
	const struct app_view *v = &b->view;
	const struct schema_obj *base = v->defaults == NULL ?
	    schema_defaults(&route_policies_schema) : &v->defaults->policies.obj;
	uint32_t i = 0;

	while (bits != 0 && i + 1 < v->listeners->count && !(bits >> i & 1))
		i++;
	if (i < v->listeners->count)
		base = schema_merge(b->arena, base,
		    &SCHEMA_OBJ_AT(struct listener_conf, *v->listeners, i)->policies.obj);
	return (schema_merge(b->arena, base, &c->policies.obj));
}

static void
show_rule(struct build *b, uint32_t first, const struct router_rule *rule, FILE *out)
{
	const struct route *route = rule->route;
	struct route_conf c = *SCHEMA_OBJ_AT(struct route_conf, *b->view.routes,
	    first + route->index);

	memcpy(&c.policies, build_merged_policies(b, &c, rule->listeners), sizeof c.policies);
	fprintf(out, "# route \"%.*s\"", build_slice_len(route->name), route->name.p);
	if (rule->mark.file != NULL)
		fprintf(out, ", %s:%u", rule->mark.file, rule->mark.line);
	fputs("\n", out);
	put_listeners(b, rule->listeners, out);
	fputs("# policies in force, in the order in which they run:\n", out);
	put_requests(route->policy, out);
	put_responses(route->policy->chain, out);
	schema_show(&c.obj, out);
}

static bool
show_route(struct build *b, const struct gate *gate, struct slice name, FILE *out)
{
	bool is_first = true;

	for (unsigned i = 0; i < gate->n_files; i++) {
		const struct route_file *f = gate->files[i];

		for (unsigned k = 0; k < f->n_rules; k++) {
			if (!slice_eq(f->rules[k].route->name, name))
				continue;
			fputs(is_first ? "" : "---\n", out);
			show_rule(b, gate->first_of[i], &f->rules[k], out);
			is_first = false;
		}
	}
	if (is_first)
		say_no_route(b, gate, name);
	return (!is_first);
}

/* ---- all ---- */

static bool
show(struct build *b, const struct gate *gate, struct slice route, FILE *out)
{
	if (route.len > 0)
		return (show_route(b, gate, route, out));
	schema_show(b->root, out);
	fputs("# the order in which policies run, wherever they stand in the file:\n", out);
	put_requests(NULL, out);
	put_responses(NULL, out);
	return (true);
}

bool
build_show(struct build *b, const struct gate *gate, struct slice route, FILE *out)
{
	struct mem_trap trap;
	bool ok;

	CHECK_OBJ(b, BUILD_MAGIC);
	CHECK_OBJ(gate, GATE_MAGIC);
	if (MEM_TRAP_ENTER(&trap)) {
		b->no_memory = true;
		return (false);
	}
	ok = show(b, gate, route, out);
	mem_trap_leave(&trap);
	return (ok);
}

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

struct show {
	struct build		*b;
	const struct gate	*gate;
	FILE			*out;
	bool			 json;
	bool			 is_first;	/* of a list */
};

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

/* A list of names; for people where it begins says what of. */
static void
begin_names(struct show *s, const char *comment, const char *key)
{
	fprintf(s->out, s->json ? "\"%s\": [" : "# %s", s->json ? key : comment);
	s->is_first = true;
}

static void
put_name(struct show *s, struct slice name)
{
	fprintf(s->out, s->json ? "%s\"%.*s\"" : "%s%.*s", s->is_first ? "" : ", ",
	    build_slice_len(name), name.p);
	s->is_first = false;
}

static void
end_names(struct show *s, const char *none)
{
	fprintf(s->out, "%s", s->json ? "]" : s->is_first ? none : "\n");
}

/* Those of requests run in the order of the program's table, then the proxy's own. NULL: of no
   route, all that can. */
static void
put_requests(struct show *s, const struct route_policy *policy)
{
	const struct chain *chain = policy == NULL ? NULL : policy->chain;

	begin_names(s, "  request:  ", "request");
	for (unsigned i = 0; i < proxy_program->n_filters; i++) {
		const struct filter_ops *ops = proxy_program->filters[i];

		if (chain == NULL ? ops->on_req_headers != NULL || ops->on_req_body != NULL :
		    is_in(chain, CHAIN_REQ_HEADERS, ops) || is_in(chain, CHAIN_REQ_BODY, ops))
			put_name(s, slice_str(ops->name));
	}
	if (policy == NULL || policy->mirror != NULL)
		put_name(s, SLICE("mirror"));
	end_names(s, "none\n");
}

static void
put_response(struct show *s, const struct filter_ops *ops, const struct chain *chain)
{
	if (chain == NULL ? ops->on_resp_headers != NULL || ops->on_resp_body != NULL :
	    is_in(chain, CHAIN_RESP_HEADERS, ops) || is_in(chain, CHAIN_RESP_BODY, ops))
		put_name(s, slice_str(ops->name));
}

/* Those of responses: first what the table of responses names (registry.h). */
static void
put_responses(struct show *s, const struct chain *chain)
{
	begin_names(s, "  response: ", "response");
	for (unsigned i = 0; i < proxy_program->n_responses; i++)
		put_response(s, proxy_program->responses[i], chain);
	for (unsigned i = 0; i < proxy_program->n_filters; i++) {
		const struct filter_ops *ops = proxy_program->filters[i];
		bool has_rank = false;

		for (unsigned k = 0; k < proxy_program->n_responses; k++)
			has_rank |= proxy_program->responses[k] == ops;
		if (!has_rank)
			put_response(s, ops, chain);
	}
	end_names(s, "none\n");
}

/* `indent`: of JSON, where the lines stand. */
static void
put_policies(struct show *s, const struct route_policy *policy, const char *comment,
    unsigned indent)
{
	const struct chain *chain = policy == NULL ? NULL : policy->chain;

	if (!s->json) {
		fprintf(s->out, "# %s:\n", comment);
		put_requests(s, policy);
		put_responses(s, chain);
		return;
	}
	fprintf(s->out, "\"policies\": {\n%*s", (int)indent + 2, "");
	put_requests(s, policy);
	fprintf(s->out, ",\n%*s", (int)indent + 2, "");
	put_responses(s, chain);
	fprintf(s->out, "\n%*s}", (int)indent, "");
}

/* The values, and where they come from. */
static void
put_values(struct show *s, const struct schema_obj *obj, unsigned indent)
{
	if (!s->json) {
		schema_show(obj, s->out);
		return;
	}
	fputs("\"config\": ", s->out);
	schema_show_json(obj, indent, s->out);
	fprintf(s->out, ",\n%*s\"origins\": ", (int)indent, "");
	schema_show_json_origins(obj, indent, s->out);
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
put_listeners(struct show *s, uint64_t bits)
{
	const struct schema_map *all = s->b->view.listeners;

	begin_names(s, "on listener ", "listeners");
	for (uint32_t i = 0; i < all->count; i++) {
		if (bits == 0 || bits >> i & 1)
			put_name(s, all->keys[i]);
	}
	end_names(s, "\n");
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
put_title(struct show *s, const struct router_rule *rule)
{
	struct slice name = rule->route->name;

	if (s->json) {
		fputs("\"name\": ", s->out);
		schema_print_json_text(name, s->out);
		fputs(",\n      \"place\": ", s->out);
		schema_print_json_place(rule->mark, s->out);
		fputs(",\n      ", s->out);
		put_listeners(s, rule->listeners);
		return;
	}
	fprintf(s->out, "# route \"%.*s\"", build_slice_len(name), name.p);
	if (rule->mark.file != NULL)
		fprintf(s->out, ", %s:%u", rule->mark.file, rule->mark.line);
	fputs("\n", s->out);
	put_listeners(s, rule->listeners);
}

static void
show_rule(struct show *s, uint32_t first, const struct router_rule *rule)
{
	enum { INDENT = 6 };
	const struct route *route = rule->route;
	struct route_conf c = *SCHEMA_OBJ_AT(struct route_conf, *s->b->view.routes,
	    first + route->index);
	const char *next = s->json ? ",\n      " : "";

	memcpy(&c.policies, build_merged_policies(s->b, &c, rule->listeners), sizeof c.policies);
	put_title(s, rule);
	fputs(next, s->out);
	put_policies(s, route->policy, "policies in force, in the order in which they run",
	    INDENT);
	fputs(next, s->out);
	put_values(s, &c.obj, INDENT);
}

static bool
show_route(struct show *s, struct slice name)
{
	bool is_first = true;

	for (unsigned i = 0; i < s->gate->n_files; i++) {
		const struct route_file *f = s->gate->files[i];

		for (unsigned k = 0; k < f->n_rules; k++) {
			if (!slice_eq(f->rules[k].route->name, name))
				continue;
			if (s->json)
				fputs(is_first ? "{\n  \"routes\": [\n    {\n      " :
				    "\n    },\n    {\n      ", s->out);
			else
				fputs(is_first ? "" : "---\n", s->out);
			show_rule(s, s->gate->first_of[i], &f->rules[k]);
			is_first = false;
		}
	}
	if (is_first)
		say_no_route(s->b, s->gate, name);
	else if (s->json)
		fputs("\n    }\n  ]\n}\n", s->out);
	return (!is_first);
}

/* ---- all ---- */

static void
show_all(struct show *s)
{
	fputs(s->json ? "{\n  " : "", s->out);
	put_values(s, s->b->root, 2);
	fputs(s->json ? ",\n  " : "", s->out);
	put_policies(s, NULL, "the order in which policies run, wherever they stand in the file",
	    2);
	fputs(s->json ? "\n}\n" : "", s->out);
}

static bool
show(struct show *s, struct slice route)
{
	if (route.len > 0)
		return (show_route(s, route));
	show_all(s);
	return (true);
}

bool
build_show(struct build *b, const struct gate *gate, const struct build_shown *what, FILE *out)
{
	struct show s = { .b = b, .gate = gate, .out = out, .json = what->json };
	struct mem_trap trap;
	bool ok;

	CHECK_OBJ(b, BUILD_MAGIC);
	CHECK_OBJ(gate, GATE_MAGIC);
	if (MEM_TRAP_ENTER(&trap)) {
		b->no_memory = true;
		return (false);
	}
	ok = show(&s, what->route);
	mem_trap_leave(&trap);
	return (ok);
}

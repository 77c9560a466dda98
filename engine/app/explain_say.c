/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdio.h>

#include "engine/app/app_json.h"
#include "engine/app/explain_impl.h"
#include "engine/base/check.h"
#include "engine/proxy/gate.h"
#include "engine/proxy/mirror.h"
#include "engine/stats/prom.h"
#include "engine/upstream/balancer.h"
#include "engine/upstream/endset.h"
#include "engine/upstream/names.h"

/* What came of a request, as JSON. jansson takes NULL for a value and fails, so only what puts
   values together looks whether there was memory. */

static void
put(struct explain_case *c, json_t *o, const char *key, json_t *value)
{
	c->failed |= json_object_set_new(o, key, value) < 0;
}

static void
append(struct explain_case *c, json_t *list, json_t *value)
{
	c->failed |= json_array_append_new(list, value) < 0;
}

static json_t *
text(const char *s)
{
	return (app_json_text(slice_str(s)));
}

/* ---- how it ends ---- */

/* Which key would have it otherwise. */
static const char *
key_of_reason(struct explain_case *c, enum reason reason)
{
	switch (reason) {
	case REASON_PATH_REFUSED:
		return (c->r.route == NULL ? NULL : "allow_encoded_slash");
	case REASON_BODY_TOO_LARGE:
		return ("body_limit");
	case REASON_HEADER_TOO_LARGE:
		return ("limits.header_bytes");
	case REASON_URI_TOO_LONG:
		return ("limits.line");
	case REASON_IP_DENIED:
		return ("ip");
	default:
		return (NULL);
	}
}

static void
say_reason(struct explain_case *c, json_t *o)
{
	const struct reason_info *info = reason_info(c->r.reason);
	const char *key = key_of_reason(c, c->r.reason);
	const struct explain_setting *s = key == NULL ? NULL : explain_setting(c, key);
	struct mark where = MARK_NONE;

	put(c, o, "reason", app_json_text(info->name));
	put(c, o, "title", app_json_text(info->title));
	if (info->status != 0)
		put(c, o, "status", json_integer(info->status));
	if (key == NULL)
		return;
	where = s != NULL ? s->where : explain_policy_mark(c, key);
	if (where.file == NULL && c->rule != NULL)
		where = c->rule->mark;
	put(c, o, "key", text(key));
	put(c, o, "key_place", app_json_mark(where));
}

/* Of our own answer, less what is not known before it is given. */
static json_t *
fields_of(struct explain_case *c, const struct headers *hs)
{
	json_t *all = json_array();

	for (unsigned i = 0; i < hs->n; i++) {
		const struct hdr *h = &hs->v[i];
		json_t *pair;

		if (!hdr_is_live(h) || h->id == HDR_DATE || h->id == HDR_X_REQUEST_ID)
			continue;
		pair = json_array();
		append(c, pair, app_json_text(hdr_name(h)));
		append(c, pair, app_json_text(hdr_value(h)));
		append(c, all, pair);
	}
	return (all);
}

static void
say_end(struct explain_case *c, json_t *o)
{
	const struct hdr *location;

	put(c, o, "outcome", text(c->r.reason != REASON_NONE ? "refused" :
	    c->r.end == DRY_FORWARD ? "forwarded" : "answered"));
	if (c->r.reason != REASON_NONE) {
		say_reason(c, o);
		return;
	}
	if (c->r.end != DRY_ANSWER)
		return;
	put(c, o, "status", json_integer(c->r.resp->status));
	location = headers_get(&c->r.resp->m.headers, HDR_LOCATION);
	if (location != NULL)
		put(c, o, "location", app_json_text(hdr_value(location)));
	put(c, o, "fields", fields_of(c, &c->r.resp->m.headers));
}

/* ---- policies ---- */

static const char *
verdict_of(const struct dry_filter *f)
{
	switch (f->how) {
	case DRY_NOT_MET:
		return (f->met_response || f->ops->on_req_headers == NULL ? "on_answer" :
		    "not_reached");
	case DRY_NOT_KNOWN:
		return ("unknown");
	case DRY_PASSED:
		return ("passes");
	case DRY_REPLIED:
		return ("answers");
	case DRY_FAULTED:
		return ("refuses");
	}
	never("dry_how");
}

static const char *
why_unknown(const struct filter_ops *ops)
{
	if (ops->on_req_body != NULL || ops->on_resp_body != NULL)
		return ("depends on the body");
	return (ops->dry == FILTER_DRY_CLIENT ? "depends on the client's address" :
	    "is known when it runs");
}

static json_t *
words_of(const struct dry_filter *f)
{
	struct prom_text t = { 0 };
	FILE *out = app_json_print(&t);
	bool met = f->how == DRY_PASSED || f->how == DRY_REPLIED || f->how == DRY_FAULTED;

	if (out != NULL && f->ops->explain != NULL)
		f->ops->explain(f->fc, met, out);
	if (out != NULL && f->how == DRY_NOT_KNOWN && fflush(out) == 0 && t.len == 0)
		fputs(why_unknown(f->ops), out);
	return (app_json_printed(out, &t));
}

static json_t *
policies_of(struct explain_case *c)
{
	json_t *all = json_array();

	for (unsigned i = 0; i < c->r.n_filters; i++) {
		const struct dry_filter *f = &c->r.filters[i];
		json_t *o = json_object();

		put(c, o, "name", text(f->ops->name));
		put(c, o, "verdict", text(verdict_of(f)));
		put(c, o, "says", words_of(f));
		put(c, o, "place", app_json_mark(explain_policy_mark(c, f->ops->name)));
		append(c, all, o);
	}
	return (all);
}

/* ---- upstreams ---- */

static json_t *
servers_of(struct explain_case *c, const struct upstream *u, const struct endset *now)
{
	json_t *all = json_array();
	unsigned at = 0;

	for (unsigned i = 0; i < u->conf->n_servers; i++) {
		const struct upstream_server *s = &u->conf->servers[i];
		json_t *addresses = json_array(), *o = json_object();

		put(c, o, "server", app_json_text(s->text));
		put(c, o, "weight", json_integer(s->weight));
		put(c, o, "addresses", addresses);
		for (; at < now->n && slice_eq(now->v[at].name, s->text); at++)
			append(c, addresses, app_json_text(now->v[at].address));
		append(c, all, o);
	}
	return (all);
}

/* *server_r: whom it would be taken to, if that is sure. NULL: no memory. */
static json_t *
upstream_of(struct explain_case *c, struct upstream *u, const struct server **server_r)
{
	const struct explain *e = c->e;
	struct endset *now = e->is_live ? upstream_names_now(u) : endset_ref(u->first_set);
	json_t *o = NULL;
	bool ok = now != NULL;

	*server_r = NULL;
	/* Of names only the running process knows the addresses, on which the choice depends. */
	if (ok && (e->is_live || !u->has_names))
		ok = dry_choose(e->dry, u, now, server_r);
	if (ok) {
		o = json_object();
		put(c, o, "name", app_json_text(u->part.name));
		put(c, o, "balance", text(u->balancer->name));
		put(c, o, "servers", servers_of(c, u, now));
		put(c, o, "server", *server_r != NULL ? app_json_text((*server_r)->name) :
		    u->conf->n_servers == 1 ? app_json_text(u->conf->servers[0].text) :
		    json_null());
		put(c, o, "address", *server_r != NULL ? app_json_text((*server_r)->address) :
		    json_null());
	}
	if (now != NULL)
		endset_unref(&now);
	return (o);
}

static const struct server *
say_upstreams(struct explain_case *c, json_t *o)
{
	const struct route_split *split = c->r.route->split;
	const struct server *server = NULL, *picked = NULL;
	json_t *all = json_array(), *one;

	put(c, o, "upstreams", all);
	put(c, o, "upstream", c->r.by_chance ? json_null() :
	    app_json_text(c->r.upstream->part.name));
	if (c->r.route->action != ROUTE_SPLIT) {
		append(c, all, upstream_of(c, c->r.upstream, &server));
		return (server);
	}
	for (unsigned i = 0; i < split->n; i++) {
		struct upstream *u = gate_upstream(c->e->gate, split->v[i].upstream);

		one = upstream_of(c, u, &server);
		put(c, one, "share", json_integer(split->v[i].upto -
		    (i == 0 ? 0 : split->v[i - 1].upto)));
		append(c, all, one);
		if (u == c->r.upstream && !c->r.by_chance)
			picked = server;
	}
	return (picked);
}

/* A copy, of as many as the share says. */
static void
say_mirror(struct explain_case *c, json_t *o)
{
	enum { PPM_PERCENT = 10000 };
	const struct route_mirror *m = c->r.route->policy->mirror;
	json_t *mirror;

	if (m == NULL)
		return;
	mirror = json_object();
	put(c, mirror, "upstream",
	    app_json_text(gate_upstream(c->e->gate, m->upstream)->part.name));
	put(c, mirror, "percent", json_real((double)m->share_ppm / PPM_PERCENT));
	put(c, mirror, "place", app_json_mark(explain_policy_mark(c, "mirror")));
	put(c, o, "mirror", mirror);
}

/* What stands between `from` and `to`; empty: not there. */
static struct slice
between(struct slice s, struct slice from, struct slice to)
{
	ssize_t at = slice_find(s, from), end;

	if (at < 0)
		return (SLICE(""));
	s = slice_skip(s, (size_t)at + from.len);
	end = slice_find(s, to);
	return (slice_sub(s, 0, end < 0 ? s.len : (size_t)end));
}

/* As its server gets it. */
static void
say_target(struct explain_case *c, json_t *o, const struct server *server)
{
	struct slice head = dry_head(c->e->dry, server);
	bool is_any = c->r.route->policy->host_upstream && server == NULL;

	c->failed |= head.len == 0;
	put(c, o, "target", app_json_text(between(between(head, SLICE(" "), SLICE("\r\n")),
	    SLICE(""), SLICE(" "))));
	put(c, o, "target_host", is_any ? json_null() :
	    app_json_text(between(head, SLICE("\r\nHost: "), SLICE("\r\n"))));
}

/* ---- all ---- */

static json_t *
settings_of(struct explain_case *c)
{
	json_t *all = json_array();

	for (size_t i = 0; i < c->settings.n; i++) {
		const struct explain_setting *s = &c->settings.v[i];
		json_t *o = json_object();

		put(c, o, "of", text(s->of));
		put(c, o, "key", text(s->key));
		put(c, o, "value", text(s->value));
		put(c, o, "place", app_json_mark(s->where));
		append(c, all, o);
	}
	return (all);
}

static json_t *
route_of(struct explain_case *c)
{
	json_t *o;

	if (c->r.route == NULL)
		return (json_null());
	o = json_object();
	put(c, o, "name", app_json_text(c->r.route->name));
	put(c, o, "place", app_json_mark(c->rule != NULL ? c->rule->mark : MARK_NONE));
	return (o);
}

json_t *
explain_say(struct explain_case *c)
{
	json_t *o = json_object(), *listeners = json_array();
	const struct server *server;

	append(c, listeners, app_json_text(c->listener->name));
	put(c, o, "listeners", listeners);
	put(c, o, "host", app_json_text(c->r.host));
	put(c, o, "path", app_json_text(c->r.path));
	say_end(c, o);
	put(c, o, "route", route_of(c));
	put(c, o, "candidates", explain_rules(c));
	if (c->n_more > 0)
		put(c, o, "more_candidates", json_integer(c->n_more));
	if (c->r.is_preflight)
		put(c, o, "preflight", json_true());
	put(c, o, "policies", policies_of(c));
	if (c->r.end == DRY_FORWARD) {
		server = say_upstreams(c, o);
		say_target(c, o, server);
		say_mirror(c, o);
	}
	put(c, o, "settings", settings_of(c));
	if (c->failed)
		json_decref(o);
	return (c->failed ? NULL : o);
}

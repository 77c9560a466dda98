/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/app/app_json.h"
#include "engine/app/explain_impl.h"
#include "engine/base/check.h"
#include "engine/base/text.h"
#include "engine/mem/alloc.h"
#include "engine/proxy/gate.h"

/* From what is asked to the bytes that a client would send, and to the listeners that may get
   them. */

struct err *
explain_new(struct explain **ep, struct build *b, struct snapshot *snap, bool is_live)
{
	struct explain *e = mem_try_calloc(1, sizeof *e);
	struct mem_trap trap;
	struct err *err;

	*ep = NULL;
	if (e == NULL)
		return (err_memory());
	err = dry_new(&e->dry);
	if (err != NULL) {
		xfree(e);
		return (err);
	}
	e->magic = EXPLAIN_MAGIC;
	e->b = b;
	e->snap = snap;
	e->gate = snap->root;
	e->is_live = is_live;
	if (MEM_TRAP_ENTER(&trap)) {
		explain_free(&e);
		return (err_memory());
	}
	e->scratch = arena_new("explain");
	mem_trap_leave(&trap);
	*ep = e;
	return (NULL);
}

void
explain_free(struct explain **ep)
{
	struct explain *e = *ep;

	*ep = NULL;
	if (e == NULL)
		return;
	CHECK_OBJ(e, EXPLAIN_MAGIC);
	dry_free(&e->dry);
	if (e->scratch != NULL)
		arena_free(&e->scratch);
	e->magic = 0;
	xfree(e);
}

/* ---- what is asked ---- */

/* The parts of a URL as a client takes it apart. */
struct url {
	struct slice	 authority;	/* empty: only a path was given */
	struct slice	 target;
	uint16_t	 port;		/* 0: none is said */
};

static bool
port_of(struct slice authority, uint16_t *port_r)
{
	size_t at = authority.len;
	uint64_t n;

	while (at > 0 && authority.p[at - 1] >= '0' && authority.p[at - 1] <= '9')
		at--;
	if (at == 0 || at == authority.len || authority.p[at - 1] != ':' ||
	    !text_to_u64(slice_skip(authority, at), &n) || n > UINT16_MAX)
		return (false);
	*port_r = (uint16_t)n;
	return (true);
}

static const char no_host[] =
    "a URL with http:// or https:// is due, or a path and a Host field";

static const char *
parse_url(struct explain *e, struct slice s, struct url *u)
{
	enum { HTTP_PORT = 80, HTTPS_PORT = 443 };
	bool is_https = slice_has_prefix_fold(s, SLICE("https://"));
	size_t n = 0;
	ssize_t at;

	*u = (struct url){ .target = s, .port = 0 };
	if (s.len == 0)
		return ("a URL is due");
	if (!is_https && !slice_has_prefix_fold(s, SLICE("http://"))) {
		return (s.p[0] == '/' || slice_eq(s, SLICE("*")) ? NULL : no_host);
	}
	s = slice_skip(s, is_https ? 8 : 7);
	while (n < s.len && s.p[n] != '/' && s.p[n] != '?' && s.p[n] != '#')
		n++;
	u->authority = slice_sub(s, 0, n);
	if (!port_of(u->authority, &u->port))
		u->port = is_https ? HTTPS_PORT : HTTP_PORT;
	/* Clients keep the fragment to themselves. */
	s = slice_skip(s, n);
	at = slice_find_byte(s, '#');
	u->target = slice_sub(s, 0, at < 0 ? s.len : (size_t)at);
	if (u->target.len == 0 || u->target.p[0] != '/')
		u->target = slice_str(arena_printf(e->scratch, "/" SLICE_FMT,
		    SLICE_ARG(u->target)));
	return (NULL);
}

/* A line break would begin something that was not asked about. */
static bool
is_one_line(struct slice s)
{
	return (slice_find_byte(s, '\r') < 0 && slice_find_byte(s, '\n') < 0);
}

static const char *
check_fields(const struct explain_ask *ask, bool *has_host_r)
{
	*has_host_r = false;
	for (unsigned i = 0; i < ask->n_fields; i++) {
		struct slice f = ask->fields[i];
		ssize_t at = slice_find_byte(f, ':');

		if (at <= 0)
			return ("a field is written \"name: value\"");
		if (!is_one_line(f))
			return ("a field stands on one line");
		*has_host_r |= slice_eq_fold(slice_sub(f, 0, (size_t)at), SLICE("Host"));
	}
	return (NULL);
}

static const char *
make_head(struct explain *e, const struct explain_ask *ask, const struct url *u,
    struct slice *head_r)
{
	struct slice method = ask->method.len > 0 ? ask->method : SLICE("GET");
	const char *why;
	size_t size;
	bool has_host;
	struct text t;

	why = check_fields(ask, &has_host);
	if (why != NULL)
		return (why);
	if (u->authority.len == 0 && !has_host)
		return (no_host);
	if (!is_one_line(method) || !is_one_line(u->target) || !is_one_line(u->authority))
		return ("method and URL stand on one line");
	size = method.len + u->target.len + u->authority.len +
	    sizeof "  HTTP/1.1\r\nHost: \r\n\r\n";
	for (unsigned i = 0; i < ask->n_fields; i++)
		size += ask->fields[i].len + 2;
	text_init(&t, arena_alloc(e->scratch, size), size);
	text_put(&t, method);
	text_puts(&t, " ");
	text_put(&t, u->target);
	text_puts(&t, " HTTP/1.1\r\n");
	if (!has_host) {
		text_puts(&t, "Host: ");
		text_put(&t, u->authority);
		text_puts(&t, "\r\n");
	}
	for (unsigned i = 0; i < ask->n_fields; i++) {
		text_put(&t, ask->fields[i]);
		text_puts(&t, "\r\n");
	}
	text_puts(&t, "\r\n");
	must(!t.full);
	*head_r = text_slice(&t);
	return (NULL);
}

static const char *
parse_client(struct explain *e, struct slice s, const struct addr **client_r)
{
	struct addr *a = arena_znew(e->scratch, struct addr);

	*client_r = NULL;
	if (s.len == 0)
		return (NULL);
	*client_r = a;
	return (addr_parse_ip(s, a) ? NULL : "the client is an IP address");
}

/* ---- listeners ---- */

static bool
has_port(const struct listener *l, uint16_t port)
{
	for (unsigned i = 0; i < l->n_addrs; i++) {
		if (addr_port(&l->addrs[i]) == port)
			return (true);
	}
	return (false);
}

/* Bits; *by_r says how they were found. */
static uint64_t
listeners_for(const struct explain *e, const struct explain_ask *ask, uint16_t port,
    const char **by_r)
{
	const struct gate *g = e->gate;
	uint64_t named = 0, fitting = 0, all = 0;

	for (unsigned i = 0; i < g->n_listeners; i++) {
		uint64_t bit = UINT64_C(1) << i;

		all |= bit;
		if (slice_eq(g->listeners[i]->name, ask->listener))
			named = bit;
		if (port != 0 && has_port(g->listeners[i], port))
			fitting |= bit;
	}
	*by_r = ask->listener.len > 0 ? "name" : fitting != 0 ? "port" : "all";
	return (ask->listener.len > 0 ? named : fitting != 0 ? fitting : all);
}

/* ---- a request ---- */

/* What came of it on one listener. */
static json_t *
ask_listener(struct explain *e, const struct dry_request *req, struct listener *l)
{
	struct explain_case c = { .e = e, .listener = l, .req = *req };
	struct arena_mark mark;
	struct mem_trap trap;
	json_t *said = NULL;

	c.req.on_rule = explain_on_rule;
	c.req.arg = &c;
	/* Nothing but memory is ever short here. */
	if (!dry_run(e->dry, e->snap, l, &c.req, &c.r) || c.r.reason == REASON_OVERLOADED) {
		dry_done(e->dry);
		return (NULL);
	}
	/* What is merged on the way is not wanted for longer. */
	mark = arena_mark(e->b->arena);
	if (MEM_TRAP_ENTER(&trap)) {
		arena_rewind(e->b->arena, &mark);
		dry_done(e->dry);
		return (NULL);
	}
	explain_places(&c);
	mem_trap_leave(&trap);
	said = explain_say(&c);
	arena_rewind(e->b->arena, &mark);
	dry_done(e->dry);
	return (said);
}

/* The same but for the listeners is told once. */
static void
add_result(json_t *results, json_t *one)
{
	json_t *mine = json_incref(json_object_get(one, "listeners")), *other;
	size_t i;

	(void)json_object_set_new(one, "listeners", json_array());
	json_array_foreach(results, i, other) {
		json_t *theirs = json_incref(json_object_get(other, "listeners"));
		bool is_same;

		(void)json_object_set_new(other, "listeners", json_array());
		is_same = json_equal(one, other);
		if (is_same)
			(void)json_array_extend(theirs, mine);
		(void)json_object_set_new(other, "listeners", theirs);
		if (is_same) {
			json_decref(mine);
			json_decref(one);
			return;
		}
	}
	(void)json_object_set_new(one, "listeners", mine);
	(void)json_array_append_new(results, one);
}

static json_t *
ask_all(struct explain *e, const struct explain_ask *ask, const struct url *u,
    const struct dry_request *req, const char **wrong_r)
{
	const char *by;
	uint64_t bits = listeners_for(e, ask, u->port, &by);
	json_t *o, *results, *one;

	if (bits == 0) {
		*wrong_r = "there is no listener of this name";
		return (NULL);
	}
	results = json_array();
	o = json_pack("{s:o, s:o, s:o, s:s, s:o}", "method",
	    app_json_text(ask->method.len > 0 ? ask->method : SLICE("GET")), "url",
	    app_json_text(ask->url), "client", ask->client.len > 0 ? app_json_text(ask->client) :
	    json_null(), "listener_by", by, "results", results);
	for (unsigned i = 0; i < e->gate->n_listeners && o != NULL; i++) {
		if (!(bits >> i & 1))
			continue;
		one = ask_listener(e, req, e->gate->listeners[i]);
		if (one == NULL) {
			json_decref(o);
			return (NULL);
		}
		add_result(results, one);
	}
	return (o);
}

json_t *
explain_request(struct explain *e, const struct explain_ask *ask, const char **wrong_r)
{
	struct dry_request req = { .client = NULL };
	struct mem_trap trap;
	struct url u;

	CHECK_OBJ(e, EXPLAIN_MAGIC);
	*wrong_r = NULL;
	arena_reset(e->scratch);
	if (MEM_TRAP_ENTER(&trap))
		return (NULL);
	*wrong_r = parse_url(e, ask->url, &u);
	if (*wrong_r == NULL)
		*wrong_r = make_head(e, ask, &u, &req.head);
	if (*wrong_r == NULL)
		*wrong_r = parse_client(e, ask->client, &req.client);
	mem_trap_leave(&trap);
	return (*wrong_r != NULL ? NULL : ask_all(e, ask, &u, &req, wrong_r));
}

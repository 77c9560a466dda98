/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/text.h"
#include "engine/mem/alloc.h"
#include "engine/mem/page.h"
#include "engine/upstream/up_stream.h"
#include "tests/unit/upstream/rig.h"

struct worker rig_worker;

enum { CONNECT_MS = 3000, PAGES = 4096 };

void
rig_begin(void)
{
	sim_begin();
	assert_null(worker_init(&rig_worker, 0, PAGES));
	rnd_init_seed(&rig_worker.rnd, 42);
	assert_null(upstream_worker_enter(&rig_worker));
}

void
rig_end(void)
{
	struct page_stats pages;

	sim_run_until_idle();
	upstream_worker_leave(&rig_worker);
	page_pool_stats(&rig_worker.pages, &pages);
	assert_int_equal(pages.in_use, 0);
	worker_fini(&rig_worker);
	sim_end();
}

static unsigned
parse_servers(struct upstream_server *v, unsigned cap, const char *text)
{
	struct slice rest = slice_str(text), word;
	unsigned n = 0;

	while (slice_split(&rest, ' ', &word)) {
		struct upstream_server *s = &v[n];
		struct slice weight = word, addr;
		uint64_t value;

		if (word.len == 0)
			continue;
		assert_true(n++ < cap);
		assert_true(slice_split(&weight, '*', &addr));
		memset(s, 0, sizeof *s);
		s->text = addr;
		s->weight = 1;
		if (weight.len > 0) {
			assert_true(text_to_u64(weight, &value));
			s->weight = (uint32_t)value;
		}
		if (addr_parse(addr, &s->addr))
			continue;
		weight = addr;
		assert_true(slice_split(&weight, ':', &s->name));
		assert_true(text_to_u64(weight, &value));
		s->port = (uint16_t)value;
	}
	return (n);
}

static struct endset *
set_of(const struct upstream_server *v, unsigned n)
{
	struct server *servers = xcalloc(n + 1, sizeof *servers);
	char (*text)[ADDR_TEXT_MAX] = xcalloc(n + 1, sizeof *text);
	struct endset *set;
	unsigned k = 0;

	for (unsigned i = 0; i < n; i++) {
		if (v[i].name.len > 0)
			continue;
		servers[k].weight = v[i].weight;
		servers[k].addr = v[i].addr;
		servers[k].name = v[i].text;
		servers[k].address = slice_of(text[k],
		    addr_format(&v[i].addr, text[k], sizeof text[k]));
		k++;
	}
	set = endset_new(servers, k);
	xfree(servers);
	xfree(text);
	return (set);
}

struct endset *
rig_set(const char *servers)
{
	struct upstream_server v[64];

	return (set_of(v, parse_servers(v, 64, servers)));
}

static void
on_fini(struct part *part)
{
	struct upstream *u = (struct upstream *)part;

	for (unsigned i = 0; i < WORKER_MAX; i++)
		assert_null(u->per_worker[i]);
	endset_unref(&u->first_set);
}

struct upstream *
rig_upstream_v(const struct balancer_ops *ops, const struct upstream_server *v, unsigned n)
{
	struct part *part = part_new(PART_UPSTREAM, SLICE("u"), sizeof(struct upstream), 1);
	struct upstream *u = (struct upstream *)part;
	struct upstream_conf *c = arena_znew(part->arena, struct upstream_conf);
	struct upstream_server *copy = arena_zarray(part->arena, n + 1, sizeof *copy);

	memcpy(copy, v, n * sizeof *copy);
	for (unsigned i = 0; i < n; i++)
		u->has_names |= v[i].name.len > 0;
	c->magic = UPSTREAM_CONF_MAGIC;
	c->servers = copy;
	c->n_servers = n;
	part->fini = on_fini;
	u->conf = c;
	u->pool = (struct upstream_pool_limits){ .idle = 64, .idle_timeout_ms = 55000,
		.max_age_ms = UINT64_MAX };
	u->balancer = ops;
	u->per_worker = arena_zarray(part->arena, WORKER_MAX, sizeof(struct up_local *));
	u->first_set = set_of(copy, n);
	return (u);
}

struct upstream *
rig_upstream(const struct balancer_ops *ops, const char *servers)
{
	struct upstream_server v[64];

	return (rig_upstream_v(ops, v, parse_servers(v, 64, servers)));
}

struct upstream_conf *
rig_conf(struct upstream *u)
{
	return ((struct upstream_conf *)(uintptr_t)u->conf);
}

struct up_local *
rig_local(struct upstream *u)
{
	struct up_local *local = pool_local(&rig_worker, u);

	assert_non_null(local);
	return (local);
}

void
rig_drop(struct upstream **up)
{
	struct part *part = &(*up)->part;

	upstream_retire(&rig_worker, *up);
	*up = NULL;
	part_unref(&part);
}

/* ---- requests ---- */

static void
send_now(struct rig_shot *s)
{
	assert_true(up_send(s->up, &s->req, s->has_body ? &s->out : NULL));
	up_receive(s->up, &s->in);
}

static void
note_server(struct rig_shot *s, const struct server *server)
{
	(void)snprintf(s->server, sizeof s->server, SLICE_FMT, SLICE_ARG(server->address));
}

static void
on_open(void *arg, struct up_stream *up, const struct server *server)
{
	struct rig_shot *s = arg;

	s->up = up;
	s->n_open++;
	note_server(s, server);
	send_now(s);
}

static void
on_info(void *arg, struct msg_resp *info)
{
	struct rig_shot *s = arg;

	(void)info;
	s->n_info++;
}

static struct msg *
on_begin(void *arg)
{
	struct rig_shot *s = arg;

	msg_resp_init(&s->resp, s->arena);
	return (&s->resp.m);
}

static void
on_head(void *arg, struct msg_resp *resp, struct page *head, bool end)
{
	struct rig_shot *s = arg;

	assert_ptr_equal(resp, &s->resp);
	(void)end;
	s->head = page_ref(head);
	s->n_head++;
}

static void
on_end(void *arg)
{
	struct rig_shot *s = arg;

	s->n_end++;
	if (!s->keep && s->n_sent > 0)
		up_close(&s->up);
	if (s->then != NULL)
		s->then();
}

static void
on_sent(void *arg)
{
	struct rig_shot *s = arg;

	s->n_sent++;
}

static void
on_fail(void *arg, const struct up_fault *f)
{
	struct rig_shot *s = arg;

	s->up = NULL;
	s->n_fail++;
	s->fault = *f;
	if (f->server != NULL)
		note_server(s, f->server);
}

static const struct up_events events = {
	.on_open = on_open,
	.on_info = on_info,
	.on_begin = on_begin,
	.on_head = on_head,
	.on_end = on_end,
	.on_sent = on_sent,
	.on_fail = on_fail,
};

static void
set_body(struct rig_shot *s, const char *body)
{
	struct span span = { .p = body };

	pipe_init(&s->out, PIPE_LOW, PIPE_HIGH);
	pipe_init(&s->in, PIPE_LOW, PIPE_HIGH);
	if (body == NULL)
		return;
	s->has_body = true;
	s->req.m.body = MSG_BODY_LENGTH;
	span.len = (uint32_t)strlen(body);
	s->req.m.content_length = span.len;
	(void)pipe_put(&s->out, span);
	pipe_put_end(&s->out, NULL);
}

static struct rig_shot *
shoot(struct upstream *u, const char *method, const char *body, bool fresh)
{
	struct rig_shot *s = xcalloc(1, sizeof *s);
	struct pick pick = { .req = &s->req, .fresh = fresh };

	s->arena = arena_new("shot");
	msg_req_init(&s->req, s->arena);
	s->req.method_text = slice_str(method);
	s->req.method = (uint8_t)method_of(s->req.method_text);
	s->req.target = s->req.path_raw = s->req.path = SLICE("/x");
	s->req.authority = s->req.host = SLICE("h");
	s->req.m.version = HTTP_1_1;
	set_body(s, body);
	s->up = up_open(&rig_worker, u, &pick, CONNECT_MS, &events, s);
	assert_non_null(s->up);
	if (up_is_open(s->up)) {
		s->reused = up_is_reused(s->up);
		note_server(s, up_server(s->up));
		send_now(s);
	}
	return (s);
}

struct rig_shot *
rig_shoot(struct upstream *u, const char *method, const char *body)
{
	return (shoot(u, method, body, false));
}

struct rig_shot *
rig_shoot_fresh(struct upstream *u, const char *method)
{
	return (shoot(u, method, NULL, true));
}

void
rig_forget(struct rig_shot **sp)
{
	struct rig_shot *s = *sp;

	*sp = NULL;
	if (s->up != NULL)
		up_close(&s->up);
	pipe_fini(&s->in);
	pipe_fini(&s->out);
	if (s->head != NULL)
		page_unref(&s->head);
	arena_free(&s->arena);
	xfree(s);
}

void
rig_expect(struct sim_conn *c, const char *bytes)
{
	const char *wrong = sim_expect(c, slice_str(bytes));

	if (wrong != NULL)
		fail_msg("%s", wrong);
}

struct sim_conn *
rig_exchange(struct upstream *u, const char *addr, struct sim_conn *c, const char *answer)
{
	struct rig_shot *s;

	/* Requests come from the loop, which knows the time. */
	loop_turn(rig_worker.loop, false);
	s = rig_shoot(u, "GET", NULL);
	sim_run_until_idle();
	if (c == NULL)
		c = sim_server_take(addr);
	assert_non_null(c);
	rig_expect(c, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
	sim_send(c, slice_str(answer));
	sim_run_until_idle();
	assert_int_equal(s->n_head, 1);
	assert_int_equal(s->n_end, 1);
	assert_int_equal(s->n_fail, 0);
	rig_forget(&s);
	return (c);
}

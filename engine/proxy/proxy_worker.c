/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/base/log.h"
#include "engine/mem/alloc.h"
#include "engine/proxy/down_conn.h"
#include "engine/proxy/exchange.h"
#include "engine/proxy/access_log.h"
#include "engine/proxy/gate.h"
#include "engine/proxy/mirror.h"
#include "engine/proxy/proxy_stats.h"
#include "engine/proxy/registry.h"
#include "engine/regex/regex.h"
#include "engine/upstream/upstream.h"

/* What a worker keeps of the proxy: made when it starts, brought up to date by each generation. */

const struct proxy_program *proxy_program;

/* All that may fail in turn. The log is last: once it is made its thread knows it, and it cannot be
   given back. */
static struct err *
make_rest(struct worker *w, struct proxy_local *pl)
{
	struct err *err;

	if (pl->filter_state == NULL || pl->regex == NULL)
		return (err_memory());
	err = proxy_stats_enter(w, &pl->stats);
	if (err != NULL)
		return (err);
	err = registry_worker_start(pl->filter_state, w);
	if (err == NULL) {
		pl->log = access_log_new(w->stats);
		if (pl->log != NULL)
			return (NULL);
		registry_worker_stop(pl->filter_state);
		err = err_memory();
	}
	proxy_stats_leave(&pl->stats);
	return (err);
}

struct err *
proxy_worker_enter(struct worker *w)
{
	struct proxy_local *pl = mem_try_calloc(1, sizeof *pl);
	struct err *err;

	if (pl == NULL)
		return (err_memory());
	pl->magic = PROXY_LOCAL_MAGIC;
	down_conn_register();
	exchange_register();
	slab_init(&pl->conns, "client connections", sizeof(struct down_conn), 0);
	slab_init(&pl->exchanges, "exchanges", sizeof(struct exchange), 0);
	mirror_init(pl);
	list_init(&pl->listeners);
	list_init(&pl->sockets);
	list_init(&pl->open);
	w->slot[WORKER_SLOT_PROXY] = pl;
	pl->n_filters = proxy_program->n_filters;
	pl->filter_state = mem_try_calloc(pl->n_filters + 1, sizeof(void *));
	pl->regex = regex_work_new();
	err = make_rest(w, pl);
	if (err != NULL) {
		regex_work_free(&pl->regex);
		xfree(pl->filter_state);
		w->slot[WORKER_SLOT_PROXY] = NULL;
		xfree(pl);
	}
	return (err);
}

/* ---- room ---- */

/*
 * What a worker allocates when it applies a generation comes from the main thread with it: a
 * generation that was published must not fail for want of memory.
 */
struct gate_room {
	struct gate_room	*next;
};

enum {
	ROOM_BYTES = sizeof(struct listener_local) > sizeof(struct proxy_socket) ?
	    sizeof(struct listener_local) : sizeof(struct proxy_socket)
};

static void
free_room(const struct gate *gate, unsigned worker)
{
	struct gate_room *room;

	while (gate->rooms != NULL && (room = gate->rooms[worker]) != NULL) {
		gate->rooms[worker] = room->next;
		xfree(room);
	}
}

static bool
make_room(struct gate *gate, unsigned worker)
{
	unsigned n = 0;

	for (unsigned i = 0; i < gate->n_listeners; i++)
		n += 1 + gate->listeners[i]->n_addrs;
	while (n-- > 0) {
		struct gate_room *room = mem_try_malloc(ROOM_BYTES);

		if (room == NULL)
			return (false);
		room->next = gate->rooms[worker];
		gate->rooms[worker] = room;
	}
	return (true);
}

static void *
take_room(const struct worker *w, const struct gate *gate)
{
	struct gate_room *room = gate->rooms[w->index];

	must(room != NULL);
	gate->rooms[w->index] = room->next;
	return (memset(room, 0, ROOM_BYTES));
}

static bool
make_rooms(struct snapshot *s, struct gate *gate, unsigned n)
{
	struct mem_trap trap;

	if (MEM_TRAP_ENTER(&trap))
		return (false);
	gate->rooms = arena_zarray(s->arena, n, sizeof(struct gate_room *));
	mem_trap_leave(&trap);
	for (unsigned i = 0; i < n; i++) {
		if (!make_room(gate, i))
			return (false);
	}
	return (true);
}

bool
proxy_publish(struct snapshot *s, struct worker *const *workers, unsigned n, struct worker *main)
{
	struct gate *gate = s->root;

	CHECK_OBJ(gate, GATE_MAGIC);
	if (make_rooms(s, gate, n) &&
	    snapshot_publish(s, workers, n, main, proxy_apply, proxy_retired))
		return (true);
	for (unsigned i = 0; gate->rooms != NULL && i < n; i++)
		free_room(gate, i);
	return (false);
}

/* ---- listeners ---- */

static void
free_local(struct listener_local *local)
{
	struct part *part = (struct part *)(uintptr_t)&local->listener->part;

	list_del(&local->link);
	local->magic = 0;
	part_unref(&part);
	xfree(local);
}

void
proxy_listener_unref(struct listener_local *local)
{
	CHECK_OBJ(local, LISTENER_LOCAL_MAGIC);
	must(local->refs > 0);
	if (--local->refs == 0)
		free_local(local);
}

/* The local's listener in this generation, or another one than it had. */
static void
set_listener(struct listener_local *local, struct listener *l)
{
	struct part *before = (struct part *)(uintptr_t)&local->listener->part;
	bool is_renamed = !slice_eq(local->listener->name, l->name);

	(void)part_ref(&l->part);
	local->listener = l;
	local->limits = l->limits;
	local->index = l->index;
	part_unref(&before);
	if (is_renamed)		/* all references but the one for accepting are connections */
		proxy_stats_renamed(local, local->refs - 1);
}

static struct listener_local *
new_local(struct worker *w, const struct gate *gate, struct listener *l)
{
	struct listener_local *local = take_room(w, gate);

	local->magic = LISTENER_LOCAL_MAGIC;
	local->worker = w;
	(void)part_ref(&l->part);
	local->listener = l;
	local->limits = l->limits;
	local->index = l->index;
	local->refs = 1;
	list_add_tail(&proxy_of(w)->listeners, &local->link);
	return (local);
}

static struct listener_local *
find_local(struct proxy_local *pl, struct slice name)
{
	struct listener_local *local;

	LIST_FOREACH(local, &pl->listeners, struct listener_local, link) {
		if (local->index != GATE_LISTENER_GONE && slice_eq(local->listener->name, name))
			return (local);
	}
	return (NULL);
}

static bool
is_configured(const struct gate *gate, struct slice name)
{
	for (unsigned i = 0; i < gate->n_listeners; i++) {
		if (slice_eq(gate->listeners[i]->name, name))
			return (true);
	}
	return (false);
}

/* ---- sockets ---- */

static struct proxy_socket *
find_socket(struct proxy_local *pl, const struct addr *addr, bool is_dual)
{
	struct proxy_socket *ps;

	LIST_FOREACH(ps, &pl->sockets, struct proxy_socket, link) {
		if (addr_eq(&ps->addr, addr) && ps->is_dual == is_dual)
			return (ps);
	}
	return (NULL);
}

/* The local of a listener that only got another name: same address, and the old name is gone. */
static struct listener_local *
find_renamed(struct proxy_local *pl, const struct gate *gate, const struct listener *l)
{
	for (unsigned i = 0; i < l->n_addrs; i++) {
		struct proxy_socket *ps = find_socket(pl, &l->addrs[i], l->is_dual);

		if (ps != NULL && !is_configured(gate, ps->local->listener->name))
			return (ps->local);
	}
	return (NULL);
}

static void
open_socket(struct worker *w, struct listener_local *local, const struct gate *gate, unsigned i)
{
	int fd = gate_fd(gate, local->index, i, w->index);
	struct proxy_socket *ps;

	if (fd < 0) {
		log_error("worker %u has no socket for listener %.*s", w->index,
		    (int)local->listener->name.len, local->listener->name.p);
		return;
	}
	ps = take_room(w, gate);
	listener_start(&ps->sock, w->loop, fd, down_conn_accept, local);
	ps->magic = PROXY_SOCKET_MAGIC;
	ps->is_kept = true;
	ps->is_dual = local->listener->is_dual;
	ps->addr = local->listener->addrs[i];
	ps->local = local;
	list_add_tail(&proxy_of(w)->sockets, &ps->link);
}

/* The local accepts from these addresses now: sockets that are there stay open. */
static void
take_sockets(struct worker *w, struct listener_local *local, const struct gate *gate)
{
	const struct listener *l = local->listener;

	for (unsigned i = 0; i < l->n_addrs; i++) {
		struct proxy_socket *ps = find_socket(proxy_of(w), &l->addrs[i], l->is_dual);

		if (ps == NULL) {
			open_socket(w, local, gate, i);
			continue;
		}
		ps->is_kept = true;
		ps->local = local;
		ps->sock.arg = local;
	}
}

/* Connections that wait in the kernel are still accepted, then it is closed. */
static void
close_sockets(struct proxy_local *pl, bool all)
{
	struct proxy_socket *ps, *tmp;

	LIST_FOREACH_SAFE(ps, tmp, &pl->sockets, struct proxy_socket, link) {
		if (ps->is_kept && !all)
			continue;
		listener_stop(&ps->sock);
		list_del(&ps->link);
		ps->magic = 0;
		xfree(ps);
	}
}

static void
drain_conns(struct proxy_local *pl, const struct listener_local *of)
{
	struct down_conn *dc, *tmp;

	LIST_FOREACH_SAFE(dc, tmp, &pl->open, struct down_conn, link) {
		if (of == NULL || dc->local == of)
			down_conn_drain(dc);
	}
}

/* ---- generations ---- */

/* Locals whose listener the file no longer has: their connections finish what they do. */
static void
leave_listeners(struct proxy_local *pl, const struct gate *gate)
{
	struct listener_local *local, *tmp;

	LIST_FOREACH_SAFE(local, tmp, &pl->listeners, struct listener_local, link) {
		if (local->index == GATE_LISTENER_GONE ||
		    (local->index < gate->n_listeners &&
		    gate->listeners[local->index] == local->listener))
			continue;
		local->index = GATE_LISTENER_GONE;
		drain_conns(pl, local);
		proxy_listener_unref(local);
	}
}

void
proxy_apply(struct worker *w, struct snapshot *now)
{
	struct proxy_local *pl = proxy_of(w);
	const struct gate *gate = now->root;
	struct proxy_socket *ps;

	access_log_use(pl->log, gate->log);
	if (w->draining) {
		free_room(gate, w->index);
		return;
	}
	LIST_FOREACH(ps, &pl->sockets, struct proxy_socket, link)
		ps->is_kept = false;
	for (unsigned i = 0; i < gate->n_listeners; i++) {
		struct listener *l = gate->listeners[i];
		struct listener_local *local = find_local(pl, l->name);

		if (local == NULL)
			local = find_renamed(pl, gate, l);
		if (local == NULL)
			local = new_local(w, gate, l);
		else
			set_listener(local, l);
		take_sockets(w, local, gate);
	}
	close_sockets(pl, false);
	leave_listeners(pl, gate);
	free_room(gate, w->index);
}

bool
proxy_has_upstream(const struct gate *gate, const struct upstream *u)
{
	unsigned lo = 0, hi = gate->n_upstreams;

	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;

		if (gate->upstreams_sorted[mid] == u)
			return (true);
		if ((uintptr_t)gate->upstreams_sorted[mid] < (uintptr_t)u)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (false);
}

static void
retire_missing(struct worker *w, const struct gate *is, struct upstream *const *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (v[i]->per_worker[w->index] != NULL && !proxy_has_upstream(is, v[i]))
			upstream_retire(w, v[i]);
	}
}

void
proxy_retired(struct worker *w, struct snapshot *gone)
{
	const struct gate *was = gone->root, *is = w->snap->snap->root;

	/* A generation that outlived others, by a long request, has to be gone through. */
	if (was->next == w->snap->snap->generation)
		retire_missing(w, is, was->dropped, was->n_dropped);
	else
		retire_missing(w, is, was->upstreams, was->n_upstreams);
}

/* ---- the end ---- */

void
proxy_drain(struct worker *w)
{
	struct proxy_local *pl = proxy_of(w);

	if (w->draining)
		return;
	w->draining = true;
	close_sockets(pl, true);
	drain_conns(pl, NULL);
}

bool
proxy_is_drained(const struct worker *w)
{
	return (w->connections == 0 && list_is_empty(&proxy_of(w)->mirrors));
}

static void
reset_conns(struct proxy_local *pl)
{
	struct down_conn *dc, *tmp;

	LIST_FOREACH_SAFE(dc, tmp, &pl->open, struct down_conn, link) {
		if (dc->ex != NULL)
			exchange_abort(dc->ex, REASON_DRAINING);
		if (dc->ex == NULL)
			down_conn_close(dc, CLOSE_RESET);
	}
}

/* Objects that were closed are given back by deferred calls: some turns let them run. */
static void
settle(struct worker *w)
{
	enum { TURNS = 4 };

	for (unsigned i = 0; i < TURNS; i++)
		loop_turn(w->loop, false);
}

void
proxy_worker_leave(struct worker *w)
{
	struct proxy_local *pl = proxy_of(w);
	const struct gate *gate = w->snap != NULL ? w->snap->snap->root : NULL;
	struct listener_local *local, *tmp;

	w->draining = true;
	close_sockets(pl, true);
	reset_conns(pl);
	mirror_cut(w);
	settle(w);
	for (unsigned i = 0; gate != NULL && i < gate->n_upstreams; i++)
		upstream_retire(w, gate->upstreams[i]);
	settle(w);
	LIST_FOREACH_SAFE(local, tmp, &pl->listeners, struct listener_local, link)
		proxy_listener_unref(local);
	proxy_stats_leave(&pl->stats);
	registry_worker_stop(pl->filter_state);
	regex_work_free(&pl->regex);
	xfree(pl->filter_state);
	slab_fini(&pl->conns);
	slab_fini(&pl->exchanges);
	slab_fini(&pl->mirror_slab);
	w->slot[WORKER_SLOT_PROXY] = NULL;
	xfree(pl);
}

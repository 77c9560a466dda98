/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/sim/sim.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/check.h"
#include "engine/base/list.h"
#include "engine/loop/resolve.h"
#include "engine/loop/timer.h"
#include "engine/mem/alloc.h"
#include "tests/sim/sim_int.h"

/* The symbols of engine/loop/resolve.h over a table of names that the test fills. */

enum {
	SIM_ADDRS_MAX	= 64,
};

struct resolver {
	unsigned	 magic;
	struct loop	*loop;
	struct list	 calls;
};

struct sim_name_row {
	struct list	 link;
	char		 name[RESOLVE_NAME_MAX + 1];
	struct addr	 addrs[SIM_ADDRS_MAX];
	unsigned	 n;
	uint32_t	 ttl_s;
	enum resolve_rc	 rc;
	bool		 is_silent;
};

static struct list rows = LIST_INIT(rows);
static struct list silent = LIST_INIT(silent);	/* struct resolve_call.link: no answer yet */

static void
end(void)
{
	while (!list_is_empty(&rows)) {
		struct list *node = rows.next;

		list_del(node);
		xfree(list_entry(node, struct sim_name_row, link));
	}
}

static struct sim_part part = {.end = end};

static struct sim_name_row *
row_of(struct slice name, bool make)
{
	struct sim_name_row *row;

	LIST_FOREACH(row, &rows, struct sim_name_row, link) {
		if (slice_eq_fold(slice_str(row->name), name))
			return (row);
	}
	if (!make)
		return (NULL);
	sim_add_part(&part);
	row = xcalloc(1, sizeof *row);
	(void)snprintf(row->name, sizeof row->name, SLICE_FMT, SLICE_ARG(name));
	list_init(&row->link);
	list_add_tail(&rows, &row->link);
	return (row);
}

static void deliver(struct resolve_call *, const struct sim_name_row *);

/* Those who asked while it was silent have the answer now. */
static void
speak(struct sim_name_row *row)
{
	struct resolve_call *call, *tmp;

	row->is_silent = false;
	LIST_FOREACH_SAFE(call, tmp, &silent, struct resolve_call, link) {
		if (call->flight == row)
			deliver(call, row);
	}
}

void
sim_name_silent(const char *name)
{
	row_of(slice_str(name), true)->is_silent = true;
}

void
sim_name(const char *name, const char *ips, uint32_t ttl_s)
{
	struct sim_name_row *row = row_of(slice_str(name), true);
	struct slice rest = slice_str(ips != NULL ? ips : "");
	struct slice piece;

	row->n = 0;
	row->ttl_s = ttl_s;
	row->rc = ips != NULL ? RESOLVE_OK : RESOLVE_NOT_FOUND;
	while (ips != NULL && slice_split(&rest, ',', &piece)) {
		must(row->n < SIM_ADDRS_MAX);
		must(addr_parse_ip(piece, &row->addrs[row->n]));
		row->n++;
	}
	speak(row);
}

void
sim_name_fails(const char *name, bool timeout)
{
	struct sim_name_row *row = row_of(slice_str(name), true);

	row->n = 0;
	row->rc = timeout ? RESOLVE_TIMEOUT : RESOLVE_FAILED;
	speak(row);
}

struct resolver *
resolver_new(struct loop *l, const struct resolver_conf *conf)
{
	struct resolver *r = mem_try_calloc(1, sizeof *r);

	(void)conf;
	if (r == NULL)
		return (NULL);
	r->magic = RESOLVER_MAGIC;
	r->loop = l;
	list_init(&r->calls);
	return (r);
}

void
resolver_free(struct resolver **rp)
{
	struct resolve_call *call, *tmp;
	struct resolver *r;

	TAKE_OBJ(r, rp, RESOLVER_MAGIC);
	LIST_FOREACH_SAFE(call, tmp, &silent, struct resolve_call, link) {
		if (call->resolver == r)
			resolve_cancel(call);
	}
	while (!list_is_empty(&r->calls))
		resolve_cancel(list_first_entry(&r->calls, struct resolve_call, link));
	r->magic = 0;
	xfree(r);
}

static void
on_deliver(void *arg)
{
	struct resolve_call *call;
	struct addr *addrs;
	unsigned n;

	CAST_OBJ(call, arg, RESOLVE_CALL_MAGIC);
	addrs = call->addrs;
	n = call->n;
	call->addrs = NULL;
	call->n = 0;
	call->resolver = NULL;
	list_del(&call->link);
	call->fn(call, addrs, n, call->ttl_s, call->rc);
	xfree(addrs);
}

void
resolve_call_init(struct resolve_call *call)
{
	memset(call, 0, sizeof *call);
	call->magic = RESOLVE_CALL_MAGIC;
	list_init(&call->link);
	deferred_init(&call->deferred, on_deliver, call);
}

/* The row may be NULL: there is no such name. Until the answer the call's n holds the port. */
static void
deliver(struct resolve_call *call, const struct sim_name_row *row)
{
	uint16_t port = (uint16_t)call->n;

	call->rc = row != NULL ? row->rc : RESOLVE_NOT_FOUND;
	call->n = 0;
	list_del(&call->link);
	list_add_tail(&call->resolver->calls, &call->link);
	if (call->rc == RESOLVE_OK)
		call->addrs = mem_try_calloc(row->n, sizeof *call->addrs);
	if (call->rc == RESOLVE_OK && call->addrs == NULL)
		call->rc = RESOLVE_FAILED;
	if (call->rc == RESOLVE_OK) {
		call->ttl_s = row->ttl_s;
		call->n = row->n;
		memcpy(call->addrs, row->addrs, row->n * sizeof *call->addrs);
		for (unsigned i = 0; i < call->n; i++)
			addr_set_port(&call->addrs[i], port);
	}
	loop_defer(call->resolver->loop, &call->deferred);
}

void
resolve_start(struct resolver *r, struct resolve_call *call, struct slice name, uint16_t port,
    resolve_fn *fn)
{
	struct sim_name_row *row = row_of(name, false);

	CHECK_OBJ(call, RESOLVE_CALL_MAGIC);
	must(call->resolver == NULL);
	call->resolver = r;
	call->fn = fn;
	call->n = port;
	call->ttl_s = 0;
	call->flight = row;
	if (row != NULL && row->is_silent)
		list_add_tail(&silent, &call->link);
	else
		deliver(call, row);
}

void
resolve_cancel(struct resolve_call *call)
{
	CHECK_OBJ(call, RESOLVE_CALL_MAGIC);
	if (call->resolver == NULL)
		return;
	deferred_cancel(&call->deferred);
	xfree(call->addrs);
	call->addrs = NULL;
	call->n = 0;
	list_del(&call->link);
	call->resolver = NULL;
}

const char *
resolver_library(void)
{
	return ("simulated");
}

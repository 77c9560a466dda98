/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/loop/resolve.h"

#include <ares.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/check.h"
#include "engine/base/log.h"
#include "engine/loop/io.h"
#include "engine/loop/timer.h"
#include "engine/mem/alloc.h"

#define FLIGHT_MAGIC	0x464c5448u	/* "FLTH" */
#define WATCH_MAGIC	0x57415443u	/* "WATC" */

enum {
	DEFAULT_TIMEOUT_MS	= 2000,
	DEFAULT_TRIES		= 3,
};

/*
 * Two channels, so that an answer from /etc/hosts, which has no TTL, can be told from one of a
 * server with TTL 0. The first looks into the file only and answers at once.
 */
struct resolver {
	unsigned	 magic;
	struct loop	*loop;
	ares_channel	 hosts;
	ares_channel	 dns;
	struct timer	 timer;		/* for c-ares' time-outs */
	struct list	 calls;		/* not yet called back */
	struct list	 watches;	/* a watch for each socket of c-ares */
};

/* A query in c-ares, which cannot cancel one of many: it outlives a call that is cancelled. */
struct flight {
	unsigned		 magic;
	struct resolve_call	*call;	/* NULL: cancelled */
	uint16_t		 port;
	bool			 found;	/* in the hosts file */
};

struct watch {
	unsigned	 magic;
	struct list	 link;
	struct resolver	*resolver;
	struct io	 io;
};

static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static int library_rc;

static void
library_init(void)
{
	library_rc = ares_library_init_mem(ARES_LIB_INIT_ALL, mem_try_malloc, xfree,
	    mem_try_realloc);
}

/* c-ares has its own idea of what is due; one wheel timer follows the nearest. */
static void
follow_timeouts(struct resolver *r)
{
	struct timeval tv;
	struct timeval *next = ares_timeout(r->dns, NULL, &tv);

	if (next == NULL) {
		timer_set(r->loop, &r->timer, TIMER_NEVER);
		return;
	}
	timer_set(r->loop, &r->timer, loop_now_ms(r->loop) + (uint64_t)next->tv_sec * 1000 +
	    (uint64_t)next->tv_usec / 1000 + 1);
}

static void
on_timer(void *arg)
{
	struct resolver *r;

	CAST_OBJ(r, arg, RESOLVER_MAGIC);
	ares_process_fd(r->dns, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	follow_timeouts(r);
}

static void
on_socket(void *arg, unsigned what)
{
	struct watch *w;
	struct resolver *r;
	int fd;

	CAST_OBJ(w, arg, WATCH_MAGIC);
	r = w->resolver;
	fd = w->io.fd;
	/* This may free the watch. */
	ares_process_fd(r->dns, (what & IO_READ) != 0 ? fd : ARES_SOCKET_BAD,
	    (what & IO_WRITE) != 0 ? fd : ARES_SOCKET_BAD);
	follow_timeouts(r);
}

static struct watch *
watch_find(struct resolver *r, int fd)
{
	struct watch *w;

	LIST_FOREACH(w, &r->watches, struct watch, link) {
		if (w->io.fd == fd)
			return (w);
	}
	return (NULL);
}

static struct watch *
watch_new(struct resolver *r)
{
	struct watch *w = mem_try_calloc(1, sizeof *w);

	if (w == NULL)
		return (NULL);
	w->magic = WATCH_MAGIC;
	w->resolver = r;
	list_init(&w->link);
	io_init(&w->io);
	list_add_tail(&r->watches, &w->link);
	return (w);
}

static void
watch_free(struct watch *w)
{
	io_del(&w->io);
	list_del(&w->link);
	w->magic = 0;
	xfree(w);
}

/*
 * c-ares tells what it wants to know of a socket; neither before it closes one. Level-triggered,
 * since it does not always read a TCP socket to the end. A watch that cannot be had is a query
 * that times out.
 */
static void
on_socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct resolver *r;
	struct watch *w;
	unsigned what = (readable != 0 ? IO_READ : 0u) | (writable != 0 ? IO_WRITE : 0u);

	CAST_OBJ(r, arg, RESOLVER_MAGIC);
	w = watch_find(r, fd);
	if (w == NULL && what != 0)
		w = watch_new(r);
	if (w == NULL)
		return;
	io_del(&w->io);
	if (what == 0 || !io_add_level(r->loop, &w->io, fd, what, on_socket, w))
		watch_free(w);
}

static bool
channel_new(struct resolver *r, const struct resolver_conf *conf, const char *lookups,
    ares_channel *channel)
{
	struct ares_options o;
	char order[2] = {lookups[0], '\0'};

	memset(&o, 0, sizeof o);
	o.timeout = (int)(conf->timeout_ms != 0 ? conf->timeout_ms : DEFAULT_TIMEOUT_MS);
	o.tries = (int)(conf->tries != 0 ? conf->tries : DEFAULT_TRIES);
	o.lookups = order;
	o.sock_state_cb = on_socket_state;
	o.sock_state_cb_data = r;
	return (ares_init_options(channel, &o, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
	    ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB) == ARES_SUCCESS);
}

struct resolver *
resolver_new(struct loop *l, const struct resolver_conf *conf)
{
	static const struct resolver_conf defaults;
	struct resolver *r;

	(void)pthread_once(&library_once, library_init);
	r = mem_try_calloc(1, sizeof *r);
	if (r == NULL)
		return (NULL);
	r->magic = RESOLVER_MAGIC;
	r->loop = l;
	timer_init(&r->timer, on_timer, r);
	list_init(&r->calls);
	list_init(&r->watches);
	if (conf == NULL)
		conf = &defaults;
	if (library_rc != ARES_SUCCESS || !channel_new(r, conf, "f", &r->hosts) ||
	    !channel_new(r, conf, "b", &r->dns) || (conf->servers != NULL &&
	    ares_set_servers_ports_csv(r->dns, conf->servers) != ARES_SUCCESS))
		resolver_free(&r);
	return (r);
}

void
resolver_free(struct resolver **rp)
{
	struct resolver *r;
	struct resolve_call *call;

	TAKE_OBJ(r, rp, RESOLVER_MAGIC);
	while ((call = list_first_entry(&r->calls, struct resolve_call, link)) != NULL)
		resolve_cancel(call);
	/* The flights end here, with nobody to tell. */
	if (r->hosts != NULL)
		ares_destroy(r->hosts);
	if (r->dns != NULL)
		ares_destroy(r->dns);
	must(list_is_empty(&r->watches));
	timer_clear(&r->timer);
	r->magic = 0;
	xfree(r);
}

/* Makes the call idle, then tells its owner. */
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

static void
call_done(struct resolve_call *call, enum resolve_rc rc)
{
	call->flight = NULL;
	call->rc = rc;
	loop_defer(call->resolver->loop, &call->deferred);
}

static enum resolve_rc
rc_of(int status)
{
	switch (status) {
	case ARES_SUCCESS:
		return (RESOLVE_OK);
	case ARES_ENOTFOUND:
	case ARES_ENODATA:
		return (RESOLVE_NOT_FOUND);
	case ARES_ETIMEOUT:
		return (RESOLVE_TIMEOUT);
	default:
		return (RESOLVE_FAILED);
	}
}

static uint32_t
least_ttl(const struct ares_addrinfo *ai)
{
	uint32_t least = INT32_MAX;

	/* A TTL with the top bit set counts as 0 (RFC 2181 8). */
	for (const struct ares_addrinfo_node *n = ai->nodes; n != NULL; n = n->ai_next) {
		uint32_t ttl = n->ai_ttl > 0 ? (uint32_t)n->ai_ttl : 0;

		least = ttl < least ? ttl : least;
	}
	for (const struct ares_addrinfo_cname *c = ai->cnames; c != NULL; c = c->next) {
		uint32_t ttl = c->ttl > 0 ? (uint32_t)c->ttl : 0;

		least = ttl < least ? ttl : least;
	}
	return (least);
}

/* Copies the addresses into the call. */
static enum resolve_rc
keep_addrs(struct resolve_call *call, const struct ares_addrinfo *ai, uint16_t port)
{
	unsigned n = 0;

	for (const struct ares_addrinfo_node *p = ai->nodes; p != NULL; p = p->ai_next)
		n++;
	if (n == 0)
		return (RESOLVE_NOT_FOUND);
	call->addrs = mem_try_calloc(n, sizeof *call->addrs);
	if (call->addrs == NULL)
		return (RESOLVE_FAILED);
	for (const struct ares_addrinfo_node *p = ai->nodes; p != NULL; p = p->ai_next) {
		struct addr *a = &call->addrs[call->n];

		if (!addr_from_sockaddr(a, p->ai_addr, p->ai_addrlen))
			continue;
		addr_set_port(a, port);
		call->n++;
	}
	if (call->n > 0)
		return (RESOLVE_OK);
	xfree(call->addrs);
	call->addrs = NULL;
	return (RESOLVE_NOT_FOUND);
}

/* From within ares_getaddrinfo(): c-ares answers from the file at once. */
static void
on_hosts(void *arg, int status, int timeouts, struct ares_addrinfo *ai)
{
	struct flight *f;

	(void)timeouts;
	CAST_OBJ(f, arg, FLIGHT_MAGIC);
	if (status == ARES_SUCCESS && keep_addrs(f->call, ai, f->port) == RESOLVE_OK) {
		f->found = true;
		f->call->ttl_s = RESOLVE_LOCAL_TTL_S;
	}
	if (ai != NULL)
		ares_freeaddrinfo(ai);
}

static void
on_dns(void *arg, int status, int timeouts, struct ares_addrinfo *ai)
{
	struct flight *f;
	struct resolve_call *call;
	enum resolve_rc rc = rc_of(status);

	(void)timeouts;
	CAST_OBJ(f, arg, FLIGHT_MAGIC);
	call = f->call;
	if (call != NULL) {
		if (rc == RESOLVE_OK) {
			rc = keep_addrs(call, ai, f->port);
			call->ttl_s = rc == RESOLVE_OK ? least_ttl(ai) : 0;
		}
		call_done(call, rc);
	}
	if (ai != NULL)
		ares_freeaddrinfo(ai);
	f->magic = 0;
	xfree(f);
}

/* The call ends with n addresses that need no server. */
static void
answer_local(struct resolve_call *call, const struct addr *addrs, unsigned n, uint16_t port)
{
	call->addrs = mem_try_calloc(n, sizeof *addrs);
	if (call->addrs == NULL) {
		call_done(call, RESOLVE_FAILED);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		call->addrs[i] = addrs[i];
		addr_set_port(&call->addrs[i], port);
	}
	call->n = n;
	call->ttl_s = RESOLVE_LOCAL_TTL_S;
	call_done(call, RESOLVE_OK);
}

/* True when the name is an address, which then is the answer. */
static bool
answer_literal(struct resolve_call *call, struct slice name, uint16_t port)
{
	struct addr a;

	if (!addr_parse_ip(name, &a))
		return (false);
	answer_local(call, &a, 1, port);
	return (true);
}

/*
 * "localhost" and all below it are this machine, also where no hosts file says so, and no server
 * hears of them (RFC 6761 6.3).
 */
static bool
is_localhost(struct slice name)
{
	static const struct slice local = SLICE_INIT("localhost");
	struct slice end;

	if (name.len > 0 && name.p[name.len - 1] == '.')
		name.len--;
	if (name.len < local.len)
		return (false);
	end = slice_of(name.p + name.len - local.len, local.len);
	return (slice_eq_fold(end, local) &&
	    (name.len == local.len || name.p[name.len - local.len - 1] == '.'));
}

static void
answer_localhost(struct resolve_call *call, uint16_t port)
{
	struct addr a[2];

	must(addr_parse_ip(SLICE("127.0.0.1"), &a[0]) && addr_parse_ip(SLICE("::1"), &a[1]));
	answer_local(call, a, 2, port);
}

static void
launch(struct resolver *r, struct flight *f, const char *name)
{
	struct ares_addrinfo_hints hints;

	memset(&hints, 0, sizeof hints);
	hints.ai_family = AF_UNSPEC;
	hints.ai_socktype = SOCK_STREAM;
	/* Sorting would open sockets to see which source address the kernel picks. */
	hints.ai_flags = ARES_AI_NOSORT;
	ares_getaddrinfo(r->hosts, name, NULL, &hints, on_hosts, f);
	if (f->found || is_localhost(slice_str(name))) {
		if (f->found)
			call_done(f->call, RESOLVE_OK);
		else
			answer_localhost(f->call, f->port);
		f->magic = 0;
		xfree(f);
		return;
	}
	ares_getaddrinfo(r->dns, name, NULL, &hints, on_dns, f);
	follow_timeouts(r);
}

void
resolve_start(struct resolver *r, struct resolve_call *call, struct slice name, uint16_t port,
    resolve_fn *fn)
{
	char text[RESOLVE_NAME_MAX + 1];
	struct flight *f;

	CHECK_OBJ(r, RESOLVER_MAGIC);
	CHECK_OBJ(call, RESOLVE_CALL_MAGIC);
	must(call->resolver == NULL);
	call->resolver = r;
	call->fn = fn;
	call->ttl_s = 0;
	list_add_tail(&r->calls, &call->link);
	if (answer_literal(call, name, port))
		return;
	if (name.len == 0 || name.len > RESOLVE_NAME_MAX ||
	    memchr(name.p, '\0', name.len) != NULL ||
	    (f = mem_try_calloc(1, sizeof *f)) == NULL) {
		call_done(call, RESOLVE_FAILED);
		return;
	}
	memcpy(text, name.p, name.len);
	text[name.len] = '\0';
	f->magic = FLIGHT_MAGIC;
	f->call = call;
	f->port = port;
	call->flight = f;
	launch(r, f, text);
}

void
resolve_cancel(struct resolve_call *call)
{
	CHECK_OBJ(call, RESOLVE_CALL_MAGIC);
	if (call->resolver == NULL)
		return;
	if (call->flight != NULL)
		((struct flight *)call->flight)->call = NULL;
	call->flight = NULL;
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
	static char text[64];

	(void)snprintf(text, sizeof text, "c-ares %s", ares_version(NULL));
	return (text);
}

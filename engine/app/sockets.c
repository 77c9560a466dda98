/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/app/sockets.h"
#include "engine/base/check.h"
#include "engine/base/list.h"
#include "engine/mem/alloc.h"

/* An address in use, or about to be. */
struct bound {
	struct list	 link;
	struct addr	 addr;
	bool		 is_dual;
	bool		 is_wanted;	/* by the gate that is prepared */
	bool		 is_new;	/* bound for it, not published yet */
	unsigned	 n_fds;
	int		 fds[];		/* while is_new */
};

struct sockets {
	unsigned	 magic;
#define SOCKETS_MAGIC	0x15d7c3ea
	unsigned	 n_workers;
	struct list	 all;		/* struct bound */
};

struct sockets *
sockets_new(unsigned n_workers)
{
	struct sockets *s = xcalloc(1, sizeof *s);

	s->magic = SOCKETS_MAGIC;
	s->n_workers = n_workers;
	list_init(&s->all);
	return (s);
}

static void
forget(struct bound *b)
{
	for (unsigned i = 0; b->is_new && i < b->n_fds; i++)
		(void)close(b->fds[i]);
	list_del(&b->link);
	xfree(b);
}

void
sockets_free(struct sockets **sp)
{
	struct sockets *s;
	struct bound *b, *tmp;

	TAKE_OBJ(s, sp, SOCKETS_MAGIC);
	LIST_FOREACH_SAFE(b, tmp, &s->all, struct bound, link)
		forget(b);
	s->magic = 0;
	xfree(s);
}

static struct bound *
find(struct sockets *s, const struct addr *addr, bool is_dual)
{
	struct bound *b;

	LIST_FOREACH(b, &s->all, struct bound, link) {
		if (b->is_dual == is_dual && addr_eq(&b->addr, addr))
			return (b);
	}
	return (NULL);
}

static bool
has_port(struct sockets *s, uint16_t port)
{
	struct bound *b;

	LIST_FOREACH(b, &s->all, struct bound, link) {
		if (addr_port(&b->addr) == port)
			return (true);
	}
	return (false);
}

/*
 * Sockets of ours share their address (SO_REUSEPORT), and the kernel would let a second process of
 * the same user share it too, unnoticed. So a socket that shares nothing asks first. Not where the
 * port is ours in another shape (0.0.0.0 and [::]).
 */
static int
probe(struct sockets *s, const struct addr *a, bool is_dual)
{
	int fd, one = 1, v6only = !is_dual, rc = 0;

	if (has_port(s, addr_port(a)))
		return (0);
	fd = socket(a->u.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return (0);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (a->u.sa.sa_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof v6only);
	if (bind(fd, &a->u.sa, a->len) < 0)
		rc = errno;
	(void)close(fd);
	return (rc);
}

/* A socket of its own for each worker. */
static struct err *
bind_all(struct bound *b, unsigned n, struct arena *a)
{
	for (; b->n_fds < n; b->n_fds++) {
		struct err *err = listener_bind(a, MARK_NONE, &b->addr, b->is_dual,
		    &b->fds[b->n_fds]);

		if (err != NULL)
			return (err);
	}
	return (NULL);
}

static bool
add(struct sockets *s, const struct listener *l, const struct addr *addr, struct arena *a,
    struct diag *diag)
{
	struct bound *b = mem_try_calloc(1, sizeof *b + s->n_workers * sizeof(int));
	char text[ADDR_TEXT_MAX];
	struct err *err;
	int taken;

	if (b == NULL)
		return (false);
	taken = probe(s, addr, l->is_dual);
	list_add_tail(&s->all, &b->link);
	b->addr = *addr;
	b->is_dual = l->is_dual;
	b->is_wanted = b->is_new = true;
	if (taken != 0) {
		addr_format(addr, text, sizeof text);
		err = err_new(a, ERR_SYSTEM, MARK_NONE, "cannot listen on %s: %s", text,
		    strerror(taken));
	} else {
		err = bind_all(b, s->n_workers, a);
	}
	if (err == NULL)
		return (true);
	diag_error(diag, MARK_NONE, "listener \"%.*s\": %s", (int)l->name.len, l->name.p,
	    err->what);
	forget(b);
	return (false);
}

static bool
prepare_listener(struct sockets *s, struct gate *gate, unsigned i, int *fds, struct arena *a,
    struct diag *diag)
{
	const struct listener *l = gate->listeners[i];
	bool ok = true;

	for (unsigned k = 0; k < l->n_addrs; k++) {
		struct bound *b = find(s, &l->addrs[k], l->is_dual);
		int *mine = &fds[(i * LISTENER_ADDRS_MAX + k) * s->n_workers];

		if (b != NULL) {
			b->is_wanted = true;
		} else if (add(s, l, &l->addrs[k], a, diag)) {
			b = find(s, &l->addrs[k], l->is_dual);
			memcpy(mine, b->fds, s->n_workers * sizeof *mine);
		} else {
			ok = false;
		}
	}
	return (ok);
}

bool
sockets_prepare(struct sockets *s, struct gate *gate, struct arena *a, struct diag *diag)
{
	size_t n = (size_t)gate->n_listeners * LISTENER_ADDRS_MAX * s->n_workers;
	struct mem_trap trap;
	struct bound *b;
	volatile bool ok = true;
	int *fds;

	CHECK_OBJ(s, SOCKETS_MAGIC);
	if (MEM_TRAP_ENTER(&trap)) {
		sockets_abort(s);
		return (false);
	}
	LIST_FOREACH(b, &s->all, struct bound, link)
		b->is_wanted = false;
	fds = arena_zarray(a, n + 1, sizeof *fds);
	memset(fds, 0xff, n * sizeof *fds);
	for (unsigned i = 0; i < gate->n_listeners; i++)
		ok &= prepare_listener(s, gate, i, fds, a, diag);
	gate->fds = fds;
	gate->n_workers = s->n_workers;
	mem_trap_leave(&trap);
	if (!ok)
		sockets_abort(s);
	return (ok);
}

void
sockets_commit(struct sockets *s)
{
	struct bound *b, *tmp;

	LIST_FOREACH_SAFE(b, tmp, &s->all, struct bound, link) {
		b->is_new = false;
		if (!b->is_wanted)
			forget(b);
	}
}

void
sockets_abort(struct sockets *s)
{
	struct bound *b, *tmp;

	LIST_FOREACH_SAFE(b, tmp, &s->all, struct bound, link) {
		if (b->is_new)
			forget(b);
	}
}

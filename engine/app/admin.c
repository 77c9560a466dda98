/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/app/admin_impl.h"
#include "engine/base/check.h"
#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/mem/alloc.h"
#include "engine/worker/worker.h"

static bool
parse_mode(struct slice s, mode_t *r)
{
	*r = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '7')
			return (false);
		*r = *r << 3 | (mode_t)(s.p[i] - '0');
	}
	return (s.len >= 3 && s.len <= 4);
}

/* Whoever may write to the socket may end the process: nobody is let in by the way. */
static const char *
check_mode(const void *value)
{
	mode_t mode;

	if (!parse_mode(*(const struct slice *)value, &mode) || (mode & ~(mode_t)0770) != 0)
		return ("\"0600\" or \"0660\" is due: octal, and nothing for others");
	return (NULL);
}

static const struct schema_row rows[] = {
	SCHEMA_ROW("listen", LISTEN, struct admin_conf, listen,
	    .help = "where /metrics, /healthz, /readyz and /status are served over TCP"),
	SCHEMA_ROW("socket", FILE, struct admin_conf, socket,
	    .help = "the Unix socket; else /run/weir/PROGRAM.sock, or in $XDG_RUNTIME_DIR/weir"),
	SCHEMA_ROW("socket_mode", STRING, struct admin_conf, socket_mode, .def = "0600",
	    .check = check_mode, .help = "of its file; others than owner and group get nothing"),
	SCHEMA_ROW("socket_group", STRING, struct admin_conf, socket_group,
	    .help = "the group of its file, which socket_mode: \"0660\" lets in"),
	SCHEMA_ROW("write", BOOL, struct admin_conf, write, .def = "false",
	    .help = "also over TCP: /reload, /drain, /log-level"),
	SCHEMA_ROWS_END,
};
struct schema admin_schema = SCHEMA_DEFINE("admin", struct admin_conf, rows);

struct admin *
admin_new(struct worker *w, struct stats *stats, const char *program,
    const struct admin_hooks *hooks)
{
	struct admin *a = xcalloc(1, sizeof *a);

	a->magic = ADMIN_MAGIC;
	a->worker = w;
	a->stats = stats;
	a->program = program;
	a->hooks = *hooks;
	a->begun_us = clock_wall_us();
	list_init(&a->conns);
	for (unsigned i = 0; i < ADMIN_DOORS; i++) {
		a->doors[i].magic = ADMIN_DOOR_MAGIC;
		a->doors[i].admin = a;
		a->doors[i].is_unix = i == ADMIN_UNIX;
		a->next.fd[i] = -1;
	}
	return (a);
}

static void
remove_file(const struct addr *a)
{
	if (a->u.sa.sa_family == AF_UNIX && a->u.un.sun_path[0] != '\0')
		(void)unlink(a->u.un.sun_path);
}

static void
close_door(struct admin_door *d)
{
	if (!d->is_open)
		return;
	listener_stop(&d->sock);
	remove_file(&d->addr);
	d->is_open = false;
}

/* The folder is again what it was before a group was let through. */
static void
close_dir(struct admin *a)
{
	struct admin_dir *d = &a->opened;

	if (d->path[0] == '\0')
		return;
	if (chmod(d->path, d->mode) < 0 || chown(d->path, (uid_t)-1, d->group) < 0)
		log_warn("admin: %s: cannot shut the group out: %s", d->path, strerror(errno));
	d->path[0] = '\0';
}

void
admin_free(struct admin **ap)
{
	struct admin_conn *ac, *tmp;
	struct admin *a;

	if (*ap == NULL)
		return;
	TAKE_OBJ(a, ap, ADMIN_MAGIC);
	admin_abort(a);
	for (unsigned i = 0; i < ADMIN_DOORS; i++)
		close_door(&a->doors[i]);
	close_dir(a);
	/* What was closed in this turn gives its memory back in the next. */
	loop_turn(a->worker->loop, false);
	LIST_FOREACH_SAFE(ac, tmp, &a->conns, struct admin_conn, link)
		admin_conn_free(ac);
	a->magic = 0;
	xfree(a);
}

/* ---- the Unix socket ---- */

static void
tell_no_socket(struct admin *a, const char *where, const char *why)
{
	char text[sizeof a->told];

	(void)snprintf(text, sizeof text, "%s%s%s", where, *where == '\0' ? "" : ": ", why);
	if (strcmp(text, a->told) == 0)
		return;
	memcpy(a->told, text, sizeof text);
	log_warn("admin: no Unix socket: %s", text);
}

/* Ours alone: made by us, or there already, owned by us, and writable by nobody else. */
static bool
make_dir(const char *dir)
{
	struct stat st;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return (false);
	if (lstat(dir, &st) < 0)
		return (false);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022) != 0) {
		errno = EPERM;
		return (false);
	}
	return (true);
}

/* The usual place. False: there is none, or its directory cannot be made. */
static bool
usual_path(struct admin *a, char *buf, size_t n)
{
	const char *base = geteuid() == 0 ? "/run" : getenv("XDG_RUNTIME_DIR");
	const char *dash = strchr(a->program, '-');
	int len;

	if (base == NULL || *base == '\0') {
		tell_no_socket(a, "", "XDG_RUNTIME_DIR is not set");
		return (false);
	}
	len = snprintf(buf, n, "%s/weir", base);
	if (len < 0 || (size_t)len >= n || !make_dir(buf)) {
		tell_no_socket(a, buf, strerror(errno));
		return (false);
	}
	len = snprintf(buf, n, "%s/weir/%s.sock", base, dash != NULL ? dash + 1 : a->program);
	return (len > 0 && (size_t)len < n);
}

/* A socket file that nobody answers at was left behind by a process that died. */
static bool
is_dead(const struct addr *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;
	bool dead;

	if (fd < 0)
		return (false);
	dead = lstat(a->u.un.sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	    connect(fd, &a->u.sa, a->len) < 0 && errno == ECONNREFUSED;
	(void)close(fd);
	return (dead);
}

/* On Linux the file takes its mode from the socket (less the umask), so it never has another. */
static int
bind_unix(const struct addr *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int saved;

	if (fd >= 0 && fchmod(fd, 0600) == 0 && bind(fd, &a->u.sa, a->len) == 0 &&
	    listen(fd, SOMAXCONN) == 0)
		return (fd);
	saved = errno;
	if (fd >= 0)
		(void)close(fd);
	errno = saved;
	return (-1);
}

/* Who may use the file: where there is no such group, the owner alone. */
static void
find_access(struct admin *a, const struct admin_conf *conf)
{
	char name[256];
	struct group *g;

	(void)parse_mode(conf->socket_mode, &a->next.mode);
	a->next.group = (gid_t)-1;
	if (conf->socket_group.len == 0)
		return;
	(void)snprintf(name, sizeof name, "%.*s", SLICE_ARG(conf->socket_group));
	g = getgrnam(name);
	if (g != NULL) {
		a->next.group = g->gr_gid;
		return;
	}
	log_warn("admin: there is no group \"%s\": the socket is its owner's alone", name);
	a->next.mode &= S_IRWXU;
}

/* A group needs to get through the folder of its socket. */
static bool
open_dir(struct admin *a, const char *path, gid_t group)
{
	struct admin_dir *d = &a->opened;
	char dir[sizeof d->path];
	struct stat st;

	(void)snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(path, '/') - path), path);
	if (strcmp(d->path, dir) != 0) {
		close_dir(a);
		if (stat(dir, &st) < 0)
			return (false);
		memcpy(d->path, dir, sizeof dir);
		d->mode = st.st_mode & 07777;
		d->group = st.st_gid;
	}
	return (chown(dir, (uid_t)-1, group) == 0 && chmod(dir, 0710) == 0);
}

/* The file was made for its owner alone: now the others are let in. */
static void
give_access(struct admin *a)
{
	const char *path = a->doors[ADMIN_UNIX].addr.u.un.sun_path;
	bool has_group = a->next.group != (gid_t)-1;
	bool ok = true;

	if (!has_group || !a->next.is_usual)
		close_dir(a);
	if (path[0] == '\0')
		return;
	if (has_group)
		ok = chown(path, (uid_t)-1, a->next.group) == 0;
	if (ok && has_group && a->next.is_usual)
		ok = open_dir(a, path, a->next.group);
	if (!ok || chmod(path, a->next.mode) < 0)
		log_warn("admin: %s: cannot let the group in: %s", path, strerror(errno));
}

static void
prepare_unix(struct admin *a, const struct admin_conf *conf)
{
	struct admin_door *d = &a->doors[ADMIN_UNIX];
	struct addr *addr = &a->next.addr[ADMIN_UNIX];
	char path[sizeof addr->u.un.sun_path], text[sizeof path + 8];

	a->next.is_usual = conf->socket.len == 0;
	find_access(a, conf);
	if (conf->socket.len > 0)
		(void)snprintf(path, sizeof path, "%.*s", SLICE_ARG(conf->socket));
	else if (!usual_path(a, path, sizeof path))
		return;
	(void)snprintf(text, sizeof text, "unix:%s", path);
	if (conf->socket.len >= sizeof path || !addr_parse(slice_str(text), addr)) {
		tell_no_socket(a, "", "the path is too long");
		return;
	}
	a->next.open[ADMIN_UNIX] = true;
	if (d->is_open && addr_eq(&d->addr, addr))
		return;
	a->next.fd[ADMIN_UNIX] = bind_unix(addr);
	if (a->next.fd[ADMIN_UNIX] < 0 && errno == EADDRINUSE && is_dead(addr)) {
		remove_file(addr);
		a->next.fd[ADMIN_UNIX] = bind_unix(addr);
	}
	if (a->next.fd[ADMIN_UNIX] < 0) {
		a->next.open[ADMIN_UNIX] = false;
		tell_no_socket(a, path, errno == EADDRINUSE ? "it is taken; "
		    "`admin: { socket: PATH }` gives this process a socket of its own" :
		    strerror(errno));
		return;
	}
	a->told[0] = '\0';
}

/* ---- generations ---- */

struct err *
admin_prepare(struct admin *a, struct arena *arena, const struct admin_conf *conf)
{
	struct admin_door *d = &a->doors[ADMIN_TCP];
	struct err *err = NULL;

	CHECK_OBJ(a, ADMIN_MAGIC);
	memset(&a->next, 0, sizeof a->next);
	a->next.fd[ADMIN_TCP] = a->next.fd[ADMIN_UNIX] = -1;
	a->next.write = conf->write;
	if (schema_has(&conf->obj, "listen")) {
		a->next.open[ADMIN_TCP] = true;
		a->next.addr[ADMIN_TCP] = conf->listen.addr;
		a->next.is_dual = conf->listen.is_dual;
		if (!d->is_open || d->is_dual != conf->listen.is_dual ||
		    !addr_eq(&d->addr, &conf->listen.addr))
			err = listener_bind(arena, schema_mark(&conf->obj, "listen"),
			    &conf->listen.addr, conf->listen.is_dual, &a->next.fd[ADMIN_TCP]);
	}
	if (err == NULL)
		prepare_unix(a, conf);
	return (err);
}

void
admin_commit(struct admin *a)
{
	CHECK_OBJ(a, ADMIN_MAGIC);
	a->write = a->next.write;
	for (unsigned i = 0; i < ADMIN_DOORS; i++) {
		struct admin_door *d = &a->doors[i];

		if (!a->next.open[i] || a->next.fd[i] >= 0)
			close_door(d);
		if (a->next.fd[i] < 0)
			continue;
		d->addr = a->next.addr[i];
		d->is_dual = a->next.is_dual;
		listener_start(&d->sock, a->worker->loop, a->next.fd[i], admin_conn_accept, d);
		d->is_open = true;
		a->next.fd[i] = -1;
	}
	if (a->doors[ADMIN_UNIX].is_open)
		give_access(a);
	else
		close_dir(a);
}

void
admin_abort(struct admin *a)
{
	for (unsigned i = 0; i < ADMIN_DOORS; i++) {
		if (a->next.fd[i] < 0)
			continue;
		(void)close(a->next.fd[i]);
		remove_file(&a->next.addr[i]);
		a->next.fd[i] = -1;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/app/app_impl.h"
#include "engine/base/check.h"
#include "engine/mem/alloc.h"
#include "engine/net/listener.h"
#include "engine/proxy/access_log.h"
#include "engine/proxy/facts.h"
#include "engine/proxy/gate.h"
#include "engine/proxy/proxy_limits.h"
#include "engine/proxy/proxy_stats.h"
#include "engine/stats/stats.h"
#include "engine/upstream/up_impl.h"
#include "engine/upstream/upstream.h"
#include "gateway/gateway.h"
#include "tests/loop/gw.h"

enum {
	PAGES = 4096,
	SOCKETS_MAX = 16
};

static const struct app_program program = {
	.magic = APP_PROGRAM_MAGIC,
	.name = "weir-gateway",
	.what = "the gateway in a test",
	.default_file = "none.yaml",
	.schema = &gateway_schema,
	.view = gateway_view,
	.proxy = &gateway_proxy,
};

static struct {
	struct app	 app;		/* its main worker, names, current generation, reload */
	struct app_worker aw;
	struct worker	*workers[1];
	struct stats	*stats;
	struct gate	*prepared;
	/* how the last reload ended */
	struct reload_wait wait;
	bool		 failed;
	const char	*path;
	char		 file[32];	/* of what was given as text */
	/* addresses that the worker listens on, or will when the gate is published */
	struct addr	 bound[SOCKETS_MAX];
	unsigned	 n_bound;
	unsigned	 n_requests;
	struct gw_line	 log[GW_LOG_MAX];
	char		 why[1024];
} gw;

static uint64_t fail_at;

void
gw_fail_start_at(uint64_t n)
{
	fail_at = n;
}

/* ---- what is told ---- */

void __wrap_proxy_stats_request(struct worker *, const struct facts *);
void __real_proxy_stats_request(struct worker *, const struct facts *);

static void
copy(char *to, struct slice s)
{
	size_t n = s.len < GW_TEXT - 1 ? s.len : GW_TEXT - 1;

	if (n > 0)
		memcpy(to, s.p, n);
	to[n] = '\0';
}

/* By the linker's --wrap: it is told of every request, whatever its route and end. */
void
__wrap_proxy_stats_request(struct worker *w, const struct facts *f)
{
	struct gw_line *line = &gw.log[gw.n_requests++ % GW_LOG_MAX];

	*line = (struct gw_line){ .status = f->status, .reason = f->reason,
		.attempts = f->attempts, .bytes_in = f->bytes_in, .bytes_out = f->bytes_out,
		.duration_ms = f->duration_us / 1000, .duration_us = f->duration_us };
	memcpy(line->phase_us, f->phase_us, sizeof line->phase_us);
	copy(line->path, f->path.len > 0 ? f->path : f->req->path_raw);
	if (f->upstream != NULL)
		copy(line->upstream, f->upstream->part.name);
	if (f->server != NULL)
		(void)addr_format(&f->server->addr, line->server, sizeof line->server);
	__real_proxy_stats_request(w, f);
}

unsigned
gw_requests(void)
{
	return (gw.n_requests);
}

const struct gw_line *
gw_log(unsigned n)
{
	must(n < gw.n_requests && n + GW_LOG_MAX >= gw.n_requests);
	return (&gw.log[n % GW_LOG_MAX]);
}

const struct gw_line *
gw_last(void)
{
	return (gw_log(gw.n_requests - 1));
}

/* ---- sockets, as engine/app/sockets.c but of the simulated network ---- */

static bool
is_bound(const struct addr *a)
{
	for (unsigned i = 0; i < gw.n_bound; i++) {
		if (addr_eq(&gw.bound[i], a))
			return (true);
	}
	return (false);
}

static bool
bind_sockets(struct gate *gate, struct arena *a)
{
	size_t n = (size_t)gate->n_listeners * LISTENER_ADDRS_MAX;
	struct mem_trap trap;
	int *fds;

	if (MEM_TRAP_ENTER(&trap))
		return (false);
	fds = arena_zarray(a, n + 1, sizeof *fds);
	memset(fds, 0xff, n * sizeof *fds);
	gate->fds = fds;
	gate->n_workers = 1;
	mem_trap_leave(&trap);
	for (unsigned i = 0; i < gate->n_listeners; i++) {
		const struct listener *l = gate->listeners[i];

		for (unsigned k = 0; k < l->n_addrs; k++) {
			if (!is_bound(&l->addrs[k]))
				must(listener_bind(a, MARK_NONE, &l->addrs[k], l->is_dual,
				    &fds[i * LISTENER_ADDRS_MAX + k]) == NULL);
		}
	}
	return (true);
}

static void
unbind_sockets(struct gate *gate)
{
	for (unsigned i = 0; i < gate->n_listeners * LISTENER_ADDRS_MAX; i++) {
		if (gate->fds[i] >= 0)
			listener_discard(gate->fds[i]);
	}
}

static void
keep_sockets(const struct gate *gate)
{
	gw.n_bound = 0;
	for (unsigned i = 0; i < gate->n_listeners; i++) {
		for (unsigned k = 0; k < gate->listeners[i]->n_addrs; k++) {
			must(gw.n_bound < SOCKETS_MAX);
			gw.bound[gw.n_bound++] = gate->listeners[i]->addrs[k];
		}
	}
}

/* ---- generations ---- */

static void
say_mistakes(struct build *b)
{
	if (b->no_memory || b->diag == NULL) {
		(void)snprintf(gw.why, sizeof gw.why, "out of memory");
		return;
	}
	for (size_t i = 0; i < diag_count(b->diag); i++) {
		const struct diag_item *it = diag_at(b->diag, i);
		size_t n = strlen(gw.why);

		(void)snprintf(gw.why + n, sizeof gw.why - n, "%u:%u: %s; ", it->mark.line,
		    it->mark.col, it->message);
	}
}

/* In place of app_parts.c: there is no log to open and no admin listener. */
bool
app_prepare(struct app *app, struct build *b)
{
	must(app == &gw.app);
	b->no_memory = !bind_sockets(b->gate, b->snap->arena);
	gw.prepared = b->no_memory ? NULL : b->gate;
	return (!b->no_memory);
}

void
app_abort(struct app *app)
{
	(void)app;
	unbind_sockets(gw.prepared);
}

void
app_commit(struct app *app, const struct gate *gate)
{
	(void)app;
	keep_sockets(gate);
	proxy_limits_set(gate->max_connections);
}

static void
on_reloaded(struct reload_wait *wait, const struct reload_end *end)
{
	(void)wait;
	gw.failed = !end->ok;
	gw.why[0] = '\0';
	if (!end->ok && gw.app.reload.build.magic == BUILD_MAGIC)
		say_mistakes(&gw.app.reload.build);
	else if (!end->ok)
		(void)snprintf(gw.why, sizeof gw.why, "given up");
}

/* NULL, also when it waits for names. */
static const char *
load(const char *path)
{
	gw.path = path;
	gw.app.load = (struct load_options){ .paths = &gw.path, .n_paths = 1 };
	gw.failed = false;
	list_del(&gw.wait.link);
	app_reload(&gw.app, &gw.wait);
	sim_run_until_idle();
	return (gw.failed ? gw.why : NULL);
}

static const char *
load_text(const char *yaml)
{
	int fd = open(gw.file, O_WRONLY | O_TRUNC | O_CLOEXEC);

	must(fd >= 0);
	must(write(fd, yaml, strlen(yaml)) == (ssize_t)strlen(yaml));
	(void)close(fd);
	return (load(gw.file));
}

const char *
gw_reload(const char *yaml)
{
	return (load_text(yaml));
}

bool
gw_reload_waits(void)
{
	return (gw.app.reload.waits_for_names);
}

bool
gw_reload_failed(void)
{
	return (gw.failed);
}

uint64_t
gw_generation(void)
{
	return (gw.aw.worker.snap == NULL ? 0 : gw.aw.worker.snap->snap->generation);
}

bool
gw_listens(uint16_t port)
{
	struct proxy_socket *ps;

	LIST_FOREACH(ps, &proxy_of(&gw.aw.worker)->sockets, struct proxy_socket, link) {
		if (addr_port(&ps->addr) == port)
			return (true);
	}
	return (false);
}

/* ---- start and end ---- */

static void
end_process(void)
{
	app_reload_cancel(&gw.app);
	if (gw.app.main.magic != 0 && gw.app.main.loop != NULL)
		mailbox_drain(gw.app.main.loop);
	upstream_names_free(&gw.app.names);
	(void)access_log_stop(0);
	snapshot_discard(&gw.app.current);
	if (gw.aw.worker.magic != 0)
		worker_fini(&gw.aw.worker);
	if (gw.app.main.magic != 0 && gw.app.main.loop != NULL)
		worker_fini(&gw.app.main);
	stats_free(&gw.stats);
	(void)unlink(gw.file);
}

static const char *
enter(void)
{
	if (upstream_worker_enter(&gw.aw.worker) != NULL)
		return ("out of memory");
	if (proxy_worker_enter(&gw.aw.worker) == NULL)
		return (NULL);
	upstream_worker_leave(&gw.aw.worker);
	return ("out of memory");
}

static const char *
begin(void)
{
	static bool registered;
	struct stats_shard *shards[2];
	const char *why;
	int fd;

	if (!registered) {
		proxy_program = &gateway_proxy;
		build_register_filters();
		registered = true;
	}
	memset(&gw, 0, sizeof gw);
	(void)snprintf(gw.file, sizeof gw.file, "/tmp/weir-gw-XXXXXX.yaml");
	fd = mkstemps(gw.file, sizeof ".yaml" - 1);
	must(fd >= 0);
	(void)close(fd);
	gw.app.magic = APP_MAGIC;
	gw.app.prog = &program;
	gw.app.workers = &gw.aw;
	gw.app.workers_v = gw.workers;
	gw.aw.app = &gw.app;
	gw.app.n_workers = 1;
	gw.workers[0] = &gw.aw.worker;
	list_init(&gw.wait.link);
	gw.wait.done = on_reloaded;
	app_reload_init(&gw.app);
	app_drain_init(&gw.app);
	/* What start.c makes without a net: it would end the process, with exit code 3. */
	gw.stats = stats_new();
	shards[0] = stats_shard_new(gw.stats);
	shards[1] = stats_shard_new(gw.stats);
	access_log_init(stats_shard_new(gw.stats));
	if (fail_at != 0)
		mem_fail_at(fail_at);
	fail_at = 0;
	if (worker_init(&gw.app.main, WORKER_MAIN, PAGES) != NULL) {
		gw.app.main.magic = 0;
		end_process();
		return ("out of memory");
	}
	gw.app.main.stats = shards[0];
	if (worker_init(&gw.aw.worker, 0, PAGES) != NULL) {
		gw.aw.worker.magic = 0;
		end_process();
		return ("out of memory");
	}
	gw.aw.worker.stats = shards[1];
	rnd_init_seed(&gw.aw.worker.rnd, 1);
	gw.app.names = upstream_names_new(&gw.app.main, gw.workers, 1);
	why = gw.app.names != NULL ? enter() : "out of memory";
	if (why != NULL)
		end_process();
	return (why);
}

static const char *
start(const char *path, const char *yaml)
{
	const char *why = begin();

	if (why != NULL)
		return (why);
	why = path != NULL ? load(path) : load_text(yaml);
	if (why != NULL)
		gw_stop();
	return (why);
}

const char *
gw_start(const char *yaml)
{
	return (start(NULL, yaml));
}

const char *
gw_start_file(const char *path)
{
	return (start(path, NULL));
}

void
gw_stop(void)
{
	if (gw.app.magic == 0)
		return;
	timer_clear(&gw.app.drain_end);
	proxy_worker_leave(&gw.aw.worker);
	upstream_worker_leave(&gw.aw.worker);
	app_drain_leave(&gw.aw);
	snapshot_drop_use(&gw.aw.worker);
	end_process();
	gw.app.magic = 0;
}

void
gw_drain(void)
{
	app_drain(&gw.app);
	sim_run_until_idle();
}

bool
gw_drain_is_over(void)
{
	return (loop_is_stopping(gw.app.main.loop));
}

/* ---- what is held ---- */

unsigned
gw_clients(void)
{
	return ((unsigned)proxy_of(&gw.aw.worker)->conns.in_use);
}

int64_t
gw_clients_of(const char *listener)
{
	struct slice name = slice_str(listener);

	return (stats_value(gw.stats, STATS_CONNECTIONS, &name));
}

int64_t
gw_mirrored(const char *result)
{
	struct slice labels[] = { SLICE_NONE, SLICE_NONE, slice_str(result) };

	return (stats_value(gw.stats, STATS_MIRROR, labels));
}

unsigned
gw_exchanges(void)
{
	return ((unsigned)proxy_of(&gw.aw.worker)->exchanges.in_use);
}

unsigned
gw_pages(void)
{
	return (gw.aw.worker.pages.in_use);
}

void
gw_limit_pages(unsigned max)
{
	gw.aw.worker.pages.max = max > 0 ? max : PAGES;
}

unsigned
gw_up_conns(void)
{
	return ((unsigned)up_of(&gw.aw.worker)->conns.in_use);
}

const char *
gw_is_empty(bool all)
{
	const struct worker *w = &gw.aw.worker;
	size_t streams;

	sim_run_until_idle();
	streams = up_of(w)->streams.in_use;
	if (gw_exchanges() == 0 && w->exchanges == 0 && streams == 0 && gw_pages() == 0 &&
	    (!all || (gw_clients() == 0 && w->connections == 0 && proxy_limits_count() == 0)))
		return (NULL);
	(void)snprintf(gw.why, sizeof gw.why, "left: %u exchanges (%u counted), %zu upstream "
	    "streams, %u pages, %u client connections (%u, %llu counted)", gw_exchanges(),
	    w->exchanges, streams, gw_pages(), gw_clients(), w->connections,
	    (unsigned long long)proxy_limits_count());
	return (gw.why);
}

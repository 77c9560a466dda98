/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/loop/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/app/build.h"
#include "engine/app/sockets.h"
#include "engine/loop/mailbox.h"
#include "engine/stats/stats.h"
#include "engine/upstream/upstream.h"
#include "gateway/gateway.h"

enum { RIG_PAGES = 4096 };

static struct {
	struct worker	 main, worker;
	struct stats	*stats;
	struct sockets	*sockets;
	struct snapshot	*snap;
	uint64_t	 generation;
} rig;

struct worker *
rig_worker(void)
{
	return (&rig.worker);
}

static void
use_program(const struct proxy_program *program)
{
	static bool registered;

	proxy_program = program;
	if (!registered)
		build_register_filters();
	registered = true;
}

static bool
read_text(struct build *b, const char *yaml)
{
	static struct app_program prog = { .magic = APP_PROGRAM_MAGIC, .name = "rig",
		.schema = &gateway_schema, .view = gateway_view };
	char path[] = "/tmp/rig-XXXXXX";
	const char *paths[] = { path };
	struct load_options opt = { .paths = paths, .n_paths = 1 };
	size_t n = strlen(yaml);
	int fd = mkstemp(path);
	bool ok;

	prog.proxy = proxy_program;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, yaml, n), (ssize_t)n);
	close(fd);
	ok = build_run(b, &prog, &opt, rig.snap, ++rig.generation);
	unlink(path);
	return (ok);
}

char *
rig_mistakes(const struct proxy_program *program, const char *yaml)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	struct build b;

	use_program(program);
	assert_non_null(out);
	(void)read_text(&b, yaml);
	diag_print(b.diag, out);
	fclose(out);
	build_fini(&b);
	return (text);
}

/* The ports are those of the simulated world, whatever listens on the machine: linked in place of
   bind(2), by which engine/app asks whether one is free. */
int	__wrap_bind(int fd, const struct sockaddr *a, socklen_t len);

int
__wrap_bind(int fd, const struct sockaddr *a, socklen_t len)
{
	(void)fd;
	(void)a;
	(void)len;
	return (0);
}

static void
build(const char *yaml)
{
	struct worker *workers[] = { &rig.worker };
	struct snapshot *before = rig.snap;
	struct build b;

	if (!read_text(&b, yaml)) {
		diag_print(b.diag, stderr);
		fail_msg("the configuration is wrong");
	}
	assert_true(sockets_prepare(rig.sockets, b.gate, b.snap->arena, b.diag));
	rig.snap = build_take(&b);
	assert_non_null(rig.snap);
	assert_true(proxy_publish(rig.snap, workers, 1, &rig.main));
	sockets_commit(rig.sockets);
	build_fini(&b);
	snapshot_discard(&before);
	sim_run_until_idle();
}

void
rig_reload(const char *yaml)
{
	build(yaml);
}

void
rig_start(const struct proxy_program *program, const char *yaml)
{
	use_program(program);
	sim_begin();
	assert_null(worker_init(&rig.main, WORKER_MAIN, RIG_PAGES));
	assert_null(worker_init(&rig.worker, 0, RIG_PAGES));
	rig.stats = stats_new();
	rig.main.stats = stats_shard_new(rig.stats);
	rig.worker.stats = stats_shard_new(rig.stats);
	assert_null(upstream_worker_enter(&rig.worker));
	assert_null(proxy_worker_enter(&rig.worker));
	rig.sockets = sockets_new(1);
	build(yaml);
}

void
rig_stop(void)
{
	sim_run_until_idle();
	assert_int_equal(rig.worker.exchanges, 0);
	proxy_worker_leave(&rig.worker);
	upstream_worker_leave(&rig.worker);
	snapshot_drop_use(&rig.worker);
	mailbox_drain(rig.main.loop);
	snapshot_discard(&rig.snap);
	sockets_free(&rig.sockets);
	assert_int_equal(rig.worker.pages.in_use, 0);
	worker_fini(&rig.worker);
	worker_fini(&rig.main);
	stats_free(&rig.stats);
	sim_end();
}

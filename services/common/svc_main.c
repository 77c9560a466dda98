/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <assert.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "services/common/svc_internal.h"
#include "services/common/svc_log.h"

#define EXIT_USAGE          2
#define EXIT_START          3
#define THREADS_QUICK       4
#define THREADS_SLOW        2
#define INSTANCE_NAME_MAX   64
#define INSTANCE_NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"

enum common_option {
	OPT_LISTEN = 256,
	OPT_NAME,
	OPT_LOG_LEVEL,
	OPT_HELP,
	OPT_VERSION,
	OPT_OWN /* the program's first */
};

static void
print_usage(const struct svc_program *program, FILE *to)
{
	fprintf(to, "usage: weir-%s-service --listen ADDRESS:PORT", program->name);
	for (const struct svc_option *o = program->options; o != NULL && o->name != NULL; o++)
		fprintf(to, o->required ? " --%s %s" : " [--%s %s]", o->name, o->value);
	fprintf(to,
	    " [--name NAME] [--log-level LEVEL]\n\n"
	    "  --listen ADDRESS:PORT  port 0 lets the kernel choose; see the log\n");
	for (const struct svc_option *o = program->options; o != NULL && o->name != NULL; o++)
		fprintf(to, "  --%s %s  %s\n", o->name, o->value, o->help);
	fprintf(to,
	    "  --name NAME  of this instance, in X-Served-By and the log (default: %s-1)\n"
	    "  --log-level LEVEL  info (default; a line for each request), warn, error, off\n"
	    "  --version, --help\n",
	    program->name);
}

/* Fills `longs`, which ends with zeros, with the common options and the program's. */
static void
list_options(const struct svc_program *program, struct option *longs)
{
	static const struct option common[] = {
		{ "listen", required_argument, NULL, OPT_LISTEN },
		{ "name", required_argument, NULL, OPT_NAME },
		{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },
		{ "help", no_argument, NULL, OPT_HELP },
		{ "version", no_argument, NULL, OPT_VERSION },
	};
	size_t n = sizeof(common) / sizeof(common[0]);
	int own = 0;

	memcpy(longs, common, sizeof(common));
	for (const struct svc_option *o = program->options; o != NULL && o->name != NULL;
	     o++, own++) {
		assert(own < SVC_OPTIONS_MAX);
		longs[n++] = (struct option){ o->name, required_argument, NULL, OPT_OWN + own };
	}
}

/* It stands in a response field and in every log line. */
static bool
is_instance_name(const char *name)
{
	size_t len = strlen(name);

	return (len > 0 && len <= INSTANCE_NAME_MAX && strspn(name, INSTANCE_NAME_CHARS) == len);
}

static bool
has_all_required(const struct svc *svc)
{
	const struct svc_option *o = svc->program->options;

	if (svc->listen == NULL) {
		fprintf(stderr, "--listen is missing\n");
		return (false);
	}
	for (int i = 0; o != NULL && o[i].name != NULL; i++) {
		if (o[i].required && svc->values[i] == NULL) {
			fprintf(stderr, "--%s is missing\n", o[i].name);
			return (false);
		}
	}
	return (true);
}

/* True to go on; else *code_r is how to exit. */
static bool
parse_options(struct svc *svc, int argc, char **argv, enum svc_level *level_r, int *code_r)
{
	struct option longs[SVC_OPTIONS_MAX + 8] = { 0 };
	bool is_good = true;
	int c;

	list_options(svc->program, longs);
	while (is_good && (c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == OPT_LISTEN) {
			svc->listen = optarg;
		} else if (c == OPT_NAME) {
			svc->instance = optarg;
			is_good = is_instance_name(optarg);
		} else if (c == OPT_LOG_LEVEL) {
			is_good = svc_log_level_parse(optarg, level_r);
		} else if (c == OPT_HELP) {
			print_usage(svc->program, stdout);
			*code_r = EXIT_SUCCESS;
			return (false);
		} else if (c == OPT_VERSION) {
			printf("weir-%s-service %s\n", svc->program->name, PACKAGE_VERSION);
			*code_r = EXIT_SUCCESS;
			return (false);
		} else if (c >= OPT_OWN) {
			svc->values[c - OPT_OWN] = optarg;
		} else {
			is_good = false;
		}
	}
	if (is_good && optind == argc && has_all_required(svc))
		return (true);
	print_usage(svc->program, stderr);
	*code_r = EXIT_USAGE;
	return (false);
}

const char *
svc_option(const struct svc *svc, const char *name)
{
	const struct svc_option *o = svc->program->options;

	for (int i = 0; o != NULL && o[i].name != NULL; i++) {
		if (strcmp(o[i].name, name) == 0)
			return (svc->values[i]);
	}
	return (NULL);
}

/* The second signal does not wait. */
static void
on_stop_signal(evutil_socket_t sig, short what, void *arg)
{
	struct svc *svc = arg;
	bool is_second = svc->draining;

	(void)what;
	if (is_second)
		event_base_loopbreak(svc->base);
	else
		svc_server_drain(svc);
	svc_log(SVC_INFO, is_second ? "stopping now" : "draining",
	    json_pack(
		"{s:s, s:i}", "signal", strsignal((int)sig), "in_flight", (int)svc->in_flight));
}

/* A descriptor a connection: as many as the system lets us have. */
static void
raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* For programs that need no state of their own on a thread. */
static void *
start_nothing(void *app)
{
	static char nothing;

	(void)app;
	return (&nothing);
}

static void
stop_nothing(void *ctx)
{
	(void)ctx;
}

static bool
start_pools(struct svc *svc)
{
	const struct svc_program *p = svc->program;
	struct svc_pool_hooks hooks = {
		.magic = SVC_POOL_HOOKS_MAGIC,
		.start = p->thread_start != NULL ? p->thread_start : start_nothing,
		.stop = p->thread_stop != NULL ? p->thread_stop : stop_nothing,
		.arg = svc->app,
	};

	svc->quick = svc_pool_new(p->quick_threads != 0 ? p->quick_threads : THREADS_QUICK,
	    SVC_QUEUE_MAX, &hooks, svc->inbox);
	svc->slow = svc_pool_new(p->slow_threads != 0 ? p->slow_threads : THREADS_SLOW,
	    SVC_QUEUE_MAX, &hooks, svc->inbox);
	return (svc->quick != NULL && svc->slow != NULL);
}

static bool
start(struct svc *svc)
{
	svc->base = event_base_new();
	if (svc->base == NULL || !svc_builtin_routes(svc) || !svc_server_open(svc))
		return (false);
	svc->sigterm = evsignal_new(svc->base, SIGTERM, on_stop_signal, svc);
	svc->sigint = evsignal_new(svc->base, SIGINT, on_stop_signal, svc);
	if (svc->sigterm == NULL || svc->sigint == NULL || event_add(svc->sigterm, NULL) != 0 ||
	    event_add(svc->sigint, NULL) != 0)
		return (false);
	if (svc->program->start != NULL && !svc->program->start(svc, &svc->app))
		return (false);
	return (start_pools(svc) && svc_server_listen(svc));
}

static void
stop(struct svc *svc)
{
	svc_pool_free(&svc->slow);
	svc_pool_free(&svc->quick);
	if (svc->program->stop != NULL && svc->app != NULL)
		svc->program->stop(svc->app);
	svc_server_close(svc);
	if (svc->sigterm != NULL)
		event_free(svc->sigterm);
	if (svc->sigint != NULL)
		event_free(svc->sigint);
	if (svc->base != NULL)
		event_base_free(svc->base);
	free(svc->routes_all);
	libevent_global_shutdown();
}

int
svc_main(const struct svc_program *program, int argc, char **argv)
{
	struct svc svc = { .magic = SVC_MAGIC, .program = program };
	enum svc_level level = SVC_INFO;
	char name[64];
	int code;

	assert(program->magic == SVC_PROGRAM_MAGIC);
	snprintf(name, sizeof(name), "%s-1", program->name);
	svc.instance = name;
	svc.body_max = program->body_max != 0 ? program->body_max : SVC_BODY_MAX;
	if (!parse_options(&svc, argc, argv, &level, &code))
		return (code);
	svc_log_init(program->name, svc.instance, level);
	event_set_log_callback(svc_log_libevent);
	signal(SIGPIPE, SIG_IGN);
	raise_descriptors();
	/* seeds the hash of JSON objects before threads could race to do it */
	json_object_seed(0);
	if (!start(&svc)) {
		svc_log(SVC_ERROR, "could not start", NULL);
		stop(&svc);
		return (EXIT_START);
	}
	event_base_dispatch(svc.base);
	svc_log(SVC_INFO, "stopped", json_pack("{s:i}", "abandoned", (int)svc.in_flight));
	/* a thread may still hold a request: nothing that it uses may go away under it */
	if (svc.in_flight > 0)
		_exit(EXIT_FAILURE);
	stop(&svc);
	return (EXIT_SUCCESS);
}

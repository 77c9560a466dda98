/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/app/app_impl.h"
#include "engine/mem/alloc.h"

static const struct schema_row limits_rows[] = {
	SCHEMA_ROW("connections", INT, struct app_limits_conf, connections, .def = "auto",
	    .min = 1, .max = UINT32_MAX, .flags = SCHEMA_CAN_AUTO,
	    .help = "client connections of the process; auto: (open files - 64) / 2"),
	SCHEMA_ROWS_END,
};
struct schema app_limits_schema =
    SCHEMA_DEFINE("limits", struct app_limits_conf, limits_rows);

static const struct app_command {
	const char	*name;
	int		(*run)(struct app *);
} commands[] = {
	{ "run", start_run },
	{ "check", app_check },
	{ "show", app_show },
	{ "explain", app_explain },
	{ "defaults", app_defaults },
	{ "schema", app_schema },
	{ "reference", app_reference },
	{ "version", app_version },
};

/* The one process. Static, so that whatever it holds is never lost sight of. */
static struct app app;

/*
 * Who starts us may have closed them. A socket that came to stand there would be written logs into,
 * so something else does; what is written to it fails, and is counted.
 */
static void
hold_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		/* The lowest that is free, which is this one. */
		if (fcntl(fd, F_GETFD) < 0)
			(void)open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY);
	}
}

/* What says less than it should has failed: a full disk, a reader that left. */
static int
end_of(int rc)
{
	bool is_written = fflush(stdout) == 0;

	if (rc != APP_OK || (is_written && !ferror(stdout)))
		return (rc);
	fprintf(stderr, "%s: cannot write: %s\n", app.prog->name,
	    is_written ? "not all was taken" : strerror(errno));
	return (APP_CANNOT_START);
}

int
app_main(const struct app_program *prog, int argc, char **argv)
{
	hold_standard_descriptors();
	app.magic = APP_MAGIC;
	app.prog = prog;
	if (!app_options_parse(&app.opt, prog, argc, argv))
		return (APP_USAGE_WRONG);
	if (strcmp(app.opt.command, "help") == 0) {
		app_usage(prog, false);
		return (end_of(APP_OK));
	}
	app.load = (struct load_options){ .paths = app.opt.paths, .n_paths = app.opt.n_paths,
		.lookup = app_lookup, .lookup_arg = &app.opt };
	proxy_program = prog->proxy;
	build_register_filters();
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		if (strcmp(commands[i].name, app.opt.command) == 0)
			return (end_of(commands[i].run(&app)));
	}
	fprintf(stderr, "%s: unknown command: %s\n", prog->name, app.opt.command);
	app_usage(prog, true);
	return (APP_USAGE_WRONG);
}

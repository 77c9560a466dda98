/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/app/build.h"
#include "engine/proxy/registry.h"
#include "gateway/gateway.h"

/*
 * The gateway's loader over many files, in one process:
 *
 *	file\n  ->  "0|1 BYTES BYTES\n", then what `check --json` and what `show` print for it
 *
 * 1: it loads, and only then is there anything of `show`.
 */

enum {
	PATH_BYTES = 4096
};

static const struct app_program program = {
	.magic = APP_PROGRAM_MAGIC,
	.name = "load_many",
	.schema = &gateway_schema,
	.view = gateway_view,
	.proxy = &gateway_proxy,
};

static const char *
no_variable(void *arg, const char *name)
{
	(void)arg;
	(void)name;
	return (NULL);
}

static void
put(bool ok, const char *said, size_t n_said, const char *shown, size_t n_shown)
{
	printf("%d %zu %zu\n", ok, n_said, n_shown);
	(void)fwrite(said, 1, n_said, stdout);
	(void)fwrite(shown, 1, n_shown, stdout);
	(void)fflush(stdout);
}

static void
load(const char *path)
{
	struct load_options opt = { .paths = &path, .n_paths = 1, .lookup = no_variable };
	char *said = NULL, *shown = NULL;
	size_t n_said = 0, n_shown = 0;
	FILE *out = open_memstream(&said, &n_said), *show = open_memstream(&shown, &n_shown);
	struct build b;
	bool ok = build_run(&b, &program, &opt, NULL, 1);

	if (b.no_memory || out == NULL || show == NULL)
		abort();
	diag_print_json(b.diag, out);
	if (ok && !build_show(&b, b.gate, &(const struct build_shown){ .json = false }, show))
		abort();
	build_fini(&b);
	(void)fclose(out);
	(void)fclose(show);
	put(ok, said, n_said, shown, n_shown);
	free(said);
	free(shown);
}

int
main(void)
{
	char path[PATH_BYTES];

	proxy_program = program.proxy;
	build_register_filters();
	while (fgets(path, sizeof path, stdin) != NULL) {
		path[strcspn(path, "\n")] = '\0';
		load(path);
	}
	return (0);
}

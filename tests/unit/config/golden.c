/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loader as a filter: `golden FILE...` prints what it says about the files, to be compared
 * with what it ought to say. `--json`, `--show`, `--defaults`, `--schema` and `--reference` print
 * the other faces of the same tables; `--time` what the work cost.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/config/diag.h"
#include "engine/config/load.h"
#include "engine/mem/arena.h"
#include "tests/unit/config/shape.h"

/* Variables of the tests; the environment of the machine must not leak in. */
static const char *
lookup(void *arg, const char *name)
{
	(void)arg;
	if (strcmp(name, "PORT") == 0)
		return ("8080");
	if (strcmp(name, "HOST") == 0)
		return ("Shop.Example.com");
	if (strcmp(name, "SECRET") == 0)
		return ("hunter2");
	return (strcmp(name, "EMPTY") == 0 ? "" : NULL);
}

static double
cpu_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ((double)ts.tv_sec + (double)ts.tv_nsec / 1e9);
}

static int
check(const char *mode, const char *const *paths, size_t n)
{
	struct arena *arena = arena_new("golden");
	struct diag *diag = diag_new(arena);
	struct load_options opt = { .paths = paths, .n_paths = n, .lookup = lookup };
	struct schema_reader rd = { .arena = arena, .diag = diag, .lookup = lookup };
	double start = cpu_seconds(), read, decoded;
	const struct schema_obj *obj = NULL;
	const struct node *node = load_files(arena, diag, &shape_schema, &opt);
	bool is_ok;

	read = cpu_seconds();
	if (node != NULL)
		obj = schema_decode(&rd, &shape_schema, node);
	decoded = cpu_seconds();
	if (strcmp(mode, "--json") == 0)
		diag_print_json(diag, stdout);
	else
		diag_print(diag, stdout);
	is_ok = diag_is_ok(diag);
	if (is_ok && strcmp(mode, "--show") == 0)
		schema_show(obj, stdout);
	if (strcmp(mode, "--time") == 0)
		printf("read %.3f s, decode %.3f s, arena %zu bytes\n", read - start,
		    decoded - read, arena_used(arena));
	arena_free(&arena);
	return (is_ok ? EXIT_SUCCESS : EXIT_FAILURE);
}

int
main(int argc, char **argv)
{
	const char *mode = argc > 1 && argv[1][0] == '-' ? argv[1] : "";
	int first = *mode != '\0' ? 2 : 1;

	if (strcmp(mode, "--defaults") == 0)
		schema_print_defaults(&shape_schema, stdout);
	else if (strcmp(mode, "--schema") == 0)
		schema_print_json_schema(&shape_schema, "shape", stdout);
	else if (strcmp(mode, "--reference") == 0)
		schema_print_reference(&shape_schema, stdout);
	else
		return (check(mode, (const char *const *)argv + first, (size_t)(argc - first)));
	return (EXIT_SUCCESS);
}

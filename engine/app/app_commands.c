/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdio.h>

#include "engine/app/app_impl.h"
#include "engine/loop/resolve.h"
#include "engine/regex/regex.h"

/* Commands that look and say, and serve nothing. */

#if defined __SANITIZE_ADDRESS__
static const char build_checks[] = "AddressSanitizer";
#elif defined __SANITIZE_THREAD__
static const char build_checks[] = "ThreadSanitizer";
#elif defined WEIR_DEBUG
static const char build_checks[] = "debug";
#else
static const char build_checks[] = "release";
#endif

int
app_check(struct app *app)
{
	struct build b;
	bool ok = build_run(&b, app->prog, &app->load, NULL, 1);

	if (b.no_memory)
		fprintf(stderr, "%s: out of memory\n", app->prog->name);
	else if (app->opt.json)
		diag_print_json(b.diag, stdout);
	else
		diag_print(b.diag, stderr);
	if (ok && !app->opt.json)
		printf("%s: fine\n", app->opt.paths[0]);
	build_fini(&b);
	return (b.no_memory ? APP_CANNOT_START : ok ? APP_OK : APP_CONFIG_WRONG);
}

int
app_show(struct app *app)
{
	struct build b;
	bool ok = build_run(&b, app->prog, &app->load, NULL, 1);

	if (b.no_memory)
		fprintf(stderr, "%s: out of memory\n", app->prog->name);
	else
		diag_print(b.diag, stderr);
	if (!ok) {
		build_fini(&b);
		return (b.no_memory ? APP_CANNOT_START : APP_CONFIG_WRONG);
	}
	ok = build_show(&b, b.gate, &(const struct build_shown){ slice_str(app->opt.route),
	    app->opt.json }, stdout);
	if (!ok)
		diag_print(b.diag, stderr);
	build_fini(&b);
	return (ok ? APP_OK : b.no_memory ? APP_CANNOT_START : APP_USAGE_WRONG);
}

int
app_defaults(struct app *app)
{
	schema_print_defaults(app->prog->schema, stdout);
	return (APP_OK);
}

int
app_schema(struct app *app)
{
	schema_print_json_schema(app->prog->schema, app->prog->name, stdout);
	return (APP_OK);
}

int
app_reference(struct app *app)
{
	schema_print_reference(app->prog->schema, stdout);
	return (APP_OK);
}

int
app_version(struct app *app)
{
	printf("%s %s\n", app->prog->name, PACKAGE_VERSION);
	printf("libraries: %s, %s, %s, %s\n", loop_library(), resolver_library(), yaml_library(),
	    regex_library());
	printf("compiler: %s; checks: %s\n", __VERSION__, build_checks);
	return (APP_OK);
}

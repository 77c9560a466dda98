/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/app/app_impl.h"
#include "engine/mem/alloc.h"

void
app_usage(const struct app_program *p, bool to_stderr)
{
	fprintf(to_stderr ? stderr : stdout,
	    "%s: %s\n"
	    "\n"
	    "usage: %s [COMMAND] [-c FILE]... [-e KEY=VALUE]...\n"
	    "\n"
	    "  run        serve (the default); SIGHUP reloads, SIGTERM drains and ends\n"
	    "  check      read the configuration as run does, and say every mistake; --json\n"
	    "  show       the values in force, each with the place that it comes from;\n"
	    "             --route NAME: of one route, with all that it inherits; --json\n"
	    "  explain    what becomes of a request, and why: explain 'GET http://host/path';\n"
	    "             -H 'name: value', --client ADDRESS, --listener NAME, --json;\n"
	    "             with - each line of standard input, as JSON\n"
	    "  defaults   every key with its type, default, bounds and meaning\n"
	    "  schema     the JSON Schema of the file, for editors\n"
	    "  version    version and build\n"
	    "\n"
	    "  -c FILE    a configuration file, or a folder for all its *.yaml; may be repeated;\n"
	    "             without it %s\n"
	    "  -e K=V     sets a variable for ${K} in the file\n"
	    "\n"
	    "exit codes: 0 fine, 1 configuration wrong, 2 usage wrong, 3 could not start\n",
	    p->name, p->what, p->name, p->default_file);
}

static bool
wrong(const struct app_program *p, const char *what, const char *arg)
{
	fprintf(stderr, "%s: %s%s%s\n", p->name, what, arg != NULL ? ": " : "",
	    arg != NULL ? arg : "");
	app_usage(p, true);
	return (false);
}

static bool
add_var(struct app_options *o, char *text)
{
	char *eq = strchr(text, '=');

	if (eq == NULL || eq == text)
		return (false);
	*eq = '\0';
	o->vars[o->n_vars++] = (struct app_var){ text, eq + 1 };
	return (true);
}

/* The value of an option that stands alone or glued to it: -c FILE, -cFILE, --route=NAME. */
static char *
value_of(char **argv, int *i)
{
	char *eq = argv[*i][1] == '-' ? strchr(argv[*i], '=') : NULL;

	if (eq != NULL)
		return (eq + 1);
	if (argv[*i][1] == '-')
		return (argv[*i + 1] == NULL ? NULL : argv[++*i]);
	if (argv[*i][2] != '\0')
		return (&argv[*i][2]);
	return (argv[*i + 1] == NULL ? NULL : argv[++*i]);
}

/* --name or --name=VALUE */
static bool
is_long(const char *arg, const char *name)
{
	size_t n = strlen(name);

	return (strncmp(arg, name, n) == 0 && (arg[n] == '\0' || arg[n] == '='));
}

/* Where the value of a long option goes; NULL: it is none that has one. */
static const char **
place_of(struct app_options *o, const char *arg)
{
	return (is_long(arg, "--route") ? &o->route :
	    is_long(arg, "--listener") ? &o->listener :
	    is_long(arg, "--client") ? &o->client : NULL);
}

static bool
parse_valued(struct app_options *o, const struct app_program *p, char **argv, int *i)
{
	const char *arg = argv[*i], **place = place_of(o, arg);
	char *value;

	if (place == NULL && (arg[1] == '-' || strchr("ceH", arg[1]) == NULL))
		return (wrong(p, "unknown option", arg));
	value = value_of(argv, i);
	if (value == NULL || (place != NULL && *value == '\0'))
		return (wrong(p, "a value is due after", arg));
	if (place != NULL)
		*place = value;
	else if (arg[1] == 'c')
		o->paths[o->n_paths++] = value;
	else if (arg[1] == 'H')
		o->fields[o->n_fields++] = value;
	else if (!add_var(o, value))
		return (wrong(p, "KEY=VALUE is due after -e", value));
	return (true);
}

static bool
parse_option(struct app_options *o, const struct app_program *p, char **argv, int *i)
{
	const char *arg = argv[*i];

	if (strcmp(arg, "--json") == 0)
		o->json = true;
	else if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0)
		o->command = "help";
	else if (strcmp(arg, "--version") == 0)
		o->command = "version";
	else
		return (parse_valued(o, p, argv, i));
	return (true);
}

/* The command, and of explain its request. */
static bool
parse_word(struct app_options *o, const struct app_program *p, const char *arg)
{
	if (o->command == NULL)
		o->command = arg;
	else if (strcmp(o->command, "explain") == 0 && o->arg == NULL)
		o->arg = arg;
	else
		return (wrong(p, o->arg != NULL ?
		    "a request is one word, in quotes as in 'GET URL'; too much is" :
		    "one command is due, and files behind -c; too much is", arg));
	return (true);
}

bool
app_options_parse(struct app_options *o, const struct app_program *p, int argc, char **argv)
{
	memset(o, 0, sizeof *o);
	o->route = o->listener = o->client = "";
	o->fields = xcalloc((size_t)argc + 1, sizeof *o->fields);
	o->paths = xcalloc((size_t)argc + 1, sizeof *o->paths);
	o->vars = xcalloc((size_t)argc + 1, sizeof *o->vars);
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-' && argv[i][1] != '\0') {
			if (!parse_option(o, p, argv, &i))
				return (false);
		} else if (!parse_word(o, p, argv[i])) {
			return (false);
		}
	}
	if (o->command == NULL)
		o->command = "run";
	if (o->n_paths == 0)
		o->paths[o->n_paths++] = p->default_file;
	return (true);
}

const char *
app_lookup(void *arg, const char *name)
{
	const struct app_options *o = arg;

	for (size_t i = o->n_vars; i-- > 0;) {
		if (strcmp(o->vars[i].name, name) == 0)
			return (o->vars[i].value);
	}
	return (getenv(name));
}

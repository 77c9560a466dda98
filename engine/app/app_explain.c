/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "engine/app/app_impl.h"
#include "engine/app/explain.h"
#include "engine/mem/alloc.h"

/*
 * The command `explain`: one request from the command line, or with `-` as many as standard input
 * has lines, each answered by one line of JSON.
 */

enum { LINE_BYTES = 256 * 1024 };	/* more than any listener takes */

struct job {
	struct app		*app;
	struct explain		*e;
	const struct explain_ask *base;		/* what the command line says of all */
};

static int
no_memory(const struct app *app)
{
	fprintf(stderr, "%s: out of memory\n", app->prog->name);
	return (APP_CANNOT_START);
}

/* "METHOD URL", or a URL alone, in which a space is for the codec to refuse. */
static void
split_request(struct slice s, struct explain_ask *ask)
{
	ssize_t at = slice_find_byte(s, ' '), slash = slice_find_byte(s, '/');

	if (slash >= 0 && slash < at)
		at = -1;

	ask->method = at < 0 ? SLICE("") : slice_sub(s, 0, (size_t)at);
	ask->url = at < 0 ? s : slice_trim(slice_skip(s, (size_t)at));
}

/* ---- one request of the command line ---- */

static int
explain_one(const struct job *j, const struct explain_ask *ask)
{
	const char *wrong;
	json_t *o = explain_request(j->e, ask, &wrong);

	if (o == NULL && wrong == NULL)
		return (no_memory(j->app));
	if (o == NULL) {
		fprintf(stderr, "%s: explain: %s\n", j->app->prog->name, wrong);
		return (APP_USAGE_WRONG);
	}
	if (j->app->opt.json) {
		(void)json_dumpf(o, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
		fputs("\n", stdout);
	} else {
		explain_print(o, stdout);
	}
	json_decref(o);
	return (APP_OK);
}

/* ---- many of standard input ---- */

static struct slice
member(const json_t *o, const char *key, struct slice otherwise)
{
	const json_t *v = json_object_get(o, key);

	return (json_is_string(v) ? slice_of(json_string_value(v), json_string_length(v)) :
	    otherwise);
}

/* {"method": .., "url": .., "fields": ["name: value"], "listener": .., "client": ..} */
static bool
read_object(const json_t *o, struct explain_ask *ask, struct slice *fields)
{
	const json_t *all = json_object_get(o, "fields"), *it;
	size_t i;

	ask->method = member(o, "method", SLICE(""));
	ask->url = member(o, "url", SLICE(""));
	ask->listener = member(o, "listener", ask->listener);
	ask->client = member(o, "client", ask->client);
	if (ask->n_fields + json_array_size(all) > EXPLAIN_FIELDS_MAX)
		return (false);
	memcpy(fields, ask->fields, ask->n_fields * sizeof *fields);
	ask->fields = fields;
	json_array_foreach(all, i, it) {
		if (!json_is_string(it))
			return (false);
		fields[ask->n_fields++] = slice_of(json_string_value(it), json_string_length(it));
	}
	return (true);
}

/* A new reference; NULL: no memory. */
static json_t *
answer_line(const struct job *j, struct slice line)
{
	struct slice fields[EXPLAIN_FIELDS_MAX];
	struct explain_ask ask = *j->base;
	const char *wrong = NULL;
	json_t *asked = NULL, *o = NULL;

	if (line.p[0] == '{') {
		asked = json_loadb(line.p, line.len, 0, NULL);
		if (asked == NULL || !read_object(asked, &ask, fields))
			wrong = "the line is no JSON object of a request";
	} else {
		split_request(line, &ask);
	}
	if (wrong == NULL)
		o = explain_request(j->e, &ask, &wrong);
	if (wrong != NULL)
		o = json_pack("{s:s}", "error", wrong);
	json_decref(asked);
	return (o);
}

/* False: the end. *whole_r: it was not cut. */
static bool
read_line(FILE *in, struct slice *line_r, bool *whole_r)
{
	static char buf[LINE_BYTES];
	size_t n = 0;
	int c;

	while ((c = getc(in)) != EOF && c != '\n') {
		if (n < sizeof buf)
			buf[n] = (char)c;
		n++;
	}
	*whole_r = n <= sizeof buf;
	*line_r = slice_of(buf, *whole_r ? n : sizeof buf);
	if (line_r->len > 0 && buf[line_r->len - 1] == '\r')
		line_r->len--;
	*line_r = slice_trim(*line_r);
	return (n > 0 || c != EOF);
}

static int
explain_many(const struct job *j, FILE *in)
{
	struct slice line;
	bool is_whole, ok;
	json_t *o;

	while (read_line(in, &line, &is_whole)) {
		if (line.len == 0)
			continue;
		o = is_whole ? answer_line(j, line) :
		    json_pack("{s:s}", "error", "the line is too long");
		ok = o != NULL && json_dumpf(o, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER) == 0 &&
		    fputs("\n", stdout) >= 0;
		json_decref(o);
		if (!ok)
			return (no_memory(j->app));
	}
	return (APP_OK);
}

/* ---- */

static int
explain_with(struct app *app, struct build *b)
{
	struct slice *fields = xcalloc(app->opt.n_fields + 1, sizeof *fields);
	struct explain_ask ask = { .listener = slice_str(app->opt.listener),
		.client = slice_str(app->opt.client), .fields = fields,
		.n_fields = (unsigned)app->opt.n_fields };
	struct job j = { .app = app, .base = &ask };
	struct err *err = explain_new(&j.e, b, b->snap, false);
	int rc = APP_CANNOT_START;

	for (size_t i = 0; i < app->opt.n_fields; i++)
		fields[i] = slice_str(app->opt.fields[i]);
	if (err != NULL) {
		fprintf(stderr, "%s: explain: %s\n", app->prog->name, err->what);
	} else if (strcmp(app->opt.arg, "-") == 0) {
		rc = explain_many(&j, stdin);
	} else {
		split_request(slice_trim(slice_str(app->opt.arg)), &ask);
		rc = explain_one(&j, &ask);
	}
	explain_free(&j.e);
	xfree(fields);
	return (rc);
}

int
app_explain(struct app *app)
{
	struct build b;
	bool ok;
	int rc;

	if (app->opt.arg == NULL || app->opt.n_fields > EXPLAIN_FIELDS_MAX) {
		fprintf(stderr, "%s: explain: %s\n", app->prog->name, app->opt.arg == NULL ?
		    "a request is due: 'GET https://example.com/path', or - for standard input" :
		    "too many fields");
		return (APP_USAGE_WRONG);
	}
	ok = build_run(&b, app->prog, &app->load, NULL, 1);
	if (b.no_memory)
		rc = no_memory(app);
	else
		rc = APP_CONFIG_WRONG;
	if (!b.no_memory)
		diag_print(b.diag, stderr);
	if (ok)
		rc = explain_with(app, &b);
	build_fini(&b);
	return (rc);
}

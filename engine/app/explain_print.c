/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/app/explain.h"
#include "engine/base/cc.h"

/* The same for people: from the JSON, so that neither says what the other does not. */

enum {
	LABEL = 11,	/* columns of what stands in front */
	COLUMNS = 88	/* after which a list goes on in the next line */
};

/* No byte of it can be a command to a terminal. */
static void
put_safe(const char *s, FILE *out)
{
	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == 0xc2 && (unsigned char)s[1] < 0xa0 && s[1] != '\0') {
			fputs("??", out);	/* Latin 1's control characters, in UTF-8 */
			s++;
		} else {
			fputc(c < ' ' || c == 0x7f ? '?' : c, out);
		}
	}
}

static const char *
text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return (s == NULL ? "" : s);
}

/* Characters: of UTF-8 the bytes that begin one. */
static int
width_of(const char *s)
{
	int n = 0;

	for (; *s != '\0'; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return (n);
}

static void
put_cell(const char *s, int width, FILE *out)
{
	put_safe(s, out);
	fprintf(out, "%*s", width > width_of(s) ? width - width_of(s) : 0, "");
}

static void
put_label(const char *label, FILE *out)
{
	fprintf(out, "%-*s", LABEL, label);
}

static void
put_line(const char *label, const char *value, FILE *out)
{
	put_label(label, out);
	put_safe(value, out);
	fputs("\n", out);
}

/* The widest of a member of all items. */
static int
widest(const json_t *items, const char *key)
{
	const json_t *it;
	int most = 0, n;
	size_t i;

	json_array_foreach(items, i, it) {
		n = width_of(text_of(it, key));
		most = n > most ? n : most;
	}
	return (most);
}

/* "  (file:line)" behind what was said. */
static void
put_place(const json_t *o, const char *key, FILE *out)
{
	if (!json_is_string(json_object_get(o, key)))
		return;
	fputs("  (", out);
	put_safe(text_of(o, key), out);
	fputs(")", out);
}

static void
put_listeners(const json_t *o, const json_t *result, FILE *out)
{
	const json_t *names = json_object_get(result, "listeners"), *it;
	size_t i;

	put_label("listener", out);
	json_array_foreach(names, i, it) {
		fputs(i > 0 ? ", " : "", out);
		put_safe(json_string_value(it), out);
	}
	if (strcmp(text_of(o, "listener_by"), "all") == 0)
		fputs("  (none has the URL's port)", out);
	fputs("\n", out);
}

static void
put_candidates(const json_t *all, FILE *out)
{
	int name = widest(all, "route");
	const json_t *it;
	size_t i;

	json_array_foreach(all, i, it) {
		if (json_is_true(json_object_get(it, "is_taken")))
			continue;
		put_label("  not", out);
		put_cell(text_of(it, "route"), name, out);
		fputs("  ", out);
		put_safe(text_of(it, "why"), out);
		put_place(it, "place", out);
		fputs("\n", out);
	}
}

static void
put_taken(const json_t *all, FILE *out)
{
	const json_t *it;
	size_t i;

	json_array_foreach(all, i, it) {
		if (!json_is_true(json_object_get(it, "is_taken")))
			continue;
		fputs("  ", out);
		put_safe(text_of(it, "why"), out);
	}
}

static void
put_route(const json_t *result, FILE *out)
{
	const json_t *route = json_object_get(result, "route");
	const json_t *more = json_object_get(result, "more_candidates");

	put_label("route", out);
	put_safe(json_is_object(route) ? text_of(route, "name") : "none", out);
	put_taken(json_object_get(result, "candidates"), out);
	put_place(route, "place", out);
	fputs("\n", out);
	put_candidates(json_object_get(result, "candidates"), out);
	if (more != NULL)
		fprintf(out, "%-*sand %d more\n", LABEL, "", (int)json_integer_value(more));
}

static void
put_policies(const json_t *all, FILE *out)
{
	int name = widest(all, "name"), verdict = widest(all, "verdict");
	const json_t *it;
	size_t i;

	json_array_foreach(all, i, it) {
		const char *says = text_of(it, "says");

		put_label(i == 0 ? "policies" : "", out);
		put_cell(text_of(it, "name"), name + 2, out);
		put_cell(text_of(it, "verdict"), *says == '\0' ? 0 : verdict + 2, out);
		put_safe(says, out);
		put_place(it, "place", out);
		fputs("\n", out);
	}
}

static void
put_outcome(const json_t *result, FILE *out)
{
	const json_t *status = json_object_get(result, "status"), *it;
	size_t i;

	put_label("outcome", out);
	fputs(text_of(result, "outcome"), out);
	if (json_is_integer(status))
		fprintf(out, ", %d", (int)json_integer_value(status));
	if (json_object_get(result, "reason") != NULL)
		fprintf(out, " %s: %s", text_of(result, "reason"), text_of(result, "title"));
	fputs("\n", out);
	if (json_object_get(result, "key") != NULL) {
		put_label("  by", out);
		put_safe(text_of(result, "key"), out);
		put_place(result, "key_place", out);
		fputs("\n", out);
	}
	json_array_foreach(json_object_get(result, "fields"), i, it) {
		put_label(i == 0 ? "  fields" : "", out);
		put_safe(json_string_value(json_array_get(it, 0)), out);
		fputs(": ", out);
		put_safe(json_string_value(json_array_get(it, 1)), out);
		fputs("\n", out);
	}
}

static void
put_servers(const json_t *u, FILE *out)
{
	const json_t *all = json_object_get(u, "servers"), *it, *address;
	const char *picked = text_of(u, "server");
	int name = widest(all, "server");
	size_t i, k;

	json_array_foreach(all, i, it) {
		const char *server = text_of(it, "server");

		if (*picked != '\0' && strcmp(server, picked) != 0)
			continue;
		put_label(*picked != '\0' || i == 0 ? "  server" : "  or", out);
		put_cell(server, name, out);
		fprintf(out, "  weight %d",
		    (int)json_integer_value(json_object_get(it, "weight")));
		json_array_foreach(json_object_get(it, "addresses"), k, address) {
			if (strcmp(json_string_value(address), server) != 0) {
				fputs("  ", out);
				put_safe(json_string_value(address), out);
			}
		}
		fputs("\n", out);
	}
}

static void
put_upstreams(const json_t *result, FILE *out)
{
	const json_t *taken = json_object_get(result, "upstream"), *u;
	size_t i;

	json_array_foreach(json_object_get(result, "upstreams"), i, u) {
		const json_t *share = json_object_get(u, "share");

		if (json_is_string(taken) && !json_equal(taken, json_object_get(u, "name")))
			continue;

		put_label("upstream", out);
		put_safe(text_of(u, "name"), out);
		fprintf(out, ", %s", text_of(u, "balance"));
		if (share != NULL)
			fprintf(out, ", share %d", (int)json_integer_value(share));
		fputs("\n", out);
		put_servers(u, out);
	}
}

static void
put_mirror(const json_t *mirror, FILE *out)
{
	if (mirror == NULL)
		return;
	put_label("mirror", out);
	put_safe(text_of(mirror, "upstream"), out);
	fprintf(out, ", %g%% of requests", json_real_value(json_object_get(mirror, "percent")));
	put_place(mirror, "place", out);
	fputs("\n", out);
}

static void
put_target(const json_t *result, FILE *out)
{
	put_label("target", out);
	put_safe(text_of(result, "target"), out);
	fputs("\n", out);
	put_line("  Host", json_is_null(json_object_get(result, "target_host")) ?
	    "the server's name" : text_of(result, "target_host"), out);
}

static bool
is_written(const json_t *setting)
{
	return (json_is_string(json_object_get(setting, "place")));
}

/* What a file says of them, a line each. */
static unsigned
put_written(const json_t *all, const char *of, FILE *out)
{
	int key = 0, value = 0;
	const json_t *it;
	unsigned n = 0;
	size_t i;

	json_array_foreach(all, i, it) {
		if (is_written(it) && width_of(text_of(it, "key")) > key)
			key = width_of(text_of(it, "key"));
		if (is_written(it) && width_of(text_of(it, "value")) > value)
			value = width_of(text_of(it, "value"));
	}
	json_array_foreach(all, i, it) {
		if (strcmp(text_of(it, "of"), of) != 0 || !is_written(it))
			continue;
		put_label(n++ == 0 ? of : "", out);
		put_cell(text_of(it, "key"), key + 2, out);
		put_cell(text_of(it, "value"), value, out);
		put_place(it, "place", out);
		fputs("\n", out);
	}
	return (n);
}

/* And what nobody wrote, in as few lines as will hold it. */
static void
put_defaults(const json_t *all, const char *of, bool is_first, FILE *out)
{
	const json_t *it;
	int at = 0, n;
	size_t i;

	json_array_foreach(all, i, it) {
		if (strcmp(text_of(it, "of"), of) != 0 || is_written(it))
			continue;
		n = width_of(text_of(it, "key")) + 1 + width_of(text_of(it, "value"));
		if (at > 0 && at + 2 + n > COLUMNS) {
			fputs(",\n", out);
			at = 0;
		}
		if (at == 0)
			put_label(is_first ? of : "", out);
		fprintf(out, "%s", at > 0 ? ", " : "");
		put_safe(text_of(it, "key"), out);
		fputs(" ", out);
		put_safe(text_of(it, "value"), out);
		at = (at == 0 ? LABEL : at + 2) + n;
		is_first = false;
	}
	if (at > 0)
		fputs("  (default)\n", out);
}

static void
put_settings(const json_t *all, FILE *out)
{
	static const char *const of[] = { "listener", "route", "upstream" };

	for (size_t i = 0; i < array_len(of); i++) {
		unsigned n = put_written(all, of[i], out);

		put_defaults(all, of[i], n == 0, out);
	}
}

void
explain_print(const json_t *o, FILE *out)
{
	const json_t *result;
	size_t i;

	put_safe(text_of(o, "method"), out);
	fputs(" ", out);
	put_safe(text_of(o, "url"), out);
	if (json_is_string(json_object_get(o, "client")))
		fprintf(out, "  from %s", text_of(o, "client"));
	fputs("\n", out);
	json_array_foreach(json_object_get(o, "results"), i, result) {
		fputs("\n", out);
		put_listeners(o, result, out);
		put_route(result, out);
		put_policies(json_object_get(result, "policies"), out);
		put_outcome(result, out);
		if (json_object_get(result, "target") != NULL) {
			put_target(result, out);
			put_upstreams(result, out);
			put_mirror(json_object_get(result, "mirror"), out);
		}
		fputs("\n", out);
		put_settings(json_object_get(result, "settings"), out);
	}
}

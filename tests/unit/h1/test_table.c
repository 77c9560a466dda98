/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The smuggling table (tests/conformance/http1), played to the codec alone: whole, byte by byte
 * and cut at every offset. The events must be the same each time, and the verdict the table's.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/h1/rig.h"

enum {
	CUT_MAX = 700		/* longer rows are not cut at every offset, but at every 97th */
};

struct row {
	char name[80];
	char want[80];
	char *bytes;
	size_t len;
	unsigned answered;
	bool fin;
	bool head;
	bool reuse_no;
	bool reuse_yes;
};

static unsigned n_rows, n_bad;

static int
hex(char c)
{
	return (c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
}

/* "..." with escapes, times N, behind the row's bytes. */
static void
take_string(struct row *row, const char *p)
{
	char *one = malloc(strlen(p) + 1);
	size_t n = 0;
	unsigned long times = 1;

	assert_non_null(one);
	assert_int_equal(*p++, '"');
	for (; *p != '"'; p++) {
		char c = *p;

		assert_int_not_equal(c, '\0');
		if (c == '\\') {
			c = *++p;
			if (c == 'r')
				c = '\r';
			else if (c == 'n')
				c = '\n';
			else if (c == 't')
				c = '\t';
			else if (c == 'x') {
				c = (char)(hex(p[1]) << 4 | hex(p[2]));
				p += 2;
			}
		}
		one[n++] = c;
	}
	if (strncmp(p, "\" * ", 4) == 0)
		times = strtoul(p + 4, NULL, 10);
	row->bytes = realloc(row->bytes, row->len + n * times + 1);
	assert_non_null(row->bytes);
	for (; times > 0; times--) {
		memcpy(row->bytes + row->len, one, n);
		row->len += n;
	}
	free(one);
}

static bool
is_wanted(const struct row *row, const char *verdict)
{
	size_t n = strlen(verdict);

	for (const char *p = row->want; p != NULL; p = strchr(p, '|')) {
		p += *p == '|';
		if (strncmp(p, verdict, n) == 0 && (p[n] == '|' || p[n] == '\0'))
			return (true);
	}
	return (false);
}

static struct rig *
begin(const struct row *row, bool is_request)
{
	struct rig *r = rig_new(is_request ? CODEC_SERVER : CODEC_CLIENT);

	r->answer = is_request;
	if (!is_request) {
		r->limits.head_bytes = 65536;
		r->limits.fields = 200;
		assert_true(rig_send_method(r, row->head ? METHOD_HEAD : METHOD_GET, "/"));
		(void)rig_write(r, 0);
	}
	return (r);
}

/* Events of the row, cut as told. A copy. */
static char *
play(const struct row *row, bool is_request, size_t piece, size_t cut)
{
	struct rig *r = begin(row, is_request);
	char *log;

	if (cut > 0)
		(void)rig_feed_cut(r, row->bytes, row->len, cut);
	else
		(void)rig_feed(r, row->bytes, row->len, piece);
	if (row->fin)
		(void)rig_eof(r);
	log = strdup(rig_log(r));
	assert_non_null(log);
	rig_free(r);
	return (log);
}

static void
complain(const struct row *row, const char *what, const char *log)
{
	n_bad++;
	print_error("%s: %s (want %s)\n%s", row->name, what, row->want, log);
}

static void
same_events(const struct row *row, bool is_request)
{
	char *whole = play(row, is_request, 0, 0);
	char *other = play(row, is_request, 1, 0);
	size_t step = row->len <= CUT_MAX ? 1 : 97;

	if (strcmp(whole, other) != 0)
		complain(row, "byte by byte differs", other);
	free(other);
	for (size_t at = 1; at < row->len && row->len < 20000; at += step) {
		other = play(row, is_request, 0, at);
		if (strcmp(whole, other) != 0) {
			complain(row, "differs when cut", other);
			print_error("at %zu, whole:\n%s", at, whole);
			free(other);
			break;
		}
		free(other);
	}
	free(whole);
}

static void
request_verdict(const struct row *row)
{
	struct rig *r = begin(row, true);
	char status[16];

	(void)rig_feed(r, row->bytes, row->len, 0);
	if (row->fin)
		(void)rig_eof(r);
	(void)rig_write(r, 0);
	snprintf(status, sizeof(status), "%u", reason_info(r->reason)->status);
	if (r->n_errors > 0 && !is_wanted(row, status) && !is_wanted(row, "closed"))
		complain(row, "wrong status", rig_log(r));
	/* What a path or a length means is judged above the codec. */
	if (r->n_errors == 0 && !is_wanted(row, "accept") && !is_wanted(row, "closed") &&
	    strncmp(row->name, "path-", 5) != 0 && strcmp(row->name, "target-backslash") != 0 &&
	    !is_wanted(row, "413"))
		complain(row, "not refused", rig_log(r));
	if (strcmp(row->want, "accept") == 0 && r->n_sent != row->answered)
		complain(row, "not answered", rig_log(r));
	rig_free(r);
}

static void
response_verdict(const struct row *row)
{
	struct rig *r = begin(row, false);
	bool reuse;

	(void)rig_feed(r, row->bytes, row->len, 0);
	reuse = r->h1.c.ops->can_reuse(&r->h1.c);
	if (row->fin)
		(void)rig_eof(r);
	if (r->n_errors == 0 && r->n_ends == 0)
		complain(row, "no end", rig_log(r));
	if (strcmp(row->want, "pass") == 0 ? r->n_ends != 1 || r->n_errors != 0
					   : !is_wanted(row, "pass") && r->n_errors != 1)
		complain(row, "verdict", rig_log(r));
	if ((row->reuse_no && reuse) || (row->reuse_yes && !reuse))
		complain(row, "reuse", rig_log(r));
	rig_free(r);
}

static void
end_row(struct row *row, bool is_request)
{
	if (row->name[0] != '\0') {
		n_rows++;
		same_events(row, is_request);
		if (is_request)
			request_verdict(row);
		else
			response_verdict(row);
	}
	free(row->bytes);
	memset(row, 0, sizeof(*row));
	row->answered = UINT32_MAX;
}

static void
take_line(struct row *row, const char *line, bool is_request)
{
	if (strncmp(line, "request ", 8) == 0 || strncmp(line, "response ", 9) == 0) {
		end_row(row, is_request);
		(void)sscanf(line, "%*s %79s", row->name);
	} else if (strncmp(line, "send ", 5) == 0) {
		take_string(row, line + 5);
	} else if (strncmp(line, "want ", 5) == 0) {
		(void)sscanf(line + 5, "%79s", row->want);
		if (row->answered == UINT32_MAX)
			row->answered = strcmp(row->want, "accept") == 0;
	} else if (strncmp(line, "answered ", 9) == 0) {
		row->answered = (unsigned)strtoul(line + 9, NULL, 10);
	} else if (strncmp(line, "method HEAD", 11) == 0) {
		row->head = true;
	} else if (strncmp(line, "reuse no", 8) == 0) {
		row->reuse_no = true;
	} else if (strncmp(line, "reuse yes", 9) == 0) {
		row->reuse_yes = true;
	} else if (strncmp(line, "fin", 3) == 0) {
		row->fin = true;
	}
}

static void
play_file(const char *file, bool is_request)
{
	const char *top = getenv("WEIR_SRCDIR");
	struct row row = { .answered = UINT32_MAX };
	static char line[65536];
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/tests/conformance/http1/%s", top != NULL ? top : ".", file);
	f = fopen(path, "r");
	assert_non_null(f);
	n_rows = n_bad = 0;
	while (fgets(line, sizeof(line), f) != NULL)
		take_line(&row, line, is_request);
	end_row(&row, is_request);
	fclose(f);
	free(row.bytes);
	assert_true(n_rows > 50);
	assert_int_equal(n_bad, 0);
}

static void
requests(void **state)
{
	(void)state;
	play_file("requests.txt", true);
}

static void
responses(void **state)
{
	(void)state;
	play_file("responses.txt", false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests),
		cmocka_unit_test(responses),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/cc.h"
#include "engine/base/slice.h"
#include "engine/base/text.h"
#include "tests/sim/sim.h"
#include "tests/sim/subject.h"

/*
 * Runs scripts: run_sim FILE.sim... Each file is one test in a world of its own. A script has one
 * command a line; README.md lists them. Stops at the first line that fails, prints it as
 * FILE:LINE: COMMAND: what was expected, and goes on with the next file.
 */

enum {
	WORDS_MAX	= 8,
	LINE_MAX_BYTES	= 8192,
	NAMES_MAX	= 64,
};

struct name {
	char		 name[32];
	struct sim_conn	*conn;
};

static struct name names[NAMES_MAX];
static unsigned n_names;
static const struct sim_subject *running;
static char message[512];

struct command {
	const char	*name;
	int		 n_args;
	const char	*(*run)(char **arg, const size_t *len);
};

/* ---- helpers ---- */

static const char *
complain(const char *what, const char *which)
{
	(void)snprintf(message, sizeof message, "%s: %s", what, which);
	return (message);
}

static struct sim_conn *
find(const char *name)
{
	for (unsigned i = n_names; i-- > 0;) {
		if (strcmp(names[i].name, name) == 0)
			return (names[i].conn);
	}
	return (NULL);
}

static const char *
keep(const char *name, struct sim_conn *c)
{
	if (n_names == NAMES_MAX)
		return ("too many connections in one script");
	(void)snprintf(names[n_names].name, sizeof names[n_names].name, "%s", name);
	names[n_names++].conn = c;
	return (NULL);
}

static bool
number(const char *word, uint64_t *r)
{
	return (text_to_u64(slice_str(word), r));
}

/* ---- commands ---- */

static const char *
do_start(char **arg, const size_t *len)
{
	const char *rest = arg[1] != NULL ? arg[1] : "";

	(void)len;
	if (running != NULL)
		return ("something is started already");
	for (unsigned i = 0; sim_subjects[i] != NULL; i++) {
		if (strcmp(sim_subjects[i]->name, arg[0]) != 0)
			continue;
		running = sim_subjects[i];
		return (running->start(rest));
	}
	return (complain("no such subject", arg[0]));
}

static const char *
do_server(char **arg, const size_t *len)
{
	static const char *const modes[] = {
		[SIM_REFUSE] = "refuse", [SIM_ACCEPT] = "accept", [SIM_BLACKHOLE] = "blackhole",
	};

	(void)len;
	for (unsigned i = 0; i < array_len(modes); i++) {
		if (strcmp(modes[i], arg[1]) == 0) {
			sim_server(arg[0], (enum sim_server_mode)i);
			return (NULL);
		}
	}
	return (complain("neither accept, refuse nor blackhole", arg[1]));
}

static const char *
do_client(char **arg, const size_t *len)
{
	struct sim_conn *c;
	uint64_t port;

	(void)len;
	if (!number(arg[1], &port) || port == 0 || port > UINT16_MAX)
		return (complain("not a port", arg[1]));
	c = sim_client_connect((uint16_t)port);
	return (c != NULL ? keep(arg[0], c) : complain("nobody listens on", arg[1]));
}

static const char *
do_accept(char **arg, const size_t *len)
{
	struct sim_conn *c = sim_server_take(arg[1]);

	(void)len;
	return (c != NULL ? keep(arg[0], c) : complain("no new connection to", arg[1]));
}

static const char *
do_send(char **arg, const size_t *len)
{
	sim_send(find(arg[0]), slice_of(arg[1], len[1]));
	return (NULL);
}

static const char *
do_chunk(char **arg, const size_t *len)
{
	uint64_t n;

	(void)len;
	if (!number(arg[1], &n))
		return (complain("not a number", arg[1]));
	sim_chunk(find(arg[0]), (size_t)n);
	return (NULL);
}

static const char *
do_window(char **arg, const size_t *len)
{
	uint64_t n;

	(void)len;
	if (!number(arg[1], &n))
		return (complain("not a number", arg[1]));
	sim_window(find(arg[0]), (size_t)n);
	return (NULL);
}

static const char *
do_hold(char **arg, const size_t *len)
{
	(void)len;
	sim_hold(find(arg[0]), true);
	return (NULL);
}

static const char *
do_release(char **arg, const size_t *len)
{
	(void)len;
	sim_hold(find(arg[0]), false);
	return (NULL);
}

static const char *
do_close(char **arg, const size_t *len)
{
	(void)len;
	sim_close(find(arg[0]));
	return (NULL);
}

static const char *
do_reset(char **arg, const size_t *len)
{
	(void)len;
	sim_reset(find(arg[0]));
	return (NULL);
}

static const char *
do_expect(char **arg, const size_t *len)
{
	return (sim_expect(find(arg[0]), slice_of(arg[1], len[1])));
}

static const char *
do_expect_nothing(char **arg, const size_t *len)
{
	(void)len;
	return (sim_expect_nothing(find(arg[0])));
}

static const char *
do_expect_open(char **arg, const size_t *len)
{
	(void)len;
	return (sim_expect_open(find(arg[0])));
}

static const char *
do_expect_fin(char **arg, const size_t *len)
{
	(void)len;
	return (sim_expect_fin(find(arg[0])));
}

static const char *
do_expect_closed(char **arg, const size_t *len)
{
	(void)len;
	return (sim_expect_closed(find(arg[0])));
}

static const char *
do_expect_reset(char **arg, const size_t *len)
{
	(void)len;
	return (sim_expect_reset(find(arg[0])));
}

static const char *
do_expect_connects(char **arg, const size_t *len)
{
	uint64_t n;

	(void)len;
	if (!number(arg[1], &n))
		return (complain("not a number", arg[1]));
	sim_run_until_idle();
	if (sim_server_count(arg[0]) == n)
		return (NULL);
	(void)snprintf(message, sizeof message, "%u connects to %s so far",
	    sim_server_count(arg[0]), arg[0]);
	return (message);
}

static const char *
do_advance(char **arg, const size_t *len)
{
	uint64_t ms;

	(void)len;
	if (!text_to_duration_ms(slice_str(arg[0]), &ms))
		return (complain("not a duration such as 500ms or 10s", arg[0]));
	sim_advance(ms);
	return (NULL);
}

static const char *
do_stall(char **arg, const size_t *len)
{
	uint64_t ms;

	(void)len;
	if (!text_to_duration_ms(slice_str(arg[0]), &ms))
		return (complain("not a duration such as 500ms or 10s", arg[0]));
	sim_stall(ms);
	return (NULL);
}

static const char *
do_run(char **arg, const size_t *len)
{
	(void)arg;
	(void)len;
	sim_run_until_idle();
	return (NULL);
}

/* n_args < 0: so many at least, and one more may follow. The first word of those from
   FIRST_CONN on names a connection. */
static const struct command commands[] = {
	{"start", -1, do_start},
	{"server", 2, do_server},
	{"client", 2, do_client},
	{"accept", 2, do_accept},
	{"expect-connects", 2, do_expect_connects},
	{"advance", 1, do_advance},
	{"stall", 1, do_stall},
	{"run", 0, do_run},
	{"send", 2, do_send},
	{"chunk", 2, do_chunk},
	{"window", 2, do_window},
	{"hold", 1, do_hold},
	{"release", 1, do_release},
	{"close", 1, do_close},
	{"reset", 1, do_reset},
	{"expect", 2, do_expect},
	{"expect-nothing", 1, do_expect_nothing},
	{"expect-open", 1, do_expect_open},
	{"expect-fin", 1, do_expect_fin},
	{"expect-closed", 1, do_expect_closed},
	{"expect-reset", 1, do_expect_reset},
};

enum {
	FIRST_CONN = 8,
};

/* ---- lines ---- */

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return (c - '0');
	if (c >= 'a' && c <= 'f')
		return (c - 'a' + 10);
	return (c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1);
}

/* One escape behind the backslash at *p; -1 when it is none. */
static int
unescape(const char **p)
{
	char c = *(*p)++;
	int high, low;

	switch (c) {
	case 'r':
		return ('\r');
	case 'n':
		return ('\n');
	case 't':
		return ('\t');
	case '0':
		return ('\0');
	case '\\':
	case '"':
		return (c);
	case 'x':
		high = hex(**p);
		low = high >= 0 ? hex((*p)[1]) : -1;
		*p += low >= 0 ? 2 : 0;
		return (low >= 0 ? high * 16 + low : -1);
	default:
		return (-1);
	}
}

/* Reads a word, quoted or not, into `to`; NULL, or what is wrong. */
static const char *
read_word(const char **p, char **to, size_t *len_r)
{
	bool quoted = **p == '"';
	char *start = *to;

	*p += quoted;
	while (**p != '\0' && (quoted ? **p != '"' : **p != ' ' && **p != '\t')) {
		int c = *(*p)++;

		if (c == '\\' && quoted && (c = unescape(p)) < 0)
			return ("a backslash with no meaning");
		*(*to)++ = (char)c;
	}
	if (quoted && *(*p)++ != '"')
		return ("a string with no end");
	*len_r = (size_t)(*to - start);
	*(*to)++ = '\0';
	return (NULL);
}

static const char *
split(const char *line, char *room, char **word, size_t *len, int *n_r)
{
	const char *wrong;

	*n_r = 0;
	for (;;) {
		line += strspn(line, " \t");
		if (*line == '\0' || *line == '#')
			return (NULL);
		if (*n_r == WORDS_MAX)
			return ("too many words");
		word[*n_r] = room;
		if ((wrong = read_word(&line, &room, &len[*n_r])) != NULL)
			return (wrong);
		(*n_r)++;
	}
}

static const char *
run_line(const char *line)
{
	char room[LINE_MAX_BYTES + WORDS_MAX];
	char *word[WORDS_MAX + 1] = {NULL};
	size_t len[WORDS_MAX + 1] = {0};
	const char *wrong;
	int n;

	if ((wrong = split(line, room, word, len, &n)) != NULL || n == 0)
		return (wrong);
	for (unsigned i = 0; i < array_len(commands); i++) {
		const struct command *c = &commands[i];
		int least = c->n_args < 0 ? -c->n_args : c->n_args;

		if (strcmp(c->name, word[0]) != 0)
			continue;
		if (n - 1 < least || n - 1 > least + (c->n_args < 0))
			return ("wrong number of words");
		if (i >= FIRST_CONN && find(word[1]) == NULL)
			return (complain("no such connection", word[1]));
		return (c->run(word + 1, len + 1));
	}
	return (complain("no such command", word[0]));
}

static bool
run_lines(const char *path, FILE *f)
{
	char line[LINE_MAX_BYTES];
	unsigned at = 0;

	while (fgets(line, sizeof line, f) != NULL) {
		const char *wrong;

		at++;
		line[strcspn(line, "\n")] = '\0';
		wrong = run_line(line);
		if (wrong == NULL)
			continue;
		(void)printf("%s:%u: %s: %s\n", path, at, line + strspn(line, " \t"), wrong);
		return (false);
	}
	return (true);
}

static bool
run_file(const char *path)
{
	FILE *f = fopen(path, "r");
	bool good;

	if (f == NULL) {
		(void)printf("%s: cannot be read\n", path);
		return (false);
	}
	n_names = 0;
	running = NULL;
	sim_begin();
	good = run_lines(path, f);
	(void)fclose(f);
	if (running != NULL)
		running->stop();
	sim_end();
	return (good);
}

int
main(int argc, char **argv)
{
	unsigned passed = 0, failed = 0;

	if (argc < 2) {
		(void)fprintf(stderr, "usage: %s FILE.sim...\n", argv[0]);
		return (2);
	}
	for (int i = 1; i < argc; i++) {
		if (run_file(argv[i]))
			passed++;
		else
			failed++;
	}
	(void)printf("%u passed, %u failed\n", passed, failed);
	return (failed > 0 ? 1 : 0);
}

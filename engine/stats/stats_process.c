/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/base/text.h"
#include "engine/stats/stats_process.h"

enum {
	/* proc(5), /proc/PID/stat, counted from 1 */
	FIELD_UTIME = 14,
	FIELD_STIME = 15,
	FIELD_THREADS = 20,
	FIELD_START = 22,
	FIELD_VSIZE = 23,
	FIELD_RSS = 24,
	FIELD__MAX = 25
};

static size_t
read_file(const char *path, char *buf, size_t n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return (0);
	got = read(fd, buf, n);
	(void)close(fd);
	return (got < 0 ? 0 : (size_t)got);
}

/* Fields from the third on; the second, the name, may hold anything and ends at the last `)`. */
static bool
read_stat(uint64_t field[FIELD__MAX])
{
	char buf[2048];
	size_t n = read_file("/proc/self/stat", buf, sizeof buf);
	const char *end = n == 0 ? NULL : memrchr(buf, ')', n);
	struct slice rest, piece;

	if (end == NULL || end + 2 > buf + n)
		return (false);
	rest = slice_of(end + 2, (size_t)(buf + n - end) - 2);
	memset(field, 0, FIELD__MAX * sizeof *field);
	for (unsigned i = 3; i < FIELD__MAX; i++) {
		if (!slice_split(&rest, ' ', &piece))
			return (false);
		if (!text_to_u64(piece, &field[i]))
			continue;	/* the state's letter, numbers below zero */
	}
	return (true);
}

/* The number in a whole line "btime N" among these bytes; 0: none. */
static uint64_t
find_boot(struct slice s)
{
	static const struct slice key = SLICE_INIT("\nbtime ");
	ssize_t at = slice_find(s, key), end;
	uint64_t v;

	if (at < 0)
		return (0);
	s = slice_skip(s, (size_t)at + key.len);
	end = slice_find_byte(s, '\n');
	return (end >= 0 && text_to_u64(slice_sub(s, 0, (size_t)end), &v) ? v : 0);
}

/* In pieces: before the line lie those of all processors and interrupts, many kilobytes of them. */
uint64_t
stats_process_boot_s(const char *path)
{
	enum { KEPT_BYTES = 64 };	/* of a piece, should the line be cut */
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char buf[4096];
	size_t len = 0;
	uint64_t v = 0;
	ssize_t n;

	if (fd < 0)
		return (0);
	while (v == 0 && (n = read(fd, buf + len, sizeof buf - len)) > 0) {
		len += (size_t)n;
		v = find_boot(slice_of(buf, len));
		if (len > KEPT_BYTES) {
			memmove(buf, buf + len - KEPT_BYTES, KEPT_BYTES);
			len = KEPT_BYTES;
		}
	}
	(void)close(fd);
	return (v);
}

static uint64_t
count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	uint64_t n = 0;

	if (d == NULL)
		return (0);
	for (const struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] != '.';
	(void)closedir(d);
	return (n > 0 ? n - 1 : 0);	/* the directory's own */
}

static void
head(struct prom_text *t, const char *name, const char *type, const char *unit, const char *help,
    enum prom_format format)
{
	const char *kinds[] = { "# HELP ", "# TYPE ", "# UNIT " };
	const char *texts[] = { help, type, unit };
	/* A counter's family has no _total in OpenMetrics. */
	const char *suffix = format == PROM_TEXT && strcmp(type, "counter") == 0 ? "_total " : " ";

	for (unsigned i = 0; i < array_len(kinds); i++) {
		if (i == 2 && (format == PROM_TEXT || *unit == '\0'))
			continue;
		prom_put(t, slice_str(kinds[i]));
		prom_put(t, slice_str(name));
		prom_put(t, slice_str(suffix));
		prom_put(t, slice_str(texts[i]));
		prom_put(t, SLICE("\n"));
	}
}

static void
gauge(struct prom_text *t, const char *name, const char *unit, const char *help, uint64_t v,
    enum prom_format format)
{
	head(t, name, "gauge", unit, help, format);
	prom_put(t, slice_str(name));
	prom_put(t, SLICE(" "));
	prom_put_u64(t, v);
	prom_put(t, SLICE("\n"));
}

static void
put_times(struct prom_text *t, const uint64_t *field, enum prom_format format)
{
	uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK), boot = stats_process_boot_s("/proc/stat");

	head(t, "process_cpu_seconds", "counter", "seconds", "User and system time spent.", format);
	prom_put(t, SLICE("process_cpu_seconds_total "));
	prom_put_seconds(t, (int64_t)((field[FIELD_UTIME] + field[FIELD_STIME]) * 1000000 / hz));
	prom_put(t, SLICE("\n"));
	if (boot == 0)
		return;
	head(t, "process_start_time_seconds", "gauge", "seconds", "When it started, since 1970.",
	    format);
	prom_put(t, SLICE("process_start_time_seconds "));
	prom_put_seconds(t, (int64_t)(boot * 1000000 + field[FIELD_START] * 1000000 / hz));
	prom_put(t, SLICE("\n"));
}

void
stats_process_put(struct prom_text *t, enum prom_format format)
{
	uint64_t field[FIELD__MAX];
	struct rlimit lim;

	if (read_stat(field)) {
		put_times(t, field, format);
		gauge(t, "process_virtual_memory_bytes", "bytes", "Address space in use.",
		    field[FIELD_VSIZE], format);
		gauge(t, "process_resident_memory_bytes", "bytes", "Memory that is resident.",
		    field[FIELD_RSS] * (uint64_t)sysconf(_SC_PAGESIZE), format);
		gauge(t, "process_threads", "", "Threads.", field[FIELD_THREADS], format);
	}
	gauge(t, "process_open_fds", "", "Open descriptors.", count_fds(), format);
	if (getrlimit(RLIMIT_NOFILE, &lim) == 0)
		gauge(t, "process_max_fds", "", "Descriptors that may be open.",
		    (uint64_t)lim.rlim_cur, format);
}

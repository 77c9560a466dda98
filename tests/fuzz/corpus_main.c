/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Runs a fuzz target over its corpus without a fuzzer: every file whole, and every beginning of the
 * small ones, each from a block of exactly its size so that AddressSanitizer sees a read past it.
 * The corpus of fuzz_x is tests/fuzz/corpus/x; files and folders named as arguments replace it.
 */

#include "config.h"

#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CUT_MAX 4096	/* longer files are fed whole only */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long n_runs;

static void
run_one(const uint8_t *bytes, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);

	if (copy == NULL)
		abort();
	memcpy(copy, bytes, n);
	(void)LLVMFuzzerTestOneInput(copy, n);
	free(copy);
	n_runs++;
}

static int
run_file(const char *path)
{
	static uint8_t buf[1 << 20];
	FILE *f = fopen(path, "rb");
	size_t n, cut;

	if (f == NULL) {
		perror(path);
		return (1);
	}
	n = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	for (cut = 0; n <= CUT_MAX && cut < n; cut++)
		run_one(buf, cut);
	run_one(buf, n);
	return (0);
}

static int
run_path(const char *path)
{
	struct stat st;
	struct dirent *e;
	char name[PATH_MAX];
	DIR *dir;
	int failed = 0;

	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		return (run_file(path));
	dir = opendir(path);
	if (dir == NULL) {
		perror(path);
		return (1);
	}
	while ((e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		failed |= run_file(name);
	}
	closedir(dir);
	return (failed);
}

int
main(int argc, char **argv)
{
	const char *self = strrchr(argv[0], '/'), *src = getenv("WEIR_SRCDIR");
	char path[PATH_MAX];
	int i, failed = 0;

	self = self ? self + 1 : argv[0];
	if (argc < 2) {
		if (strncmp(self, "fuzz_", 5) == 0)
			self += 5;
		(void)snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/%s", src ? src : ".", self);
		failed = run_path(path);
	}
	for (i = 1; i < argc; i++)
		failed |= run_path(argv[i]);
	printf("%lu inputs\n", n_runs);
	/* A target without a corpus proves nothing. */
	return (failed || n_runs == 0);
}

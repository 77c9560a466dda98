/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Loaded before a program (LD_PRELOAD), counts its calls of malloc and kin in a file that the test
 * maps too: two uint64_t, allocations and frees. WEIR_MALLOC_COUNT names the file. The calls go on
 * to whichever allocator the program is linked with.
 */

#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t nowhere[2];
static uint64_t *count = nowhere;

static void *(*next_malloc)(size_t);
static void *(*next_calloc)(size_t, size_t);
static void *(*next_realloc)(void *, size_t);
static void *(*next_aligned)(size_t, size_t);
static int (*next_memalign)(void **, size_t, size_t);
static void (*next_free)(void *);

/* Before the real functions are known: dlsym itself, and constructors that run earlier (the C++
   library, which jemalloc brings, takes 72 KiB). Never given back. */
static char early[256 * 1024];
static size_t early_used;

static void *
take_early(size_t n)
{
	size_t at = early_used;

	n = (n + 15) & ~(size_t)15;
	if (n > sizeof(early) - at)
		abort();
	early_used = at + n;
	return (early + at);
}

__attribute__((constructor)) static void
find_next(void)
{
	const char *path;
	void *p;
	int fd;

	if (next_free != NULL)
		return;
	*(void **)&next_malloc = dlsym(RTLD_NEXT, "malloc");
	*(void **)&next_calloc = dlsym(RTLD_NEXT, "calloc");
	*(void **)&next_realloc = dlsym(RTLD_NEXT, "realloc");
	*(void **)&next_aligned = dlsym(RTLD_NEXT, "aligned_alloc");
	*(void **)&next_memalign = dlsym(RTLD_NEXT, "posix_memalign");
	*(void **)&next_free = dlsym(RTLD_NEXT, "free");
	path = getenv("WEIR_MALLOC_COUNT");
	fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	p = mmap(NULL, sizeof(nowhere), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p != MAP_FAILED)
		count = p;
}

static void
count_one(unsigned which)
{
	__atomic_fetch_add(&count[which], 1, __ATOMIC_RELAXED);
}

void *
malloc(size_t n)
{
	count_one(0);
	return (next_malloc ? next_malloc(n) : take_early(n));
}

void *
calloc(size_t n, size_t size)
{
	count_one(0);
	return (next_calloc ? next_calloc(n, size) : take_early(n * size));
}

void *
realloc(void *p, size_t n)
{
	count_one(0);
	return (next_realloc ? next_realloc(p, n) : take_early(n));
}

void *
aligned_alloc(size_t align, size_t n)
{
	count_one(0);
	return (next_aligned ? next_aligned(align, n) : take_early(n));
}

int
posix_memalign(void **p, size_t align, size_t n)
{
	count_one(0);
	return (next_memalign ? next_memalign(p, align, n) : ENOMEM);
}

void
free(void *p)
{
	if (p == NULL || ((char *)p >= early && (char *)p < early + sizeof(early)))
		return;
	count_one(1);
	if (next_free)
		next_free(p);
}

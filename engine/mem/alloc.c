/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/mem/alloc.h"

#include <sys/mman.h>

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef HAVE_JEMALLOC
#include <jemalloc/jemalloc.h>
#endif

#include "engine/base/check.h"
#include "engine/base/text.h"

#define MEM_TRAP_MAGIC	0x74a90001u

enum { MEM_EXIT_STATUS = 3, MEM_SYS_PAGE = 4096 };

struct mem_thread {
	uint64_t count;		/* allocations so far */
	uint64_t fail_in;	/* the allocation so many calls ahead fails; 0: none */
	bool fail_hit;
	struct mem_trap *trap;
};

static _Thread_local struct mem_thread mem_self;
static uint64_t mem_mapped;

/* Counts one allocation and says whether it is the one that a test wants to fail. */
static inline bool
mem_is_refused(void)
{
	mem_self.count++;
	if (likely(mem_self.fail_in == 0) || --mem_self.fail_in > 0)
		return (false);
	mem_self.fail_hit = true;
	return (true);
}

void *
mem_try_malloc(size_t n)
{
	return (mem_is_refused() ? NULL : malloc(n > 0 ? n : 1));
}

void *
mem_try_calloc(size_t n, size_t size)
{
	if (mem_is_refused())
		return (NULL);
	return (n == 0 || size == 0 ? calloc(1, 1) : calloc(n, size));
}

void *
mem_try_realloc(void *p, size_t n)
{
	return (mem_is_refused() ? NULL : realloc(p, n > 0 ? n : 1));
}

void *
mem_try_aligned(size_t align, size_t n)
{
	void *p;

	if (mem_is_refused() || posix_memalign(&p, align, n > 0 ? n : 1) != 0)
		return (NULL);
	return (p);
}

void
xfree(void *p)
{
	free(p);
}

void *
xmalloc(size_t n)
{
	void *p = mem_try_malloc(n);

	if (unlikely(p == NULL))
		mem_failed(n);
	return (p);
}

void *
xcalloc(size_t n, size_t size)
{
	size_t bytes;
	void *p;

	if (__builtin_mul_overflow(n, size, &bytes))
		mem_failed(SIZE_MAX);
	p = mem_try_calloc(n, size);
	if (unlikely(p == NULL))
		mem_failed(bytes);
	return (p);
}

void *
xrealloc(void *p, size_t n)
{
	void *q = mem_try_realloc(p, n);

	if (unlikely(q == NULL))
		mem_failed(n);
	return (q);
}

#if CC_ASAN
/* From the allocator, so that the leak checker looks for pointers in it. */
static void *
mem_map(size_t align, size_t n)
{
	void *p;

	if (posix_memalign(&p, align, n) != 0)
		return (NULL);
	return (memset(p, 0, n));
}
#else
/* Maps more than is wanted and cuts off what is not aligned. */
static void *
mem_map(size_t align, size_t n)
{
	size_t extra = align > MEM_SYS_PAGE ? align - MEM_SYS_PAGE : 0;
	size_t head;
	char *p = mmap(NULL, n + extra, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return (NULL);
	head = (0 - (uintptr_t)p) & (align - 1);
	if (head > 0)
		(void)munmap(p, head);
	if (extra > head)
		(void)munmap(p + head + n, extra - head);
	return (p + head);
}
#endif

void *
mem_try_map(size_t align, size_t n)
{
	void *p = mem_is_refused() ? NULL : mem_map(align, n);

	if (p != NULL)
		__atomic_fetch_add(&mem_mapped, n, __ATOMIC_RELAXED);
	return (p);
}

void
mem_unmap(void *p, size_t n)
{
	__atomic_fetch_sub(&mem_mapped, n, __ATOMIC_RELAXED);
#if CC_ASAN
	free(p);
#else
	/*
	 * The kernel joins maps that lie side by side; taking one out of the middle makes two, and
	 * it may have no more of them (vm.max_map_count). Then the memory goes, the addresses stay.
	 */
	if (unlikely(munmap(p, n) != 0))
		must(errno == ENOMEM && madvise(p, n, MADV_DONTNEED) == 0);
#endif
}

jmp_buf *
mem_trap_push_(struct mem_trap *trap)
{
	trap->magic = MEM_TRAP_MAGIC;
	trap->wanted = 0;
	trap->outer = mem_self.trap;
	mem_self.trap = trap;
	return (&trap->env);
}

void
mem_trap_leave(struct mem_trap *trap)
{
	CHECK_OBJ(trap, MEM_TRAP_MAGIC);
	must(mem_self.trap == trap);
	mem_self.trap = trap->outer;
	trap->magic = 0;
}

void
mem_failed(size_t n)
{
	struct mem_trap *trap = mem_self.trap;
	char buf[96];
	struct text t;
	ssize_t ignored;

	if (trap != NULL) {
		mem_trap_leave(trap);
		trap->wanted = n;
		longjmp(trap->env, 1);
	}
	text_init(&t, buf, sizeof(buf));
	text_printf(&t, "out of memory: %zu bytes wanted\n", n);
	ignored = write(STDERR_FILENO, t.p, t.len);
	(void)ignored;
	_exit(MEM_EXIT_STATUS);
}

void
mem_fail_at(uint64_t n)
{
	mem_self.fail_in = n;
	mem_self.fail_hit = false;
}

void
mem_fail_off(void)
{
	mem_self.fail_in = 0;
}

bool
mem_fail_hit(void)
{
	return (mem_self.fail_hit);
}

uint64_t
mem_alloc_count(void)
{
	return (mem_self.count);
}

#ifdef HAVE_JEMALLOC
/*
 * The library reads this before it allocates. Its cache per thread is off: where there is no memory
 * for the cache itself, jemalloc 5.3 uses it all the same and the process dies of that, be it
 * in a constructor before main(). Requests do not miss it: what they take comes from slabs, pages
 * and arenas.
 */
const char *malloc_conf = "tcache:false";

#define MEM_STRING_(x)	#x
#define MEM_STRING(x)	MEM_STRING_(x)

static uint64_t
mem_ctl(const char *name)
{
	size_t v = 0;
	size_t n = sizeof(v);

	return (mallctl(name, &v, &n, NULL, 0) == 0 ? v : 0);
}

void
mem_give_back(void)
{
	(void)mallctl("arena." MEM_STRING(MALLCTL_ARENAS_ALL) ".purge", NULL, NULL, NULL, 0);
}

static void
mem_stats_fill(struct mem_stats *s)
{
	uint64_t epoch = 1;

	/* the numbers are a snapshot that is taken when the epoch is written */
	(void)mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
	s->allocated = mem_ctl("stats.allocated");
	s->resident = mem_ctl("stats.resident");
}
#else
void
mem_give_back(void)
{
	(void)malloc_trim(0);
}

static void
mem_stats_fill(struct mem_stats *s)
{
	struct mallinfo2 m = mallinfo2();

	s->allocated = m.uordblks + m.hblkhd;
	s->resident = m.arena + m.hblkhd;
}
#endif

void
mem_stats(struct mem_stats *stats_r)
{
	mem_stats_fill(stats_r);
	stats_r->mapped = __atomic_load_n(&mem_mapped, __ATOMIC_RELAXED);
}

# SPDX-License-Identifier: Apache-2.0
# What bench/run needs beside a proxy: `make bench-tools`. bench/run also builds them by itself.
EXTRA_PROGRAMS += bench/floor bench/origin bench/paced

bench_floor_SOURCES = bench/floor.c
bench_origin_SOURCES = bench/origin.c
bench_paced_SOURCES = bench/paced.c
bench_paced_LDADD = -lm
CLEANFILES += bench/floor bench/origin bench/paced

TESTS += bench/selftest

# Nanoseconds a message in the HTTP/1 codec, without I/O: `make bench/micro_h1 && bench/micro_h1`.
EXTRA_PROGRAMS += bench/micro_h1
bench_micro_h1_SOURCES = bench/micro_h1.c
bench_micro_h1_LDADD = libengine_h1.a libengine_http.a libengine_mem.a libengine_base.a $(JEMALLOC_LIBS)
CLEANFILES += bench/micro_h1

# Built by the self-test, which runs in the build folder.
CLEANFILES += bench-selftest/bin/floor bench-selftest/bin/origin bench-selftest/bin/paced

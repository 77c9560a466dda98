# SPDX-License-Identifier: Apache-2.0
# What bench/run needs beside a proxy: `make bench-tools`. bench/run also builds them by itself.
EXTRA_PROGRAMS += bench/floor bench/origin bench/paced

bench_floor_SOURCES = bench/floor.c
bench_origin_SOURCES = bench/origin.c
bench_paced_SOURCES = bench/paced.c
bench_paced_LDADD = -lm
CLEANFILES += bench/floor bench/origin bench/paced

TESTS += bench/selftest

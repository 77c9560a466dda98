# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += tests/unit/worker/test_worker_cpus
TESTS += tests/unit/worker/test_worker_cpus
tests_unit_worker_test_worker_cpus_SOURCES = tests/unit/worker/test_worker_cpus.c
tests_unit_worker_test_worker_cpus_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_worker_test_worker_cpus_LDADD = libengine_worker.a libengine_base.a $(CMOCKA_LIBS)

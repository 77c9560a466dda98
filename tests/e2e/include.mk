# SPDX-License-Identifier: Apache-2.0

# The loader over many files, for test_c03_mutants.py.
check_PROGRAMS += tests/e2e/load_many
tests_e2e_load_many_SOURCES = tests/e2e/load_many.c gateway/gateway.h gateway/gateway_conf.c \
	gateway/gateway_filters.c
tests_e2e_load_many_LDADD = libfilters.a $(ENGINE_LIBS)

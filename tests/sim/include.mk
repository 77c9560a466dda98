# SPDX-License-Identifier: Apache-2.0
# The simulated loop and network: linked in place of libengine_loop.a, before libengine_net.a.
check_LIBRARIES += libsim.a
libsim_a_SOURCES = \
	engine/loop/turn.c \
	tests/sim/sim.h \
	tests/sim/sim_int.h \
	tests/sim/sim_loop.c \
	tests/sim/sim_net.c \
	tests/sim/sim_resolve.c \
	tests/sim/sim_watch.c

check_PROGRAMS += tests/sim/run_sim
tests_sim_run_sim_SOURCES = \
	tests/sim/run_sim.c \
	tests/sim/subject.h \
	tests/sim/subject_echo.c
tests_sim_run_sim_LDADD = libsim.a libengine_mem.a libengine_base.a $(JEMALLOC_LIBS)
dist_check_SCRIPTS += tests/sim/check
TESTS += tests/sim/check

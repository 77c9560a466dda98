# SPDX-License-Identifier: Apache-2.0
# The simulated loop and network: linked in place of libengine_loop.a, before libengine_net.a.
check_LIBRARIES += libsim.a
libsim_a_SOURCES = \
	tests/sim/sim.h \
	tests/sim/sim_int.h \
	tests/sim/sim_loop.c

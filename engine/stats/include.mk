# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libengine_stats.a
libengine_stats_a_SOURCES = \
	engine/stats/hist.c \
	engine/stats/hist.h \
	engine/stats/prom.c \
	engine/stats/prom.h \
	engine/stats/stats.c \
	engine/stats/stats.def \
	engine/stats/stats.h \
	engine/stats/stats_process.c \
	engine/stats/stats_process.h

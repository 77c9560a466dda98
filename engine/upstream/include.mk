# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libengine_upstream.a
libengine_upstream_a_SOURCES = \
	engine/upstream/balancer.h \
	engine/upstream/endset.c engine/upstream/endset.h \
	engine/upstream/lb_hash.c \
	engine/upstream/lb_key.c engine/upstream/lb_key.h \
	engine/upstream/lb_simple.c \
	engine/upstream/names.c engine/upstream/names.h \
	engine/upstream/names_set.c engine/upstream/names_set.h \
	engine/upstream/pool.c engine/upstream/pool.h \
	engine/upstream/up_choice.c engine/upstream/up_choice.h \
	engine/upstream/up_conn.c engine/upstream/up_conn.h \
	engine/upstream/up_impl.h \
	engine/upstream/up_replay.c \
	engine/upstream/up_stats.c \
	engine/upstream/up_stream.c engine/upstream/up_stream.h \
	engine/upstream/upstream.h \
	engine/upstream/upstream_build.c \
	engine/upstream/upstream_conf.c engine/upstream/upstream_conf.h

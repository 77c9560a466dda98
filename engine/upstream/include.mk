# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libengine_upstream.a
libengine_upstream_a_SOURCES = \
	engine/upstream/upstream_conf.c engine/upstream/upstream_conf.h

# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libengine_proxy.a
libengine_proxy_a_SOURCES = \
	engine/proxy/route.h \
	engine/proxy/router.c \
	engine/proxy/router.h \
	engine/proxy/router_build.c \
	engine/proxy/router_int.h \
	engine/proxy/router_ties.c

# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libengine_proxy.a
libengine_proxy_a_SOURCES = \
	engine/proxy/access_log.c \
	engine/proxy/access_log.h \
	engine/proxy/chain.c \
	engine/proxy/chain.h \
	engine/proxy/down_conn.c \
	engine/proxy/down_conn.h \
	engine/proxy/edit.c \
	engine/proxy/edit.h \
	engine/proxy/ex.h \
	engine/proxy/ex_finish.c \
	engine/proxy/ex_forward.c \
	engine/proxy/ex_request.c \
	engine/proxy/ex_response.c \
	engine/proxy/ex_upstream.c \
	engine/proxy/exchange.c \
	engine/proxy/exchange.h \
	engine/proxy/facts.h \
	engine/proxy/filter.c \
	engine/proxy/filter.h \
	engine/proxy/gate.h \
	engine/proxy/listener_conf.c \
	engine/proxy/listener_conf.h \
	engine/proxy/local_reply.c \
	engine/proxy/local_reply.h \
	engine/proxy/proxy_limits.c \
	engine/proxy/proxy_limits.h \
	engine/proxy/proxy_stats.c \
	engine/proxy/proxy_stats.h \
	engine/proxy/proxy_worker.c \
	engine/proxy/redirect.c \
	engine/proxy/redirect.h \
	engine/proxy/registry.c \
	engine/proxy/registry.h \
	engine/proxy/route.h \
	engine/proxy/route_conf.c \
	engine/proxy/route_conf.h \
	engine/proxy/router.c \
	engine/proxy/router.h \
	engine/proxy/router_build.c \
	engine/proxy/router_int.h \
	engine/proxy/router_ties.c \
	engine/proxy/steps.def

# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libengine_net.a
libengine_net_a_SOURCES = \
	engine/net/conn.c engine/net/conn.h \
	engine/net/listener.c engine/net/listener.h \
	engine/net/tcp.c engine/net/tcp.h \
	engine/net/transport.h

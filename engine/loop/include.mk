# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libengine_loop.a
libengine_loop_a_CPPFLAGS = $(AM_CPPFLAGS) $(LIBEVENT_CFLAGS) $(CARES_CFLAGS)
libengine_loop_a_SOURCES = \
	engine/loop/io.c \
	engine/loop/io.h \
	engine/loop/loop.c \
	engine/loop/loop.h \
	engine/loop/loop_int.h \
	engine/loop/mailbox.c \
	engine/loop/mailbox.h \
	engine/loop/resolve.c \
	engine/loop/resolve.h \
	engine/loop/sig.c \
	engine/loop/sig.h \
	engine/loop/timer.c \
	engine/loop/timer.h \
	engine/loop/turn.c \
	engine/loop/turn.h \
	engine/loop/watch.c \
	engine/loop/watch.h \
	engine/loop/wheel.c \
	engine/loop/wheel.h

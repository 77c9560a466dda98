# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libengine_base.a
libengine_base_a_SOURCES = \
	engine/base/addr.c engine/base/addr.h \
	engine/base/bits.h \
	engine/base/cc.h \
	engine/base/check.c engine/base/check.h \
	engine/base/clock.c engine/base/clock.h \
	engine/base/list.h \
	engine/base/log.c engine/base/log.h \
	engine/base/panic.c engine/base/panic.h \
	engine/base/rnd.c engine/base/rnd.h \
	engine/base/siphash.c engine/base/siphash.h \
	engine/base/slice.c engine/base/slice.h \
	engine/base/text.c engine/base/text.h

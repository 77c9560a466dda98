# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libengine_mem.a
libengine_mem_a_CFLAGS = $(AM_CFLAGS) $(JEMALLOC_CFLAGS)
libengine_mem_a_SOURCES = \
	engine/mem/alloc.c engine/mem/alloc.h \
	engine/mem/arena.c engine/mem/arena.h \
	engine/mem/err.c engine/mem/err.h \
	engine/mem/map.c engine/mem/map.h \
	engine/mem/page.c engine/mem/page.h \
	engine/mem/poison.h \
	engine/mem/ref.h \
	engine/mem/slab.c engine/mem/slab.h \
	engine/mem/vec.c engine/mem/vec.h

# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libengine_worker.a
libengine_worker_a_SOURCES = \
	engine/worker/pending.c engine/worker/pending.h \
	engine/worker/snapshot.c engine/worker/snapshot.h \
	engine/worker/worker.c engine/worker/worker.h \
	engine/worker/worker_cpus.c engine/worker/worker_cpus.h

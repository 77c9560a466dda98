/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_APP_ADMIN_H
#define WEIR_APP_ADMIN_H

/*
 * The admin listener: a small HTTP/1 server on the main thread's loop, over the engine's own codec.
 *
 *	GET  /metrics /healthz /readyz /status /log-level
 *	GET  /routes /upstreams?offset=N&limit=N /connections
 *	GET  /config?route=NAME&format=json
 *	GET  /explain?url=URL&method=M&header=NAME:VALUE&listener=NAME&client=IP&format=text
 *	POST /reload /drain /log-level?level=L	over the Unix socket, or with `write: true`
 *
 * Over a Unix socket (mode 0600 in a directory of mode 0700, unless the file lets a group in;
 * where it is taken or cannot be made, a warning), over TCP where `admin.listen` says so. Main
 * thread.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/config/schema.h"
#include "engine/mem/err.h"

struct admin;
struct arena;
struct build_shown;
struct explain_ask;
struct reload_last;
struct reload_wait;
struct snapshot;
struct stats;
struct worker;

enum {
	ADMIN_CONNS_MAX = 64,		/* more are closed at once */
	ADMIN_HEAD_MS = 10 * 1000,	/* a request whole within */
	ADMIN_IDLE_MS = 30 * 1000,	/* between requests; and for a client to take its answer */
	ADMIN_BODY_MAX = 64 * 1024	/* read and forgotten */
};

struct admin_conf {		/* `admin:` */
	struct schema_obj	 obj;
	struct scalar_listen	 listen;	/* see schema_has() */
	struct slice		 socket;	/* empty: the usual place */
	struct slice		 socket_mode;	/* octal */
	struct slice		 socket_group;	/* empty: the process's */
	bool			 write;
};
extern struct schema admin_schema;

/* What /status, /readyz and others tell. */
struct admin_status {
	const struct snapshot	*current;	/* NULL: none yet */
	bool			 draining;
	unsigned		 n_workers;
	const struct reload_last *last;		/* reload.h; NULL: nobody can tell */
};

enum admin_shown {
	ADMIN_SHOWN,
	ADMIN_NO_ROUTE,		/* of this name */
	ADMIN_SHOW_FAILED	/* no memory, or what is kept of the files is not enough */
};

/* What the process does when it is asked to. Called on the main thread, from within a request. */
struct admin_hooks {
	void	(*status)(void *arg, struct admin_status *);
	/* As app_reload: tells when it is over, perhaps before this returns. */
	void	(*reload)(void *arg, struct reload_wait *);
	void	(*drain)(void *arg);
	/* What is in force, as build_show(). */
	enum admin_shown (*show)(void *arg, const struct build_shown *, FILE *out);
	/* As explain_request(), of what runs. */
	json_t	*(*explain)(void *arg, const struct explain_ask *, const char **wrong_r);
	void	*arg;
};

/* `program` is "weir-gateway": the socket is then gateway.sock. Never NULL: for the start. */
struct admin	*admin_new(struct worker *main, struct stats *, const char *program,
		    const struct admin_hooks *);
/* Closes and frees everything, and removes the socket's file. */
void		 admin_free(struct admin **);

/* A generation's listeners: what is new is bound (an address over TCP that is taken is an error);
   then commit or abort. What has not changed stays open. */
struct err	*admin_prepare(struct admin *, struct arena *, const struct admin_conf *);
void		 admin_commit(struct admin *);
void		 admin_abort(struct admin *);

#endif

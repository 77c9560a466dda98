/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_APP_ADMIN_IMPL_H
#define WEIR_APP_ADMIN_IMPL_H

/* Private to admin*.c. */
#include <jansson.h>
#include <stdio.h>
#include <sys/types.h>

#include "engine/app/admin.h"
#include "engine/app/app_json.h"
#include "engine/app/reload.h"
#include "engine/base/addr.h"
#include "engine/base/list.h"
#include "engine/h1/h1.h"
#include "engine/loop/timer.h"
#include "engine/mem/arena.h"
#include "engine/net/conn.h"
#include "engine/net/listener.h"
#include "engine/stats/prom.h"

/* A listening socket, or none. */
struct admin_door {
	unsigned		 magic;
#define ADMIN_DOOR_MAGIC	0x3b0d5f17
	bool			 is_open;
	bool			 is_unix;
	struct admin		*admin;
	struct addr		 addr;
	bool			 is_dual;
	struct listener_socket	 sock;
};

enum {
	ADMIN_PATH_MAX = sizeof ((struct addr *)NULL)->u.un.sun_path
};

enum {
	ADMIN_TCP,
	ADMIN_UNIX,
	ADMIN_DOORS
};

struct admin {
	unsigned		 magic;
#define ADMIN_MAGIC	0x4de802b9
	struct worker		*worker;	/* the main thread's */
	struct stats		*stats;
	const char		*program;
	struct admin_hooks	 hooks;
	uint64_t		 begun_us;	/* wall time */
	struct admin_door	 doors[ADMIN_DOORS];
	bool			 write;		/* changes over TCP are allowed */
	/* why there is no Unix socket, as it was logged: reloads do not say it again */
	char			 told[256];
	/* the usual folder as it was before a group was let through; no path: none is */
	struct admin_dir {
		char		 path[ADMIN_PATH_MAX];
		mode_t		 mode;
		gid_t		 group;
	}			 opened;
	/* between prepare and commit */
	struct admin_wanted {
		bool		 open[ADMIN_DOORS];
		int		 fd[ADMIN_DOORS];	/* -1: what is there stays */
		struct addr	 addr[ADMIN_DOORS];
		bool		 is_dual, write;
		mode_t		 mode;		/* of the socket's file */
		gid_t		 group;		/* -1: as it is */
		bool		 is_usual;	/* its folder is ours */
	}			 next;
	struct list		 conns;
	unsigned		 n_conns;
};

struct admin_reply {
	unsigned		 status;
	struct slice		 type;		/* Content-Type; empty: text/plain */
	struct slice		 allow;		/* with 405 */
	bool			 is_later;	/* the wait that was given brings it */
	struct prom_text	 body;
};

struct admin_conn {
	unsigned		 magic;
#define ADMIN_CONN_MAGIC	0x2c47e19d
	bool			 is_unix:1;
	bool			 busy:1;	/* a request is read or answered */
	bool			 answered:1;
	bool			 closing:1;	/* no further request */
	/* our FIN is out; what comes is thrown away until the client's */
	bool			 lingering:1;
	uint32_t		 linger_left;	/* bytes that may still be */
	struct admin		*admin;
	struct list		 link;
	struct timer		 timer;
	struct deferred		 done;		/* an answer is out */
	struct deferred		 gone;
	struct arena		 arena;		/* of the request */
	struct msg_req		 req;
	struct page		*head;
	uint64_t		 body_bytes;
	struct admin_reply	 reply;
	struct reload_wait	 wait;		/* linked: a reload goes on for the request */
	struct pipe		 pipe;
	struct conn		 conn;
	struct h1		 h1;
};

struct gate;

enum { ADMIN_REPLY_MAX = 64 * 1024 * 1024 };	/* bytes of a page that grows with the file */

/* What a page is made of. */
struct admin_page {
	struct admin		*admin;
	const struct msg_req	*req;
	struct reload_wait	*wait;
	struct admin_status	 status;
};

/* False: no memory. */
typedef bool admin_page_fn(struct admin_page *, struct admin_reply *);

/* admin_conn.c: listener_accept_fn; arg is the door. */
void	admin_conn_accept(void *door, int fd, const struct addr *peer);
/* Closes and frees; nothing of it may be on the stack. */
void	admin_conn_free(struct admin_conn *);

/* admin_pages.c: what the request asks for; is_later: `wait` may be done already. False: no
   memory. */
bool	admin_answer(struct admin *, bool may_write, const struct msg_req *,
	    struct reload_wait *wait, struct admin_reply *);
/* The reload that was asked for is over. */
bool	admin_say_reloaded(struct admin *, const struct reload_end *, struct admin_reply *);

/* admin_lists.c */
admin_page_fn admin_routes, admin_upstreams, admin_connections;
/* Routes of the file. */
unsigned admin_n_routes(const struct gate *);

/* admin_explain.c */
admin_page_fn admin_explain;

/* admin_say.c. False: no memory. */
bool	admin_say(struct admin_reply *, unsigned status, struct slice text);
/* Takes over the object; NULL, as jansson has it, is no memory. */
bool	admin_say_json(struct admin_reply *, unsigned status, json_t *);
/* A problem of the request itself. */
bool	admin_problem(struct admin_reply *, unsigned status, struct slice what);
/* A parameter of the query, unescaped; empty when it is not there. False: it is no text, or no
   memory. */
bool	admin_param(const struct msg_req *, struct slice name, struct slice *value_r);
/* The first `max` of those that stand there several times. */
bool	admin_params(const struct msg_req *, struct slice name, struct slice *v, unsigned max,
	    unsigned *n_r);
/* Appends to the body; fclose() ends it, and fails where memory did. NULL: no memory. */
FILE	*admin_stream(struct admin_reply *);

#endif

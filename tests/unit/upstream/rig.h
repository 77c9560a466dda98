/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TESTS_UPSTREAM_RIG_H
#define WEIR_TESTS_UPSTREAM_RIG_H

/*
 * A worker with upstreams over the simulated loop and network, and requests that do with an
 * up_stream what the proxy does, and note what they are told.
 */
#include "engine/http/msg.h"
#include "engine/http/pipe.h"
#include "engine/mem/arena.h"
#include "engine/upstream/balancer.h"
#include "engine/upstream/pool.h"
#include "engine/upstream/up_impl.h"
#include "engine/upstream/upstream.h"
#include "engine/upstream/upstream_conf.h"
#include "engine/worker/worker.h"
#include "tests/sim/sim.h"

enum { RIG_SERVERS_MAX = 20000 };

/* rig_begin makes the world and a worker; rig_end frees all and checks that nothing is left. */
void		rig_begin(void);
void		rig_end(void);
extern struct worker rig_worker;

/* "10.0.0.1:80 10.0.0.2:80*3 name:80": addresses with weights; names are left to names.c. */
struct upstream	*rig_upstream(const struct balancer_ops *, const char *servers);
/* The same from a vector, for many. */
struct upstream	*rig_upstream_v(const struct balancer_ops *, const struct upstream_server *,
		    unsigned n);
/* A list of literal servers in the same words; one reference. */
struct endset	*rig_set(const char *servers);
struct upstream_conf *rig_conf(struct upstream *);	/* to be changed before its first use */
struct up_local	*rig_local(struct upstream *);
/* Retires it on the worker and drops the part. */
void		rig_drop(struct upstream **);

struct rig_shot {
	struct up_stream	*up;
	struct arena		*arena;
	struct msg_req		 req;
	struct msg_resp		 resp;
	struct pipe		 out, in;
	struct page		*head;
	unsigned		 n_open, n_info, n_head, n_end, n_sent, n_fail;
	struct up_fault		 fault;
	char			 server[64];	/* of the last event */
	bool			 reused;
	bool			 has_body;
	bool			 keep;		/* do not close at the end */
	void			(*then)(void);	/* called at the end; may be NULL */
};

/* Sends "METHOD /path"; body NULL: none, else its bytes. Nothing moves yet. */
struct rig_shot	*rig_shoot(struct upstream *, const char *method, const char *body);
struct rig_shot	*rig_shoot_fresh(struct upstream *, const char *method);
/* What has come of the response's body, then forgets all. */
void		 rig_forget(struct rig_shot **);

/* These are the next bytes that the server got. */
void		rig_expect(struct sim_conn *, const char *bytes);
/* A whole exchange on the connection the server side has, or on a new one: the answer given. */
struct sim_conn	*rig_exchange(struct upstream *, const char *addr, struct sim_conn *,
		    const char *answer);

#define RIG_OK		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

#endif

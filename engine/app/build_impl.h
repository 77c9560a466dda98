/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_APP_BUILD_IMPL_H
#define WEIR_APP_BUILD_IMPL_H

/* Private to the build_*.c files: the state of a build, and its steps. */
#include "engine/app/build.h"
#include "engine/mem/map.h"
#include "engine/mem/vec.h"
#include "engine/proxy/chain.h"
#include "engine/proxy/gate.h"
#include "engine/proxy/listener_conf.h"
#include "engine/proxy/route.h"
#include "engine/proxy/route_conf.h"
#include "engine/proxy/router.h"
#include "engine/proxy/router_files.h"
#include "engine/config/source.h"
#include "engine/upstream/upstream.h"
#include "engine/upstream/upstream_conf.h"

/*
 * What one file comes to: a part that generations share while the file stays as it is, and what its
 * routes stand on does. Immutable once built, but for `attempt`.
 */
struct build_upstream {
	struct upstream	*u;		/* a reference */
	uint32_t	 slot;
};

struct build_file {
	struct route_file	 rf;		/* its source: a reference */
	struct build_upstream	*upstreams;	/* that it defines, in its order */
	unsigned		 n_upstreams;
	unsigned		 n_wanted;	/* of them while it is built */
	struct slice		*uses;		/* names of upstreams that its routes refer to */
	unsigned		 n_uses;
	uint64_t		 served;	/* bits of listeners; all: some route names none */
	bool			 is_first;	/* of all: so are its routes called */
	bool			 is_shared;	/* with the generation before; of this build */
	uint64_t		 attempt;	/* of the last build that took it over */
};

/* What routes stand on: one layer for the listeners whose policies are the same. */
struct build_layer_id {
	uint64_t	 digest[2];
	uint64_t	 present, off;
	uint64_t	 listeners;	/* bits */
};

struct build_layers {
	struct part		 part;
	unsigned		 n;
	struct build_layer_id	 id[GATE_LISTENERS_MAX + 1];
	/* of routes without policies of their own, once one was seen: no prefix, `/`, another */
	const struct route_policy *plain[GATE_LISTENERS_MAX + 1][3];
};

struct build_policies {
	struct build		*b;
	const struct build_names *names;
	/* defaults and listener merged; of each layer */
	const struct schema_obj	*merged[GATE_LISTENERS_MAX + 1];
	struct build_layers	*layers;
	struct arena		*kept;	/* of the file in hand */
	struct map		 known;	/* private to build_policy.c: what was made for it */
};

struct build_names {
	struct map	 upstreams;	/* name to slot, plus one */
	struct map	 used;		/* names of upstreams that something refers to */
	struct map	 listeners;	/* name to place in the gate, plus one */
	uint64_t	 served;	/* bits of the listeners that a route takes requests of */
	/* What a mistake elsewhere does not put in doubt: */
	bool		 knows_upstreams;	/* a name that is not there is a mistake */
	bool		 knows_listeners;
	bool		 knows_uses;		/* an upstream that is not in `used` is one */
	bool		 knows_served;		/* so is a listener that is not in `served` */
};

/* build_file.c: a file's part, new, or taken over from before, and in the snapshot; the one that
   bears a mark. Where the names of a gate's upstreams stand once all files are there. */
struct build_file *build_file_new(struct build *, struct source *);
struct build_file *build_file_take(struct build *, struct build_file *);
struct build_file *build_file_of(struct build *, const char *name);
void	build_file_add_upstream(struct build_file *, struct upstream *, uint32_t slot);
void	build_gather(struct build *, uint32_t n_slots);

/* build_parts.c: upstreams and listeners, shared where they did not change. */
void	build_upstreams(struct build *, struct build_names *);
/* The slot of an upstream that some file defines. */
bool	build_find_slot(const struct build *, const struct build_names *, struct slice name,
	    uint32_t *slot_r);
void	build_listeners(struct build *, struct build_names *);
void	build_check_used(struct build *, const struct build_names *);

/* Files have room for the upstreams that the view gives them. */
void	build_upstreams_room(struct build *);
/* The part of an upstream, shared if it is what it was; the caller's. */
struct upstream *build_upstream_part(struct build *, struct upstream *before, struct slice name,
	    const struct upstream_spec *);

/* build_policy.c: the layers of the files, those of before if they are the same. */
void	build_policies_init(struct build_policies *, struct build *, struct build_layers *before);
/* Policies of the file whose arena this is are made from here on. */
void	build_policies_begin(struct build_policies *, struct arena *kept);
/* What the route has of a mirror on one layer; NULL: none. */
const struct route_mirror_conf *build_mirror(const struct build_policies *, unsigned layer,
	    const struct route_conf *);
/* What the route does on one layer, shared with routes for which that is the same. Its name and
   prefix must be set; `regex` is what it matches paths by, or NULL. Never NULL. */
const struct route_policy *build_policy(struct build_policies *, unsigned layer,
	    const struct route_conf *, const struct route *, const struct regex *regex);

/* What the compilation of routes works on. */
struct routes {
	struct build			*b;
	struct build_names		*names;
	struct build_policies		 policies;
	struct map			 route_names;	/* to struct route_conf */
	/* of the file in hand: */
	struct build_file		*file;
	struct arena			*kept;		/* its own: what a worker may meet */
	struct router_rule		*rules;		/* of routes whose matchers are sound */
	unsigned			 n_rules;
	struct map			 hosts;		/* names that are kept, each once */
	struct map			 uses;		/* of upstreams; kept too */
	struct map			 regexes;	/* by their pattern, each once */
};

/* build_match.c: what it matches. False: other routes cannot be compared with it. */
bool	build_match(struct routes *, const struct route_conf *, struct router_rule *);
/* What no request can reach. Whether two routes are in each other's way the router says. */
void	build_check_reached(struct routes *, const struct route_conf *, const struct router_rule *,
	    bool allows_encoded_slash);
/* The same pattern is the same expression. NULL: it is empty, or none, which was reported. */
const struct regex *build_regex(struct routes *, struct slice pattern, struct mark);
/* A copy for as long as the file's part lives. */
struct slice build_keep(struct routes *, struct slice);
/* A name that nothing of this kind bears. */
void	build_miss(struct build *, struct mark, const char *kind, const struct schema_map *,
	    struct slice name);

static inline struct mark
build_place(const struct route_conf *c, const char *key)
{
	return (schema_mark(&c->obj, key));
}

/* build_routes.c: routes of the files that are not shared, and the router of all; of what changed
   it is told the router before and the files that are gone. NULL: everything did. */
void	build_routes(struct build *, struct build_names *, struct build_layers *before,
	    const struct router_files *changed);

/*
 * build_catalog.c: what all files say by name, so that a change is compared with it alone. There is
 * one, of the generation in force; it moves from gate to gate. Main thread.
 */
struct build_name {			/* an upstream's */
	struct upstream		*u;
	struct build_file	*file;	/* that defines it */
	uint32_t		 slot;
	uint32_t		 users;	/* files whose routes refer to it */
};

struct build_catalog {
	unsigned		 magic;
#define BUILD_CATALOG_MAGIC	0x2a6c94e1
	struct map		 upstreams;	/* to struct build_name */
	struct map		 routes;	/* those with a name: to struct build_file */
	struct build_layers	*layers;	/* its generation holds it */
	VEC(uint32_t)		 free_slots;
	uint32_t		 n_slots;
};

/* Of a build that read everything. */
void	build_catalog_make(struct build *);
/* Names of a file's routes come and go. */
void	build_catalog_add_routes(struct build_catalog *, struct build_file *);
void	build_catalog_drop_routes(struct build_catalog *, const struct build_file *);
struct build_name *build_catalog_put(struct build_catalog *, struct upstream *, uint32_t slot);
void	build_catalog_drop(struct build_catalog *, struct build_name *);
void	build_catalog_free(struct build_catalog **);

/*
 * build_changes.c: a build that reads only what changed. False: it cannot be sure that reading all
 * comes to the same without a mistake or a warning, and nothing of it is of use.
 */
extern const char *const build_known_keys[];
bool	build_changed(struct build *, struct build_names *);
bool	build_changed_slot(const struct build_changes *, struct slice name, uint32_t *slot_r);
/* Brings the catalog of the gate before up to date. Without memory it goes to the trap, and the
   catalog, which is b->catalog then, is of no more use. */
void	build_changed_commit(struct build *);

/* build_redirect.c. `regex`: the one that the route matches paths by, or NULL. */
void	build_redirect(struct build *, const struct route_conf *, const struct regex *regex,
	    struct arena *kept, struct route_redirect *);

/* build_type.c: the media type of a file, by its name; static. */
struct slice build_media_type(struct slice file);

/* build_show.c: defaults below listener below route, as it was compiled for these listeners (bits;
   0: all). */
const struct schema_obj *build_merged_policies(struct build *, const struct route_conf *,
	    uint64_t listeners);

/* build.c: what registry_extend() returned. */
unsigned build_first_filter(void);

/* The key that a misspelt name probably meant, or NULL. */
const char *build_nearest_key(struct build *, const struct schema_map *, struct slice name);

static inline int
build_slice_len(struct slice s)
{
	return ((int)s.len);
}

#endif

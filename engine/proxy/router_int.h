/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_ROUTER_INT_H
#define WEIR_PROXY_ROUTER_INT_H

/*
 * The tables of a router, for router.c, router_build.c and router_ties.c only.
 *
 * A host (or the suffix of a wildcard, or no host) is found by hash; a path below a host by the
 * hash of (host, path), one probe for the exact path and one for each depth in segments at which
 * the host has a prefix. Behind a path stand its candidates, the one with most matchers first.
 * The hashes of all depths fall out of one pass over the path. The tables are made from the
 * operator's file alone: a client can probe them, never fill them.
 */
#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/bits.h"
#include "engine/base/cc.h"
#include "engine/base/siphash.h"
#include "engine/proxy/router.h"

enum {
	ROUTER_DEPTH_MAX = 63,	/* segments of a prefix: depths are bits of a word */
	ROUTER_LINE = 64,	/* bytes of a cache line */
	ROUTER_HOST_MAX = 255	/* bytes of a name (RFC 1035, 2.3.4) */
};

/* What a rule asks of header fields and of the query; few rules do. */
struct router_more {
	const struct router_field *fields;
	unsigned		 n_fields;
};

/* One rule's right to a path: what else must hold. */
struct router_cand {
	const struct route	*route;
	uint64_t		 methods;	/* bits; METHOD_OTHER's bit: every method */
	uint64_t		 listeners;	/* bits */
	const struct slice	*names;		/* methods without a bit */
	const struct router_more *more;		/* NULL: nothing */
	uint32_t		 n_names;
	bool			 is_last;	/* of its list */
};

/*
 * A list of candidates: 0, none; the only one, which takes any request, is the address of its route
 * and ROUTER_ONLY; of others the address of the first. So most requests never see a candidate.
 */
typedef uintptr_t router_ref;
enum {
	ROUTER_ONLY = 1
};

/*
 * A path of a host, and a host: a cache line each, with their text where it is short enough, since
 * a lookup among many finds every line cold. hosts[0] is the rules without hosts.
 */
enum {
	ROUTER_PATH_INLINE = 40,
	ROUTER_NAME_INLINE = 38
};

struct router_key {
	router_ref	 exact;
	router_ref	 prefix;
	uint32_t	 host;
	uint32_t	 len;
	char		 path[ROUTER_PATH_INLINE];	/* when longer its address */
};

struct router_host {
	uint64_t	 prefix_depths;	/* bit d: there are prefixes of d segments */
	uint64_t	 exact_depths;	/* the same for exact paths; 63 and more are bit 63 */
	router_ref	 root;		/* of `prefix: /` */
	bool		 is_wildcard:1;
	bool		 has_regex:1;	/* router.regex_of */
	uint8_t		 len;
	char		 name[ROUTER_NAME_INLINE]; /* of a wildcard: what follows "*." */
};

/* An expression of a host and who has it; those of a host lie side by side, in order. */
struct router_regex {
	const struct regex	*regex;
	router_ref		 list;
	bool			 is_last;	/* of the host */
};

/* Text that lies in `room` bytes at `at`, or elsewhere. */
static inline void
router_text_put(char *at, size_t room, struct slice text)
{
	if (text.len <= room)
		(void)memcpy(at, text.p, text.len);
	else
		(void)memcpy(at, &text.p, sizeof text.p);
}

static inline struct slice
router_text(const char *at, size_t room, size_t len)
{
	const char *p = at;

	if (unlikely(len > room))
		memcpy(&p, at, sizeof p);
	return (slice_of(p, len));
}

static inline struct slice
router_host_name(const struct router_host *h)
{
	return (router_text(h->name, sizeof h->name, h->len));
}

static inline struct slice
router_key_path(const struct router_key *k)
{
	return (router_text(k->path, sizeof k->path, k->len));
}

struct router_slot {
	uint32_t	 tag;		/* upper half of the hash */
	uint32_t	 at;		/* index + 1; 0: free */
};

struct router_table {
	struct router_slot	*slots;
	uint64_t		 mask;
};

/* Routers of exact hosts, by the upper bits of the hash of the name (router_files.h). */
struct router_shards {
	struct router		*v;		/* side by side, so that one load finds one */
	unsigned		 shift;
};

/* What hashes are made with; the same for a router and its shards. */
struct router_seed {
	uint64_t		 seed;
	uint8_t			 key[SIPHASH_KEY_BYTES];
};

/* Of a shard a lookup needs the first cache line only. */
struct router {
	struct router_table	 by_host;
	struct router_table	 by_path;
	struct router_host	*hosts;
	struct router_key	*keys;
	uint64_t		 seed;
	uint64_t		 prefix_depths;	/* of all hosts */
	unsigned		 magic;
#define ROUTER_MAGIC	0x7c1d05e9
	unsigned		 max_depth;	/* of the prefixes */
	struct router_cand	*cands;
	struct router_regex	*regexes;
	const uint32_t		*regex_of;	/* by host: its first one; NULL: no host has any */
	size_t			 max_exact;	/* bytes of the longest exact path */
	uint64_t		 wildcards[BITS_WORDS(ROUTER_HOST_MAX + 1)]; /* lengths */
	uint64_t		 wildcard_dots;	/* bit n: n dots; 63 and more are bit 63 */
	uint32_t		 n_hosts;
	uint32_t		 n_keys;
	bool			 has_hosts;	/* exact ones */
	bool			 has_wildcards;
	bool			 has_regexes;	/* of paths or of fields */
	/* NULL: its own tables have all hosts, else those of wildcards and hosts[0] only */
	const struct router_shards *shards;
	uint8_t			 key[SIPHASH_KEY_BYTES];
} __attribute__((aligned(ROUTER_LINE)));

/* Whose tables an exact host is in, by its hash. */
static inline const struct router *
router_shard(const struct router *r, uint64_t hash)
{
	if (likely(r->shards == NULL))
		return (r);
	return (&r->shards->v[hash >> r->shards->shift]);
}

static inline uint64_t
router_n_shards(const struct router *r)
{
	return (r->shards == NULL ? 0 : (uint64_t)1 << (64 - r->shards->shift));
}

/* What one lookup asks, the same for each host that is tried. */
struct router_query {
	const struct router_request *req;
	struct slice	 host;	/* without port and final dot */
	uint64_t	 method;	/* its bit */
	uint64_t	 listener;	/* its bit */
	uint64_t	 full;		/* hash of the whole path, when has_full */
	unsigned	 n;		/* depths in the arrays: 1 to n */
	unsigned	 depth;		/* of the whole path, at most ROUTER_DEPTH_MAX */
	uint32_t	 parameters;	/* of the query that may still be looked at */
	bool		 has_full;
	uint64_t	 hash[ROUTER_DEPTH_MAX + 1];
	uint32_t	 end[ROUTER_DEPTH_MAX + 1];
};

/* Whether a candidate takes the request; what it does not like. */
enum router_take {
	ROUTER_TAKES,
	ROUTER_TAKES_NOT_LISTENER,
	ROUTER_TAKES_NOT_METHOD,
	ROUTER_TAKES_NOT_FIELD,
	ROUTER_TAKES_LIMIT	/* not known */
};

/* *field_r (may be NULL): with NOT_FIELD and LIMIT the field. */
enum router_take router_takes(const struct router_cand *, struct router_query *,
		    const struct router_field **field_r);
enum router_take router_takes_fields(const struct router_more *, struct router_query *,
		    const struct router_field **field_r);

/* The parts of a lookup. The query before router_hash_path() knows of no path. */
void		 router_query_init(struct router_query *, const struct router *,
		    const struct router_request *);
void		 router_hash_path(const struct router *, struct router_query *);
const struct router_key *router_find_key(const struct router *, uint32_t host,
		    uint64_t path_hash, struct slice path);
/* The wildcard hosts of a name, from the longest suffix on. ROUTER_NO_HOST: no more. */
struct router_suffixes {
	struct slice	 name;
	size_t		 at;
	unsigned	 dots;
};
void		 router_suffixes_init(struct router_suffixes *, struct slice name);
uint32_t	 router_next_wildcard(const struct router *, struct router_suffixes *);

static inline uint64_t
router_mix(uint64_t a, uint64_t b)
{
	__extension__ unsigned __int128 r = (unsigned __int128)a * b;

	return ((uint64_t)r ^ (uint64_t)(r >> 64));
}

#define ROUTER_K1	0x9e3779b97f4a7c15u	/* odd, bits without a pattern */
#define ROUTER_K2	0xd1b54a32d192ed03u
#define ROUTER_SLASHES	0x2f2f2f2f2f2f2f2fu

/* n bytes, below 8, as a little-endian word filled up with slashes. */
static inline uint64_t
router_load_tail(const char *p, size_t n)
{
	const uint8_t *b = (const uint8_t *)p;
	uint32_t lo, hi;
	uint64_t w;

	if (n >= 4) {
		memcpy(&lo, p, 4);
		memcpy(&hi, p + n - 4, 4);
		w = (uint64_t)le32toh(lo) | (uint64_t)le32toh(hi) << (8 * (n - 4));
	} else if (n > 0) {
		w = (uint64_t)b[0] | (uint64_t)b[n / 2] << (8 * (n / 2)) |
		    (uint64_t)b[n - 1] << (8 * (n - 1));
	} else {
		return (ROUTER_SLASHES);
	}
	return (w | ROUTER_SLASHES << (8 * n));
}

/* Adds the segment at p, which ends at a slash or after n bytes, to h; *len_r: its bytes. */
static inline uint64_t
router_hash_segment(uint64_t h, const char *p, size_t n, size_t *len_r)
{
	const uint64_t ones = 0x0101010101010101u;
	size_t at = 0;

	for (;;) {
		uint64_t w = n - at >= 8 ? le64toh(slice_load8(p + at)) :
		    router_load_tail(p + at, n - at);
		uint64_t x = w ^ ROUTER_SLASHES;
		uint64_t found = (x - ones) & ~x & (ones * 0x80);

		if (found != 0) {
			unsigned bits = bits_lowest(found) & ~7u;

			*len_r = at + bits / 8;
			w &= ((uint64_t)1 << bits) - 1;
			return (router_mix(h ^ w, ROUTER_K1 + 2 * *len_r));
		}
		h = router_mix(h ^ w, ROUTER_K2);
		at += 8;
	}
}

/* Of the host's index alone, so that its paths can be looked for before it has come. */
static inline uint64_t
router_hash_key(const struct router *r, uint32_t host, uint64_t path_hash)
{
	uint64_t seed = router_mix(r->seed ^ (host + 1), ROUTER_K1);

	return (router_mix(path_hash ^ seed, ROUTER_K2));
}

/* Folded; name without trailing dot. */
static inline uint64_t
router_hash_host(const struct router *r, struct slice name, bool is_wildcard)
{
	uint64_t h = siphash_fold(r->key, name.p, name.len);

	return (is_wildcard ? h ^ ROUTER_K1 : h);
}

static inline unsigned
router_count_dots(struct slice name)
{
	unsigned n = 0;

	for (size_t i = 0; i < name.len; i++)
		n += name.p[i] == '.';
	return (n);
}

/* The bit of a number of dots. */
static inline uint64_t
router_dots_bit(unsigned n)
{
	return ((uint64_t)1 << (n < 63 ? n : 63));
}

/* Index of the host, or of none: ROUTER_NO_HOST. */
#define ROUTER_NO_HOST	UINT32_MAX
uint32_t	router_find_host(const struct router *, struct slice name, bool is_wildcard,
		    uint64_t hash);

/* router_build() with what hashes are made with. */
struct router	*router_build_seeded(struct arena *, const struct router_seed *,
		    const struct router_rule *, unsigned n, router_report_fn *, void *arg);
void		 router_seed_draw(struct router_seed *);
void		 router_seed_of(const struct router *, struct router_seed *);
/* A name, or "*." and a name; false: no host is like that. */
bool		 router_read_host(struct slice text, struct slice *name_r, bool *is_wildcard_r);

/* While a router is built: the rules of one list, the best first; all have the same key. */
struct router_list {
	const struct router_rule *rules;	/* all of the file */
	const uint32_t	*at;			/* those of the list */
	uint32_t	 n;
};

static inline bool
router_has_methods(const struct router_rule *rule)
{
	return (rule->methods != 0 || rule->n_method_names != 0);
}

/* Matchers of a rule besides host and path. */
static inline unsigned
router_n_matchers(const struct router_rule *rule)
{
	return (router_has_methods(rule) + rule->n_fields);
}

/*
 * Calls on_tie(arg, rule, other) once for each rule of the list that ties with an earlier one.
 * Linear in rules times methods; rules that ask for fields are linear too as long as most ask for
 * values of one of them, else in pairs. Allocates from scratch and gives it back.
 */
void	router_find_ties(const struct router_list *, struct arena *scratch,
	    void (*on_tie)(void *arg, uint32_t rule, uint32_t other), void *arg);

#endif

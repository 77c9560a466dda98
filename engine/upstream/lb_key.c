/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/upstream/lb_key.h"

#include "engine/base/addr.h"
#include "engine/base/check.h"
#include "engine/http/field.h"
#include "engine/http/msg.h"

enum { IP_BYTES = 16 };

struct lb_key
lb_key_make(enum upstream_hash_by by, struct slice name)
{
	return ((struct lb_key){ .by = by, .name = name,
		.id = by == UPSTREAM_HASH_HEADER ? hdr_id_of(name) : HDR_OTHER });
}

static bool
cookie_key(const struct headers *h, struct slice name, struct slice *key_r)
{
	for (const struct hdr *c = headers_get(h, HDR_COOKIE); c != NULL; c = headers_next(h, c)) {
		if (field_cookie(hdr_value(c), name, key_r))
			return (true);
	}
	return (false);
}

/* ip16 lends its room. */
static bool
find_key(const struct lb_key *k, const struct msg_req *req, const struct addr *client,
    uint8_t ip16[IP_BYTES], struct slice *key_r)
{
	const struct hdr *h;

	switch (k->by) {
	case UPSTREAM_HASH_CLIENT_IP:
		*key_r = slice_of((const char *)ip16, IP_BYTES);
		return (client != NULL && addr_ip16(client, ip16));
	case UPSTREAM_HASH_PATH:
		*key_r = req->path;
		return (true);
	case UPSTREAM_HASH_HEADER:
		h = k->id != HDR_OTHER ? headers_get(&req->m.headers, k->id) :
		    headers_find(&req->m.headers, k->name);
		if (h != NULL)
			*key_r = hdr_value(h);
		return (h != NULL);
	case UPSTREAM_HASH_COOKIE:
		return (cookie_key(&req->m.headers, k->name, key_r));
	}
	never("upstream_hash_by");
}

bool
lb_key_hash(const struct lb_key *k, const struct msg_req *req, const struct addr *client,
    const uint8_t salt[SIPHASH_KEY_BYTES], uint64_t *hash_r)
{
	struct slice key = SLICE_NONE;
	uint8_t ip16[IP_BYTES];

	if (!find_key(k, req, client, ip16, &key))
		return (false);
	*hash_r = siphash(salt, key.p, key.len);
	return (true);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/addr.h"
#include "filters/filters.h"

/*
 * Who may ask, by address. What `deny` holds is refused, whatever `allow` says; with an `allow`
 * list everybody else is refused too.
 * The order within the lists means nothing. The address is the client's: the peer's, or the one
 * that a trusted proxy named.
 */

struct ip_acl_conf {
	struct schema_obj	 obj;
	struct schema_list	 allow;		/* struct cidr */
	struct schema_list	 deny;
	/* compiled */
	struct cidr_set		 allowed;
	struct cidr_set		 denied;
	bool			 has_allow;
};

static const struct schema_row rows[] = {
	SCHEMA_ROW("allow", LIST, struct ip_acl_conf, allow, .elem = SCHEMA_CIDR,
	    .flags = SCHEMA_NOT_EMPTY, .help = "only these may ask"),
	SCHEMA_ROW("deny", LIST, struct ip_acl_conf, deny, .elem = SCHEMA_CIDR,
	    .help = "these may not, even if allow holds them"),
	SCHEMA_ROWS_END,
};
static struct schema schema = SCHEMA_DEFINE("ip", struct ip_acl_conf, rows);
static const struct schema_key_ext key = {
	.row = SCHEMA_EXT_ROW("ip", OBJECT, .sub = &schema, .flags = SCHEMA_CAN_OFF,
	    .help = "who may ask, by client address"),
};

static void
compile_set(struct cidr_set *set, const struct schema_list *list, struct arena *arena)
{
	struct cidr *v = arena_zarray(arena, list->count, sizeof *v);

	if (list->count > 0)
		memcpy(v, list->items, list->count * sizeof *v);
	cidr_set_build(set, v, list->count);
}

static void
compile(void *arg, const struct snapshot_build *b, bool *needed_r)
{
	struct ip_acl_conf *conf = arg;

	conf->has_allow = conf->allow.count > 0;
	compile_set(&conf->allowed, &conf->allow, b->arena);
	compile_set(&conf->denied, &conf->deny, b->arena);
	*needed_r = conf->has_allow || conf->deny.count > 0;
}

static enum filter_verdict
on_req_headers(struct filter_call *fc, struct msg_req *req)
{
	const struct ip_acl_conf *conf = fc->conf;
	const struct addr *client = filter_client(fc);

	(void)req;
	if (!cidr_set_has(&conf->denied, client) &&
	    (!conf->has_allow || cidr_set_has(&conf->allowed, client)))
		return (FILTER_NEXT);
	filter_fault(fc, REASON_IP_DENIED);
	return (FILTER_FAULT);
}

static void
explain(const struct filter_call *fc, bool met, FILE *out)
{
	const struct ip_acl_conf *conf = fc->conf;
	const struct cidr *denied, *allowed;
	char ip[ADDR_IP_TEXT_MAX], block[ADDR_TEXT_MAX];

	if (!met)
		return;
	denied = cidr_set_find(&conf->denied, filter_client(fc));
	allowed = cidr_set_find(&conf->allowed, filter_client(fc));
	(void)addr_format_ip(filter_client(fc), ip, sizeof ip);
	if (denied != NULL || allowed != NULL) {
		(void)cidr_format(denied != NULL ? denied : allowed, block, sizeof block);
		fprintf(out, "%s is in %s of %s", ip, block, denied != NULL ? "deny" : "allow");
	} else {
		fprintf(out, "%s is not in %s", ip, conf->has_allow ? "allow" : "deny");
	}
}

const struct filter_ops filter_ip_acl = {
	.name = "ip",
	.conf_size = sizeof(struct ip_acl_conf),
	.key = &key,
	.compile = compile,
	.on_req_headers = on_req_headers,
	.dry = FILTER_DRY_CLIENT,
	.explain = explain,
};

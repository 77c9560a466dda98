/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/base/addr.h"
#include "engine/base/check.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read is printed, and read again as the same: addresses, IPs, and blocks. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of((const char *)data, size);
	char buf[ADDR_TEXT_MAX];
	struct cidr block, again, v[2];
	struct cidr_set set;
	struct addr a, b;
	uint8_t ip[16];

	if (addr_parse(text, &a)) {
		must(addr_parse(slice_of(buf, addr_format(&a, buf, sizeof(buf))), &b));
		must(addr_eq(&a, &b) && (!addr_is_ip(&a) || addr_port(&a) == addr_port(&b)));
	}
	if (addr_parse_ip(text, &a)) {
		must(addr_parse_ip(slice_of(buf, addr_format_ip(&a, buf, sizeof(buf))), &b));
		must(addr_eq_ip(&a, &b) && addr_ip16(&a, ip) && addr_port(&a) == 0);
		must(cidr_parse(slice_str(buf), &block) && block.bits == 128 &&
		    cidr_has(&block, &a));
	}
	if (cidr_parse(text, &block)) {
		must(cidr_parse(slice_of(buf, cidr_format(&block, buf, sizeof(buf))), &again));
		must(memcmp(block.ip, again.ip, 16) == 0 && block.bits == again.bits);
		v[0] = v[1] = block;
		cidr_set_build(&set, v, 2);
		must(set.n == 1 && cidr_set_has_ip16(&set, block.ip));
	}
	return (0);
}

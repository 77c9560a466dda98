/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/base/addr.h"

static struct addr
addr_of(const char *text)
{
	struct addr a;

	if (!addr_parse(slice_str(text), &a))
		fail_msg("refused \"%s\"", text);
	return (a);
}

static void
test_parse_and_format(void **state)
{
	static const char *const same[] = {"1.2.3.4:80", "0.0.0.0:0", "255.255.255.255:65535",
	    "[::1]:80", "[2001:db8::1:0:0:1]:443", "[::]:0", "unix:/run/shop.sock", "unix:@name"};
	char buf[ADDR_TEXT_MAX];
	struct addr a;

	(void)state;
	for (size_t i = 0; i < array_len(same); i++) {
		a = addr_of(same[i]);
		assert_int_equal(addr_format(&a, buf, sizeof(buf)), strlen(same[i]));
		assert_string_equal(buf, same[i]);
	}
	a = addr_of("[::ffff:10.1.2.3]:80");
	addr_format(&a, buf, sizeof(buf));
	assert_string_equal(buf, "10.1.2.3:80");
	assert_int_equal(a.u.sa.sa_family, AF_INET6);
	assert_true(addr_is_ipv4(&a));
	assert_int_equal(addr_format(&a, buf, 5), 4);
	assert_string_equal(buf, "10.1");
	assert_int_equal(addr_format(&a, buf, 0), 0);
}

static void
test_refused(void **state)
{
	static const char *const bad[] = {"", ":", "80", "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536",
	    "1.2.3.4:-1", "1.2.3.4: 80", "1.2.3.4:000080", "1.2.3:80", "1.2.3.4.5:80", "01.2.3.4:80",
	    "256.1.1.1:80", "::1:80", "::1", "[::1]", "[::1]80", "[::1:80", "::1]:80", "[]:80",
	    "[1.2.3.4]:80", "[fe80::1%lo]:80", "localhost:80", " 1.2.3.4:80", "unix:", "unix:@",
	    "[:::1]:80", "1.2.3.4:8o"};
	char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 8];
	struct addr a;

	(void)state;
	for (size_t i = 0; i < array_len(bad); i++) {
		if (addr_parse(slice_str(bad[i]), &a))
			fail_msg("accepted \"%s\"", bad[i]);
	}
	assert_false(addr_parse(SLICE("1.2.3.4\0:80"), &a));
	assert_false(addr_parse(SLICE("unix:/a\0b"), &a));
	memset(path, 'x', sizeof(path));
	memcpy(path, "unix:", 5);
	assert_true(addr_parse(slice_of(path, 5 + 107), &a));
	assert_int_equal(a.u.un.sun_path[107], '\0');
	assert_false(addr_parse(slice_of(path, 5 + 108), &a));
}

static void
test_ip_only(void **state)
{
	char buf[ADDR_IP_TEXT_MAX];
	struct addr a;

	(void)state;
	assert_true(addr_parse_ip(SLICE("127.0.0.1"), &a));
	assert_int_equal(addr_port(&a), 0);
	addr_set_port(&a, 8080);
	assert_int_equal(addr_port(&a), 8080);
	assert_int_equal(addr_format_ip(&a, buf, sizeof(buf)), 9);
	assert_string_equal(buf, "127.0.0.1");
	assert_true(addr_parse_ip(SLICE("[::1]"), &a));
	assert_true(addr_parse_ip(SLICE("::1"), &a));
	addr_format_ip(&a, buf, sizeof(buf));
	assert_string_equal(buf, "::1");
	assert_false(addr_parse_ip(SLICE("1.2.3.4:80"), &a));
	assert_false(addr_parse_ip(SLICE(""), &a));
	assert_false(addr_parse_ip(SLICE("["), &a));
	a = addr_of("unix:/x");
	addr_format_ip(&a, buf, sizeof(buf));
	assert_string_equal(buf, "unix");
	addr_set_port(&a, 1);
	assert_int_equal(addr_port(&a), 0);
	assert_false(addr_is_ip(&a));
	assert_false(addr_is_ipv4(&a));
}

static void
test_equal(void **state)
{
	static const uint8_t key[16] = {9};
	struct addr v4 = addr_of("10.1.2.3:80");
	struct addr mapped = addr_of("[::ffff:10.1.2.3]:80");
	struct addr port = addr_of("10.1.2.3:81");
	struct addr un = addr_of("unix:/a");
	struct addr un2 = addr_of("unix:/a");
	struct addr un3 = addr_of("unix:@a");
	struct addr none = {.len = 0};

	(void)state;
	assert_true(addr_eq(&v4, &mapped));
	assert_true(addr_hash(&v4, key) == addr_hash(&mapped, key));
	assert_false(addr_eq(&v4, &port));
	assert_true(addr_eq_ip(&v4, &port));
	assert_true(addr_hash(&v4, key) != addr_hash(&port, key));
	assert_true(addr_eq(&un, &un2));
	assert_true(addr_hash(&un, key) == addr_hash(&un2, key));
	assert_false(addr_eq(&un, &un3));
	assert_false(addr_eq(&un, &v4));
	assert_false(addr_eq_ip(&un, &un2));
	assert_true(addr_eq(&none, &none));
	assert_false(addr_eq(&none, &un));
	assert_false(addr_eq(&none, &v4));
}

static void
test_from_sockaddr(void **state)
{
	struct addr v4 = addr_of("10.1.2.3:80");
	struct addr un = addr_of("unix:/a");
	struct sockaddr_un unnamed = {.sun_family = AF_UNIX};
	struct sockaddr odd = {.sa_family = AF_PACKET};
	char buf[ADDR_TEXT_MAX];
	struct addr a;

	(void)state;
	assert_true(addr_from_sockaddr(&a, &v4.u.sa, v4.len));
	assert_true(addr_eq(&a, &v4));
	assert_false(addr_from_sockaddr(&a, &v4.u.sa, (socklen_t)(v4.len - 1)));
	assert_false(addr_from_sockaddr(&a, &v4.u.sa, 0));
	assert_true(addr_from_sockaddr(&a, &un.u.sa, un.len));
	assert_true(addr_eq(&a, &un));
	assert_true(addr_from_sockaddr(&a, (struct sockaddr *)&unnamed, sizeof(sa_family_t)));
	addr_format(&a, buf, sizeof(buf));
	assert_string_equal(buf, "unix:");
	assert_false(addr_from_sockaddr(&a, &odd, sizeof(odd)));
}

static struct cidr
cidr_of(const char *text)
{
	struct cidr c;

	if (!cidr_parse(slice_str(text), &c))
		fail_msg("refused \"%s\"", text);
	return (c);
}

static bool
has(const char *block, const char *ip)
{
	struct cidr c = cidr_of(block);
	struct addr a;

	assert_true(addr_parse_ip(slice_str(ip), &a));
	return (cidr_has(&c, &a));
}

static void
test_cidr(void **state)
{
	static const char *const bad[] = {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/8", "10/8",
	    "::/129", "fd00::1/8", "10.0.0.0/8/8", "10.0.0.0/0008", "[::]/0", "10.0.0.0:80/8",
	    "10.0.0.0/-1", "x/8"};
	struct addr un = addr_of("unix:/a");
	struct cidr c;
	char buf[ADDR_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < array_len(bad); i++) {
		if (cidr_parse(slice_str(bad[i]), &c))
			fail_msg("accepted \"%s\"", bad[i]);
	}
	assert_true(has("10.0.0.0/8", "10.255.0.1"));
	assert_true(has("10.0.0.0/8", "::ffff:10.1.1.1"));
	assert_false(has("10.0.0.0/8", "11.0.0.0"));
	assert_false(has("10.0.0.0/8", "a00::"));
	assert_true(has("10.0.0.13", "10.0.0.13"));
	assert_false(has("10.0.0.13", "10.0.0.12"));
	assert_true(has("0.0.0.0/0", "1.2.3.4"));
	assert_false(has("0.0.0.0/0", "::1"));
	assert_true(has("::/0", "2001:db8::1"));
	assert_false(has("::/0", "1.2.3.4"));
	assert_true(has("fd00::/8", "fdff::1"));
	assert_false(has("fd00::/8", "fe00::1"));
	assert_true(has("2001:db8::/63", "2001:db8:0:1::1"));
	assert_false(has("2001:db8::/64", "2001:db8:0:1::1"));
	assert_true(has("2001:db8::/65", "2001:db8::7fff:0:0:1"));
	assert_false(has("2001:db8::/65", "2001:db8::8000:0:0:1"));
	c = cidr_of("::/0");
	assert_false(cidr_has(&c, &un));
	cidr_format(&c, buf, sizeof(buf));
	assert_string_equal(buf, "::/0");
	c = cidr_of("10.0.0.0/8");
	assert_int_equal(c.bits, 104);
	cidr_format(&c, buf, sizeof(buf));
	assert_string_equal(buf, "10.0.0.0/8");
}

/* The set must agree with asking each block in turn. */
static void
test_cidr_set(void **state)
{
	static const char *const blocks[] = {"10.0.0.0/8", "10.1.0.0/16", "192.168.1.0/24", "fd00::/8",
	    "fd00:1::/32", "10.0.0.0/8", "::1", "2001:db8::/33", "127.0.0.1", "fd12::/16", "8000::/1"};
	static const char *const ips[] = {"10.1.2.3", "10.255.255.255", "11.0.0.0", "9.255.255.255",
	    "192.168.1.0", "192.168.1.255", "192.168.2.0", "fd00::1", "fe00::", "::1", "::2", "::",
	    "2001:db8:7fff::", "2001:db8:8000::", "127.0.0.1", "127.0.0.2", "ffff::", "7fff::",
	    "::ffff:10.0.0.1", "0.0.0.0", "255.255.255.255"};
	struct cidr v[array_len(blocks)];
	struct cidr_set set;
	struct addr a;

	(void)state;
	for (size_t n = 0; n <= array_len(blocks); n++) {
		for (size_t i = 0; i < n; i++)
			v[i] = cidr_of(blocks[i]);
		cidr_set_build(&set, v, n);
		assert_true(set.n <= n);
		for (size_t k = 0; k < array_len(ips); k++) {
			bool want = false;

			for (size_t i = 0; i < n; i++)
				want = want || has(blocks[i], ips[k]);
			assert_true(addr_parse_ip(slice_str(ips[k]), &a));
			if (cidr_set_has(&set, &a) != want)
				fail_msg("%zu blocks, %s: not %d", n, ips[k], want);
		}
	}
	assert_int_equal(set.n, 6);
	a = addr_of("unix:/a");
	assert_false(cidr_set_has(&set, &a));
}

/* ::/0 sorts before all of IPv4 and must neither swallow nor hide it. */
static void
test_cidr_set_families(void **state)
{
	struct cidr v[3] = {cidr_of("10.0.0.0/8"), cidr_of("::/0"), cidr_of("1.0.0.0/8")};
	struct cidr_set set;
	struct addr a;

	(void)state;
	cidr_set_build(&set, v, 3);
	assert_int_equal(set.n, 3);
	assert_true(addr_parse_ip(SLICE("2001::"), &a));
	assert_true(cidr_set_has(&set, &a));
	assert_true(addr_parse_ip(SLICE("10.1.1.1"), &a));
	assert_true(cidr_set_has(&set, &a));
	assert_non_null(cidr_set_find(&set, &a));
	assert_int_equal(cidr_set_find(&set, &a)->bits, 96 + 8);
	assert_int_equal(cidr_set_find(&set, &a)->ip[12], 10);
	assert_true(addr_parse_ip(SLICE("2.1.1.1"), &a));
	assert_false(cidr_set_has(&set, &a));
	assert_null(cidr_set_find(&set, &a));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_and_format),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_ip_only),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_from_sockaddr),
		cmocka_unit_test(test_cidr),
		cmocka_unit_test(test_cidr_set),
		cmocka_unit_test(test_cidr_set_families),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

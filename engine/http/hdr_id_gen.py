#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes hdr_id_table.def from hdr.def: a multiplier and a table without collisions.

usage: hdr_id_gen.py hdr.def > hdr_id_table.def
The hash is that of hdr_id.c; tests/unit/http/test_hdr_id.c fails when the table is stale.
"""
import random
import re
import sys

BITS = 9
M64 = (1 << 64) - 1
FOLD = 0x2020202020202020


def words(name):
    """First and last eight bytes, folded; a short name fills one word."""
    b = name.encode()
    n = len(b)
    if n >= 8:
        w0, w1 = int.from_bytes(b[:8], "little"), int.from_bytes(b[-8:], "little")
    elif n >= 4:
        w0 = int.from_bytes(b[:4] + b[-4:], "little")
        w1 = w0
    else:
        w0 = b[0] | b[n // 2] << 8 | b[-1] << 16
        w1 = w0
    return w0 | FOLD, w1 | FOLD


def slot(name, k):
    w0, w1 = words(name)
    rot = (w1 << 23 | w1 >> 41) & M64
    return ((((w0 ^ rot) + len(name)) & M64) * k & M64) >> (64 - BITS)


def main():
    with open(sys.argv[1], encoding="ascii") as f:
        names = re.findall(r'^HDR\(\w+, "([a-z0-9-]+)"', f.read(), re.M)
    rng = random.Random(9110)
    for _ in range(2_000_000):
        k = rng.getrandbits(64) | 1
        if len({slot(n, k) for n in names}) == len(names):
            break
    else:
        sys.exit("no multiplier found")
    table = [0] * (1 << BITS)
    for i, n in enumerate(names, 1):
        table[slot(n, k)] = i
    print("/* SPDX-License-Identifier: Apache-2.0 */")
    print("/* Written by hdr_id_gen.py from hdr.def. */")
    print(f"#define HDR_ID_BITS\t{BITS}")
    print(f"#define HDR_ID_FACTOR\t0x{k:016x}u")
    print()
    print("/* clang-format off */")
    print("static const uint8_t hdr_id_slots[1 << HDR_ID_BITS] = {")
    for i in range(0, len(table), 16):
        print("\t" + ", ".join(str(v) for v in table[i:i + 16]) + ",")
    print("};")
    print("/* clang-format on */")


main()

# SPDX-License-Identifier: Apache-2.0
"""Memory that ends: a start is refused with exit 3, a reload fails whole, a request is served or
ends in `overloaded`; a process never dies of it. The limit is the kernel's, on address space, so
that the libraries' own allocations fail as well as ours."""

import os
import re
import resource
import select
import signal
import subprocess
import threading
import time

import pytest

from conftest import base
from harness import Eof, answer, fill

MIB = 1 << 20
LEAST_MIB, MOST_MIB = 12, 60


# A sanitizer reserves address space by the terabyte: there is nothing to limit.
pytestmark = pytest.mark.address_space


def limited(n):
    def set_limit():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (n, n))
    return set_limit


def start_within(path, file, n, cwd):
    """(what it said, exit status or None when it serves) of a start with n bytes."""
    out, end = b"", time.monotonic() + 10
    with subprocess.Popen([path, "run", "-c", file], cwd=cwd, stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          env=dict(os.environ, XDG_RUNTIME_DIR=cwd),
                          preexec_fn=limited(n)) as p:
        try:
            while b" workers, " not in out:
                got = b""
                if select.select([p.stderr], [], [], end - time.monotonic())[0]:
                    got = os.read(p.stderr.fileno(), 65536)
                elif time.monotonic() >= end:
                    raise AssertionError("neither served nor ended: %r" % out)
                if not got:
                    return out, p.wait(5)
                out += got
            p.send_signal(signal.SIGINT)
            assert p.wait(5) in (0, 3), "its end: %r" % (out + p.stderr.read())
            return out, None
        finally:
            p.kill()


SEEN = "log: { access: @log@, level: info }"


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("seen", [False, True])
def test_start_is_refused_or_serves(gateway_path, tmp_path, quick, workers, seen):
    text = base(workers=workers, more=SEEN if seen else "log: { access: off }")
    if not seen:
        text = "\n".join(x for x in text.splitlines() if not x.startswith("admin:"))
    file = tmp_path / "g.yaml"
    file.write_text(fill(text, {"origin": "127.0.0.1:1", "log": tmp_path / "a.log"},
                         {}))
    refused = served = 0
    for mib in range(LEAST_MIB, MOST_MIB + 1, 4 if quick else 1):
        said, status = start_within(gateway_path, str(file), mib * MIB, str(tmp_path))
        if status is None:
            served += 1
            continue
        # below some size not even the loader has room, and says so
        assert status in (3, 127), "%d MiB: exit %s: %r" % (mib, status, said)
        assert said.strip(), "%d MiB: ended without a word" % mib
        refused += 1
    assert refused > 0
    assert served > 0 or workers > 2


def size_bytes(gw):
    with open("/proc/%d/status" % gw.pid, encoding="ascii") as f:
        return int(re.search(r"VmSize:\s+(\d+)", f.read())[1]) * 1024


def hold_to(gw, more):
    """No more address space than now and `more`; None: as much as it wants."""
    n = resource.RLIM_INFINITY if more is None else size_bytes(gw) + more
    resource.prlimit(gw.pid, resource.RLIMIT_AS, (n, resource.RLIM_INFINITY))


def verdicts(gw):
    """How the reloads so far ended, in order."""
    return re.findall(r"is in force|reload failed", gw.stderr())


def many_routes(n, tag):
    return "\n".join('- { prefix: /%s/%d, hosts: ["h%d.example.com"], respond: { status: 200, '
                     'body: "%s" } }' % (tag, i, i % 50, tag) for i in range(n))


def test_reload_fails_whole_or_is_taken(start, origin, quick):
    gw = start(base(workers=2, routes=many_routes(1, "t0")), origin=origin.address)
    ended, now = set(), "t0"
    with gw.client() as kept:
        # a port is open before all workers are there; an answer comes after that
        assert kept.request("GET", "/").status == 200
        for i, kib in enumerate([0, 64, 512, 4096] if quick else
                                [0, 16, 64, 128, 256, 512, 1024, 2048, 3072, 4096, 8192, 32768]):
            tag = "t%d" % (i + 1)
            # each larger than the last one, so that what was freed does not do
            gw.write(base(workers=2, routes=many_routes(1000 * (i + 1), tag)))
            n = len(verdicts(gw))
            hold_to(gw, kib * 1024)
            gw.kill(signal.SIGHUP)
            gw.until(lambda: len(verdicts(gw)) > n or not gw.alive(), 10, "an end of the reload")
            assert gw.alive(), "%d KiB: it died: %s" % (kib, gw.stderr()[-2000:])
            hold_to(gw, None)
            ended.add(verdicts(gw)[-1])
            if verdicts(gw)[-1] == "is in force":
                now = tag
            else:
                assert gw.metric("weir_config_last_reload_successful") == 0
            m = kept.request("GET", "/%s/0" % now, host="h0.example.com")
            assert m.body == now.encode(), "the whole file, or the one before it"
            assert kept.request("GET", "/").status == 200
    assert "reload failed" in ended
    gw.reload(base(workers=2, routes=many_routes(10, "end")))
    assert gw.get("/end/0", host="h0.example.com").body == b"end"


def test_requests_without_memory(start, origins, quick):
    go = threading.Event()

    def play(conn, req):
        go.wait(20)
        conn.send(answer(b"done"))
    o = origins(play)
    gw = start(base(workers=1), origin=o.address)
    gw.until(lambda: gw.admin("/readyz").status == 200, 5, "all of it")
    hold_to(gw, 0)
    clients, sent = [], 0
    try:
        for i in range(100 if quick else 400):
            c = gw.client()
            clients.append(c)
            # a head and a body that each want memory until the answer comes
            c.send(c.head("POST", "/%d" % i, [("Content-Length", "30000")]) + b"x" * 30000)
            sent += 1
        assert gw.alive()
        go.set()
        seen = {}
        for c in clients:
            try:
                m = c.response("POST")
                kind = (m.status, b"overloaded" in (m.get("proxy-status") or b""))
            except (Eof, OSError):
                kind = "cut"
            seen[kind] = seen.get(kind, 0) + 1
            c.close()
    finally:
        go.set()
    print(seen)
    assert gw.alive(), gw.stderr()[-2000:]
    assert set(seen) <= {(200, False), (503, True), "cut"}, seen
    hold_to(gw, None)
    assert gw.get().status == 200
    told = gw.metric("weir_requests_total", reason="overloaded", code="503")
    assert told == seen.get((503, True), 0), "each is counted"
    gw.until(lambda: [e["reason"] for e in gw.access()].count("overloaded") == told, 8,
             "a line for each")

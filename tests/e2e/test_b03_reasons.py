# SPDX-License-Identifier: Apache-2.0
"""Each reason is provoked on purpose, and the answer, the log, the metric and the documents agree."""

import json
import os
import re
import signal
import socket
import threading

import pytest

from harness import Client, Dns, answer, free_port

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

TEXT = """
version: 1
listeners:
  web: { listen: "127.0.0.1:@web@" }
  fast:
    listen: "127.0.0.1:@fast@"
    timeout: { headers: 300ms, body_idle: 300ms, write_idle: 300ms }
    min_rate: off
  slow: { listen: "127.0.0.1:@slow@", min_rate: { rate: 10000B/s, grace: 300ms } }
upstreams:
  u: { servers: ["@origin@"] }
  refuses: { servers: ["127.0.0.1:@nobody@"] }
  full: { servers: ["127.0.0.1:@full@"] }
  lost: { servers: ["nowhere.test:80"] }
routes:
  - { name: o, prefix: /o, upstream: u, timeout: { first_byte: 300ms, idle: 300ms, total: 2s } }
  - { name: long, prefix: /long, upstream: u }
  - { name: ip, prefix: /ip, upstream: u, ip: { deny: [127.0.0.0/8] } }
  - { name: refuses, prefix: /refuses, upstream: refuses }
  - { name: full, prefix: /full, upstream: full, timeout: { connect: 300ms } }
  - { name: lost, prefix: /lost, upstream: lost }
admin: { listen: "127.0.0.1:@admin@" }
workers: 1
"""

# Provoked where a test can be a policy, or can take memory away.
ELSEWHERE = {
    "response_too_large": "tests/loop/test_filters.c",
    "filter_timeout": "tests/loop/test_filters.c",
    "internal_error": "tests/loop/test_filters.c",
    "overloaded": "tests/loop/test_memory.c",
    "upstream_none_healthy": "tests/unit/upstream/test_pool.c",
}


def documented():
    """{reason: (status, Proxy-Status error)} of docs/reasons.md; status 0: no answer."""
    rows = {}
    with open(os.path.join(TOP, "docs", "reasons.md"), encoding="utf-8") as f:
        for line in f:
            m = re.match(r"\| <a id=\"(\w+)\"></a>`\w+` \| (\d+|-) \| \d+ \| (\w*) \|", line)
            if m:
                rows[m[1]] = (0 if m[2] == "-" else int(m[2]), m[3])
    return rows


def misbehave(conn, req):
    what = req.target.rsplit(b"/", 1)[1]
    if what == b"closed":
        conn.close()
    elif what == b"rst":
        conn.rst()
    elif what == b"bad":
        conn.send(b"NONSENSE\r\n\r\n")
    elif what == b"silent":
        conn.wait_gone(8)
    elif what == b"stops":
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        conn.wait_gone(8)
    elif what == b"drips":
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
        conn.drip(b"x" * 9999, 0.05)
    elif what == b"fields":
        conn.send(answer(b"", 200, [("X-%d" % i, "v") for i in range(201)]))
    elif what == b"large":
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            conn.send(b"x" * 65536)
    else:
        conn.send(answer(b"ok"))


class Ways:
    """A method a reason: the answer, or None where none comes."""

    def __init__(self, gw):
        self.gw = gw

    def raw(self, data, name="web", method="GET"):
        with self.gw.client(name) as c:
            c.send(data)
            return c.response(method)

    def no_route(self):
        return self.gw.get("/nowhere")

    def request_malformed(self):
        return self.raw("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")

    def path_refused(self):
        return self.gw.get("/o/a%2fb")

    def method_refused(self):
        return self.raw("CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\n\r\n")

    def expectation_failed(self):
        return self.gw.get("/o", [("Expect", "more")])

    def header_too_large(self):
        return self.gw.get("/o", [("X", "a" * 9000)])

    def uri_too_long(self):
        return self.gw.get("/o" + "a" * 9000)

    def body_too_large(self):
        return self.raw("POST /o HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n",
                        method="POST")

    def version_refused(self):
        return self.raw("GET /o HTTP/2.0\r\nHost: a\r\n\r\n")

    def client_timeout(self):
        return self.raw("GET /o HTTP/1.1\r\nHost:", "fast")

    def client_too_slow(self):
        stop = threading.Event()
        with self.gw.client("slow") as c:
            c.send("POST /long HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n")

            def drip():
                try:
                    while not stop.wait(0.05):
                        c.sock.sendall(b"x")
                except OSError:
                    pass
            t = threading.Thread(target=drip)
            t.start()
            try:
                return c.response("POST")
            finally:
                stop.set()
                t.join()

    def client_closed(self):
        with self.gw.client() as c:
            c.send("GET /long/silent HTTP/1.1\r\nHost: a\r\n\r\n")
            self.origin.wait(lambda: any(r.target == b"/long/silent" for r in self.origin.requests))

    def client_stalled(self):
        with Client(self.gw.port("fast"), rcvbuf=8192) as c:
            c.send("GET /long/large HTTP/1.1\r\nHost: a\r\n\r\n")
            self.gw.wait_access(lambda e: e["reason"] == "client_stalled")

    def ip_denied(self):
        return self.gw.get("/ip")

    def upstream_unresolved(self):
        return self.gw.get("/lost")

    def upstream_connect_failed(self):
        return self.gw.get("/refuses")

    def upstream_connect_timeout(self):
        return self.gw.get("/full")

    def upstream_closed(self):
        return self.raw("POST /o/closed HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")

    def upstream_reset(self):
        return self.raw("POST /o/rst HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")

    def upstream_malformed(self):
        return self.gw.get("/o/bad")

    def upstream_header_too_large(self):
        return self.gw.get("/o/fields")

    def upstream_timeout(self):
        return self.gw.get("/o/silent")

    def upstream_idle(self):
        return self.cut("/o/stops")

    def total_timeout(self):
        return self.cut("/o/drips")

    def cut(self, target):
        """The answer had begun: it is cut, and never looks whole."""
        with self.gw.client() as c:
            c.send("GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % target)
            got = c.rest()
            assert got.startswith(b"HTTP/1.1 200 ") and len(got) < 9999

    def connection_limit(self):
        with self.gw.client() as held:
            held.send("GET /o HTTP/1.1\r\n")
            self.gw.until(lambda: self.gw.metric("weir_connections") == 1, 5, "a client")
            return self.gw.get("/o")


@pytest.fixture
def full():
    """A port that answers no SYN: its backlog is full."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for f in fillers:
            f.setblocking(False)
            f.connect_ex(s.getsockname())
        yield s.getsockname()[1]
        for f in fillers:
            f.close()


PROVOKED = [name for name in vars(Ways) if name in documented()]


def check(gw, reason, m):
    """What was answered, if anything was, what was logged, and what was counted."""
    status, error = documented()[reason]
    e = gw.wait_access(lambda e: e["reason"] == reason)
    gw.until(lambda: gw.metric("weir_requests_total", reason=reason, code=str(e["status"])) == 1, 5,
             "the metric of " + reason)
    if m is None:
        assert e["status"] == (status if reason == "client_closed" else 200), reason
        return
    problem = json.loads(m.body)
    assert m.get("content-type") == b"application/problem+json", reason
    assert (m.status, e["status"], problem["status"]) == (status,) * 3, reason
    assert problem["reason"] == reason and problem["title"]
    assert problem["type"].endswith("#" + reason)
    assert problem["request_id"] == e["request_id"] != "", reason
    assert m.get("proxy-status").decode() == 'weir-gateway; error=%s; details="%s"' % (error, reason)
    assert m.has("retry-after") == (status in (429, 503)), reason


def provoke(start, origins, full, reasons, text=TEXT):
    o = origins(misbehave)
    with Dns() as dns:
        # Ready by the admin listener: whoever looks at `web` may be the one client allowed.
        gw = start(text, env=dns.env, ready="admin", origin=o.address, nobody=free_port(),
                   full=full)
        ways = Ways(gw)
        ways.origin = o
        answers = {reason: getattr(ways, reason)() for reason in reasons}
    for reason, m in answers.items():
        check(gw, reason, m)
    assert sorted(e["reason"] for e in gw.access()) == sorted(reasons), "nothing else went wrong"


def test_all_tell_of_the_same_reason(start, origins, full):
    provoke(start, origins, full, [r for r in PROVOKED if r != "connection_limit"])


def test_all_tell_of_the_connection_limit(start, origins, full):
    provoke(start, origins, full, ["connection_limit"], TEXT + "limits: { connections: 1 }\n")


def test_requests_that_the_end_cuts_are_logged(start, origins):
    o = origins(misbehave)
    gw = start(TEXT, origin=o.address, nobody=free_port(), full=free_port())
    with gw.client() as c:
        c.send("GET /long/silent HTTP/1.1\r\nHost: a\r\n\r\n")
        o.wait_requests(1)
        gw.kill(signal.SIGINT)
        assert gw.wait_exit() == 0
    assert [e["reason"] for e in gw.access()] == ["draining"]


def test_no_reason_is_left_out():
    provoked = set(PROVOKED) | {"draining"}
    assert provoked | set(ELSEWHERE) == set(documented()) and not provoked & set(ELSEWHERE)
    for reason, path in ELSEWHERE.items():
        with open(os.path.join(TOP, path), encoding="utf-8") as f:
            text = f.read().lower()
        assert reason in text, "%s does not speak of %s" % (path, reason)

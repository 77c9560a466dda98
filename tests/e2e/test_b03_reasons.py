# SPDX-License-Identifier: Apache-2.0
"""Each reason is provoked on purpose, and the answer, the log, the metric, the documents and the
table of faults.txt agree; the phases of each request add up, and its time is where it was spent."""

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
  - { name: o, prefix: /o, upstream: u, timeout: { first_byte: 300ms, idle: 300ms } }
  - { name: long, prefix: /long, upstream: u }
  - { name: total, prefix: /total, upstream: u, timeout: { total: 300ms } }
  - { name: ip, prefix: /ip, upstream: u, ip: { deny: [127.0.0.0/8] } }
  - { name: refuses, prefix: /refuses, upstream: refuses }
  - { name: bomb, prefix: /bomb, upstream: u, rewrite: { regex: "^/bomb/(a+)+$", with: /o } }
  - { name: full, prefix: /full, upstream: full, timeout: { connect: 300ms } }
  - { name: lost, prefix: /lost, upstream: lost }
admin: { listen: "127.0.0.1:@admin@" }
workers: 1
"""

# https://grpc.github.io/grpc/core/md_doc_statuscodes.html
GRPC = {"OK": 0, "CANCELLED": 1, "DEADLINE_EXCEEDED": 4, "PERMISSION_DENIED": 7,
        "RESOURCE_EXHAUSTED": 8, "UNIMPLEMENTED": 12, "INTERNAL": 13, "UNAVAILABLE": 14,
        "UNAUTHENTICATED": 16}
WAITED_MS = 250     # those that wait do so for 300 ms


class Fault:
    """A row of faults.txt; status 0: no answer."""

    def __init__(self, line):
        row = [part.strip() for part in line.split("|")]
        self.name, self.status, self.grpc = row[0], int(row[1]), GRPC[row[2]]
        self.blame, self.error, self.phase, self.how = row[3:]


def faults():
    with open(os.path.join(TOP, "tests", "e2e", "faults.txt"), encoding="utf-8") as f:
        rows = [Fault(line) for line in f if line.strip() and not line.startswith("#")]
    return {row.name: row for row in rows}


FAULTS = faults()


def documented():
    """{reason: (status, gRPC status, Proxy-Status error, who)} of docs/reasons.md."""
    rows = {}
    with open(os.path.join(TOP, "docs", "reasons.md"), encoding="utf-8") as f:
        for line in f:
            m = re.match(r"\| <a id=\"(\w+)\"></a>`\w+` \| (\d+|-) \| (\d+) \| (\w*) \| "
                         r"the (\w+) \|", line)
            if m:
                rows[m[1]] = (0 if m[2] == "-" else int(m[2]), int(m[3]), m[4], m[5])
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
    elif what == b"fields":
        conn.send(answer(b"", 200, [("X-%d" % i, "v") for i in range(201)]))
    elif what == b"large":
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            conn.send(b"x" * 65536)
    else:
        conn.send(answer(b"ok"))


class Ways:
    """A method a reason: the answer, or None where none comes. `get` carries `more` fields."""

    def __init__(self, gw, origin, more=()):
        self.gw = gw
        self.origin = origin
        self.more = list(more)

    def get(self, target, headers=()):
        return self.gw.get(target, [*headers, *self.more])

    def raw(self, data, name="web", method="GET"):
        with self.gw.client(name) as c:
            c.send(data)
            return c.response(method)

    def no_route(self):
        return self.get("/nowhere")

    def request_malformed(self):
        return self.raw("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")

    def path_refused(self):
        return self.get("/o/a%2fb")

    def method_refused(self):
        return self.raw("CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\n\r\n")

    def match_limit(self):
        return self.get("/bomb/" + "a" * 60 + "!")

    def expectation_failed(self):
        return self.get("/o", [("Expect", "more")])

    def header_too_large(self):
        return self.get("/o", [("X", "a" * 9000)])

    def uri_too_long(self):
        return self.get("/o" + "a" * 9000)

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
        return self.get("/ip")

    def upstream_unresolved(self):
        return self.get("/lost")

    def upstream_connect_failed(self):
        return self.get("/refuses")

    def upstream_connect_timeout(self):
        return self.get("/full")

    def upstream_closed(self):
        return self.raw("POST /o/closed HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")

    def upstream_reset(self):
        return self.raw("POST /o/rst HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")

    def upstream_malformed(self):
        return self.get("/o/bad")

    def upstream_header_too_large(self):
        return self.get("/o/fields")

    def upstream_timeout(self):
        return self.get("/o/silent")

    def upstream_idle(self):
        return self.cut("/o/stops")

    def total_timeout(self):
        return self.get("/total/silent")

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
            return self.get("/o")


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


PROVOKED = [name for name in vars(Ways) if name in FAULTS]


def check_line(fault, e):
    """The parts add up, and those who waited did it where the table says."""
    assert abs(sum(e["phases"].values()) - e["duration_ms"]) < 0.01, e
    if fault.phase != "-":
        assert e["phases"][fault.phase] >= WAITED_MS, e
        assert e["phases"][fault.phase] >= e["duration_ms"] / 2, e


def check_counted(gw, fault, e):
    gw.until(lambda: gw.metric("weir_requests_total", reason=fault.name, code=str(e["status"])) == 1,
             5, "the metric of " + fault.name)


def check_proxy_status(fault, m):
    assert m.get("proxy-status").decode() == 'weir-gateway; error=%s; details="%s"' % (
        fault.error, fault.name)
    assert m.has("retry-after") == (fault.status in (429, 503)), fault.name


def check(gw, fault, m):
    """What was answered, if anything was, what was logged, and what was counted."""
    e = gw.wait_access(lambda e: e["reason"] == fault.name)
    check_line(fault, e)
    check_counted(gw, fault, e)
    if m is None:
        # what had begun as 200 was cut; 499 is never sent
        assert e["status"] == (fault.status if fault.status == 499 else 200), fault.name
        return
    problem = json.loads(m.body)
    assert m.get("content-type") == b"application/problem+json", fault.name
    assert (m.status, e["status"], problem["status"]) == (fault.status,) * 3, fault.name
    assert problem["reason"] == fault.name and problem["title"]
    assert problem["type"].endswith("#" + fault.name)
    assert problem["request_id"] == e["request_id"] != "", fault.name
    check_proxy_status(fault, m)


def check_grpc(gw, fault, m):
    """Trailers-only: 200, no body, the status in the head; the rest tells the same as ever."""
    e = gw.wait_access(lambda e: e["reason"] == fault.name)
    check_line(fault, e)
    check_counted(gw, fault, e)
    assert (m.status, m.body, e["status"]) == (200, b"", 200), fault.name
    assert m.get("content-type") == b"application/grpc"
    assert int(m.get("grpc-status")) == fault.grpc and m.get("grpc-message"), fault.name
    check_proxy_status(fault, m)


def provoke(start, origins, full, reasons, text=TEXT, more=(), judge=check):
    o = origins(misbehave)
    with Dns() as dns:
        # Ready by the admin listener: whoever looks at `web` may be the one client allowed.
        gw = start(text, env=dns.env, ready="admin", origin=o.address, nobody=free_port(),
                   full=full)
        ways = Ways(gw, o, more)
        answers = {reason: getattr(ways, reason)() for reason in reasons}
    for reason, m in answers.items():
        judge(gw, FAULTS[reason], m)
    assert sorted(e["reason"] for e in gw.access()) == sorted(reasons), "nothing else went wrong"


def test_all_tell_of_the_same_reason(start, origins, full):
    provoke(start, origins, full, [r for r in PROVOKED if r != "connection_limit"])


def test_all_tell_of_the_connection_limit(start, origins, full):
    provoke(start, origins, full, ["connection_limit"], TEXT + "limits: { connections: 1 }\n")


def test_grpc_is_told_the_same(start, origins, full):
    """Where the request's fields are known by then."""
    provoke(start, origins, full,
            ["no_route", "path_refused", "ip_denied", "upstream_unresolved",
             "upstream_connect_failed", "upstream_connect_timeout", "upstream_malformed",
             "upstream_header_too_large", "total_timeout"],
            more=[("Content-Type", "application/grpc")], judge=check_grpc)


def test_draining(start, origins):
    """The end cuts what still waits, and logs it."""
    o = origins(misbehave)
    gw = start(TEXT, origin=o.address, nobody=free_port(), full=free_port())
    with gw.client() as c:
        c.send("GET /long/silent HTTP/1.1\r\nHost: a\r\n\r\n")
        o.wait_requests(1)
        gw.kill(signal.SIGINT)
        assert gw.wait_exit() == 0
    assert [(e["reason"], e["status"]) for e in gw.access()] == [("draining", 0)]
    check_line(FAULTS["draining"], gw.access()[0])


def test_the_documents_say_what_the_table_says():
    assert documented() == {f.name: (f.status, f.grpc, f.error, f.blame) for f in FAULTS.values()}


def test_no_reason_is_left_out():
    elsewhere = {f.name for f in FAULTS.values() if f.how.startswith("tests/")}
    provoked = set(PROVOKED) | {"draining"}
    assert provoked | elsewhere == set(FAULTS) and not provoked & elsewhere

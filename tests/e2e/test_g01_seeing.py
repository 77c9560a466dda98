# SPDX-License-Identifier: Apache-2.0
"""Access log, metrics, Proxy-Status and problem+json tell one story."""

import collections
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from conftest import base
from harness import Eof, answer, free_port

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

FIELDS = {"time", "request_id", "listener", "route", "method", "host", "path", "protocol",
          "status", "reason", "upstream", "server", "attempts", "client_ip", "bytes_in",
          "bytes_out", "duration_ms", "phases", "user_agent"}


def test_access_log_fields(pair):
    gw, o = pair(routes="- { name: users, prefix: /users, upstream: origin }")
    with gw.client() as c:
        m = c.request("POST", "/users/7?secret=1", [("User-Agent", "t/1"),
                                                     ("Authorization", "Bearer s3cret")], b"hello")
    e = gw.wait_access()
    assert FIELDS <= set(e), FIELDS - set(e)
    want = {"listener": "web", "route": "users", "method": "POST", "host": "a.test",
            "path": "/users/7", "status": 200, "upstream": "origin", "server": o.address,
            "attempts": 1, "client_ip": "127.0.0.1", "user_agent": "t/1", "protocol": "HTTP/1.1"}
    assert {k: e[k] for k in want} == want
    assert not e["reason"]
    assert e["bytes_in"] == 5 and e["bytes_out"] == len(m.body), "bodies, and nothing else"
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", e["time"])
    assert "s3cret" not in gw.stdout() and "secret=1" not in gw.stdout()


def test_phases_add_up(pair):
    gw, _ = pair(lambda conn, req: conn.drip(answer(b"x" * 50), 0.002))
    gw.get()
    e = gw.wait_access()
    assert set(e["phases"]) <= {"headers", "auth", "queue", "connect", "first_byte", "body"}
    assert abs(sum(e["phases"].values()) - e["duration_ms"]) <= 1.0, e


LOCAL = {"/nowhere": 404, "/r": 200, "/to": 301, "/file": 413, "/empty": 204}


@pytest.mark.parametrize("path,method", [
    (p, m) for p in LOCAL for m in ("GET", "HEAD", "POST") if p != "/file" or m == "POST"])
def test_answers_of_our_own_are_logged_true(pair, path, method):
    """bytes_out is what the client got as the body, and time is told as for any other answer."""
    gw, _ = pair(routes="""
- { path: /r, respond: { body: hello } }
- { path: /empty, respond: { status: 204 } }
- { prefix: /to, redirect: { to: /elsewhere, status: 301 } }
- { prefix: /file, upstream: origin, body_limit: 1KiB }
""", route="hosts: [b.test]")
    with gw.client() as c:
        c.send(c.head(method, path, [("Content-Length", "2000")] if path == "/file" else
                      [("Content-Length", "0")])[:-2])
        time.sleep(0.2)     # the head's last bytes come late: that is `headers`
        c.send(b"\r\n")
        m = c.response(method)
    e = gw.wait_access()
    assert (m.status, e["status"]) == (LOCAL[path], LOCAL[path])
    assert e["bytes_out"] == len(m.body), e
    # a busy machine may read the first bytes late, and so have them wait for less
    assert 100 <= e["duration_ms"] < 2000 and e["phases"]["headers"] >= 100, e
    assert abs(sum(e["phases"].values()) - e["duration_ms"]) < 0.01, e


def test_log_is_json_whatever_the_client_sends(pair):
    gw, _ = pair()
    with gw.client() as c:
        c.send(b'GET /a"b%22%0a HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n')
        c.rest()
    with gw.client() as c:
        c.send(b'GET /x HTTP/1.1\r\nHost: a.test\r\nUser-Agent: "\\\xff\xc3\xa9\t\x80{}\r\n'
               b"Connection: close\r\n\r\n")
        assert c.response().status == 200
    with gw.client() as c:
        c.send(b"\x00\x01\xff\r\n\r\n")
        c.rest()
    gw.until(lambda: len(gw.access()) >= 2, 5, "lines that parse")


CASES = ["no_route", "malformed", "path", "uri", "head", "body", "connect", "closed", "rst",
         "badanswer", "timeout", "ip"]


def provoke(gw, what):
    """-> (answer, reason) of one way to fail."""
    with gw.client() as c:
        if what == "no_route":
            return c.request("GET", "/nowhere"), "no_route"
        if what == "malformed":
            c.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
            return c.response(), "request_malformed"
        if what == "path":
            return c.request("GET", "/o/a%2fb"), "path_refused"
        if what == "uri":
            return c.request("GET", "/" + "a" * 9000), "uri_too_long"
        if what == "head":
            return c.request("GET", "/o", [("X", "a" * 9000)]), "header_too_large"
        if what == "body":
            c.send(c.head("POST", "/o", [("Content-Length", str(1 << 30))]))
            return c.response("POST"), "body_too_large"
        target, reason = {"connect": ("/dead", "upstream_connect_failed"),
                          "closed": ("/o/closed", "upstream_closed"),
                          "rst": ("/o/rst", "upstream_reset"),
                          "badanswer": ("/o/bad", "upstream_malformed"),
                          "timeout": ("/o/timeout", "upstream_timeout"),
                          "ip": ("/ip", "ip_denied")}[what]
        return c.request("POST", target, body=b""), reason


def misbehave(conn, req):
    if req.target == b"/o/closed":
        conn.close()
    elif req.target == b"/o/rst":
        conn.rst()
    elif req.target == b"/o/bad":
        conn.send(b"NONSENSE\r\n\r\n")
    elif req.target == b"/o/timeout":
        conn.wait_gone(8)
    else:
        conn.send(answer(b"ok"))


@pytest.mark.parametrize("what", CASES)
def test_one_reason_everywhere(start, origins, what):
    o = origins(misbehave)
    gw = start("""
version: 1
listeners: { web: { listen: "127.0.0.1:@web@" } }
upstreams: { u: { servers: ["@origin@"] }, dead: { servers: ["@dead@"] } }
routes:
  - { name: o, prefix: /o, upstream: u, timeout: { first_byte: 300ms } }
  - { name: dead, prefix: /dead, upstream: dead }
  - { name: ip, prefix: /ip, upstream: u, ip: { deny: [127.0.0.0/8] } }
admin: { listen: "127.0.0.1:@admin@" }
workers: 1
""", origin=o.address, dead="127.0.0.1:%d" % free_port())
    m, reason = provoke(gw, what)
    problem = json.loads(m.body)
    assert m.get("content-type") == b"application/problem+json"
    assert problem["reason"] == reason and problem["status"] == m.status
    assert reason in problem["type"]
    e = gw.wait_access()
    assert (e["reason"], e["status"], e["request_id"]) == (reason, m.status, problem["request_id"])
    status = m.get("proxy-status").decode()
    assert re.match(r"\S+; (error|details)=", status), status
    gw.until(lambda: gw.metric("weir_requests_total", reason=reason, code=str(m.status)) == 1, 5,
             "the metric")
    assert (m.has("retry-after")) == (m.status in (429, 503))


def test_head_and_problem(pair):
    gw, _ = pair()
    with gw.client() as c:
        c.send("HEAD /%00 HTTP/1.1\r\nHost: a.test\r\n\r\n")
        m = c.response("HEAD")
        assert m.status == 400 and m.has("proxy-status")


def test_an_origins_error_is_not_ours(pair):
    gw, _ = pair(lambda conn, req: conn.send(answer(b"theirs", 503, (), b"Busy")))
    m = gw.get()
    assert m.status == 503 and m.body == b"theirs"
    assert not gw.wait_access()["reason"]


def test_metrics_count(pair):
    gw, o = pair()
    with gw.client() as c:
        for _ in range(7):
            c.request("GET", "/")

        def counted():
            return gw.metric("weir_requests_total", listener="web", code="200") == 7
        gw.until(counted, 5, "seven requests")
        assert gw.metric("weir_connections", listener="web") == 1
    m = gw.metrics()
    names = {k.split("{")[0] for k in m}
    for name in ("weir_request_duration_seconds_bucket", "weir_request_duration_seconds_count",
                 "weir_request_bytes_total", "weir_response_bytes_total",
                 "weir_connections_total", "weir_upstream_requests_total",
                 "weir_upstream_duration_seconds_count", "weir_upstream_connections",
                 "weir_upstream_connects_total", "weir_config_last_reload_successful",
                 "weir_config_generation", "weir_log_dropped_total",
                 "process_resident_memory_bytes", "process_open_fds"):
        assert name in names, name
    assert gw.metric("weir_upstream_requests_total", upstream="origin", code="200") == 7
    assert gw.metric("weir_upstream_connects_total", upstream="origin") == len(o.conns)
    assert gw.metric("weir_request_duration_seconds_count", listener="web") == 7


def test_metrics_text_is_sound(pair):
    """Every family has HELP and TYPE once, before its samples, and samples are unique."""
    gw, _ = pair()
    gw.get()
    typed, seen = {}, set()
    for line in gw.admin("/metrics").body.decode().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in typed
            typed[name] = kind
        elif line and not line.startswith("#"):
            series, _ = line.rsplit(" ", 1)
            assert series not in seen, "twice: " + series
            seen.add(series)
            name = re.match(r"[\w:]+", series)[0]
            family = re.sub(r"_(bucket|sum|count)$", "", name)
            assert name in typed or family in typed, "untyped " + name


PARSE = """
import json, sys
from prometheus_client.parser import text_string_to_metric_families as text
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
read = {"text": text, "openmetrics": openmetrics}[sys.argv[1]]
json.dump([(f.name, f.type, f.unit, f.documentation,
            [(s.name, s.labels, s.value) for s in f.samples]) for f in read(sys.stdin.read())],
          sys.stdout)
"""


def parsed(gw, kind):
    """The metrics as prometheus_client reads them, a reader that is not ours."""
    fields = [("Accept", "application/openmetrics-text; version=1.0.0")] if kind != "text" else []
    with gw.client("admin") as c:
        m = c.request("GET", "/metrics", fields, host="localhost")
    assert m.get("content-type").startswith(b"text/plain" if kind == "text" else
                                            b"application/openmetrics-text")
    python = sys.executable if importlib.util.find_spec("prometheus_client") else "/usr/bin/python3"
    done = subprocess.run([python, "-c", PARSE, kind], input=m.body, stdout=subprocess.PIPE,
                          timeout=30, check=True)
    return json.loads(done.stdout)


def documented_metrics():
    with open(os.path.join(TOP, "docs", "metrics.md"), encoding="utf-8") as f:
        text = f.read()
    return (set(re.findall(r"(?m)^\| `(\w+)` \|", text)),
            set(re.findall(r"`(process_\w+|weir_build_info)[`{]", text)))


@pytest.mark.parametrize("kind", ["text", "openmetrics"])
def test_metrics_as_somebody_else_reads_them(pair, kind):
    gw, _ = pair()
    gw.get()
    gw.get("/%zz")
    gw.wait_access(lambda e: e["reason"])
    families = parsed(gw, kind)
    for name, type_, unit, documentation, samples in families:
        assert documentation.endswith("."), name
        assert type_ != "unknown" or name == "weir_connections_total", name
        assert kind == "text" or unit == next(
            (u for u in ("seconds", "bytes") if name.endswith("_" + u)), ""), name
        # only where there is something to count
        assert samples or name in ("weir_retries", "weir_mirror"), name
    table, more = documented_metrics()
    shown = {name + "_total" * (type_ == "counter") for name, type_, *_ in families}
    shown = {n + "_info" * (n == "weir_build") for n in shown}
    assert shown == table | more, "what is shown is what docs/metrics.md tells of"
    ours = {f[0]: f for f in families}["weir_requests"]
    assert sum(v for n, labels, v in ours[4] if n == "weir_requests_total") == 2


def test_label_sets_are_bounded(start):
    """More routes than a metric has room for: the rest is counted together, and that is counted."""
    routes = "".join("- { name: r%d, path: /r%d, respond: { status: 204 } }\n" % (i, i)
                     for i in range(530))
    gw = start("version: 1\nlisteners: { web: { listen: 127.0.0.1:@web@ } }\nroutes:\n" + routes +
               "admin: { listen: 127.0.0.1:@admin@ }\nworkers: 1\nlog: { access: off }\n")
    with gw.client() as c:
        for i in range(530):
            assert c.request("GET", "/r%d" % i).status == 204
    name = "weir_request_duration_seconds"
    gw.until(lambda: gw.metric(name + "_count") == 530, 8, "all requests")
    sets = {labels["route"]: v for f in parsed(gw, "text") if f[0] == name
            for n, labels, v in f[4] if n == name + "_count"}
    assert len(sets) == 512 + 1 and sets["_other"] == 530 - 512
    assert gw.metric("weir_metrics_folded_total", metric=name) == 530 - 512
    assert gw.metric("weir_metrics_folded_total") == 530 - 512, "the others have room"
    assert gw.metric("weir_requests_total", route="r529") == 1


def test_retries_are_counted(start, origins):
    o = origins()
    gw = start("""
version: 1
listeners: { web: { listen: "127.0.0.1:@web@" } }
upstreams:
  half: { servers: ["@origin@", "127.0.0.1:@nobody@"], balance: round_robin }
  dead: { servers: ["127.0.0.1:@nobody@", "127.0.0.1:@noone@"] }
routes: [ { prefix: /half, upstream: half }, { prefix: /dead, upstream: dead } ]
admin: { listen: "127.0.0.1:@admin@" }
workers: 1
""", origin=o.address, nobody=free_port(), noone=free_port())
    for _ in range(4):
        assert gw.get("/half").status == 200
    assert gw.get("/dead").status == 503
    gw.until(lambda: len(gw.access()) == 5, 8, "all lines")
    tries = collections.Counter()
    for e in gw.access():
        tries[e["upstream"]] += e["attempts"] - 1
    assert tries["half"] == gw.metric("weir_retries_total", upstream="half", result="ok") > 0
    assert gw.metric("weir_retries_total", upstream="half", result="failed") == 0
    assert tries["dead"] == gw.metric("weir_retries_total", upstream="dead", result="failed") == 1
    assert gw.metric("weir_retries_total", upstream="dead", result="ok") == 0


def test_labels_are_bounded(pair):
    """What clients choose never becomes a label."""
    gw, _ = pair()
    with gw.client() as c:
        for i in range(200):
            c.request("M%d" % i, "/p%d" % i, [("X-%d" % i, "v")], host="h%d.test" % i)
    gw.until(lambda: gw.metric("weir_requests_total") >= 200, 5, "200 requests")
    series = [k for k in gw.metrics() if k.startswith("weir_requests_total")]
    assert len(series) < 20, series[:30]


def test_admin_pages(pair):
    gw, _ = pair()
    assert gw.admin("/healthz").status == 200
    assert gw.admin("/readyz").status == 200
    status = gw.admin("/status")
    assert status.status == 200 and json.loads(status.body) is not None
    assert gw.admin("/nowhere").status == 404
    assert gw.admin("/metrics").get("content-type").startswith(b"text/plain")
    assert gw.get("/metrics").body == b"GET /metrics", "not on the public listener"


def test_admin_is_read_only_over_tcp(pair):
    gw, _ = pair()
    assert gw.admin("/drain", "POST").status in (403, 404, 405)
    assert gw.get().status == 200


def test_log_never_blocks(start, origin):
    """stdout is a pipe that nobody reads: service goes on, what is dropped is counted."""
    r, w = os.pipe()
    try:
        gw = start(base(), origin=origin.address, stdout=w)
        os.close(w)
        w = -1
        with gw.client() as c:
            for i in range(3000):
                m = c.request("GET", "/%d" % i + "x" * 200)
                assert m.status == 200
                if m.get("connection") == b"close":
                    c.close()
                    c.__init__(gw.port())
        gw.until(lambda: gw.metric("weir_log_dropped_total") > 0, 10, "a count of what is lost")
        assert gw.get().status == 200
        assert gw.stop(signal.SIGTERM, 40) == 0, "the end does not wait for the reader"
    finally:
        os.close(r)
        if w >= 0:
            os.close(w)


def test_log_file_and_reopen(start, origin, tmp_path):
    log = tmp_path / "access.log"
    gw = start(base(more="log: { access: %s }" % log), origin=origin.address)
    gw.get("/one")
    gw.until(lambda: log.exists() and "/one" in log.read_text(), 5, "the line")
    log.rename(tmp_path / "access.log.1")
    gw.kill(signal.SIGUSR1)
    gw.until(log.exists, 5, "a new file")
    gw.get("/two")
    gw.until(lambda: "/two" in log.read_text(), 5, "the line in the new file")


def test_log_rotation_loses_nothing(start, origin, tmp_path):
    """As logrotate does it: rename, signal, go on, while requests come."""
    log = tmp_path / "access.log"
    gw = start(base(workers=2, more="log: { access: %s }" % log), origin=origin.address)
    done = threading.Event()
    sent = []

    def load():
        while not done.is_set():
            assert gw.get("/%d" % len(sent)).status == 200
            sent.append(len(sent))
    t = threading.Thread(target=load)
    t.start()
    try:
        for n in range(1, 6):
            at = len(sent)
            gw.until(lambda: len(sent) >= at + 20, 8, "some requests")
            log.rename("%s.%d" % (log, n))
            gw.kill(signal.SIGUSR1)
            gw.until(log.exists, 5, "a new file")
    finally:
        done.set()
        t.join()
    assert gw.stop(signal.SIGTERM, 40) == 0
    lines = [json.loads(line) for f in sorted(tmp_path.glob("access.log*"))
             for line in f.read_text().splitlines()]
    assert sorted(int(e["path"][1:]) for e in lines) == sent
    assert all(f.stat().st_size for f in tmp_path.glob("access.log*")), "each had its part"


def test_log_to_a_full_disk(start, origin):
    """Service goes on, each line is counted, and it is said once, not each time."""
    gw = start(base(more="log: { access: /dev/full }"), origin=origin.address)
    for n in range(1, 4):
        assert gw.get().status == 200
        gw.until(lambda n=n: gw.metric("weir_log_dropped_total") == n, 8, "the count")
    told = [e["msg"] for e in map(json.loads, gw.stderr().splitlines()) if "cannot write" in e["msg"]]
    assert len(told) == 1 and "No space left" in told[0], told


def test_log_without_a_reader(start, origin):
    """The reader of the pipe is gone."""
    r, w = os.pipe()
    gw = start(base(), origin=origin.address, stdout=w)
    os.close(w)
    os.close(r)
    assert gw.get().status == 200
    gw.until(lambda: gw.metric("weir_log_dropped_total") == 1, 8, "the count")
    assert gw.get().status == 200


def test_started_without_standard_output(start, origin):
    """No socket comes to stand where the log is written."""
    gw = start(base(), origin=origin.address, preexec=lambda: os.closerange(0, 2))
    m = gw.get("/x")
    assert m.status == 200 and m.body == b"GET /x"
    gw.until(lambda: gw.metric("weir_log_dropped_total") == 1, 8, "the count")
    assert gw.get("/y").body == b"GET /y"
    for fd in (0, 1):
        assert os.readlink("/proc/%d/fd/%d" % (gw.pid, fd)) == "/dev/null"


def test_log_sampled_by_status(start, origins):
    o = origins(lambda conn, req: conn.send(answer(b"", int(req.target[1:]))))
    gw = start(base(more="log: { access: { to: stdout, sample: { 2xx: 0%, 3xx: 50% } } }"),
               origin=o.address)
    with gw.client() as c:
        for status in [200] * 20 + [302] * 200 + [404] * 5 + [503] * 5:
            assert c.request("GET", "/%d" % status).status == status
    gw.wait_access(lambda e: e["status"] == 503)
    gw.until(lambda: sum(e["status"] == 503 for e in gw.access()) == 5, 5, "all errors")
    seen = collections.Counter((e["status"], e["sample_rate"]) for e in gw.access())
    assert set(seen) == {(302, 0.5), (404, 1), (503, 1)}, seen
    assert seen[404, 1] == 5 and 50 < seen[302, 0.5] < 150, seen
    # what is not logged is counted all the same
    assert gw.metric("weir_requests_total", code="200") == 20
    assert gw.metric("weir_log_dropped_total") == 0


def test_log_redaction(start, origin):
    fields = "fields: [path, query, status], request_headers: [X-Tenant, Authorization], " \
        "response_headers: [Content-Length, X-Nothing]"
    head = [("X-Tenant", "acme"), ("Authorization", "Bearer s3cret"), ("Cookie", "s3cret")]
    gw = start(base(more="log: { access: { to: stdout, %s } }" % fields), origin=origin.address)
    gw.get("/a?q=1&access_token=s3cret&n=2", head)
    e = gw.wait_access()
    assert e == {"path": "/a", "query": "q=1&access_token=***&n=2", "status": 200,
                 "request_headers": {"x-tenant": "acme", "authorization": "***"},
                 "response_headers": {"content-length": "", "x-nothing": ""}}
    gw.reload(base(more="log: { access: { to: stdout, redact: [X-Tenant, Q], %s } }" % fields))
    gw.get("/b?q=1&n=2", head)
    e = gw.wait_access(lambda e: e["path"] == "/b")
    assert e["query"] == "q=***&n=2" and e["request_headers"]["x-tenant"] == "***"
    assert "s3cret" not in gw.stdout()
    gw.reload(base(more="log: { access: { to: stdout, redact: off, %s } }" % fields))
    gw.get("/c?token=s3cret", head)
    e = gw.wait_access(lambda e: e["path"] == "/c")
    assert e["query"] == "token=s3cret"
    assert e["request_headers"] == {"x-tenant": "acme", "authorization": "Bearer s3cret"}


@pytest.mark.parametrize("target", ["http://u:p4ss@a.test/x", "/x\x01?token=p4ss", "//u:p4ss@a.test",
                                    "/x#p4ss", "u:p4ss@h:80"])
def test_refused_targets_are_logged_without_secrets(pair, target):
    gw, _ = pair()
    with gw.client() as c:
        c.send("GET %s HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n" % target)
        c.rest()
    e = gw.wait_access()
    # "//u:p4ss@a.test" is a path, and no user's
    assert ("p4ss" in json.dumps(e)) == target.startswith("//"), e


@pytest.mark.parametrize("access,says", [
    ("{ format: common, sample: { 2xx: 1% } }", "the common format has fields of its own: `sample`"),
    ("{ format: common, request_headers: [X] }", "`request_headers` is for json"),
    ("{ request_headers: [X-A, x-a] }", 'field "x-a" stands twice'),
    ("{ request_headers: [%s] }" % ("x" * 65), "a name of more than 64 bytes is not logged"),
    ("{ request_headers: [a, b, c, d, e, f, g, h, i] }", "8"),
    ("{ sample: { 2xx: 101% } }", "101% is too large"),
    ("{ sample: { 2xx: 1 } }", "write 1%"),
    ("{ sample: { 2x: 1% } }", 'did you mean "2xx"'),
    ("{ redact: [] }", "redact"),
])
def test_mistakes_in_the_log_are_told(gateway_path, tmp_path, access, says):
    (tmp_path / "g.yaml").write_text("version: 1\nlisteners: { w: { listen: 8080 } }\nroutes: "
                                     "[{ prefix: /, respond: { status: 204 } }]\n"
                                     "log: { access: %s }\n" % access)
    done = subprocess.run([gateway_path, "check", "-c", str(tmp_path / "g.yaml")], timeout=30,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 1 and says in done.stdout, done.stdout
    assert "g.yaml:4:" in done.stdout, "at the right line"


def test_log_off(start, origin):
    gw = start(base(more="log: { access: off }"), origin=origin.address)
    gw.get("/one")
    gw.kill(signal.SIGTERM)
    gw.wait_exit(10)
    assert "/one" not in gw.stdout()


def test_error_log_is_json(start, origin):
    gw = start(base(), origin=origin.address)
    gw.write("nonsense: [")
    gw.kill(signal.SIGHUP)
    gw.until(lambda: gw.stderr().strip(), 5, "an error line")
    for line in gw.stderr().splitlines():
        assert "level" in json.loads(line)


def test_aborted_answers_are_logged_once(pair):
    def play(conn, req):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
        conn.close()
    gw, _ = pair(play)
    with gw.client() as c:
        c.send(c.head("GET", "/"))
        with pytest.raises(Eof):
            c.response()
    e = gw.wait_access()
    assert e["status"] == 200 and e["reason"] in ("upstream_closed", "upstream_reset")
    assert len(gw.access()) == 1

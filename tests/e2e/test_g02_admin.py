# SPDX-License-Identifier: Apache-2.0
"""The admin listener: its pages, its Unix socket, what it refuses, and its bounds."""

import datetime
import grp
import json
import os
import re
import socket
import stat
import subprocess
import time

import pytest

from conftest import base

TEXT = """
version: 1
listeners: {{ web: {{ listen: "127.0.0.1:@web@" }} }}
upstreams: {{ origin: {{ servers: ["@origin@"] }} }}
routes: [ {{ prefix: /, upstream: origin }} ]
admin: {{ listen: "127.0.0.1:@admin@", socket: admin.sock{more} }}
workers: 1
"""


def ready(gw):
    """The ports are bound before the Unix socket is."""
    gw.until(lambda: gw.admin("/readyz").status == 200, what="a gateway that serves")
    return gw


@pytest.fixture
def gw(start, origin):
    return ready(start(TEXT.format(more=""), origin=origin.address))


def ask(sock, raw):
    """-> (status, fields, body) of one exchange on a connection of its own."""
    with sock:
        sock.settimeout(8)
        sock.sendall(raw)
        data = b""
        while True:
            got = sock.recv(65536)
            if not got:
                break
            data += got
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), fields, body


def unix(gw):
    s = socket.socket(socket.AF_UNIX)
    s.connect(os.path.join(gw.dir, "admin.sock"))
    return s


def tcp(gw):
    return socket.create_connection(("127.0.0.1", gw.port("admin")))


def request(method, target, fields="", body=""):
    return ("%s %s HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n%s\r\n%s"
            % (method, target, fields, body)).encode()


def test_socket_is_ours_alone(gw):
    st = os.stat(os.path.join(gw.dir, "admin.sock"))
    assert stat.S_ISSOCK(st.st_mode) and stat.S_IMODE(st.st_mode) == 0o600
    for page in ("/metrics", "/healthz", "/readyz", "/status"):
        assert ask(unix(gw), request("GET", page))[0] == 200


def test_a_group_is_let_in(start, origin, gateway_path):
    """From the start on, and by a reload; nobody else ever is."""
    group = grp.getgrgid(os.getegid()).gr_name
    more = ', socket_group: "%s", socket_mode: "0660"' % group
    gw = ready(start(TEXT.format(more=more), origin=origin.address))

    def access():
        st = os.stat(os.path.join(gw.dir, "admin.sock"))
        return stat.S_IMODE(st.st_mode), st.st_gid
    assert access() == (0o660, os.getegid())
    gw.write(TEXT.format(more=""))
    assert ask(unix(gw), request("POST", "/reload"))[0] == 200
    assert access()[0] == 0o600
    gw.write(TEXT.format(more=more))
    assert ask(unix(gw), request("POST", "/reload"))[0] == 200
    assert access() == (0o660, os.getegid())
    for mode in ("0666", "0604", "4660", "660x", "6", "07770"):
        gw.write(TEXT.format(more=', socket_mode: "%s"' % mode))
        done = subprocess.run([gateway_path, "check", "-c", gw.file], stderr=subprocess.PIPE,
                              text=True, timeout=30, check=False)
        assert done.returncode == 1 and "nothing for others" in done.stderr, mode


def test_a_group_that_is_not_there_stops_nobody(start, origin):
    more = ', socket_group: no-such-group-here, socket_mode: "0660"'
    gw = ready(start(TEXT.format(more=more), origin=origin.address))
    assert 'there is no group \\"no-such-group-here\\"' in gw.stderr()
    st = os.stat(os.path.join(gw.dir, "admin.sock"))
    assert stat.S_IMODE(st.st_mode) == 0o600


def test_socket_goes_with_the_process(gw):
    gw.stop()
    assert not os.path.exists(os.path.join(gw.dir, "admin.sock"))


def test_status(gw):
    gw.get()
    status, fields, body = ask(unix(gw), request("GET", "/status"))
    got = json.loads(body)
    assert status == 200 and fields[b"content-type"] == b"application/json"
    assert got["pid"] == gw.pid and got["generation"] == 1 and got["workers"] == 1
    assert got["state"] == "serving" and got["program"] == "weir-gateway"
    assert list(got["listeners"]) == ["web"]
    assert got["routes"] == 1 and got["upstreams"] == 1


def test_status_says_how_the_last_reload_ended(gw):
    def last():
        return page(gw, "/status")["last_reload"]

    def reload(text):
        gw.write(text)
        begun = time.time()
        ask(unix(gw), request("POST", "/reload"))
        told = last()
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told["time"])
        at = datetime.datetime.fromisoformat(told.pop("time").replace("Z", "+00:00")).timestamp()
        assert begun - 2 < at < time.time() + 2
        return told
    good = TEXT.format(more="")
    assert last() is None
    assert reload(good) == {"ok": True, "generation": 2}
    failed = reload(good.replace("prefix: /,", "prefix: /, upsteam: x,"))
    line = 1 + good[:good.index("prefix: /,")].count("\n")
    assert (failed["ok"], failed["generation"]) == (False, 2)
    assert failed["error"].startswith('%s:%d:' % (gw.file, line))
    assert 'unknown key "upsteam"' in failed["error"] and "did you mean" in failed["error"]
    # Cut between letters, whatever the files say.
    for n in range(3):
        name = "x" * n + "\u20ac" * 80 + ".yaml"
        with open(os.path.join(gw.dir, name), "w", encoding="utf-8") as f:
            f.write("nonsense: 1\n")
        told = reload(good + "include: [ %s ]\n" % name)["error"]
        assert 253 <= len(told.encode()) <= 255 and told.endswith("\u20ac")
    assert reload(good) == {"ok": True, "generation": 3}


def page(gw, target, status=200):
    got = ask(unix(gw), request("GET", target))
    assert got[0] == status and got[1][b"content-type"] == b"application/json"
    return json.loads(got[2])


MANY = """
version: 1
listeners:
  web: { listen: "127.0.0.1:@web@" }
  other: { listen: "127.0.0.1:@other@", body_limit: 1KiB }
upstreams:
  origin: { servers: ["@origin@", { address: "localhost:@origin_port@", weight: 3 }] }
  spare: { servers: ["127.0.0.1:1"], balance: { hash: path } }
routes:
  - { name: shop, hosts: [shop.test, "*.shop.test"], prefix: /v1/, methods: [GET, PURGE], upstream: origin }
  - { path: /gone, listeners: [other], respond: { status: 410 } }
  - { name: both, prefix: /both, split: { origin: 95, spare: 5 } }
  - { name: moved, prefix: /old, redirect: { to: /new, status: 308 } }
admin: { listen: "127.0.0.1:@admin@", socket: admin.sock }
workers: 1
"""


@pytest.fixture
def many(start, origin):
    return ready(start(MANY, origin=origin.address, origin_port=origin.port))


def test_routes(many):
    """Each route once, though the listeners' policies differ, in the words of the file."""
    got = page(many, "/routes")
    assert (got["generation"], got["total"], got["offset"]) == (1, 4, 0) and "next" not in got
    shop, gone, both, moved = got["routes"]
    line = next(i for i, l in enumerate(MANY.splitlines(), 1) if "name: shop" in l)
    assert shop == {
        "name": "shop", "place": "%s:%d" % (many.file, line), "hosts": ["shop.test", "*.shop.test"],
        "prefix": "/v1", "methods": ["GET", "PURGE"], "listeners": ["web", "other"],
        "action": "upstream", "upstream": "origin"}
    assert gone["name"] == "routes[1]" and gone["path"] == "/gone" and "prefix" not in gone
    assert gone["listeners"] == ["other"] and (gone["action"], gone["status"]) == ("respond", 410)
    assert both["split"] == {"origin": 95, "spare": 5}
    assert (moved["action"], moved["status"]) == ("redirect", 308)
    names = [r["name"] for r in got["routes"]]
    for limit in (1, 2, 3, 4, 1000):
        seen, at = [], 0
        while at is not None:
            part = page(many, "/routes?limit=%d&offset=%d" % (limit, at))
            assert len(part["routes"]) <= limit and part["total"] == 4
            seen += [r["name"] for r in part["routes"]]
            at = part.get("next")
        assert seen == names
    assert page(many, "/routes?offset=4")["routes"] == []
    for wrong in ("limit=0", "limit=1001", "limit=x", "offset=-1", "offset="):
        assert page(many, "/routes?" + wrong, 400)["status"] == 400


def test_upstreams(many):
    for _ in range(4):
        assert many.get("/v1/x", host="shop.test").status == 200
    got = page(many, "/upstreams")
    assert got["total"] == 2 and got["generation"] == 1
    origin, spare = got["upstreams"]
    assert origin["name"] == "origin" and spare["balance"] == "hash"
    literal, named = origin["servers"]
    assert literal["addresses"] == [literal["server"]] == [many.names["origin"]]
    assert named["weight"] == 3 and named["server"].startswith("localhost:")
    assert "127.0.0.1:%d" % many.names["origin_port"] in literal["addresses"] + named["addresses"]
    many.until(lambda: sum(s["requests"] for s in page(many, "/upstreams")["upstreams"][0]["servers"])
               == 4, 5, "four requests counted")
    assert spare["servers"] == [{"server": "127.0.0.1:1", "weight": 1, "addresses": ["127.0.0.1:1"],
                                 "active": 0, "idle": 0, "requests": 0}]
    assert [u["name"] for u in page(many, "/upstreams?offset=1")["upstreams"]] == ["spare"]
    assert page(many, "/upstreams?limit=1")["next"] == 1


def test_connections(many):
    with socket.create_connection(("127.0.0.1", many.port())) as s:
        s.sendall(b"GET /v1/x HTTP/1.1\r\nHost: shop.test\r\n\r\n")
        assert s.recv(65536).startswith(b"HTTP/1.1 200")
        got = page(many, "/connections")
        assert got["open"] == 1 and got["limit"] > 0
        assert got["listeners"]["web"]["open"] == 1 <= got["listeners"]["web"]["accepted"]
        assert got["listeners"]["other"] == {"open": 0, "accepted": 0}
        assert sum(got["upstreams"].values()) == 1
        # A listener that the file has no more is told of while it has connections.
        s.sendall(b"POST /both HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx")
        many.until(lambda: page(many, "/connections")["upstreams"]["active"] == 1, 8, "a request")
        many.write(MANY.replace("  web: {", "  new: {").replace("@web@", "@new@"))
        assert ask(unix(many), request("POST", "/reload"))[0] == 200
        assert page(many, "/connections")["listeners"]["web"]["open"] == 1
    many.until(lambda: "web" not in page(many, "/connections")["listeners"], 8, "its end")


def test_pages_of_a_large_file(start, origin):
    """No page is larger, or takes longer, for what else there is."""
    n = 20000
    routes = "".join("\n  - { prefix: /r%d, respond: { status: 204 } }" % i for i in range(n))
    gw = start(TEXT.format(more="").replace("routes: [ {", "routes:%s\n  - {" % routes)
               .replace("origin } ]", "origin }"), origin=origin.address)
    last = page(gw, "/routes?offset=%d" % (n - 999))
    assert last["total"] == n + 1 and len(last["routes"]) == 1000 and "next" not in last
    assert [r["prefix"] for r in last["routes"][-2:]] == ["/r%d" % (n - 1), "/"]
    assert last["routes"][0]["name"] == "routes[%d]" % (n - 999)
    assert page(gw, "/routes")["next"] == 1000


def test_reload_over_the_socket(gw):
    status, _, body = ask(unix(gw), request("POST", "/reload"))
    assert status == 200 and json.loads(body) == {
        "ok": True, "program": "weir-gateway", "pid": gw.pid, "generation": 2, "errors": 0,
        "warnings": 0, "diagnostics": []}
    gw.write("nonsense: [")
    status, _, body = ask(unix(gw), request("POST", "/reload"))
    got = json.loads(body)
    assert status == 422 and not got["ok"] and got["generation"] == 2 and got["errors"] == 1
    assert gw.metric("weir_config_last_reload_successful") == 0
    assert gw.get().status == 200


def test_a_reload_that_fails_says_what_check_says(gw, gateway_path):
    """All mistakes with their places, and letters that a message cuts in two."""
    gw.write(TEXT.format(more=", wriite: true").replace("prefix: /,", "prefix: /, upsteam: x,")
             .replace("workers: 1", "workers: many\n'%s': 1" % ("a" * 63 + "\u00e9")))
    status, fields, body = ask(unix(gw), request("POST", "/reload"))
    got = json.loads(body)
    said = subprocess.run([gateway_path, "check", "--json", "-c", gw.file], timeout=30,
                          stdout=subprocess.PIPE, check=False)
    assert status == 422 and fields[b"content-type"] == b"application/json"
    assert said.returncode == 1 and got["diagnostics"] == json.loads(said.stdout)
    assert got["errors"] == len(got["diagnostics"]) == 4 and got["generation"] == 1
    assert {"line", "column", "message", "hint", "file"} <= set(got["diagnostics"][0])


def test_log_level(gw):
    def level():
        return json.loads(ask(unix(gw), request("GET", "/log-level"))[2])
    assert level() == {"level": "info"}
    for name, want in (("warn", 200), ("nonsense", 400), ("info", 200)):
        assert ask(unix(gw), request("POST", "/log-level?level=" + name))[0] == want
        assert level() == {"level": name if want == 200 else "warn"}
    assert ask(unix(gw), request("POST", "/log-level"))[0] == 400


def test_drain_over_the_socket(gw):
    status, _, body = ask(unix(gw), request("POST", "/drain"))
    assert status == 202
    assert json.loads(body) == {"ok": True, "program": "weir-gateway", "pid": gw.pid}
    assert gw.wait_exit() == 0


def test_no_changes_over_tcp(gw):
    for page in ("/reload", "/drain", "/log-level?level=error"):
        assert ask(tcp(gw), request("POST", page))[0] == 403
    assert gw.get().status == 200 and gw.metric("weir_config_generation") == 1


def test_changes_over_tcp_when_asked_for(start, origin):
    gw = start(TEXT.format(more=", write: true"), origin=origin.address)
    assert ask(tcp(gw), request("POST", "/reload"))[0] == 200
    assert gw.metric("weir_config_generation") == 2
    # A page in somebody's browser may send this, but not without saying so.
    assert ask(tcp(gw), request("POST", "/drain", "Origin: http://evil.test\r\n"))[0] == 403
    assert ask(tcp(gw), request("POST", "/drain"))[0] == 202
    assert gw.wait_exit() == 0


def test_methods(gw):
    status, fields, _ = ask(tcp(gw), request("POST", "/metrics"))
    assert status == 405 and fields[b"allow"] == b"get, head"
    status, fields, _ = ask(unix(gw), request("GET", "/drain"))
    assert status == 405 and fields[b"allow"] == b"post"
    status, fields, _ = ask(unix(gw), request("PUT", "/log-level"))
    assert status == 405 and fields[b"allow"] == b"get, head, post"
    status, fields, body = ask(tcp(gw), request("HEAD", "/healthz"))
    assert status == 200 and fields[b"content-length"] == b"3" and body == b""


def test_formats(gw):
    om = b"application/openmetrics-text; version=1.0.0; charset=utf-8"
    text = b"text/plain; version=0.0.4; charset=utf-8"
    for accept, want in (
            ("application/openmetrics-text;version=1.0.0,application/openmetrics-text;"
             "version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", om),
            ("application/openmetrics-text", om),
            ("application/openmetrics-text;version=2.0.0", text),
            ("application/openmetrics-text;q=0", text),
            ("application/openmetrics-text;q=0.1, text/plain", text),
            ("*/*", text), ("nonsense;;;q=", text)):
        status, fields, body = ask(tcp(gw), request("GET", "/metrics",
                                                    "Accept: %s\r\n" % accept))
        assert status == 200 and fields[b"content-type"] == want, accept
        assert body.endswith(b"# EOF\n") == (want == om)


def test_bodies_are_forgotten(gw):
    body = "x" * 60000
    assert ask(unix(gw), request("POST", "/log-level?level=info",
                                 "Content-Length: 60000\r\n", body))[0] == 200
    assert ask(unix(gw), request("POST", "/log-level?level=info",
                                 "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"))[0] == 200
    assert ask(unix(gw), request("POST", "/log-level?level=info",
                                 "Content-Length: 70000\r\n", "x" * 70000))[0] == 413


def test_nonsense(gw):
    for raw in (b"\x00\x01\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"):
        assert ask(tcp(gw), raw)[0] in (400, 414, 431)
    assert gw.admin("/healthz").status == 200


def test_pipelined(gw):
    with tcp(gw) as s:
        s.settimeout(8)
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 20 + request("GET", "/readyz"))
        data = b""
        while True:
            got = s.recv(65536)
            if not got:
                break
            data += got
    assert data.count(b"\r\n\r\nok\n") == 20 and data.endswith(b"\r\n\r\nready\n")


def test_the_next_request_on_the_connection(gw):
    """It may be there as soon as the answer is."""
    with gw.client("admin") as c:
        for _ in range(500):
            assert c.request("GET", "/readyz").status == 200


def test_connections_are_bounded(gw):
    socks = [tcp(gw) for _ in range(100)]
    try:
        for s in socks:
            s.settimeout(8)
            s.sendall(b"G")     # one that says nothing may wait in the kernel
        gone = 0
        for s in socks[64:]:
            try:
                gone += s.recv(1) == b""
            except ConnectionResetError:
                gone += 1
        assert gone == 36
        socks[0].sendall(request("GET", "/healthz")[1:])
        assert socks[0].recv(65536).startswith(b"HTTP/1.1 200")
    finally:
        for s in socks:
            s.close()
    gw.until(lambda: gw.admin("/healthz").status == 200, 5, "room again")


def test_a_slow_reader_holds_nobody(gw):
    with tcp(gw) as s:
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 200)
        for _ in range(20):
            assert gw.admin("/healthz").status == 200


def test_a_socket_left_behind(start, origin, tmp_path):
    path = str(tmp_path / "admin.sock")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
    text = TEXT.format(more="").replace("admin.sock", path)
    first = start(text, origin=origin.address)

    def pid():
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
        return json.loads(ask(s, request("GET", "/status"))[2])["pid"]
    assert pid() == first.pid
    # While its owner lives nobody takes it, and that stops nobody.
    second = start(text, origin=origin.address)
    second.until(lambda: "no Unix socket" in second.stderr(), what="the warning")
    assert path + ": it is taken; `admin: { socket: PATH }` gives this process" in second.stderr()
    assert second.get().status == 200
    assert pid() == first.pid
    # It is said once, not with each reload.
    second.reload()
    second.reload()
    assert second.stderr().count("no Unix socket") == 1
    second.stop()
    assert pid() == first.pid


def test_a_file_that_is_no_socket_stays(start, origin, tmp_path):
    path = tmp_path / "admin.sock"
    path.write_text("mine")
    gw = start(TEXT.format(more="").replace("admin.sock", str(path)), origin=origin.address)
    gw.until(lambda: "no Unix socket" in gw.stderr(), what="the warning")
    gw.stop()
    assert path.read_text() == "mine"


def test_listeners_follow_the_file(gw):
    old = gw.port("admin")
    moved = TEXT.format(more="").replace("@admin@", "@admin2@").replace("admin.sock", "b.sock")
    gw.write(moved)
    assert ask(unix(gw), request("POST", "/reload"))[0] == 200
    gw.ports["admin"] = gw.ports["admin2"]
    assert gw.admin("/healthz").status == 200
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", old), 2).close()
    assert not os.path.exists(os.path.join(gw.dir, "admin.sock"))
    assert os.path.exists(os.path.join(gw.dir, "b.sock"))


def test_a_log_that_cannot_be_opened_changes_nothing(start, origin):
    gw = start(base(more=""), origin=origin.address)
    gw.write(base(more="log: { access: /nowhere/at/all/access.log }"))
    os.kill(gw.pid, 1)
    gw.until(lambda: gw.metric("weir_config_last_reload_successful") == 0, 5, "a refusal")
    assert gw.metric("weir_config_generation") == 1 and "/nowhere/at/all" in gw.stderr()
    gw.get("/still")
    gw.wait_access(lambda e: e["path"] == "/still")

# SPDX-License-Identifier: Apache-2.0
"""Servers, balancing, pools, replay."""

import os
import socket
import tempfile
from collections import Counter

import pytest

from harness import answer, free_port


def conf(servers, upstream="", route=""):
    return """
version: 1
listeners: { web: { listen: "127.0.0.1:@web@" } }
upstreams:
  u:
    servers: [%s]
    %s
routes:
  - prefix: /
    upstream: u
    %s
admin: { listen: "127.0.0.1:@admin@" }
workers: 1
""" % (", ".join('"%s"' % s if isinstance(s, str) else s[0] for s in servers), upstream, route)


def spread(gw, origins, n, headers=lambda i: ()):
    with gw.client() as c:
        for i in range(n):
            assert c.request("GET", "/%d" % i, headers(i)).status == 200
    return [len(o.requests) for o in origins]


def test_unix_socket(start, origins):
    with tempfile.TemporaryDirectory() as tmp:
        o = origins(path=os.path.join(tmp, "o.sock"))
        gw = start(conf([o.address]))
        assert gw.get("/u").body == b"GET /u"


def test_ipv6(start, origins):
    try:
        o = origins(host="::1")
    except OSError:
        pytest.fail("this machine has no ::1")
    gw = start(conf(["[::1]:%d" % o.port]))
    assert gw.get("/6").body == b"GET /6"


def test_name(start, origins):
    o = origins()
    gw = start(conf(["localhost:%d" % o.port]))
    assert gw.get("/n").body == b"GET /n"


def test_round_robin_is_even(start, origins):
    os_ = [origins() for _ in range(3)]
    gw = start(conf([o.address for o in os_], "balance: round_robin"))
    assert spread(gw, os_, 30) == [10, 10, 10]


def test_round_robin_weights(start, origins):
    os_ = [origins() for _ in range(2)]
    servers = [os_[0].address, ("{ address: \"%s\", weight: 3 }" % os_[1].address,)]
    gw = start(conf(servers, "balance: round_robin"))
    assert spread(gw, os_, 40) == [10, 30]


@pytest.mark.parametrize("balance", ["random", "least_request"])
def test_every_server_is_used(start, origins, balance):
    os_ = [origins() for _ in range(3)]
    gw = start(conf([o.address for o in os_], "balance: " + balance))
    got = spread(gw, os_, 300)
    assert min(got) > 50, got


def test_least_request_avoids_the_busy(start, origins):
    import threading
    go = threading.Event()

    def hold(conn, req):
        if req.target == b"/hold":
            go.wait(10)
        conn.send(answer(b"x"))
    os_ = [origins(hold), origins(hold)]
    gw = start(conf([o.address for o in os_], "balance: least_request"))
    held = []
    for i in range(10):
        c = gw.client(timeout=15)
        c.send(c.head("GET", "/hold"))
        held.append(c)
        gw.until(lambda: sum(len(o.requests) for o in os_) == i + 1, 5, "the held request")
    try:
        assert abs(len(os_[0].requests) - len(os_[1].requests)) <= 2
    finally:
        go.set()
    for c in held:
        assert c.response().status == 200


@pytest.mark.parametrize("by,headers", [
    ("{ header: X-User }", lambda i: [("X-User", "user-%d" % (i % 20))]),
    ("{ cookie: sid }", lambda i: [("Cookie", "a=b; sid=s%d" % (i % 20))]),
])
def test_hash_is_sticky(start, origins, by, headers):
    os_ = [origins() for _ in range(3)]
    gw = start(conf([o.address for o in os_], "balance: { hash: %s }" % by))
    spread(gw, os_, 200, headers)
    where = Counter()
    for k, o in enumerate(os_):
        for key in {tuple(r.all("x-user") + r.all("cookie")) for r in o.requests}:
            where[key] += 1
    assert len(where) == 20 and set(where.values()) == {1}, "one server a key"
    assert all(o.requests for o in os_), "20 keys over 3 servers"


def test_hash_by_path(start, origins):
    os_ = [origins() for _ in range(3)]
    gw = start(conf([o.address for o in os_], "balance: { hash: path }"))
    with gw.client() as c:
        for i in range(100):
            c.request("GET", "/p%d" % (i % 10))
    sets = [{r.target for r in o.requests} for o in os_]
    assert sum(len(s) for s in sets) == 10


def test_hash_by_client_address(start, origins):
    os_ = [origins() for _ in range(3)]
    gw = start(conf([o.address for o in os_], "balance: { hash: client_ip }"))
    for i in range(40):
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", gw.port()),
                                          source_address=("127.0.0.%d" % (i + 1), 0)) as s:
                s.sendall(b"GET /%d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % i)
                assert s.recv(65536).startswith(b"HTTP/1.1 200 ")
    targets = [{r.target for r in o.requests} for o in os_]
    assert sum(len(t) for t in targets) == 40, "one server an address"
    assert all(targets), "40 addresses over 3 servers"


def test_failed_connect_tries_another(start, origins):
    o = origins()
    gw = start(conf(["127.0.0.1:%d" % free_port(), o.address], "balance: round_robin"))
    with gw.client() as c:
        for i in range(20):
            assert c.request("GET", "/").status == 200
            assert c.request("POST", "/", body=b"x").status == 200
    assert len(o.requests) == 40


def test_connections_are_reused_last_in_first_out(start, origins):
    o = origins()
    gw = start(conf([o.address]))
    clients = [gw.client() for _ in range(8)]
    for c in clients:
        assert c.request("GET", "/").status == 200
    assert len(o.conns) == 1, "one after the other needs one connection"
    for c in clients:
        c.close()


def test_pool_drops_what_the_server_ended(start, origins):
    """An idle connection that the server closed is noticed before it is used."""
    o = origins()
    gw = start(conf([o.address]))
    with gw.client() as c:
        for i in range(10):
            assert c.request("POST", "/", body=b"x").status == 200
            o.conns[-1].close()
            o.conns[-1].closed.wait(5)
    assert len(o.requests) == 10 and len(o.conns) == 10


def test_bytes_on_an_idle_connection_end_it(start, origins):
    o = origins()
    gw = start(conf([o.address]))
    with gw.client() as c:
        assert c.request("GET", "/one").status == 200
        o.conns[0].send(answer(b"poison"))
        assert o.wait(lambda: o.conns[0].closed.is_set(), 5)
        assert c.request("GET", "/two").body == b"GET /two"
    assert len(o.conns) == 2


@pytest.mark.parametrize("how", ["close", "rst"])
def test_dead_reused_connection_is_replayed_once(start, origins, how):
    def play(conn, req):
        if req.target == b"/dies" and len(conn.requests) > 1:
            getattr(conn, how)()
        else:
            conn.send(answer(b"fine"))
    o = origins(play)
    gw = start(conf([o.address]))
    with gw.client() as c:
        assert c.request("GET", "/warm").status == 200
        m = c.request("GET", "/dies")
        assert (m.status, m.body) == (200, b"fine")
    assert [r.target for r in o.requests].count(b"/dies") == 2


@pytest.mark.parametrize("how", ["close", "rst"])
@pytest.mark.parametrize("size", [5, 3000, 40000])
def test_put_with_a_body_is_replayed(start, origins, how, size):
    body = bytes(i * 7 % 251 for i in range(size))

    def play(conn, req):
        if req.method == b"PUT" and len(conn.requests) > 1:
            getattr(conn, how)()
        else:
            conn.send(answer(b"fine"))
    o = origins(play)
    gw = start(conf([o.address]))
    with gw.client() as c:
        assert c.request("GET", "/warm").status == 200
        m = c.request("PUT", "/thing", body=body)
        assert (m.status, m.body) == (200, b"fine")
    assert [r.body for r in o.requests if r.method == b"PUT"] == [body, body]


def test_post_that_was_read_is_not_replayed(start, origins):
    def play(conn, req):
        if req.method == b"POST":
            conn.close()
        else:
            conn.send(answer(b"fine"))
    o = origins(play)
    gw = start(conf([o.address]))
    with gw.client() as c:
        assert c.request("GET", "/warm").status == 200
        assert c.request("POST", "/order", body=b"1").status == 502
    assert [r.method for r in o.requests].count(b"POST") == 1, "an order is placed once"


def test_post_with_answered_bytes_is_not_replayed(start, origins):
    def play(conn, req):
        if req.method == b"POST":
            conn.send(b"HTTP/1.1 200 OK\r\nConte")
            conn.close()
        else:
            conn.send(answer(b"fine"))
    o = origins(play)
    gw = start(conf([o.address]))
    with gw.client() as c:
        assert c.request("GET", "/warm").status == 200
        assert c.request("POST", "/order", body=b"1").status == 502
    assert [r.method for r in o.requests].count(b"POST") == 1, "an order is placed once"


def test_keepalive_of_the_server_is_learned(start, origins):
    o = origins(lambda conn, req: conn.send(
        answer(b"x", 200, [("Keep-Alive", "timeout=1")])))
    gw = start(conf([o.address]))
    assert gw.get().status == 200
    assert o.wait(lambda: o.conns[0].closed.is_set(), 5), "closed before the server would"


def test_pool_idle_timeout(start, origins):
    o = origins()
    gw = start(conf([o.address], "pool: { idle: 4, idle_timeout: 300ms }"))
    assert gw.get().status == 200
    assert o.wait(lambda: o.conns[0].closed.is_set(), 5)


def test_none_left(start, origins):
    gw = start(conf(["127.0.0.1:%d" % free_port(), "127.0.0.1:%d" % free_port()]))
    m = gw.get()
    assert m.status == 503 and m.has("retry-after")


def test_names_that_do_not_resolve(start, origins):
    gw = start(conf(["does-not-exist.invalid:80"]))
    m = gw.get()
    assert m.status in (503, 504) and m.has("proxy-status")


def test_origin_restarts(start, origins):
    o = origins()
    port = o.port
    gw = start(conf([o.address]))
    with gw.client() as c:
        assert c.request("GET", "/").status == 200
        o.stop()
        assert c.request("GET", "/").status in (502, 503)
        o = origins(port=port)
        gw.until(lambda: c.request("GET", "/").status == 200, 15, "service after the restart")

# SPDX-License-Identifier: Apache-2.0
"""A reload keeps connections and forks nothing; a bad file changes nothing."""

import json
import threading
import time

from conftest import base
from harness import Eof, answer

RESPOND = "- { prefix: /v, respond: { status: 200, body: \"%s\" } }"


def test_route_changes_on_a_kept_connection(start, origin):
    gw = start(base(routes=RESPOND % "one"), origin=origin.address)
    with gw.client() as c:
        assert c.request("GET", "/v").body == b"one"
        gw.reload(base(routes=RESPOND % "two"))
        assert c.request("GET", "/v").body == b"two"
        assert c.request("GET", "/").status == 200
    assert not gw.children(), "nothing is forked"
    assert gw.metric("weir_config_last_reload_successful") == 1


def test_upstream_connections_survive_when_unchanged(start, origin):
    gw = start(base(), origin=origin.address)
    with gw.client() as c:
        c.request("GET", "/")
        gw.reload(base(routes=RESPOND % "x"))
        c.request("GET", "/")
    assert len(origin.conns) == 1, "an unchanged upstream keeps its pool"


def test_bad_file_changes_nothing(start, origin):
    good = base(routes=RESPOND % "one")
    gw = start(good, origin=origin.address)
    with gw.client() as c:
        assert c.request("GET", "/v").body == b"one"
        for bad in ("version: 1\nroutes: [", good.replace("upstream: origin", "upsteam: origin"),
                    "", good + "\nlisteners: {}\n"):
            before = gw.stderr()
            gw.write(bad)
            gw.kill(1)
            gw.until(lambda: gw.metric("weir_config_last_reload_successful") == 0, 5, "a refusal")
            assert gw.stderr() != before, "the log says why"
            assert c.request("GET", "/v").body == b"one"
            gw.reload(good)
            assert gw.metric("weir_config_last_reload_successful") == 1


def test_request_in_flight_ends_on_its_old_route(start, origins):
    go = threading.Event()

    def play(conn, req):
        go.wait(10)
        conn.send(answer(b"old"))
    o = origins(play)
    gw = start(base(), origin=o.address)
    with gw.client() as c:
        c.send(c.head("GET", "/slow"))
        o.wait_requests(1)
        gw.reload(base().replace("prefix: /\n    upstream: origin", "prefix: /\n    respond: "
                                 "{ status: 200, body: new }").replace(
                                     "upstreams:\n  origin:\n    servers: [\"@origin@\"]\n    ", ""))
        go.set()
        assert c.response().body == b"old"
        assert c.request("GET", "/").body == b"new"


def test_listeners_come_and_go(start, origin):
    one = base()
    two = base().replace("upstreams:", "  more: { listen: \"127.0.0.1:@more@\" }\nupstreams:", 1)
    gw = start(one, origin=origin.address)
    with gw.client() as kept:
        assert kept.request("GET", "/").status == 200
        gw.reload(two)
        with gw.client("more") as c:
            assert c.request("GET", "/more").body == b"GET /more"
            gw.reload(one)

            def refused():
                try:
                    gw.client("more").close()
                    return False
                except OSError:
                    return True
            gw.until(refused, 5, "the end of the listener")
        assert kept.request("GET", "/").status == 200


def test_a_changed_number_of_workers_says_what_it_needs(start, origin):
    gw = start(base(workers=1), origin=origin.address)
    gw.reload(base(workers=2))
    gw.until(lambda: "workers: 2 takes effect with the next start; 1 are running" in gw.stderr(),
             5, "a word about it")
    assert json.loads(gw.admin("/status").body)["workers"] == 1 and gw.get().status == 200


def test_port_taken_leaves_the_old_alone(start, origin):
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(1)
        gw = start(base(), origin=origin.address)
        text = base().replace("upstreams:", "  more: { listen: \"127.0.0.1:%d\" }\nupstreams:"
                              % s.getsockname()[1], 1)
        gw.write(text)
        gw.kill(1)
        gw.until(lambda: gw.metric("weir_config_last_reload_successful") == 0, 5, "a refusal")
        assert gw.get().status == 200


class Load(threading.Thread):
    """Requests without a pause; every fault is kept."""

    def __init__(self, gw, stop, keep):
        super().__init__(daemon=True)
        self.gw, self.stopping, self.keep = gw, stop, keep
        self.done, self.faults = 0, []

    def run(self):
        c = None
        while not self.stopping.is_set():
            try:
                if c is None:
                    c = self.gw.client()
                m = c.request("GET", "/load")
                if m.status != 200:
                    self.faults.append(m.status)
                self.done += 1
                if not self.keep or m.get("connection") == b"close":
                    c.close()
                    c = None
            except (OSError, Eof) as e:
                self.faults.append(repr(e))
                c = None


def reload_under_load(start, origin, times, pause):
    gw = start(base(workers=2), origin=origin.address)
    stop = threading.Event()
    loads = [Load(gw, stop, i % 2 == 0) for i in range(4)]
    for t in loads:
        t.start()
    for i in range(min(20, times)):
        gw.reload(base(workers=2, routes=RESPOND % i))
    rss = gw.rss_kib()
    fds = gw.fds()
    for i in range(times):
        gw.reload(base(workers=2, routes=RESPOND % i))
        time.sleep(pause)
    stop.set()
    for t in loads:
        t.join(10)
    faults = [f for t in loads for f in t.faults]
    assert not faults, faults[:5]
    assert sum(t.done for t in loads) > times
    grown = gw.rss_kib() - rss
    assert grown < gw.may_grow_kib(2048), "memory grew by %d KiB" % grown
    assert gw.fds() <= fds + 16
    assert gw.get("/v").body == b"%d" % (times - 1)


def test_reloads_under_load(start, origin, quick):
    reload_under_load(start, origin, 30 if quick else 200, 0.01 if quick else 0.1)


def test_a_storm_of_signals_is_one_reload_at_a_time(start, origin):
    gw = start(base(routes=RESPOND % "one"), origin=origin.address)
    gw.write(base(routes=RESPOND % "last"))
    for _ in range(50):
        gw.kill(1)
    gw.until(lambda: gw.get("/v").body == b"last", 5, "the new file")
    assert gw.alive()

# SPDX-License-Identifier: Apache-2.0
"""`explain` agrees with reality: what it says of a request, of files and of the process that runs,
is what an origin then sees."""

import json
import os
import random
import re
import subprocess
import urllib.parse

import pytest

from harness.origin import answer

LISTENERS = ["web", "other"]
HOSTS = ["a.test", "b.test", "*.a.test", "*.test"]
ASKED = ["a.test", "A.test", "x.a.test", "y.x.a.test", "c.test", "a.test.", "elsewhere", "10.0.0.1"]
METHODS = ["GET", "POST", "PUT", "PURGE", "OPTIONS"]
SEGMENTS = ["a", "b", "ab", "A", "c.d", "a;p", "%C3%A9", "a%2Fb"]
ORIGINS = ["o0", "o1", "o2", "o3"]


def seed():
    return int(os.environ.get("WEIR_TEST_SEED", "20260201"))


# ---- chance: configurations ----

def some_path(rnd, most=3):
    return "".join("/" + rnd.choice(SEGMENTS[:rnd.choice((2, 4, len(SEGMENTS)))])
                   for _ in range(rnd.randint(0, most))) or "/"


def some_balance(rnd):
    return rnd.choice([
        "round_robin", "least_request", "random", {"hash": "client_ip"}, {"hash": "path"},
        {"hash": {"header": "X-User"}}, {"hash": {"cookie": "who"}}])


def some_upstreams(rnd):
    out = {}
    for name in ("solo", "many", "more"):
        names = rnd.sample(ORIGINS, 1 if name == "solo" else rnd.randint(2, len(ORIGINS)))
        out[name] = {"servers": [{"address": "@%s@" % n, "weight": rnd.randint(1, 3)}
                                 for n in names], "balance": some_balance(rnd)}
    return out


def some_action(rnd, route):
    kind = rnd.choice(["upstream"] * 4 + ["split", "split", "redirect", "respond"])
    if kind == "upstream":
        route["upstream"] = rnd.choice(["solo", "many", "more"])
    elif kind == "split":
        route["split"] = {"solo": rnd.randint(1, 9), "many": rnd.randint(1, 9)}
        if rnd.random() < .6:
            route["split_by"] = rnd.choice(
                ["path", "client_ip", {"header": "X-User"}, {"cookie": "who"}])
    elif kind == "redirect":
        route["redirect"] = {"to": rnd.choice(["/n", "/n/", "https://n.test", "https://n.test/n?q"]),
                             "status": rnd.choice([301, 302, 307, 308])}
    else:
        route["respond"] = {"status": rnd.choice([200, 410, 503]), "body": "x"}


def some_policies(rnd, route):
    if "prefix" in route and rnd.random() < .3:
        route["strip_prefix"] = True
    elif rnd.random() < .4:
        route["rewrite"] = rnd.choice([
            {"path": some_path(rnd)}, {"prefix": some_path(rnd)}, {"path": "/at/{host}{path}"},
            {"regex": "^/([^/]*)/(.*)$", "with": "/$2/$1"}, {"regex": "a+", "with": "z"}])
    if rnd.random() < .2:
        route["ip"] = rnd.choice([{"deny": ["127.0.0.0/8"]}, {"deny": ["10.0.0.13"]},
                                  {"allow": ["127.0.0.1", "10.0.0.0/8"]}, {"allow": ["10.9.0.0/16"]}])
    if rnd.random() < .2:
        route["cors"] = {"origins": rnd.choice([["https://a.test"], ["*"]])}
    if rnd.random() < .3:
        route["request_headers"] = {"set": {"X-User": "one"}}
    if rnd.random() < .2:
        route["host"] = "upstream"
    if rnd.random() < .2:
        route["body_limit"] = "4B"
    if rnd.random() < .4:
        route["allow_encoded_slash"] = True


def some_route(rnd, name):
    route = {"name": name}
    kind = rnd.choice(["path", "prefix", "prefix", "regex", None])
    if kind == "regex":
        route[kind] = rnd.choice(["^/a", "b$", "/(a|b)+/", "^/[^/]*/b"])
    elif kind:
        route[kind] = some_path(rnd)
    if "%2F" in route.get("path", route.get("prefix", "")):
        route["allow_encoded_slash"] = True
    if rnd.random() < .5:
        route["hosts"] = rnd.sample(HOSTS, rnd.randint(1, 2))
    if rnd.random() < .4:
        route["methods"] = rnd.sample(METHODS, rnd.randint(1, 3))
    if rnd.random() < .3:
        route["listeners"] = [rnd.choice(LISTENERS)]
    if rnd.random() < .3:
        route["headers"] = {"X-User": rnd.choice(
            ["u1", {"prefix": "u"}, {"regex": "[0-4]$"}, {"present": True}, {"absent": True}])}
    if rnd.random() < .2:
        route["query"] = {"a": rnd.choice([{"prefix": "/"}, {"present": True}, {"absent": True}])}
    some_action(rnd, route)
    some_policies(rnd, route)
    # Last: what a route does to the answer must not hide which it was.
    route["response_headers"] = {"set": {"X-Route": name}}
    return route


def some_configuration(rnd):
    first = [{"name": "use%d" % i, "path": "/used/%d" % i, "upstream": u}
             for i, u in enumerate(["solo", "many", "more"])]
    conf = {
        "version": 1, "workers": 1, "log": {"access": "off"},
        "listeners": {n: {"listen": "127.0.0.1:@%s@" % n, "limits": {"requests": "unlimited"}}
                      for n in LISTENERS},
        "upstreams": some_upstreams(rnd), "admin": {"listen": "127.0.0.1:@admin@"},
        "routes": first + [some_route(rnd, "r%d" % i) for i in range(rnd.randint(3, 25))]}
    if rnd.random() < .5:
        conf["listeners"]["other"]["trusted_proxies"] = ["127.0.0.0/8"]
    if rnd.random() < .3:
        conf["defaults"] = {"ip": {"deny": ["10.0.0.13"]}}
    return conf


# ---- chance: requests ----

def disguise_one(rnd, c):
    if c == "/" and rnd.random() < .1:
        return rnd.choice(["//", "/./", "/x/../", "/%2e/", "/../"])
    return "%%%02x" % ord(c) if c.isalnum() and rnd.random() < .05 else c


def some_request(rnd, conf):
    """(listener, method, host, target, fields, body)"""
    known = [r.get("path", r.get("prefix", "/")) for r in conf["routes"]]
    path = rnd.choice(known) + rnd.choice(["", "", "/a", "/a/b", "/b/"]) if rnd.random() < .85 \
        else some_path(rnd, 5)
    raw = re.sub("(%[0-9A-Fa-f]{2})|(.)", lambda m: m[1] or disguise_one(rnd, m[2]), path)
    raw += rnd.choice([""] * 8 + ["/", "/..", "%2F", "%5c", "%zz"])
    target = raw + rnd.choice(["", "", "?", "?q", "?a=%2F&b=//../"])
    method, fields, body = rnd.choice(METHODS), [], None
    if rnd.random() < .5:
        fields.append(("X-User", "u%d" % rnd.randint(0, 9)))
    if rnd.random() < .4:
        fields.append(("Cookie", "a=b; who=w%d" % rnd.randint(0, 9)))
    if rnd.random() < .2:
        fields.append(("X-Forwarded-For", rnd.choice(["10.1.2.3", "10.0.0.13", "1.1.1.1, 10.9.0.1"])))
    if rnd.random() < .3:
        fields.append(("Origin", rnd.choice(["https://a.test", "https://b.test"])))
        if method == "OPTIONS":
            fields.append(("Access-Control-Request-Method", rnd.choice(METHODS[:3])))
    if method in ("POST", "PUT"):
        body = b"x" * rnd.randint(0, 8)
    return rnd.choice(LISTENERS), method, rnd.choice(ASKED), target, fields, body


# ---- what it says ----

def ask(gw, request):
    """As the words of one who asks beforehand."""
    listener, method, host, target, fields, body = request
    fields = ["%s: %s" % f for f in fields]
    if body is not None:
        fields.append("Content-Length: %d" % len(body))
    return {"method": method, "url": "http://%s:%d%s" % (host, gw.port(listener), target),
            "fields": ["Host: " + host] + fields, "client": "127.0.0.1"}


def explain_files(gw, asks):
    """False: the configuration is refused, with what was said."""
    done = subprocess.run([gw.path, "explain", "-c", gw.file, "-"], text=True, timeout=60,
                          input="".join(json.dumps(a) + "\n" for a in asks), check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        return None, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], ""


def explain_live(conn, asked):
    query = [("method", asked["method"]), ("url", asked["url"]), ("client", asked["client"])]
    query += [("header", f) for f in asked["fields"]]
    m = conn.request("GET", "/explain?" + urllib.parse.urlencode(query))
    assert m.status == 200, m.body
    return json.loads(m.body)


def one_result(said, listener):
    assert [r["listeners"] for r in said["results"]] == [[listener]], said
    return said["results"][0]


# ---- what happens ----

def echo(name):
    def handler(conn, req):
        conn.send(answer(json.dumps({
            "server": name, "target": req.target.decode(),
            "host": req.get("host", b"").decode()}), headers=[("Content-Type", "application/json")]))
    return handler


def happens(conn, request):
    _, method, host, target, fields, body = request
    m = conn.request(method, target, fields, body=body, host=host)
    return m


def agree(result, m, addresses):
    """How far; asserts all that is said."""
    route = result["route"] and result["route"]["name"]
    seen = m.get("x-route")
    # it is said by a policy: a request that is refused before has met none
    if not result["policies"]:
        assert seen is None
    elif not route.startswith("use"):
        assert seen and seen.decode() == route
    if result["outcome"] != "forwarded":
        assert m.status == result["status"]
        if result["outcome"] == "refused":
            assert json.loads(m.body)["reason"] == result["reason"]
            return result["reason"]
        assert (m.get("location") or b"").decode() == result.get("location", "")
        for name, value in result["fields"]:
            assert value.encode() in m.all(name.lower()), name
        return "answered"
    assert m.status == 200
    got = json.loads(m.body)
    server = addresses[got["server"]]
    assert got["target"] == result["target"]
    if result["target_host"] is not None:
        assert got["host"] == result["target_host"]
    else:
        assert got["host"] == server
    taken = [u for u in result["upstreams"] if result["upstream"] in (None, u["name"])]
    assert server in [s["server"] for u in taken for s in u["servers"]]
    if result["upstream"] is None or taken[0]["server"] is None:
        return "chance"
    assert server == taken[0]["server"]
    return "hash" if len(taken[0]["servers"]) > 1 else "one server"


def load(gw, rnd):
    """Random routes, less those that the loader refuses."""
    conf = some_configuration(rnd)
    while True:
        gw.write(json.dumps(conf, indent=1))
        said, why = explain_files(gw, [])
        if said is not None:
            return conf
        wrong = {m[1] for m in re.finditer(r'error: .*?route "(\w+)"', why)}
        left = [r for r in conf["routes"] if r["name"] not in wrong]
        assert len(left) < len(conf["routes"]), why
        conf["routes"] = left


@pytest.fixture
def echoes(origins):
    return {name: origins(echo(name)) for name in ORIGINS}


BEGIN = {"version": 1, "listeners": {n: {"listen": "127.0.0.1:@%s@" % n} for n in LISTENERS},
         "admin": {"listen": "127.0.0.1:@admin@"},
         "routes": [{"respond": {"status": 204}}], "workers": 1}


def test_it_agrees_with_reality(start, echoes, quick):
    rnd = random.Random(seed())
    addresses = {n: o.address for n, o in echoes.items()}
    gw = start(json.dumps(BEGIN), **addresses)
    reached = {}
    for _ in range(10 if quick else 100):
        conf = load(gw, rnd)
        requests = [some_request(rnd, conf) for _ in range(100)]
        asks = [ask(gw, r) for r in requests]
        of_files, why = explain_files(gw, asks)
        assert of_files is not None, why
        gw.reload()
        conns = {n: gw.client(n) for n in LISTENERS + ["admin"]}
        for request, asked, said in zip(requests, asks, of_files):
            live = explain_live(conns["admin"], asked)
            assert live["results"] == said["results"], asked
            m = happens(conns[request[0]], request)
            try:
                how = agree(one_result(said, request[0]), m, addresses)
            except AssertionError as e:
                raise AssertionError("%s\nasked %s\nsaid %s\ngot %s %s\n%s" % (
                    e, json.dumps(asked), json.dumps(said, indent=1), m, m.body,
                    json.dumps(conf, indent=1))) from e
            reached[how] = reached.get(how, 0) + 1
            if m.get("connection") == b"close" or m.status >= 400:
                conns[request[0]].close()
                conns[request[0]] = gw.client(request[0])
        for c in conns.values():
            c.close()
    want = {"one server", "hash", "chance", "answered", "no_route", "path_refused", "ip_denied",
            "body_too_large"}
    assert want <= set(reached), reached

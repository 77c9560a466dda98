# SPDX-License-Identifier: Apache-2.0
"""Random routes and requests through the gateway, beside the contract written down naively.

The naive form looks at every route for every request and knows no table, hash or tree. Each
set of routes is loaded by a reload, so what is asked is what a file means, from its text to the
bytes that leave.
"""

import json
import os
import random
import re
import subprocess
import urllib.parse

UNRESERVED = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
METHODS = ["GET", "POST", "PUT", "PURGE"]
LISTENERS = ["web", "other"]
HOSTS = ["a.test", "b.test", "x.a.test", "*.a.test", "*.x.a.test", "*.test", "[fd00::1]", "FD00::1",
         "10.0.0.1", "A.Test"]
ASKED = ["a.test", "b.test", "x.a.test", "y.x.a.test", "z.y.x.a.test", "c.test", "test", "xa.test",
         "[fd00::1]", "10.0.0.1", "a.test.example"]
SEGMENTS = ["a", "b", "ab", "A", "a;p", "b;", "c.d", "a%2Fb", "~x", "..c", "%C3%A9", "%20"]
PATTERNS = ["^/a", "b$", "/[ab]/", "^/(a|ab)/?$", "c.d", "(?i)/A"]
FIELDS = ["X-A", "X-B", "x-c"]
PARAMETERS = ["q", "a", "r s"]
VALUES = ["1", "2", "12", "", "de", "de-AT", "a b", "%41"]


# ---- the contract ----

def canonical(raw):
    """(path, has an encoded slash), or None: refused."""
    out, encoded, i = "", False, 0
    while i < len(raw):
        if raw[i] != "%":
            out += raw[i]
            i += 1
            continue
        if not re.fullmatch("[0-9A-Fa-f]{2}", raw[i + 1:i + 3]):
            return None
        c = chr(int(raw[i + 1:i + 3], 16))
        if c == "\0":
            return None
        encoded = encoded or c in "/\\"
        out += c if c in UNRESERVED else raw[i:i + 3].upper()
        i += 3
    kept, segments = [], out.split("/")[1:]
    for n, segment in enumerate(segments):
        if segment not in (".", ".."):
            # dots to who cuts parameters off, or takes an escape for a slash
            if any(re.split(";|%3B", part)[0] in (".", "..") for part in re.split("%2F|%5C", segment)):
                return None
            kept.append(segment)
            continue
        if segment == "..":
            # above the root, or behind an empty segment: two servers would read two paths
            if not kept or kept[-1] == "":
                return None
            kept.pop()
        if n == len(segments) - 1:
            kept.append("")
    return re.sub("/+", "/", "/" + "/".join(kept)), encoded


def strays(raw):
    """To servers that take the path by the letter it begins elsewhere: it leaves as canonical."""
    return raw.startswith("//") or ".." in re.sub("(?i)%2e", ".", raw).split("/")


def without_parameters(path):
    return re.sub("/+", "/", re.sub("(;|%3B)[^/]*", "", path))


def names_parameters(route):
    return any(re.search(";|%3[Bb]", route.get(k, "")) for k in ("path", "prefix", "regex"))


def bare_host(text):
    text = re.sub(r":\d*$", "", text) if not text.endswith("]") else text
    return text[:-1].lower() if text.endswith(".") else text.lower()


def pattern(host):
    """As the file means it: IPv6 in brackets, small letters."""
    return ("[%s]" % host if ":" in host and host[0] != "[" else host).lower()


def host_rank(route, host):
    """How well the best of the route's hosts fits, and which it is; None: not at all."""
    if "hosts" not in route:
        return (0, 0, "")
    fits = []
    for p in map(pattern, route["hosts"]):
        if p == host:
            fits.append((2, 0, p))
        elif p.startswith("*.") and host.endswith(p[1:]) and len(host) > len(p[1:]):
            fits.append((1, len(p), p))
    return max(fits, default=None)


def prefix_of(route):
    """Canonical, without a slash at its end; "": all."""
    return canonical(route.get("prefix", "/"))[0].rstrip("/")


def place(routes, expression, host):
    """Of an expression: that of the first route which has it on that host."""
    return min(i for i, r in enumerate(routes) if r.get("regex") == expression and
               host in list(map(pattern, r.get("hosts", [""]))))


def path_rank(routes, route, path, host):
    """The host is the route's own that fits."""
    if "path" in route:
        return (2, 0) if canonical(route["path"])[0] == path else None
    if "regex" in route:
        return (.5, -place(routes, route["regex"], host)) if re.search(route["regex"], path) else None
    prefix = prefix_of(route)
    if path == prefix or path.startswith(prefix + "/"):
        return (1, len(prefix.split("/"))) if prefix else (0, 0)
    return None


def parameters(query):
    """What a query means: names and values, decoded once."""
    pieces = [piece.partition("=") for piece in (query or "").split("&") if piece]
    return [(urllib.parse.unquote_plus(n, "latin-1"), urllib.parse.unquote_plus(v, "latin-1"))
            for n, _, v in pieces]


def meets(want, values):
    """Of the values of one name any will do."""
    if isinstance(want, str):
        return want in values
    if "prefix" in want:
        return any(v.startswith(want["prefix"]) for v in values)
    if "regex" in want:
        return any(re.search(want["regex"], v) for v in values)
    return want["present"] == bool(values)


def fields_fit(route, fields, query):
    return all(meets(want, [v for n, v in fields if n.lower() == name.lower()])
               for name, want in route.get("headers", {}).items()) and \
        all(meets(want, [v for n, v in parameters(query) if n == name])
            for name, want in route.get("query", {}).items())


def matches(route, listener, method):
    return listener in route.get("listeners", LISTENERS) and method in route.get("methods", [method])


def matchers(route):
    return ("methods" in route) + len(route.get("headers", {})) + len(route.get("query", {}))


def choose(routes, listener, host, path, method, fields=(), query=None):
    ranked = []
    for route in routes:
        h = host_rank(route, host)
        p = h and path_rank(routes, route, path, h[2])
        if h and p and matches(route, listener, method) and fields_fit(route, fields, query):
            ranked.append(((h, p, matchers(route)), route))
    # the first of the best: two values of one name may be what two routes ask for
    return max(ranked, key=lambda x: x[0])[1] if ranked else None


def told_apart(a, b):
    """Of some name they want two things that no value is both of."""
    for kind, same in (("headers", str.lower), ("query", str)):
        one = {same(n): w for n, w in a.get(kind, {}).items()}
        other = {same(n): w for n, w in b.get(kind, {}).items()}
        for v, w in ((one[n], other[n]) for n in one.keys() & other.keys()):
            absent = [x == {"present": False} for x in (v, w)]
            if absent[0] != absent[1] or isinstance(v, str) and isinstance(w, str) and v != w:
                return True
    return False


def tie(a, b):
    """Some request fits both, and neither fits it better."""
    if matchers(a) != matchers(b) or told_apart(a, b) or a.get("regex") != b.get("regex") or \
            ("path" in a) != ("path" in b):
        return False
    if "path" in a and canonical(a["path"])[0] != canonical(b["path"])[0]:
        return False
    if "path" not in a and prefix_of(a) != prefix_of(b):
        return False
    hosts = [set(map(pattern, r.get("hosts", [""]))) for r in (a, b)]
    methods = [set(r.get("methods", METHODS)) for r in (a, b)]
    listeners = [set(r.get("listeners", LISTENERS)) for r in (a, b)]
    return all(x & y for x, y in (hosts, methods, listeners))


def expected(route, raw, query):
    """(status, path and query that the server sees, Location)"""
    path, encoded = canonical(raw)
    query = "" if query is None else "?" + query
    if encoded and (route is None or not route.get("allow_encoded_slash")):
        return 400, None, None
    if route is None:
        return 404, None, None
    prefix = prefix_of(route) if "prefix" in route else ""
    rest = path[len(prefix):]
    if "redirect" in route:
        to = route["redirect"]["to"]
        if "prefix" in route:
            to = to[:-1] + rest if to.endswith("/") and rest else to + rest
        return 308, None, to + query
    if "respond" in route:
        return 200, None, None
    if route.get("strip_prefix") and prefix:
        return 200, (rest or "/") + query, None
    rewrite = route.get("rewrite", {})
    if "path" in rewrite:
        return 200, canonical(rewrite["path"])[0] + query, None
    if "prefix" in rewrite:
        return 200, (canonical(rewrite["prefix"])[0].rstrip("/") + rest or "/") + query, None
    return 200, (path if strays(raw) else raw) + query, None


# ---- chance ----

def some_path(rnd, most=3):
    text = "".join("/" + rnd.choice(SEGMENTS[:rnd.choice((2, 4, len(SEGMENTS)))])
                   for _ in range(rnd.randint(0, most)))
    return text + "/" if not text or rnd.random() < .25 else text


def some_action(rnd):
    return rnd.choice([
        {"upstream": "u"}, {"upstream": "u", "strip_prefix": True}, {"respond": {"body": "x"}},
        {"upstream": "u", "rewrite": {"prefix": some_path(rnd, 2)}},
        {"upstream": "u", "rewrite": {"path": some_path(rnd, 2)}},
        {"redirect": {"to": rnd.choice(["/n", "/n/", "https://n.test", "https://n.test/n/"])}}])


def some_wants(rnd, names):
    return {name: rnd.choice([rnd.choice(VALUES)] * 3 + [
        {"prefix": rnd.choice(["1", "de", "a"])}, {"regex": rnd.choice(["^d", "2$", "a b|1"])},
        {"present": True}, {"present": False}]) for name in rnd.sample(names, rnd.randint(1, 2))}


def some_route(rnd, name):
    route = {"name": name, "response_headers": {"set": {"X-Route": name}}, **some_action(rnd)}
    kind = rnd.choice(["path", "prefix", "prefix", "regex", None])
    if kind:
        route[kind] = rnd.choice(PATTERNS) if kind == "regex" else some_path(rnd)
    if kind != "prefix":
        route.pop("strip_prefix", None)     # it needs one
    if rnd.random() < .5:
        route["hosts"] = rnd.sample(HOSTS, rnd.randint(1, 3))
    if rnd.random() < .4:
        route["methods"] = rnd.sample(METHODS, rnd.randint(1, 3))
    if rnd.random() < .3:
        route["headers"] = some_wants(rnd, FIELDS)
    if rnd.random() < .3:
        route["query"] = some_wants(rnd, PARAMETERS)
    if rnd.random() < .3:
        route["listeners"] = [rnd.choice(LISTENERS)]
    if rnd.random() < .3 or "%2F" in route.get("path", route.get("prefix", "")):
        route["allow_encoded_slash"] = True
    return route


def some_routes(rnd):
    """(routes of which no two tie, one that ties with one of them or None)"""
    routes, tied = [], None
    # all listeners and the upstream are used
    first = {"name": "first", "path": "/first", "upstream": "u"}
    for i in range(rnd.randint(1, 25)):
        route = some_route(rnd, "r%d" % i)
        if any(tie(r, route) for r in routes):
            tied = route
        else:
            routes.append(route)
    rnd.shuffle(routes)
    return [first] + routes, tied


def disguise_one(rnd, c):
    """Another spelling of one byte, mostly of the same meaning."""
    if c == "/" and rnd.random() < .15:
        return rnd.choice(["//", "/./", "/x/../", "/%2e/", "/x/%2E./", "/../", "///", "/;x/", "/..;/", "/;/"])
    if c in UNRESERVED and rnd.random() < .1:
        return "%%%02x" % ord(c)
    return c


def spelled(rnd, text):
    """A part of a query that means the text."""
    return "".join("%%%02x" % ord(c) if c in "%&=+" or rnd.random() < .1 else
                   rnd.choice(["+", "%20"]) if c == " " else c for c in text)


def some_query(rnd):
    if rnd.random() < .4:
        return rnd.choice([None, None, "", "q", "a=%2F&b=//../", "&&a=1%zz&q=%"])
    return "&".join(spelled(rnd, rnd.choice(PARAMETERS)) + "=" + spelled(rnd, rnd.choice(VALUES))
                    for _ in range(rnd.randint(1, 3)))


def some_fields(rnd):
    return [(rnd.choice([n, n.lower(), n.upper()]), rnd.choice(VALUES)) for n in
            rnd.choices(FIELDS, k=rnd.choice([0, 0, 1, 1, 2, 3]))]


def some_request(rnd, routes):
    known = [r.get("path", r.get("prefix", "/a/b" if "regex" in r else "/")) for r in routes]
    path = rnd.choice(known) + rnd.choice(["", "", "/a", "/a/b", "/b/", ";x", ";/a"]) if rnd.random() < .8 else \
        some_path(rnd, 5)
    raw = re.sub("(%[0-9A-Fa-f]{2})|(.)", lambda m: m[1] or disguise_one(rnd, m[2]), path)
    raw += rnd.choice([""] * 6 + ["/", "/.", "/..", "x", "%2F", "%5c"])
    host = rnd.choice(ASKED)
    host = rnd.choice([host, host.upper(), host.title()]) + rnd.choice(["", "", ":80", ":", ":8080"])
    if rnd.random() < .2 and "[" not in host and ":" not in host:
        host += "."
    return (rnd.choice(LISTENERS), rnd.choice(METHODS), host, raw,
            some_query(rnd), some_fields(rnd))


# ---- the tests ----

def configuration(routes):
    """JSON is YAML."""
    return json.dumps({
        "version": 1, "workers": 1, "log": {"access": "off"},
        "listeners": {n: {"listen": "127.0.0.1:@%s@" % n, "limits": {"requests": "unlimited"}}
                      for n in LISTENERS},
        "upstreams": {"u": {"servers": ["@u@"]}},
        "admin": {"listen": "127.0.0.1:@admin@"}, "routes": routes}, indent=1)


def seed():
    return int(os.environ.get("WEIR_TEST_SEED", "20260131"))


def ask(conns, request):
    listener, method, host, raw, query, fields = request
    target = raw if query is None else raw + "?" + query
    m = conns[listener].request(method, target, fields, host=host)
    seen = m.body.decode().split(" ", 1)[1] if m.status == 200 and b" /" in m.body else None
    route, location = m.get("x-route"), m.get("location")
    return m.status, route and route.decode(), seen, location and location.decode()


def test_the_contract(start, origin, quick):
    rnd = random.Random(seed())
    gw = start(configuration([{"upstream": "u"}]), u=origin.address)
    reached = set()
    for _ in range(8 if quick else 40):
        routes = some_routes(rnd)[0]
        gw.reload(configuration(routes))
        conns = {n: gw.client(n) for n in LISTENERS}
        for _ in range(60):
            request = some_request(rnd, routes)
            listener, method, host, raw, query, fields = request
            got = ask(conns, request)
            if canonical(raw) is None:
                assert got[0] == 400, (routes, request, got)
                reached.add("refused")
                # such a path may have been answered before the connection was given up
                conns[listener].close()
                conns[listener] = gw.client(listener)
                continue
            route = choose(routes, listener, bare_host(host), canonical(raw)[0], method, fields,
                           query)
            status, seen, location = expected(route, raw, query)
            if route and not names_parameters(route) and route is not choose(
                    routes, listener, bare_host(host), without_parameters(canonical(raw)[0]), method,
                    fields, query):
                status, seen, location = 400, None, None
                reached.add("another route without parameters")
            name = None if status in (400, 404) else route["name"]
            if name == "first":
                name = None
            want = (status, name, seen, location)
            reached.add((status, "rewritten" if seen and seen != raw else "", bool(location)))
            if got[0] == 400:
                got = (400, None, None, None)
            assert got == want, "\n".join(["%s" % (request,), "got  %s" % (got,),
                                           "want %s" % (want,), configuration(routes)])
        for c in conns.values():
            c.close()
    assert len(reached) >= 7 and "another route without parameters" in reached, reached


def test_ties_are_refused(gateway_path, tmp_path, quick):
    """The loader refuses a set exactly when the contract finds two routes that tie."""
    rnd = random.Random(seed() + 1)
    counts = {0: 0, 1: 0}
    for i in range(40 if quick else 200):
        routes, tied = some_routes(rnd)
        while i % 2 and not tied:
            routes, tied = some_routes(rnd)
        others = [r["name"] for r in routes if tied and tie(r, tied)]
        if i % 2:
            routes.insert(rnd.randint(1, len(routes)), tied)
        else:
            tied = None
        file = tmp_path / "gateway.yaml"
        ports = iter(range(1, 9))
        file.write_text(re.sub("@u@", "127.0.0.1:9", re.sub(
            r"127.0.0.1:@\w+@", lambda m: "127.0.0.1:%d" % next(ports), configuration(routes))))
        got = subprocess.run([gateway_path, "check", "-c", str(file)], capture_output=True,
                             text=True, check=False, timeout=30)
        assert got.returncode == (1 if tied else 0), got.stdout + got.stderr + file.read_text()
        counts[got.returncode] += 1
        if tied:
            said = [line for line in (got.stdout + got.stderr).splitlines() if ": error: " in line]
            assert said and all('route "%s"' % tied["name"] in line and
                                any('route "%s"' % o in line for o in others) for line in said), said
    assert counts[0] == counts[1], counts

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A slow, strict stand-in for the gateway.

It reads the same YAML (as far as the tests need it) and keeps the same promises, in a
few hundred lines that can be checked by eye. It exists so that the tests can be tested:
a row of the table that nothing satisfies is wrong, and so is a test that cannot pass.
Usage: reference.py run -c FILE. Needs PyYAML.
"""

import http.client
import ipaddress
import json
import os
import re
import select
import signal
import socket
import sys
import threading
import time
import uuid

import yaml

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*\Z")
HOP = {b"connection", b"proxy-connection", b"keep-alive", b"te", b"transfer-encoding", b"upgrade",
       b"content-length", b"trailer"}
OURS = {b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"}
NO_TRAILER = HOP | OURS | {b"host", b"authorization", b"content-type", b"content-encoding",
                           b"content-range", b"cookie", b"set-cookie", b"expect", b"via"}
KEPT = {b"host", b"via", b"content-length", b"transfer-encoding"} | OURS
REPLIES = {"no_route": 404, "request_malformed": 400, "path_refused": 400, "method_refused": 405,
           "header_too_large": 431, "uri_too_long": 414, "body_too_large": 413,
           "version_refused": 505, "client_timeout": 408, "client_too_slow": 408,
           "ip_denied": 403, "upstream_none_healthy": 503, "upstream_connect_failed": 503,
           "upstream_connect_timeout": 504, "upstream_closed": 502, "upstream_reset": 502,
           "upstream_malformed": 502, "upstream_header_too_large": 502, "upstream_timeout": 504,
           "upstream_idle": 504, "total_timeout": 504, "expectation_failed": 417}
LOCK = threading.Lock()
COUNTS = {"gen": 1, "ok": 1, "busy": 0}
TOTALS = {}
STATE = {"conf": None, "draining": False, "pools": {}, "rr": {}}
IDLE = threading.local()


class Fault(Exception):
    def __init__(self, reason, close=True):
        super().__init__(reason)
        self.reason, self.close = reason, close


class Gone(Exception):
    """The peer ended. where: what it was in the middle of."""


def duration(v, default=None):
    if v is None:
        return default
    m = re.fullmatch(r"(\d+)(ms|s|m|h)", str(v))
    return int(m[1]) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[m[2]]


def size(v, default):
    if v is None:
        return default
    if v == "unlimited":
        return 1 << 62
    m = re.fullmatch(r"(\d+)(B|KiB|MiB|GiB)", str(v))
    return int(m[1]) << {"B": 0, "KiB": 10, "MiB": 20, "GiB": 30}[m[2]]


class ClientGone(Gone):
    """It was the client."""


class Reader:
    def __init__(self, sock, bad, slow):
        self.sock, self.buf = sock, b""
        self.bad, self.slow = bad, slow  # reasons for nonsense and for silence
        self.deadline = self.idle = None

    def fill(self):
        wait = self.idle
        if self.deadline is not None:
            left = self.deadline - time.monotonic()
            wait = left if wait is None else min(wait, left)
        if wait is not None and not select.select([self.sock], [], [], max(0, wait))[0]:
            raise Fault(self.slow)
        try:
            data = self.sock.recv(65536)
        except OSError:
            raise Gone() from None
        if not data:
            raise Gone()
        self.buf += data

    def line(self, limit, over):
        while b"\n" not in self.buf:
            if len(self.buf) > limit + 1:
                raise Fault(over)
            if re.search(rb"\r[^\n]|\0", self.buf):
                raise Fault(self.bad)
            self.fill()
        line, self.buf = self.buf.split(b"\n", 1)
        if len(line) > limit + 1:
            raise Fault(over)
        if not line.endswith(b"\r") or b"\r" in line[:-1] or b"\0" in line:
            raise Fault(self.bad)
        return line[:-1]

    def fields(self, limits, over):
        total, out = 0, []
        line_max, head_max, count_max = limits
        while True:
            line = self.line(line_max, over)
            if not line:
                return out
            name, sep, value = line.partition(b":")
            if not sep or not TOKEN.match(name) or not VALUE.match(value):
                raise Fault(self.bad)
            value = value.strip(b" \t")
            total += len(name) + len(value) + 32
            out.append((name, value))
            if total > head_max or len(out) > count_max:
                raise Fault(over)

    def take(self, n):
        if not self.buf:
            self.fill()
        data, self.buf = self.buf[:n], self.buf[n:]
        return data


def values(fields, name):
    return [v for n, v in fields if n.lower() == name]


def framing(fields, bad, version):
    cl, te = values(fields, b"content-length"), values(fields, b"transfer-encoding")
    if te:
        if cl or len(te) > 1 or te[0].lower() != b"chunked" or version == b"1.0":
            raise Fault(bad)
        return "chunked", None
    if not cl:
        return None, None
    if len(cl) > 1 or not re.fullmatch(rb"[0-9]{1,19}", cl[0]) or int(cl[0]) >= 1 << 63:
        raise Fault(bad)
    return "length", int(cl[0])


def body_of(rd, kind, length, limits, trailers):
    """Yields pieces; fills `trailers` in place."""
    if kind == "length":
        while length:
            data = rd.take(length)
            length -= len(data)
            yield data
    elif kind == "close":
        try:
            while True:
                yield rd.take(65536)
        except Gone:
            return
    elif kind == "chunked":
        while True:
            m = re.fullmatch(rb"([0-9a-fA-F]{1,16})(;[\t\x20-\x7e\x80-\xff]{0,256})?",
                             rd.line(280, rd.bad))
            if not m or int(m[1], 16) >= 1 << 63:
                raise Fault(rd.bad)
            left = int(m[1], 16)
            if not left:
                trailers += [(n, v) for n, v in rd.fields(limits, rd.bad)
                             if n.lower() not in NO_TRAILER and b"_" not in n]
                return
            yield ("size", left)
            while left:
                data = rd.take(left)
                left -= len(data)
                yield data
            while len(rd.buf) < 2:
                rd.fill()
            if rd.buf[:2] != b"\r\n":
                raise Fault(rd.bad)
            rd.buf = rd.buf[2:]


def end_to_end(fields):
    named = {t.strip().lower() for v in values(fields, b"connection") for t in v.split(b",")}
    named -= KEPT
    return [(n, v) for n, v in fields
            if n.lower() not in HOP and n.lower() not in named and b"_" not in n]


def good_authority(a):
    m = re.fullmatch(rb"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9\-._~!$&'()*+;=%]+)(?::(\d{1,5}))?", a)
    if not m or (m[2] and int(m[2]) > 65535):
        return False
    if m[1].startswith(b"["):
        try:
            ipaddress.IPv6Address(m[1][1:-1].decode())
        except ValueError:
            return False
    return True


class Request:
    pass


def read_request(rd, lim):
    """RFC 9112 section 3, strictly."""
    bad = rd.bad
    if not rd.buf:
        rd.fill()
    rd.deadline = time.monotonic() + lim["headers"]
    rd.idle = None
    while len(rd.buf) < 2 and rd.buf in (b"\r",):
        rd.fill()
    if rd.buf.startswith(b"\r\n"):
        rd.buf = rd.buf[2:]
    line = rd.line(lim["line"], "uri_too_long")
    m = re.fullmatch(rb"([^ ]+) ([^ ]+) HTTP/(\d)\.(\d)", line)
    if not m or not TOKEN.match(m[1]):
        raise Fault(bad)
    if m[3] != b"1" or m[4] not in b"01":
        raise Fault("version_refused")
    r = Request()
    r.method, r.target, r.version = m[1], m[2], b"1." + m[4]
    if not re.fullmatch(rb"[\x21-\x7e]+", r.target) or b"#" in r.target:
        raise Fault(bad)
    r.fields = rd.fields((lim["line"], lim["head"], lim["count"]), "header_too_large")
    rd.deadline = None
    hosts = values(r.fields, b"host")
    if len(hosts) > 1 or (not hosts and r.version == b"1.1"):
        raise Fault(bad)
    if hosts and not good_authority(hosts[0]):
        raise Fault(bad)
    r.host = hosts[0] if hosts else b""
    r.kind, r.length = framing(r.fields, bad, r.version)
    if r.method == b"CONNECT":
        raise Fault("method_refused")
    target_form(r, bad)
    opts = {t.strip().lower() for v in values(r.fields, b"connection") for t in v.split(b",")}
    r.keep = r.version == b"1.1" and b"close" not in opts
    r.upgrade = b""
    if b"upgrade" in opts and values(r.fields, b"upgrade") and r.version == b"1.1":
        if r.kind == "chunked" or r.length:
            raise Fault(bad)
        if [u.lower() for u in values(r.fields, b"upgrade")] == [b"websocket"]:
            r.upgrade = b"websocket"
    return r


def target_form(r, bad):
    t = r.target
    if t == b"*":
        if r.method != b"OPTIONS":
            raise Fault(bad)
        r.path = "*"
        return
    if not t.startswith(b"/"):
        m = re.fullmatch(rb"(?i:https?)://([^/?]+)(/?[^?]*)(\?.*)?", t)
        if not m or not good_authority(m[1]) or (r.host and r.host.lower() != m[1].lower()):
            raise Fault(bad)
        r.host = r.host or m[1]
        r.target = t = (m[2] or b"/") + (m[3] or b"")
        if r.method == b"OPTIONS" and not m[2] and not m[3]:
            r.target, r.path = b"*", "*"
            return
    raw = t.split(b"?")[0]
    if re.search(rb"%(?![0-9a-fA-F]{2})|%00", raw):
        raise Fault("path_refused", close=False)
    r.slashed = bool(re.search(rb"(?i)%2f|%5c|\\", raw))
    path = re.sub(rb"%([0-9a-fA-F]{2})", decode, raw).decode("latin-1")
    out = []
    for seg in path.split("/")[1:]:
        if seg == "..":
            if not out:
                raise Fault("path_refused", close=False)
            out.pop()
        elif seg not in ("", "."):
            out.append(seg)
    r.path = "/" + "/".join(out)


def decode(m):
    b = bytes([int(m[1], 16)])
    return b if re.match(rb"[A-Za-z0-9\-._~]", b) else m[0].upper()


def find_route(r, listener):
    host = re.sub(r":\d+$", "", r.host.decode("latin-1")).lower().rstrip(".")
    best, rank = None, None
    for i, route in enumerate(STATE["conf"].get("routes", [])):
        if listener not in route.get("listeners", [listener]):
            continue
        if r.method.decode() not in route.get("methods", [r.method.decode()]):
            continue
        fit = host_fit(route.get("hosts"), host)
        if fit is None:
            continue
        if "path" in route:
            if route["path"] != r.path:
                continue
            kind = (2, 0)
        else:
            p = route.get("prefix", "/").rstrip("/")
            if p and r.path != p and not r.path.startswith(p + "/"):
                continue
            kind = (1, len(p))
        mine = (fit, kind, "methods" in route, -i)
        if rank is None or mine > rank:
            best, rank = route, mine
    if best is None:
        raise Fault("no_route", close=False)
    if getattr(r, "slashed", False) and not best.get("allow_encoded_slash"):
        raise Fault("path_refused", close=False)
    return best


def host_fit(hosts, host):
    if not hosts:
        return (0, 0)
    fits = [(2, 0) for h in hosts if h == host]
    fits += [(1, len(h)) for h in hosts if h.startswith("*.") and host.endswith(h[1:])]
    return max(fits) if fits else None


def upstream_of(route):
    if "split" in route:
        names = [n for n, w in route["split"].items() for _ in range(w)]
        with LOCK:
            i = STATE["rr"][id(route)] = STATE["rr"].get(id(route), -1) + 1
        return names[i % len(names)]
    return route["upstream"]


def open_upstream(name, timeout):
    servers = STATE["conf"]["upstreams"][name]["servers"]
    servers = [s["address"] if isinstance(s, dict) else s for s in servers]
    with LOCK:
        i = STATE["rr"][name] = STATE["rr"].get(name, -1) + 1
    for k in range(len(servers)):
        where = servers[(i + k) % len(servers)]
        with LOCK:
            pool = STATE["pools"].setdefault(where, [])
            while pool:
                sock = pool.pop()
                if not select.select([sock], [], [], 0)[0]:
                    return sock, where, True
                sock.close()
        try:
            if where.startswith("unix:"):
                sock = socket.socket(socket.AF_UNIX)
                sock.connect(where[5:])
            else:
                h, p = where.rsplit(":", 1)
                sock = socket.create_connection((h.strip("[]"), int(p)), timeout)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(None)
            return sock, where, False
        except socket.timeout:
            reason = "upstream_connect_timeout"
        except OSError:
            reason = "upstream_connect_failed"
    raise Fault(reason, close=False)


def head_bytes(start, fields):
    return start + b"\r\n" + b"".join(b"%s: %s\r\n" % f for f in fields) + b"\r\n"


def edit(fields, rules):
    rules = rules or {}
    gone = {n.lower().encode() for n in rules.get("remove", [])}
    gone |= {n.lower().encode() for n in rules.get("set", {})}
    fields = [f for f in fields if f[0].lower() not in gone]
    for part in ("set", "add"):
        fields += [(n.encode(), str(v).encode()) for n, v in rules.get(part, {}).items()]
    return fields


def target_for(r, route):
    path, sep, query = r.target.partition(b"?")
    prefix = route.get("prefix", "/").rstrip("/")
    if route.get("strip_prefix") and prefix:
        path = r.path[len(prefix):].encode("latin-1") or b"/"
    rw = route.get("rewrite")
    if rw:
        path = rw["path"].encode() if "path" in rw else \
            (rw["prefix"].rstrip("/") + r.path[len(prefix):]).encode("latin-1") or b"/"
    return path + sep + query


class Exchange:
    """One client connection and, in turn, its requests."""

    def __init__(self, sock, peer, name, conf):
        self.sock, self.peer, self.name = sock, peer, name
        t, li = conf.get("timeout", {}), conf.get("limits", {})
        self.keepalive = duration(t.get("keepalive"), 75)
        self.body_idle = duration(t.get("body_idle"), 30)
        self.lim = {"headers": duration(t.get("headers"), 10), "line": size(li.get("line"), 8192),
                    "head": size(li.get("header_bytes"), 16384),
                    "count": li.get("header_count", 100)}
        self.requests_max = li.get("requests", 1000)
        m = conf.get("min_rate") or {}
        self.rate = int(m["rate"][:-3]) if m else 240
        self.grace = duration(m.get("grace"), 30)
        sock.settimeout(duration(t.get("write_idle"), 60))
        self.rd = Reader(sock, "request_malformed", "client_timeout")

    def serve(self):
        served = 0
        while True:
            self.rd.idle, self.rd.deadline = self.keepalive, None
            self.r = self.route = None
            self.began = False
            self.entry = {"upstream": None, "server": None, "attempts": 0, "reason": ""}
            try:
                if not self.rd.buf:
                    try:
                        self.rd.fill()
                    except Fault:
                        return
                self.start = time.monotonic()
                self.rd.idle = None
                self.r = read_request(self.rd, self.lim)
                served += 1
                if served >= self.requests_max or STATE["draining"]:
                    self.r.keep = False
                with LOCK:
                    COUNTS["busy"] += 1
                try:
                    keep = self.one()
                finally:
                    with LOCK:
                        COUNTS["busy"] -= 1
            except Fault as f:
                keep = self.fault(f)
            except Gone:
                if self.r is not None:
                    self.log(499, "client_closed")
                return
            if not keep:
                return

    def fault(self, f):
        self.rd.sock.settimeout(5)
        status = REPLIES[f.reason]
        keep = not f.close and self.r is not None and self.r.keep and not self.r.kind
        if self.began:
            self.log(self.began, f.reason)
            return False
        rid = str(uuid.uuid4())
        body = json.dumps({"type": "about:blank#" + f.reason, "title": f.reason, "status": status,
                           "reason": f.reason, "request_id": rid}).encode()
        fields = [(b"Content-Type", b"application/problem+json"),
                  (b"Proxy-Status", b"weir; error=proxy_internal_response; details=\"%s\""
                   % f.reason.encode()), (b"Content-Length", b"%d" % len(body))]
        if status in (429, 503):
            fields.append((b"Retry-After", b"1"))
        if not keep:
            fields.append((b"Connection", b"close"))
        if self.r is not None and self.r.method == b"HEAD":
            body = b""
        try:
            self.sock.sendall(head_bytes(status_line(status), fields) + body)
        except OSError:
            keep = False
        self.log(status, f.reason, rid)
        return keep

    def log(self, status, reason="", rid=None):
        r = self.r
        e = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ"), "listener": self.name, "status": status,
             "route": (self.route or {}).get("name", ""), "reason": reason,
             "method": r.method.decode() if r else "", "path": r.path if r else "",
             "host": r.host.decode("latin-1") if r else "", "client_ip": self.peer,
             "request_id": rid or str(uuid.uuid4()), "protocol": "HTTP/1.1",
             "duration_ms": round((time.monotonic() - self.start) * 1000, 3)}
        e["phases"] = {"first_byte": e["duration_ms"]}
        e.update(upstream=self.entry["upstream"], server=self.entry["server"],
                 attempts=self.entry["attempts"])
        with LOCK:
            key = (self.name, e["route"], self.entry["upstream"] or "", str(status), reason)
            TOTALS[key] = TOTALS.get(key, 0) + 1
            try:
                os.write(1, json.dumps(e).encode() + b"\n")
            except OSError:
                pass

    def local(self, status, fields, body):
        fields = fields + [(b"Content-Length", b"%d" % len(body))]
        if not self.r.keep or self.r.kind:
            self.r.keep = False
            fields.append((b"Connection", b"close"))
        self.sock.sendall(head_bytes(status_line(status), fields)
                          + (b"" if self.r.method == b"HEAD" else body))
        self.log(status)
        return self.r.keep

    def one(self):
        r = self.r
        self.route = route = find_route(r, self.name)
        ip = route.get("ip")
        if ip:
            me = ipaddress.ip_address(self.peer)
            hit = [any(me in ipaddress.ip_network(n) for n in ip.get(k, [])) for k in ("allow", "deny")]
            if hit[1] or ("allow" in ip and not hit[0]):
                raise Fault("ip_denied", close=False)
        if "respond" in route:
            x = route["respond"]
            hs = [(n.encode(), str(v).encode()) for n, v in x.get("headers", {}).items()]
            return self.local(x["status"], hs, str(x.get("body", "")).encode())
        if "redirect" in route:
            x = route["redirect"]
            prefix = route.get("prefix", "").rstrip("/")
            query = r.target.partition(b"?")
            to = x["to"] + (r.path[len(prefix):] if prefix else "")
            return self.local(x.get("status", 308),
                              [(b"Location", to.encode() + query[1] + query[2])], b"")
        self.limit = size(route.get("body_limit"), 16 << 20)
        if r.kind == "length" and r.length > self.limit:
            raise Fault("body_too_large")
        if any(v.lower() != b"100-continue" for v in values(r.fields, b"expect")):
            raise Fault("expectation_failed")
        return self.forward(route)

    def request_head(self, route):
        r = self.r
        fields = [f for f in end_to_end(r.fields) if f[0].lower() not in OURS | {b"via", b"host"}]
        fields = edit(fields, route.get("request_headers"))
        host = r.host or b"upstream"
        via = b", ".join(values(r.fields, b"via") + [r.version + b" weir"])
        fields = [(b"Host", host)] + fields + [
            (b"Via", via), (b"X-Forwarded-For", self.peer.encode()),
            (b"X-Forwarded-Proto", b"http"), (b"X-Forwarded-Host", host)]
        if not values(fields, b"x-request-id"):
            fields.append((b"X-Request-Id", str(uuid.uuid4()).encode()))
        if r.kind == "chunked":
            fields.append((b"Transfer-Encoding", b"chunked"))
        elif r.kind == "length":
            fields.append((b"Content-Length", b"%d" % r.length))
        if r.upgrade:
            fields += [(b"Connection", b"Upgrade"), (b"Upgrade", r.upgrade)]
        return head_bytes(r.method + b" " + target_for(r, route) + b" HTTP/1.1", fields)

    def forward(self, route):
        r, t = self.r, dict(STATE["conf"].get("defaults", {}).get("timeout", {}))
        t.update(route.get("timeout", {}))
        name = self.entry["upstream"] = upstream_of(route)
        for attempt in (1, 2, 3):
            up, where, reused = open_upstream(name, duration(t.get("connect"), 3))
            self.entry.update(server=where, attempts=attempt)
            self.up_fault = None
            try:
                return self.relay(up, where, route, t)
            except Fault as f:
                up.close()
                again = r.method in (b"GET", b"HEAD", b"OPTIONS") and not r.kind
                if not (again and not self.began and f.reason in ("upstream_closed",) and attempt < 3
                        and (reused or attempt == 1)):
                    raise
            except Gone:
                up.close()
                raise

    def pump(self, up):
        """The request's body, on its own thread."""
        r, trailers, seen, begun = self.r, [], 0, time.monotonic()
        self.rd.idle = self.body_idle
        try:
            for piece in body_of(self.rd, r.kind, r.length, (8192, 16384, 100), trailers):
                if isinstance(piece, tuple):
                    if seen + piece[1] > self.limit:
                        raise Fault("body_too_large")
                    continue
                seen += len(piece)
                spent = time.monotonic() - begun
                if spent > self.grace and seen < self.rate * spent:
                    raise Fault("client_too_slow")
                up.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if r.kind == "chunked" else piece)
            if r.kind == "chunked":
                up.sendall(head_bytes(b"0", trailers))
            self.pumped = True
        except (Fault, Gone) as f:
            self.up_fault = f
            try:
                up.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        except OSError:
            self.up_fault = self.up_fault or Fault("upstream_closed")

    def relay(self, up, where, route, t):
        r = self.r
        self.pumped = not r.kind
        try:
            up.sendall(self.request_head(route))
        except OSError:
            raise Fault("upstream_closed", close=False) from None
        self.thread = None
        if r.kind:
            self.thread = threading.Thread(target=self.pump, args=(up,), daemon=True)
            self.thread.start()
        ur = Reader(up, "upstream_malformed", "upstream_timeout")
        try:
            keep_up, keep = self.response(ur, up, route, t)
        except ClientGone:
            raise
        except Gone:
            if self.up_fault:
                raise self.up_fault from None
            raise Fault("upstream_closed", close=bool(r.kind)) from None
        if not self.pumped:
            keep = keep_up = False
        if keep_up and not ur.buf and not select.select([up], [], [], 0)[0]:
            with LOCK:
                STATE["pools"].setdefault(where, []).append(up)
        else:
            up.close()
        return keep

    def await_upstream(self, up, until):
        """Wait for the answer, but notice a client that goes away."""
        watch = [up, self.sock]
        while True:
            if self.r.kind and not self.pumped and self.sock in watch:
                got = select.select([up], [], [], 0.05)[0]
            else:
                got = select.select(watch, [], [], max(0, until - time.monotonic()))[0]
            if up in got or self.up_fault:
                return
            if self.sock in got and self.pumped:
                try:
                    if not self.sock.recv(1, socket.MSG_PEEK):
                        raise ClientGone()
                    watch = [up]
                except OSError:
                    raise ClientGone() from None
            if time.monotonic() >= until:
                raise Fault("upstream_timeout", close=False)

    def response(self, ur, up, route, t):
        r = self.r
        until = time.monotonic() + duration(t.get("first_byte"), 15)
        interim = 0
        while True:
            if not ur.buf:
                self.await_upstream(up, until)
            ur.deadline = until
            status, phrase, version, fields, kind, length = self.response_head(ur)
            if status >= 200:
                break
            if status == 101:
                if not r.upgrade or [v.lower() for v in values(fields, b"upgrade")] != [r.upgrade]:
                    raise Fault("upstream_malformed")
                return self.tunnel(ur, up, fields)
            interim += 1
            if interim > 16:
                raise Fault("upstream_malformed")
            if r.version == b"1.1":
                self.sock.sendall(head_bytes(b"HTTP/1.1 %d %s" % (status, phrase),
                                             end_to_end(fields)))
        ur.deadline, ur.idle, ur.slow = None, duration(t.get("idle"), 60), "upstream_idle"
        bodyless = r.method == b"HEAD" or status in (204, 304)
        opts = {x.strip().lower() for v in values(fields, b"connection") for x in v.split(b",")}
        keep_up = version == b"1.1" and b"close" not in opts
        out = edit(end_to_end(fields), route.get("response_headers"))
        if bodyless:
            if status == 204 and (kind or length):
                keep_up = False
            if length is not None and status != 204:
                out.append((b"Content-Length", b"%d" % length))
            kind = None
        elif kind is None:
            kind, keep_up = "close", False
        chunked = kind in ("chunked", "close") and r.version == b"1.1"
        if kind == "length":
            out.append((b"Content-Length", b"%d" % length))
        elif chunked:
            out.append((b"Transfer-Encoding", b"chunked"))
        elif kind:
            r.keep = False
        if self.thread and not self.pumped:
            self.thread.join(0.1)  # it may have sent its last byte already
        if not r.keep or not self.pumped:
            r.keep = False
            out.append((b"Connection", b"close"))
        self.began = status
        trailers = []
        try:
            self.sock.sendall(head_bytes(b"HTTP/1.1 %d %s" % (status, phrase), out))
            self.copy_body(ur, kind, length, chunked, trailers)
        except Gone:
            raise Fault("upstream_closed") from None
        except OSError:
            self.log(status, "client_closed")
            return False, False
        self.log(status)
        return keep_up, r.keep

    def copy_body(self, ur, kind, length, chunked, trailers):
        for piece in body_of(ur, kind, length, (8192, 65536, 200), trailers):
            if not isinstance(piece, tuple):
                self.sock.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            self.sock.sendall(head_bytes(b"0", trailers))

    def response_head(self, ur):
        line = ur.line(8192, "upstream_header_too_large")
        m = re.fullmatch(rb"HTTP/(1\.[01]) ([1-9]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?", line)
        if not m:
            raise Fault("upstream_malformed")
        fields = ur.fields((8192, 65536, 200), "upstream_header_too_large")
        kind, length = framing(fields, ur.bad, m[1])
        status = int(m[2])
        if status < 200 and kind or status == 204 and kind == "chunked":
            raise Fault("upstream_malformed")
        return status, m[3] or b"", m[1], fields, kind, length

    def tunnel(self, ur, up, fields):
        out = end_to_end(fields) + [(b"Connection", b"Upgrade"), (b"Upgrade", self.r.upgrade)]
        self.sock.sendall(head_bytes(b"HTTP/1.1 101 Switching Protocols", out) + ur.buf)
        up.sendall(self.rd.buf)
        self.rd.buf = ur.buf = b""
        self.sock.settimeout(None)

        def copy(a, b):
            try:
                while True:
                    data = a.recv(65536)
                    if not data:
                        break
                    b.sendall(data)
                b.shutdown(socket.SHUT_WR)
            except OSError:
                for s in (a, b):
                    try:
                        s.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        pass
        other = threading.Thread(target=copy, args=(self.sock, up), daemon=True)
        other.start()
        copy(up, self.sock)
        other.join()
        self.log(101)
        return False, False


def status_line(status):
    phrase = http.client.responses.get(status, "Status").encode()
    return b"HTTP/1.1 %d %s" % (status, phrase)


def client_thread(sock, peer, name, conf):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        Exchange(sock, peer, name, conf).serve()
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(1)
        while sock.recv(65536):  # let the answer arrive before an RST could take it away
            pass
    except OSError:
        pass
    finally:
        sock.close()


def listen(name, where, serve):
    host, _, port = str(where).rpartition(":")
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host or "0.0.0.0", int(port)))
    sock.listen(512)

    def loop():
        while True:
            try:
                c, peer = sock.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(c, peer[0]), daemon=True).start()
    threading.Thread(target=loop, daemon=True).start()
    return sock


def metrics():
    lines = ["weir_config_generation %d" % COUNTS["gen"],
             "weir_config_last_reload_successful %d" % COUNTS["ok"]]
    for k, v in TOTALS.items():
        lines.append('weir_requests_total{listener="%s",route="%s",upstream="%s",code="%s",'
                     'reason="%s"} %d' % (*k, v))
    return ("\n".join(lines) + "\n").encode()


def admin_thread(sock, _peer):
    try:
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(65536)
        path = head.split(b" ")[1].decode()
        pages = {"/metrics": metrics, "/healthz": lambda: b"ok\n", "/status": lambda: b"{}\n",
                 "/readyz": lambda: b"ok\n"}
        status = 200 if path in pages else 404
        if path == "/readyz" and STATE["draining"]:
            status = 503
        body = pages[path]() if status == 200 else b"no\n"
        sock.sendall(head_bytes(status_line(status), [(b"Content-Length", b"%d" % len(body)),
                                                      (b"Connection", b"close")]) + body)
    except OSError:
        pass
    finally:
        sock.close()


def main(argv):
    if argv[1:3] != ["run", "-c"]:
        sys.exit(2)

    def load():
        with open(argv[3], encoding="utf-8") as f:
            conf = yaml.safe_load(f)
        if not isinstance(conf, dict) or conf.get("version") != 1 or "routes" not in conf:
            raise ValueError("not a configuration")
        return conf
    STATE["conf"] = conf = load()
    socks = {}

    def open_all(conf):
        for name, l in conf["listeners"].items():
            if name not in socks:
                socks[name] = listen(name, l["listen"], lambda s, p, n=name: client_thread(
                    s, p, n, STATE["conf"]["listeners"].get(n, {})))
        for name in [n for n in socks if n not in conf["listeners"] and n != "admin "]:
            socks.pop(name).close()
    open_all(conf)
    if "admin" in conf:
        socks["admin "] = listen("admin", conf["admin"]["listen"], admin_thread)
    signals = []
    for s in (signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT, signal.SIGINT, signal.SIGUSR1):
        signal.signal(s, lambda n, _f: signals.append(n))
    while True:
        time.sleep(0.01)
        while signals:
            s = signals.pop(0)
            if s == signal.SIGINT:
                os._exit(0)
            if s == signal.SIGHUP:
                try:
                    new = load()
                    open_all(new)
                    STATE["conf"] = new
                    COUNTS.update(gen=COUNTS["gen"] + 1, ok=1)
                except (ValueError, yaml.YAMLError, OSError) as e:
                    print(json.dumps({"level": "error", "message": str(e)}), file=sys.stderr)
                    COUNTS["ok"] = 0
            if s in (signal.SIGTERM, signal.SIGQUIT) and not STATE["draining"]:
                STATE["draining"] = time.monotonic()
                for name, sock in socks.items():
                    if name != "admin ":
                        sock.shutdown(socket.SHUT_RDWR)
                        sock.close()
        if STATE["draining"]:
            if not COUNTS["busy"] or time.monotonic() - STATE["draining"] > 30:
                os._exit(0)


if __name__ == "__main__":
    main(sys.argv)

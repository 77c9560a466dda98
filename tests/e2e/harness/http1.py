# SPDX-License-Identifier: Apache-2.0
"""A strict reader of HTTP/1 messages.

It judges what the gateway sends, so it forgives nothing: an odd byte raises
Malformed, an early end raises Eof. Names and values stay bytes.
"""

import hashlib
import re

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*\Z")
KEEP = 1 << 20  # bytes of a body that are kept; all are counted and hashed


class Malformed(Exception):
    """The peer broke the grammar of RFC 9112."""


class Eof(Exception):
    """The peer ended in the middle of something. reset: it was an RST."""

    def __init__(self, what, reset=False):
        super().__init__(what)
        self.reset = reset


class Message:
    """A request or a response. `head` holds the raw bytes of the head."""

    def __init__(self):
        self.head = b""
        self.method = self.target = b""
        self.version = b""
        self.status = 0
        self.reason = b""
        self.headers = []  # (name, value) in order, as sent
        self.trailers = []
        self.framing = "none"  # none, length, chunked, close
        self.length = 0
        self.body = b""  # the first KEEP bytes
        self.body_len = 0
        self.body_sha = hashlib.sha256()
        self.interim = []  # 1xx responses that came before this one
        self.complete = False

    def all(self, name):
        if isinstance(name, str):
            name = name.encode()
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def get(self, name, default=None):
        got = self.all(name)
        return got[0] if got else default

    def has(self, name):
        return bool(self.all(name))

    @property
    def sha(self):
        return self.body_sha.hexdigest()

    def took(self, data):
        self.body_len += len(data)
        self.body_sha.update(data)
        if len(self.body) < KEEP:
            self.body += data[:KEEP - len(self.body)]

    def __repr__(self):
        if self.status:
            return "<response %d %s %d bytes>" % (self.status, self.framing, self.body_len)
        return "<request %r %r %s %d bytes>" % (
            self.method, self.target, self.framing, self.body_len)


def tokens(values):
    """The lower-cased members of comma-separated field lines."""
    out = []
    for v in values:
        out += [t.strip().lower() for t in v.split(b",") if t.strip()]
    return out


def framing_of(msg, method=b""):
    """(kind, length) by RFC 9112 6.3; doubt raises Malformed."""
    te, cl = msg.all("transfer-encoding"), msg.all("content-length")
    if msg.status and (msg.status < 200 or msg.status in (204, 304) or method == b"HEAD"):
        if (te or cl) and (msg.status < 200 or msg.status == 204):
            raise Malformed("framing fields on a %d" % msg.status)
        return "none", 0
    if te and cl:
        raise Malformed("both content-length and transfer-encoding")
    if te:
        if [t.lower() for t in te] != [b"chunked"]:
            raise Malformed("transfer-encoding %r" % te)
        return "chunked", 0
    if cl:
        if len(cl) > 1 or not re.fullmatch(rb"[0-9]{1,19}", cl[0]):
            raise Malformed("content-length %r" % cl)
        return "length", int(cl[0])
    return ("close", 0) if msg.status else ("none", 0)


class Wire:
    """Buffered strict reading from a socket."""

    def __init__(self, sock):
        self.sock = sock
        self.buf = b""
        self.raw = b""  # all that came, up to KEEP bytes

    def fill(self):
        try:
            data = self.sock.recv(262144)
        except ConnectionError as e:
            raise Eof("reset", reset=True) from e
        if not data:
            raise Eof("end of stream")
        self.buf += data
        if len(self.raw) < KEEP:
            self.raw += data[:KEEP - len(self.raw)]

    def line(self, limit=131072):
        while b"\n" not in self.buf:
            if len(self.buf) > limit:
                raise Malformed("line longer than %d" % limit)
            self.fill()
        line, self.buf = self.buf.split(b"\n", 1)
        if not line.endswith(b"\r"):
            raise Malformed("bare LF after %r" % line[-60:])
        line = line[:-1]
        if b"\r" in line or b"\0" in line:
            raise Malformed("CR or NUL in %r" % line[:60])
        return line

    def fields(self):
        out, raw = [], b""
        while True:
            line = self.line()
            raw += line + b"\r\n"
            if not line:
                return out, raw
            name, sep, value = line.partition(b":")
            if not sep or not TOKEN.match(name):
                raise Malformed("field line %r" % line[:80])
            value = value.strip(b" \t")
            if not VALUE.match(value):
                raise Malformed("field value %r" % value[:80])
            out.append((name, value))

    def chunks(self, msg, on_data):
        while True:
            line = self.line(4096)
            if not re.fullmatch(rb"[0-9a-fA-F]{1,16}", line):
                raise Malformed("chunk size %r" % line[:40])
            left = int(line, 16)
            if left == 0:
                msg.trailers, _ = self.fields()
                return
            self.take(left, msg, on_data)
            if self.line(16):
                raise Malformed("no CRLF after a chunk")

    def take(self, left, msg, on_data):
        while left:
            if not self.buf:
                self.fill()
            data, self.buf = self.buf[:left], self.buf[left:]
            left -= len(data)
            msg.took(data)
            if on_data:
                on_data(data)

    def body(self, msg, on_data=None):
        if msg.framing == "length":
            self.take(msg.length, msg, on_data)
        elif msg.framing == "chunked":
            self.chunks(msg, on_data)
        elif msg.framing == "close":
            try:
                while True:
                    self.take(max(1, len(self.buf)), msg, on_data)
            except Eof as e:
                if e.reset:
                    raise
        msg.complete = True
        return msg

    def request_head(self):
        msg = Message()
        line = self.line()
        parts = line.split(b" ")
        if len(parts) != 3 or not TOKEN.match(parts[0]) or not parts[1]:
            raise Malformed("request line %r" % line[:80])
        msg.method, msg.target, msg.version = parts
        if not re.fullmatch(rb"HTTP/1\.[01]", msg.version):
            raise Malformed("version %r" % msg.version)
        msg.headers, raw = self.fields()
        msg.head = line + b"\r\n" + raw
        msg.framing, msg.length = framing_of(msg)
        return msg

    def response_head(self, method=b"GET"):
        msg = Message()
        line = self.line()
        m = re.fullmatch(rb"(HTTP/1\.[01]) ([1-9][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)", line)
        if not m:
            raise Malformed("status line %r" % line[:80])
        msg.version, msg.status, msg.reason = m[1], int(m[2]), m[3]
        msg.headers, raw = self.fields()
        msg.head = line + b"\r\n" + raw
        msg.framing, msg.length = framing_of(msg, method)
        return msg

    def response(self, method=b"GET", on_data=None):
        """The final response with its body; 1xx are in `.interim`. A 101 is final."""
        interim = []
        while True:
            msg = self.response_head(method)
            if msg.status >= 200 or msg.status == 101:
                msg.interim = interim
                return self.body(msg, on_data)
            interim.append(msg)

    def request(self, on_data=None):
        return self.body(self.request_head(), on_data)

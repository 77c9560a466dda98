# SPDX-License-Identifier: Apache-2.0
"""The user service from the outside: real processes, real sockets, real files.

The program is $WEIR_BUILDDIR/weir-user-service. Nothing here sleeps: a test waits for a line of the
log, for an answer, or for a process to end.
"""

import concurrent.futures
import contextlib
import http.client
import itertools
import json
import os
import re
import resource
import signal
import socket
import sqlite3
import subprocess
import threading
import uuid

import pytest

PROGRAM = os.path.join(os.environ.get("WEIR_BUILDDIR", "."), "weir-user-service")
WAIT_S = 30  # far more than anything takes: sanitizers on a busy machine
JSON = {"Content-Type": "application/json"}
PASSWORD = "correct horse battery"
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

serial = itertools.count(1)


def fresh_email():
    return "user%d@example.com" % next(serial)


class Answer:
    def __init__(self, response, body):
        self.status = response.status
        self.headers = response.headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    def is_problem(self, status, reason):
        assert (self.status, self.json["reason"]) == (status, reason), self.body
        assert self.headers["Content-Type"] == "application/problem+json"
        assert self.json["status"] == status
        assert self.json["request_id"] == self.headers["X-Request-Id"]
        return self.json


class Service:
    """One process, and the lines of its log as they come."""

    def __init__(self, database, name="user-1", port=0, wait=True, preexec=None):
        self.lines = []
        self.changed = threading.Condition()
        self.is_closed = False
        self.proc = subprocess.Popen(
            [PROGRAM, "--listen", "127.0.0.1:%d" % port, "--database", str(database),
             "--name", name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, preexec_fn=preexec)
        self.stderr = b""
        self.readers = [threading.Thread(target=f, daemon=True)
                        for f in (self._read_log, self._read_stderr)]
        for reader in self.readers:
            reader.start()
        if wait:
            self.port = self.wait_log("listening")["port"]

    def _read_log(self):
        for line in self.proc.stdout:
            with self.changed:
                self.lines.append(json.loads(line))
                self.changed.notify_all()
        with self.changed:
            self.is_closed = True
            self.changed.notify_all()

    def _read_stderr(self):
        self.stderr = self.proc.stderr.read()

    def wait_log(self, msg, **members):
        """The first line with that message and those members."""
        def find():
            for line in self.lines:
                if line["msg"] == msg and all(line.get(k) == v for k, v in members.items()):
                    return line
            return self.is_closed and {}

        with self.changed:
            line = self.changed.wait_for(find, WAIT_S)
        assert line, "no line %r %r in %r %r" % (msg, members, self.lines[-5:], self.stderr)
        return line

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)

    def request(self, method, path, body=None, headers=None, conn=None):
        """`body`: bytes or str as they are, anything else as JSON."""
        headers = dict(headers or {})
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            headers = {**JSON, **headers}
        own = conn or self.connect()
        try:
            own.request(method, path, body, headers)
            response = own.getresponse()
            return Answer(response, response.read())
        finally:
            if conn is None:
                own.close()

    def create(self, **fields):
        body = {"email": fresh_email(), "name": "Ada", "password": PASSWORD, **fields}
        answer = self.request("POST", "/v1/users", body)
        assert answer.status == 201, answer.body
        return answer.json

    def raw(self, *parts):
        """Sends the bytes and returns all that comes until the service closes."""
        with socket.create_connection(("127.0.0.1", self.port), WAIT_S) as s:
            for part in parts:
                s.sendall(part)
            return read_all(s)

    def wait_in_flight(self, count):
        """Asks until so many other requests are being worked on."""
        with contextlib.closing(self.connect()) as conn:
            for _ in range(100000):
                if self.request("GET", "/healthz", conn=conn).json["in_flight"] == count:
                    return
        raise AssertionError("never %d in flight" % count)

    def stop(self, signo=signal.SIGTERM):
        if self.proc.poll() is None:
            self.proc.send_signal(signo)
        return self.wait()

    def wait(self):
        try:
            code = self.proc.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            raise
        for reader in self.readers:
            reader.join(WAIT_S)
        return code


def read_all(s):
    data = b""
    while True:
        try:
            more = s.recv(65536)
        except ConnectionResetError:
            return data
        if not more:
            return data
        data += more


@contextlib.contextmanager
def running(*args, **kw):
    service = Service(*args, **kw)
    try:
        yield service
        if service.proc.poll() is None:
            assert service.stop() == 0, service.stderr
        assert b"Sanitizer" not in service.stderr and b"runtime error" not in service.stderr
    finally:
        if service.proc.poll() is None:
            service.proc.kill()
            service.proc.wait()
        print(service.stderr.decode(errors="replace"))


@contextlib.contextmanager
def write_lock(database):
    """Holds the database's write lock, so that every write waits: a slow request, as slow as due."""
    db = sqlite3.connect(database, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        db.execute("ROLLBACK")
        db.close()


def in_background(fn, *args, **kw):
    pool = concurrent.futures.ThreadPoolExecutor(1)
    future = pool.submit(fn, *args, **kw)
    pool.shutdown(wait=False)
    return future


def at_once(count, fn):
    """fn(0) .. fn(count - 1), each on a thread, all let go at the same moment."""
    gate = threading.Barrier(count)

    def one(i):
        gate.wait(WAIT_S)
        return fn(i)

    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running(tmp_path_factory.mktemp("users") / "users.db") as one:
        yield one


@pytest.fixture
def database(tmp_path):
    return tmp_path / "users.db"


# ---- the frame ----


def test_health_and_readiness(service):
    answer = service.request("GET", "/healthz")
    assert (answer.status, answer.json) == (200, {"status": "ok", "in_flight": 0})
    assert answer.headers["X-Served-By"] == "user-1"
    answer = service.request("GET", "/readyz")
    assert (answer.status, answer.json) == (200, {"status": "ready"})


def test_request_id_is_echoed_logged_and_made(service):
    for given in ("abc-1", "0" * 128, "A.b_c:d+e/f="):
        answer = service.request("GET", "/healthz", headers={"X-Request-Id": given})
        assert answer.headers["X-Request-Id"] == given
        assert service.wait_log("request", request_id=given)["path"] == "/healthz"
    for bad in (None, "", "a" * 129, "a b", 'a"b', "ä"):
        headers = {} if bad is None else {"X-Request-Id": bad.encode()}
        made = service.request("GET", "/healthz", headers=headers).headers["X-Request-Id"]
        assert UUID7.fullmatch(made), made


def test_trace_id_is_logged_when_valid(service):
    trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    cases = {
        "00-%s-%s-01" % (trace, span): trace,
        "cc-%s-%s-01-more" % (trace, span): trace,
        "00-%s-%s-01-more" % (trace, span): "",
        "ff-%s-%s-01" % (trace, span): "",
        "00-%s-%s-01" % ("0" * 32, span): "",
        "00-%s-%s-01" % (trace, "0" * 16): "",
        "00-%s-%s-01" % (trace.upper(), span): "",
        "00-%s-%s" % (trace, span): "",
        "": "",
    }
    for i, (header, expected) in enumerate(cases.items()):
        service.request("GET", "/healthz",
                        headers={"traceparent": header, "X-Request-Id": "trace-%d" % i})
        assert service.wait_log("request", request_id="trace-%d" % i)["trace_id"] == expected


def test_log_line_has_what_it_takes_and_no_secret(service):
    secret = "a-Secret-of-23-letters!"
    service.request("POST", "/v1/users?token=" + secret,
                    {"email": fresh_email(), "name": "x", "password": secret},
                    {"X-Request-Id": "secretive"})
    line = service.wait_log("request", request_id="secretive")
    assert (line["method"], line["path"], line["status"]) == ("POST", "/v1/users", 201)
    assert line["level"] == "info" and line["service"] == "user" and line["instance"] == "user-1"
    assert line["bytes_in"] > 0 and line["bytes_out"] > 0 and line["duration_ms"] > 0
    assert secret not in json.dumps(service.lines)


@pytest.mark.parametrize("path", [
    "/", "/v1", "/v1/users/", "/v1/user", "/v1/usersx", "/v1/users/a/b", "/V1/users", "/v1//users"])
def test_unknown_path_is_404(service, path):
    service.request("GET", path).is_problem(404, "no_route")


@pytest.mark.parametrize("method,path,allow", [
    ("DELETE", "/v1/users", "POST, GET, HEAD"),
    ("POST", "/v1/users/%s" % uuid.uuid4(), "GET, HEAD, PUT, PATCH, DELETE"),
    ("GET", "/v1/users/1/password-check", "POST"),
    ("OPTIONS", "/healthz", "GET, HEAD"),
])
def test_wrong_method_is_405_with_allow(service, method, path, allow):
    answer = service.request(method, path)
    answer.is_problem(405, "method_not_allowed")
    assert answer.headers["Allow"] == allow


def test_unknown_method_is_501(service):
    service.request("BREW", "/v1/users").is_problem(501, "method_unknown")


def test_head_is_get_without_a_body(service):
    user = service.create()
    head = service.request("HEAD", "/v1/users/" + user["id"])
    get = service.request("GET", "/v1/users/" + user["id"])
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == str(len(get.body))
    assert head.headers["ETag"] == get.headers["ETag"]


@pytest.mark.parametrize("kind", [
    None, "text/plain", "application/jsonx", "application/x-www-form-urlencoded", "json"])
def test_wrong_media_type_is_415(service, kind):
    headers = {} if kind is None else {"Content-Type": kind}
    service.request("POST", "/v1/users", b"{}", headers).is_problem(415, "media_type")


@pytest.mark.parametrize("kind", [
    "application/json", "APPLICATION/JSON", "application/json; charset=utf-8",
    "application/json;charset=utf-8", "application/merge-patch+json"])
def test_json_media_types(service, kind):
    user = service.create()
    answer = service.request("PATCH", "/v1/users/" + user["id"], b'{"name":"Bob"}',
                             {"Content-Type": kind})
    assert (answer.status, answer.json["name"]) == (200, "Bob")


@pytest.mark.parametrize("body", [
    b"", b" ", b"{", b"}", b"[]", b'"x"', b"null", b"1", b"{} {}", b"{'a':1}", b'{"a":}',
    b'{"name":"a","name":"b"}', b'{"name":"a\x00b"}', b'{"name":"a"}\x00', b'{"name":"a\\u0000b"}',
    b'{"name":"\xff"}', b'{"name":"\xc0\xaf"}', b'{"name":"\xed\xa0\x80"}', b'{"name":"\\ud800"}',
    b'{"name":"a\nb"}', b'{"name":1e999}', b'{"name":' + b"9" * 400 + b"}",
    b'{"a":' + b"[" * 30000 + b"]" * 30000 + b"}", b'{"a":' * 10000,
    b"\xef\xbb\xbf{}", b"\xff\xfe{\x00}\x00",
], ids=lambda b: repr(b[:20]))
def test_malformed_json_is_400(service, body):
    service.request("POST", "/v1/users", body, JSON).is_problem(400, "malformed_json")


def test_body_limit(service):
    def body(size):
        return b'{"name":"' + b"x" * (size - 11) + b'"}'

    answer = service.request("POST", "/v1/users", body(64 * 1024), JSON)
    answer.is_problem(400, "invalid_input")
    answer = service.request("POST", "/v1/users", body(64 * 1024 + 1), JSON)
    answer.is_problem(413, "body_too_large")
    # the same in chunks
    answer = service.raw(chunked(body(64 * 1024 + 1)))
    assert answer.startswith(b"HTTP/1.1 413 ")


def chunked(body, path="/v1/users"):
    return (b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nConnection: close\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"
            % (path.encode(), len(body), body))


def test_chunked_body_is_read(service):
    body = json.dumps({"email": fresh_email(), "name": "C", "password": PASSWORD}).encode()
    assert service.raw(chunked(body)).startswith(b"HTTP/1.1 201 ")


def test_body_above_the_hard_limit_is_413(service):
    head = (b"POST /v1/users HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % (2 * 1024 * 1024))
    assert service.raw(head, b"x" * (2 * 1024 * 1024)).startswith(b"HTTP/1.1 413 ")


def test_head_limit_is_400(service):
    answer = service.raw(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 40000 + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")


SECOND = b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Request-Id: smuggled\r\n\r\n"


@pytest.mark.parametrize("head", [
    b"POST /v1/users HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n",
    b"POST /v1/users HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n",
    b"POST /v1/users HTTP/1.1\r\nContent-Length: +3\r\n",
    b"POST /v1/users HTTP/1.1\r\nContent-Length: 3, 3\r\n",
    b"POST /v1/users HTTP/1.1\r\nTransfer-Encoding: gzip\r\n",
    b"POST /v1/users HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n",
    b"HEAD /healthz HTTP/1.1\r\nContent-Length: 60\r\n",
    b"TRACE /healthz HTTP/1.1\r\nContent-Length: 60\r\n",
    b"BREW /healthz HTTP/1.1\r\nContent-Length: 60\r\n",
], ids=lambda b: repr(b[-40:]))
def test_unclear_framing_ends_the_connection(service, head):
    answer = service.raw(head + b"Host: a\r\n\r\n" + b"0\r\n\r\n" + SECOND)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"smuggled" not in answer and answer.count(b"HTTP/1.1") == 1
    assert b"connection: close" in answer.lower()


def test_pipelined_requests_are_answered_in_order(service):
    one = b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Request-Id: p%d\r\n%s\r\n"
    answer = service.raw(b"".join(one % (i, b"") for i in range(4)) + one % (4, b"Connection: close\r\n"))
    assert re.findall(rb"X-Request-Id: (p\d)", answer) == [b"p0", b"p1", b"p2", b"p3", b"p4"]


def test_keep_alive_serves_many_requests(service):
    with contextlib.closing(service.connect()) as conn:
        service.request("GET", "/healthz", conn=conn)
        first = conn.sock
        for _ in range(50):
            assert service.request("GET", "/readyz", conn=conn).status == 200
        assert conn.sock is first


def test_curl_waits_for_100_continue(service):
    body = json.dumps({"email": fresh_email(), "name": "Curl", "password": PASSWORD})
    out = subprocess.run(
        ["curl", "-sS", "-i", "-H", "Expect: 100-continue", "--expect100-timeout", str(WAIT_S),
         "-H", "Content-Type: application/json", "--data-binary", body,
         "http://127.0.0.1:%d/v1/users" % service.port],
        capture_output=True, timeout=WAIT_S, check=True).stdout
    assert out.startswith(b"HTTP/1.1 100 Continue\r\n") and b"HTTP/1.1 201 Created" in out


# ---- users ----


def test_create_read_replace_change_delete(service):
    email = fresh_email()
    created = service.request("POST", "/v1/users",
                              {"email": email, "name": "Ada", "password": PASSWORD})
    user = created.json
    path = "/v1/users/" + user["id"]
    assert created.status == 201
    assert UUID7.fullmatch(user["id"]) and created.headers["Location"] == path
    assert (user["email"], user["name"], user["version"]) == (email, "Ada", 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", user["created_at"])
    assert set(user) == {"id", "email", "name", "version", "created_at", "updated_at"}
    assert service.request("GET", path).json == user

    replaced = service.request("PUT", path, {"email": fresh_email(), "name": "Countess"})
    assert (replaced.status, replaced.json["name"], replaced.json["version"]) == (200, "Countess", 2)
    changed = service.request("PATCH", path, {"name": "Ada L."})
    assert (changed.status, changed.json["name"], changed.json["version"]) == (200, "Ada L.", 3)
    assert changed.json["email"] == replaced.json["email"]
    assert changed.json["created_at"] == user["created_at"]
    assert changed.json["updated_at"] >= replaced.json["updated_at"]
    assert service.request("GET", path).json == changed.json

    gone = service.request("DELETE", path)
    assert (gone.status, gone.body) == (204, b"")
    for method, body in (("GET", None), ("DELETE", None), ("PATCH", {"name": "x"}),
                         ("PUT", {"name": "x", "email": fresh_email()})):
        service.request(method, path, body).is_problem(404, "user_not_found")


@pytest.mark.parametrize("name", ["1", "x" * 36, "../users", "%2e%2e", "0" * 3000,
                                  "018F0000-0000-7000-8000-000000000000"])
def test_an_id_that_cannot_be_is_404(service, name):
    assert service.request("GET", "/v1/users/" + name).status == 404


def test_a_broken_escape_is_400(service):
    service.request("GET", "/v1/users/a%00b").is_problem(400, "malformed_path")
    service.request("GET", "/v1/users?cursor=%zz").is_problem(400, "malformed_query")
    service.request("GET", "/v1/users?cursor=a%00b").is_problem(400, "malformed_query")


GOOD = {"email": "good@example.com", "name": "Good", "password": PASSWORD}


@pytest.mark.parametrize("change,fields", [
    ({"email": None}, ["email"]), ({"email": 1}, ["email"]), ({"email": ""}, ["email"]),
    ({"email": "a"}, ["email"]), ({"email": "@example.com"}, ["email"]),
    ({"email": "a@"}, ["email"]), ({"email": "a@b"}, ["email"]), ({"email": "a@b."}, ["email"]),
    ({"email": "a@.b"}, ["email"]), ({"email": "a@b..c"}, ["email"]),
    ({"email": ".a@b.c"}, ["email"]), ({"email": "a.@b.c"}, ["email"]),
    ({"email": "a..b@b.c"}, ["email"]), ({"email": "a b@b.c"}, ["email"]),
    ({"email": "a@b@c.d"}, ["email"]), ({"email": "a@-b.c"}, ["email"]),
    ({"email": "a@b-.c"}, ["email"]), ({"email": "a@b.-c"}, ["email"]),
    ({"email": "a@b.c-"}, ["email"]), ({"email": "a@b_c.d"}, ["email"]),
    ({"email": "ä@example.com"}, ["email"]), ({"email": "a@exämple.com"}, ["email"]),
    ({"email": "a\r\nBcc: x@example.com"}, ["email"]), ({"email": "x" * 65 + "@b.c"}, ["email"]),
    ({"email": "a@" + "x" * 64 + ".c"}, ["email"]),
    ({"email": "a@" + "b." * 127 + "c"}, ["email"]), ({"email": "a@" + "x" * 60000}, ["email"]),
    ({"name": None}, ["name"]), ({"name": []}, ["name"]), ({"name": ""}, ["name"]),
    ({"name": "   "}, ["name"]), ({"name": "\u00a0\u3000\u200b"}, ["name"]),
    ({"name": "a\nb"}, ["name"]), ({"name": "a\x7f"}, ["name"]), ({"name": "a\u0085"}, ["name"]),
    ({"name": "a\u2028b"}, ["name"]), ({"name": "x" * 101}, ["name"]),
    ({"name": "😀" * 101}, ["name"]), ({"name": "x" * 50000}, ["name"]),
    ({"password": None}, ["password"]), ({"password": 12345678}, ["password"]),
    ({"password": "1234567"}, ["password"]), ({"password": "x" * 129}, ["password"]),
    ({"password": "ä" * 65}, ["password"]),
    ({"id": "x"}, ["id"]), ({"version": 7}, ["version"]), ({"password_hash": "x"}, ["password_hash"]),
    ({"x" * 5000: 1}, ["x" * 127]),
    ({"email": "a", "name": "", "password": "x", "z": 1}, ["email", "name", "password", "z"]),
], ids=lambda v: repr(v)[:30])
def test_bad_input_names_the_field(service, change, fields):
    problem = service.request("POST", "/v1/users", {**GOOD, **change}).is_problem(400, "invalid_input")
    assert sorted(e["field"] for e in problem["errors"]) == fields
    assert all(e["message"] for e in problem["errors"])


def test_missing_fields_are_all_named(service):
    problem = service.request("POST", "/v1/users", {}).is_problem(400, "invalid_input")
    assert sorted(e["field"] for e in problem["errors"]) == ["email", "name", "password"]
    user = service.create()
    problem = service.request("PUT", "/v1/users/" + user["id"], {}).is_problem(400, "invalid_input")
    assert sorted(e["field"] for e in problem["errors"]) == ["email", "name"]


def test_the_list_of_faults_is_bounded(service):
    many = {"field-%d-ä" % i: i for i in range(2000)}
    problem = service.request("POST", "/v1/users", many).is_problem(400, "invalid_input")
    assert len(problem["errors"]) == 32


def test_an_empty_change_changes_nothing(service):
    user = service.create()
    answer = service.request("PATCH", "/v1/users/" + user["id"], {})
    assert (answer.status, answer.json) == (200, user)


@pytest.mark.parametrize("name", [
    "x", "x" * 100, "😀" * 100, "Zoë \u202eabc", "名前", "e\u0301", "O'Neil \"x\" \\ / <b>",
    "a b", "Robert'); DROP TABLE users;--"])
def test_names_come_back_as_they_went(service, name):
    user = service.create(name=name)
    assert service.request("GET", "/v1/users/" + user["id"]).json["name"] == name


@pytest.mark.parametrize("email", [
    "a@b.c", "a.b+c@example.co.uk", "!#$%&'*+-/=?^_`{|}~@example.com", "x" * 64 + "@example.com",
    "1@2.3", "a@" + "b" * 63 + ".c", "a@" + "b." * 125 + "cd"])
def test_emails_that_are_taken(service, email):
    service.request("DELETE", "/v1/users/" + service.create(email=email)["id"])


def test_email_is_folded_and_unique(service):
    name = "Mixed%d" % next(serial)
    user = service.create(email=name + "@Example.COM")
    assert user["email"] == name.lower() + "@example.com"
    body = {**GOOD, "email": name.upper() + "@EXAMPLE.com"}
    service.request("POST", "/v1/users", body).is_problem(409, "email_taken")
    other = service.create()
    path = "/v1/users/" + other["id"]
    service.request("PATCH", path, {"email": user["email"]}).is_problem(409, "email_taken")
    service.request("PUT", path, {"email": user["email"], "name": "x"}).is_problem(409, "email_taken")
    assert service.request("GET", path).json == other
    # a user may keep its own, and an address is free again after its user went
    assert service.request("PATCH", path, {"email": other["email"].upper()}).json == other
    service.request("DELETE", "/v1/users/" + user["id"])
    assert service.request("PATCH", path, {"email": user["email"]}).status == 200


def test_if_match_guards_changes(service):
    user = service.create()
    path = "/v1/users/" + user["id"]
    for bad in ('"2"', '"0"', 'W/"1"', "1", '"11"', '"1', "", '"a", "b"'):
        for method, body in (("PATCH", {"name": "x"}), ("DELETE", None),
                             ("PUT", {"name": "x", "email": user["email"]})):
            answer = service.request(method, path, body, {"If-Match": bad})
            answer.is_problem(412, "version_mismatch")
    assert service.request("GET", path).json == user
    for version, good in enumerate(('"1"', "*", '"7", "3"', '"4","5"', ' "5" '), 1):
        answer = service.request("PATCH", path, {"name": "n%d" % version}, {"If-Match": good})
        assert (answer.status, answer.headers["ETag"]) == (200, '"%d"' % (version + 1))
    assert service.request("DELETE", path, headers={"If-Match": '"6"'}).status == 204
    missing = service.request("PATCH", path, {"name": "x"}, {"If-Match": "*"})
    missing.is_problem(404, "user_not_found")


def test_if_none_match_saves_the_body(service):
    path = "/v1/users/" + service.create()["id"]
    for known in ('"1"', 'W/"1"', "*", '"0", "1"'):
        answer = service.request("GET", path, headers={"If-None-Match": known})
        assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", '"1"')
    assert service.request("GET", path, headers={"If-None-Match": '"2"'}).status == 200


def test_password_check(service):
    user = service.create(password="pass-ä-1")
    path = "/v1/users/%s" % user["id"]

    def matches(password):
        answer = service.request("POST", path + "/password-check", {"password": password})
        assert answer.status == 200
        assert set(answer.json) == {"match"}
        return answer.json["match"]

    assert matches("pass-ä-1") and not matches("pass-ä-2") and not matches("")
    for edge in ("12345678", "x" * 128):
        assert service.request("PATCH", path, {"password": edge}).json["version"] > user["version"]
        assert matches(edge) and not matches(edge[:-1]) and not matches("pass-ä-1")
    service.request("PUT", path, {"email": user["email"], "name": "kept"})
    assert matches("x" * 128)
    for bad in ({}, {"password": 1}, {"password": "x" * 129}):
        answer = service.request("POST", path + "/password-check", bad)
        answer.is_problem(400, "invalid_input")
    answer = service.request("POST", "/v1/users/%s/password-check" % uuid.uuid4(), {"password": "x"})
    answer.is_problem(404, "user_not_found")


def test_passwords_are_kept_as_argon2id(database):
    with running(database) as service:
        one, two = service.create(), service.create()
        assert b"password" not in service.request("GET", "/v1/users").body
        with contextlib.closing(sqlite3.connect(database)) as db:
            hashes = [h for h, in db.execute("SELECT password_hash FROM users")]
            assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert one["id"] != two["id"] and len(set(hashes)) == 2
        assert all(h.startswith("$argon2id$v=19$m=19456,t=2,p=1$") for h in hashes)
        assert os.stat(database).st_mode & 0o077 == 0


# ---- pages ----


@pytest.mark.parametrize("query", [
    "limit=0", "limit=101", "limit=-1", "limit=", "limit=x", "limit=1.0", "limit=+1", "limit=%201",
    "limit=99999999999999999999", "cursor=", "cursor=1", "cursor=' OR 1=1"])
def test_bad_page_is_400(service, query):
    answer = service.request("GET", "/v1/users?" + query.replace(" ", "%20"))
    problem = answer.is_problem(400, "invalid_input")
    assert [e["field"] for e in problem["errors"]] == [query.split("=")[0]]


def pages(service, limit):
    """All pages, each as a list of users."""
    cursor = ""
    while cursor is not None:
        page = service.request("GET", "/v1/users?limit=%d%s" % (limit, cursor)).json
        yield page["users"]
        cursor = page["next_cursor"] and "&cursor=" + page["next_cursor"]


def fill(database, count):
    """Rows straight into the file: the pages do not care where users come from."""
    ids = ["0%07x-0000-7000-8000-%012x" % (i, i) for i in range(count)]
    with contextlib.closing(sqlite3.connect(database)) as db:
        db.executemany("INSERT INTO users VALUES (?, ?, 'n', 'h', 1, 0, 0)",
                       [(i, i + "@example.com") for i in ids])
        db.commit()
    return ids


def test_pages(database):
    with running(database) as service:
        assert list(pages(service, 10)) == [[]]
        ids = fill(database, 250)
        assert len(service.request("GET", "/v1/users").json["users"]) == 20
        assert [u["id"] for u in itertools.chain(*pages(service, 7))] == ids
        assert [len(p) for p in pages(service, 100)] == [100, 100, 50]
        assert [len(p) for p in pages(service, 50)] == [50] * 5


def test_pages_are_stable_under_inserts_and_deletes(database):
    with running(database) as service:
        old = fill(database, 40)
        seen = []
        for number, page in enumerate(pages(service, 5)):
            seen += [u["id"] for u in page]
            if number < 4:
                service.create()
                # the one that the cursor names may go, too
                service.request("DELETE", "/v1/users/" + seen[-1])
        assert len(seen) == len(set(seen))
        assert [i for i in seen if i in set(old)] == old
        assert len(seen) == 44


# ---- several at once ----


def test_two_instances_lose_no_update(database):
    with running(database) as one, running(database, name="user-2") as two:
        both = (one, two)
        path = "/v1/users/" + one.create(name="0")["id"]

        def count_up(i):
            service = both[i % 2]
            wins = 0
            with contextlib.closing(service.connect()) as conn:
                while wins < 15:
                    now = service.request("GET", path, conn=conn)
                    assert now.status == 200
                    answer = service.request("PATCH", path, {"name": str(int(now.json["name"]) + 1)},
                                             {"If-Match": now.headers["ETag"]}, conn=conn)
                    assert answer.status in (200, 412), answer.body
                    wins += answer.status == 200
            return service.request("GET", path).headers["X-Served-By"]

        assert sorted(set(at_once(6, count_up))) == ["user-1", "user-2"]
        final = two.request("GET", path).json
        assert (final["name"], final["version"]) == ("90", 91)


def test_two_instances_mixed_writes_without_a_5xx(database):
    with running(database) as one, running(database, name="user-2") as two:
        def work(i):
            service = (one, two)[i % 2]
            with contextlib.closing(service.connect()) as conn:
                for _ in range(5):
                    body = {"email": fresh_email(), "name": "n", "password": PASSWORD}
                    made = service.request("POST", "/v1/users", body, conn=conn)
                    path = made.headers["Location"]
                    # what one wrote the other reads
                    other = (one, two)[(i + 1) % 2]
                    yield made.status, 201
                    yield other.request("GET", path).status, 200
                    yield other.request("PATCH", path, {"name": "m"}).status, 200
                    yield service.request("GET", "/v1/users?limit=100", conn=conn).status, 200
                    yield service.request("DELETE", path, conn=conn).status, 204

        for results in at_once(6, lambda i: list(work(i))):
            assert all(got == due for got, due in results), results
        assert one.request("GET", "/v1/users").json == {"users": [], "next_cursor": None}


def test_one_email_is_won_once(database):
    with running(database) as one, running(database, name="user-2") as two:
        for _ in range(3):
            body = {"email": fresh_email(), "name": "n", "password": PASSWORD}
            answers = at_once(12, lambda i: (one, two)[i % 2].request("POST", "/v1/users", body))
            assert sorted(a.status for a in answers) == [201] + [409] * 11


def test_instances_may_start_at_once_on_a_new_file(database):
    started = at_once(5, lambda i: Service(database, name="user-%d" % i))
    try:
        for service in started:
            assert service.request("GET", "/readyz").status == 200
    finally:
        codes = [service.stop() for service in started]
    assert codes == [0] * 5


def test_reads_do_not_wait_for_password_hashes(service):
    path = "/v1/users/" + service.create()["id"]
    with concurrent.futures.ThreadPoolExecutor(60) as pool:
        hashes = [pool.submit(service.create) for _ in range(60)]
        answers = [service.request("GET", path).status for _ in range(3)]
        waiting = sum(not h.done() for h in hashes)
        assert answers == [200] * 3 and waiting > 0
        assert len({h.result(WAIT_S)["id"] for h in hashes}) == 60


# ---- ends ----


def test_sigterm_lets_a_slow_request_end(database):
    with running(database) as service:
        user = service.create()
        path = "/v1/users/" + user["id"]
        half = socket.create_connection(("127.0.0.1", service.port), WAIT_S)
        idle = service.connect()
        service.request("GET", "/readyz", conn=idle)
        half.sendall(b"GET /readyz HTTP/1.1\r\nHos")
        with write_lock(database):
            slow = in_background(service.request, "PATCH", path, {"name": "slow"})
            service.wait_in_flight(1)
            service.proc.send_signal(signal.SIGTERM)
            assert service.wait_log("draining")["in_flight"] == 1
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", service.port), WAIT_S)
            # what is on its way still gets an answer, and is told that it is the last one
            half.sendall(b"t: a\r\n\r\n")
            assert read_all(half).startswith(b"HTTP/1.1 200 OK\r\n")
            answer = service.request("GET", path, conn=idle)
            assert (answer.json["name"], answer.headers["Connection"]) == ("Ada", "close")
            assert not slow.done()
        answer = slow.result(WAIT_S)
        assert (answer.status, answer.json["name"]) == (200, "slow")
        assert answer.headers["Connection"] == "close"
        assert service.wait() == 0
        assert service.wait_log("stopped")["abandoned"] == 0
        half.close()
        idle.close()
    with running(database) as service:
        assert service.request("GET", path).json["name"] == "slow"


def test_sigterm_with_idle_connections_ends_at_once(database):
    with running(database) as service, contextlib.closing(service.connect()) as conn:
        service.request("GET", "/healthz", conn=conn)
        assert service.stop() == 0
        assert conn.sock.recv(1) == b""


def test_a_second_signal_abandons_what_runs(database):
    with running(database) as service:
        path = "/v1/users/" + service.create()["id"]
        with write_lock(database):
            slow = in_background(service.request, "PATCH", path, {"name": "slow"})
            service.wait_in_flight(1)
            service.proc.send_signal(signal.SIGTERM)
            service.wait_log("draining")
            service.proc.send_signal(signal.SIGTERM)
            assert service.wait() == 1
            assert service.wait_log("stopped")["abandoned"] == 1
            with pytest.raises((ConnectionError, http.client.HTTPException)):
                slow.result(WAIT_S)


def test_a_client_that_goes_away_harms_nobody(database):
    with running(database) as service:
        user = service.create()
        body = b'{"name":"left behind"}'
        with write_lock(database):
            for i in range(8):
                s = socket.create_connection(("127.0.0.1", service.port), WAIT_S)
                s.sendall(b"PATCH /v1/users/%s HTTP/1.1\r\nHost: a\r\nX-Request-Id: gone%d\r\n"
                          b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                          % (user["id"].encode(), i, len(body), body))
                service.wait_in_flight(i + 1)
                # some say goodbye, some just drop the line
                if i % 2:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                s.close()
        for i in range(8):
            service.wait_log("request", request_id="gone%d" % i)
        service.wait_in_flight(0)
        assert service.request("GET", "/v1/users/" + user["id"]).json["name"] == "left behind"


def test_a_database_locked_for_too_long_is_503(database):
    with running(database) as service:
        user = service.create()
        with write_lock(database):
            answer = service.request("PATCH", "/v1/users/" + user["id"], {"name": "x"})
            assert service.request("GET", "/v1/users/" + user["id"]).json == user
        answer.is_problem(503, "database_busy")
        assert answer.headers["Retry-After"] == "1"
        assert service.request("PATCH", "/v1/users/" + user["id"], {"name": "x"}).status == 200


def test_kill_9_keeps_what_was_answered(database):
    kept = {}
    for _ in range(3):
        service = Service(database)
        for user in kept.values():
            assert service.request("GET", "/v1/users/" + user["id"]).json == user
        written = threading.Semaphore(0)

        def writer():
            # until the process is gone
            with contextlib.suppress(OSError, http.client.HTTPException):
                while True:
                    user = service.create()
                    kept[user["id"]] = user
                    written.release()
        threads = [threading.Thread(target=writer) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(10):
            assert written.acquire(timeout=WAIT_S)
        service.proc.kill()
        for thread in threads:
            thread.join(WAIT_S)
        assert service.wait() == -signal.SIGKILL
    with running(database) as service:
        listed = {u["id"]: u for page in pages(service, 100) for u in page}
        assert all(listed.get(i) == user for i, user in kept.items())


def test_without_descriptors_connections_wait(database):
    def few_descriptors():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    with running(database, preexec=few_descriptors) as service:
        many = [socket.create_connection(("127.0.0.1", service.port), WAIT_S) for _ in range(80)]
        assert service.wait_log("accept failed")["level"] == "warn"
        # those that got in are served, those that did not are served once the others are gone
        for s in many:
            s.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        for s in many:
            assert read_all(s).startswith(b"HTTP/1.1 200 OK\r\n")
            s.close()


# ---- starts ----


@pytest.mark.parametrize("args", [
    [], ["--listen", "127.0.0.1:0"], ["--database", "x"], ["--nonsense"],
    ["--listen", "127.0.0.1:0", "--database", "x", "more"],
    ["--listen", "127.0.0.1:0", "--database", "x", "--log-level", "loud"],
    ["--listen", "127.0.0.1:0", "--database", "x", "--name", "a\r\nb"],
    ["--listen", "127.0.0.1:0", "--database", "x", "--name", "n" * 65]])
def test_wrong_usage_is_exit_2(args, tmp_path):
    done = subprocess.run([PROGRAM, *args], capture_output=True, timeout=WAIT_S, cwd=tmp_path)
    assert done.returncode == 2 and b"usage: weir-user-service" in done.stderr
    assert os.listdir(tmp_path) == []


def test_help_and_version():
    for option in ("--help", "--version"):
        done = subprocess.run([PROGRAM, option], capture_output=True, timeout=WAIT_S)
        assert done.returncode == 0 and b"weir-user-service" in done.stdout


@pytest.mark.parametrize("listen", ["", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "localhost:0",
                                    "127.0.0.1:70000", "300.0.0.1:0", "[::1:0"])
def test_a_bad_address_is_exit_3(listen, database):
    done = subprocess.run([PROGRAM, "--listen", listen, "--database", database],
                          capture_output=True, timeout=WAIT_S)
    assert done.returncode == 3, done.stdout
    assert b"listen" in done.stdout


def test_a_taken_port_is_exit_3(service, database):
    other = Service(database, port=service.port, wait=False)
    assert other.wait() == 3
    assert other.wait_log("cannot listen")["level"] == "error"


def test_a_database_that_cannot_be_opened_is_exit_3(tmp_path):
    for path in (tmp_path, tmp_path / "no" / "such.db"):
        assert Service(path, wait=False).wait() == 3
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"not a database at all " * 100)
    assert Service(garbage, wait=False).wait() == 3


def test_a_database_of_a_newer_program_is_refused(database):
    with running(database) as service:
        service.create()
    with contextlib.closing(sqlite3.connect(database)) as db:
        db.execute("PRAGMA user_version = 1000")
    other = Service(database, wait=False)
    assert other.wait() == 3
    assert other.wait_log("the database was made by a newer program")["version"] == 1000

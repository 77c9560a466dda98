# SPDX-License-Identifier: Apache-2.0
"""A file with every key, and mistakes put into each: the loader refuses with the right line and the
right suggestion, or the file means what it did, or less by what was taken away."""

import concurrent.futures
import json
import os
import re
import subprocess

import pytest

FULL = """\
version: 1
listeners:
  web:
    listen: 127.0.0.1:8080
    trusted_proxies:
      - 10.0.0.0/8
    timeout:
      headers: 11s
      body_idle: 31s
      write_idle: 61s
      keepalive: 76s
    min_rate:
      rate: 241B/s
      grace: 31s
    limits:
      header_bytes: 17KiB
      header_count: 101
      line: 9KiB
      requests: 1001
      age: 2h
    body_limit: 3MiB
upstreams:
  users:
    servers:
      - address: 127.0.0.1:9001
        weight: 2
      - 127.0.0.1:9002
    balance:
      hash:
        header: X-User
    pool:
      idle: 65
      idle_timeout: 56s
      max_age: 2h
  orders:
    servers:
      - 127.0.0.1:9003
    balance: round_robin
defaults:
  timeout:
    connect: 4s
    first_byte: 16s
    idle: 61s
    total: 31s
  host: upstream
  request_id:
    keep: always
routes:
  - name: first
    hosts:
      - api.example.com
    prefix: /v1/users
    methods:
      - GET
    listeners:
      - web
    upstream: users
    strip_prefix: true
    allow_encoded_slash: true
    body_limit: 2MiB
    ip:
      allow:
        - 10.0.0.0/8
      deny:
        - 10.0.0.13
    request_headers:
      set:
        X-From: edge
      add:
        X-Tag: a
      remove:
        - X-Debug
    response_headers:
      remove:
        - Server
    cors:
      origins:
        - https://app.example.com
      methods:
        - PUT
      headers:
        - X-User
      expose:
        - X-Total
      credentials: true
      max_age: 10m
  - name: second
    path: /split
    split:
      users: 95
      orders: 5
    split_by:
      cookie: session
    rewrite:
      prefix: /static
    mirror:
      upstream: orders
      share: 5%
  - name: third
    prefix: /old
    redirect:
      to: /new
      status: 307
  - name: swap
    prefix: /swap
    upstream: users
    rewrite:
      regex: ^/swap/([a-z]+)/([0-9]+)$
      with: /$2/$1
  - name: fourth
    prefix: /closed
    respond:
      status: 503
      headers:
        Retry-After: "60"
      body: back soon
  - name: fifth
    regex: ^/v[0-9]+/
    headers:
      X-Beta: "1"
      X-Version:
        regex: ^2
    query:
      lang:
        prefix: de
      debug:
        present: true
    upstream: users
limits:
  connections: 2000
admin:
  listen: 127.0.0.1:9901
  socket: admin.sock
  write: true
log:
  access:
    to: access.log
    format: json
    fields:
      - time
  level: warn
workers: 2
"""
LINES = FULL.splitlines()
# Words of the user, not of the language.
OWN = {"web", "users", "orders", "X-From", "X-Tag", "Retry-After",
       "X-Beta", "X-Version", "lang", "debug"}
UNITS = r"(\d+)(ms|s|m|h|B|KiB|MiB|B/s)"


def key_of(line):
    m = re.match(r"( *(?:- )?)([A-Za-z_-]+):(?: (.*))?$", line)
    return m and (m[1], m[2], m[3])


KEYS = [i for i, line in enumerate(LINES) if key_of(line)]


def depth(line):
    return len(line) - len(line.lstrip(" "))


def block(i):
    """Lines of a key: its own and those of its value."""
    begin, end = len(key_of(LINES[i])[0]), i + 1
    while end < len(LINES) and depth(LINES[end]) > begin:
        end += 1
    return i, end


def renames(word):
    """Words at a distance of one or two: a letter doubled, left out, changed, two exchanged."""
    mid = len(word) // 2
    found = {word[:mid] + word[mid - 1] + word[mid:], word[:mid] + word[mid + 1:],
             word[:mid] + "q" + word[mid + 1:]}
    if len(word) > 4:
        found |= {word[:1] + word[2] + word[1] + word[3:], word[:-2] + "q"}
    # "hosq" is nearer to "host"
    return sorted(found - {word, "hosq"})


class Loader:
    """`check` and `show` of the program, over texts."""

    def __init__(self, path, folder, step):
        self.path, self.folder, self.step = path, folder, step

    def _run(self, command, text, *args):
        file = os.path.join(self.folder, "%x.yaml" % (hash(text) & 0xffffffffffff))
        with open(file, "w", encoding="utf-8") as f:
            f.write(text)
        got = subprocess.run([self.path, command, "-c", file, *args], capture_output=True,
                             text=True, check=False, timeout=60)
        os.unlink(file)
        return got

    def check(self, text):
        """(exit status, errors)"""
        got = self._run("check", text, "--json")
        assert got.returncode in (0, 1), got.stderr
        return got.returncode, json.loads(got.stdout or "[]")

    def show(self, text):
        """The values in force, without their places."""
        got = self._run("show", text)
        assert got.returncode == 0, got.stderr
        return re.sub(r" *# .*", "", got.stdout)


@pytest.fixture
def loader(gateway_path, tmp_path, quick):
    return Loader(gateway_path, str(tmp_path), 7 if quick else 1)


def each(loader, work, mutants):
    """All mutants, or in the quick run, and with it under the sanitizers, every seventh."""
    mutants = mutants[::loader.step]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        faults = [f for f in pool.map(lambda m: work(*m), mutants) if f]
    assert not faults, "%d of %d:\n%s" % (len(faults), len(mutants), "\n".join(faults[:20]))


def put(i, *lines, upto=None):
    return "\n".join(LINES[:i] + list(lines) + LINES[i + 1 if upto is None else upto:]) + "\n"


def texts(errors):
    return ["%d: %s; %s" % (e["line"], e["message"], e["hint"]) for e in errors]


def test_the_file_is_fine_and_whole(loader, gateway_path):
    assert loader.check(FULL) == (0, [])
    said = subprocess.run([gateway_path, "defaults"], capture_output=True, text=True, check=True)
    known = {re.sub(r"\[\]", "", line.split()[0].split(".")[-1]) for line in
             said.stdout.splitlines()[1:]} - {"NAME"}
    used = {key_of(LINES[i])[1] for i in KEYS} - OWN
    # these exclude others that are there, or need files
    assert known - used <= {"cookie", "file", "include"}, known - used


def test_renamed(loader):
    def one(i, new):
        start, key, value = key_of(LINES[i])
        status, errors = loader.check(put(i, "%s%s:%s" % (start, new, " " + value if value else "")))
        if key in OWN:
            return None if status == 0 or any('"%s"' % n in e["message"] for e in errors
                                              for n in (key, new)) else repr(texts(errors))
        at = [e for e in errors if e["line"] == i + 1 and 'unknown key "%s"' % new in e["message"]]
        if len(at) != 1 or at[0]["column"] != len(start) + 1:
            return "%s -> %s: %s" % (key, new, texts(errors))
        if len(key) > 3 and 'did you mean "%s"' % key not in (at[0]["hint"] or ""):
            return "%s -> %s: %s" % (key, new, at[0]["hint"])
        # what the misspelt key would have said is not missed besides
        return None if len(errors) == 1 else "%s -> %s: %s" % (key, new, texts(errors))
    each(loader, one, [(i, new) for i in KEYS for new in renames(key_of(LINES[i])[1])])


def test_twice(loader):
    def one(i):
        start, key, _ = key_of(LINES[i])
        begin, end = block(i)
        first = " " * len(start) + LINES[i][len(start):]
        status, errors = loader.check(put(i, *LINES[begin:end], first, *LINES[begin + 1:end], upto=end))
        where = i + 1 + end - begin
        return None if status == 1 and any(
            e["line"] == where and 'duplicate key "%s"' % key in e["message"] for e in errors) \
            else "%s: %s" % (key, texts(errors))
    each(loader, one, [(i,) for i in KEYS])


def test_left_out(loader):
    whole = loader.show(FULL)

    def one(i):
        start, key, _ = key_of(LINES[i])
        begin, end = block(i)
        rest = LINES[end:]
        if "- " in start and rest and not rest[0].lstrip().startswith("- "):
            rest = [start + rest[0].lstrip()] + rest[1:]
        text = "\n".join(LINES[:begin] + rest) + "\n"
        status, errors = loader.check(text)
        if status == 0:
            # what stands there for format is the default
            return None if key == "format" or loader.show(text) != whole else \
                "%s: nothing changed" % key
        names = re.findall(r'"([^"]*)"', " ".join(texts(errors)))
        near = {key_of(LINES[k])[1] for k in range(max(0, begin - 2), begin) if key_of(LINES[k])}
        inside = {key_of(line)[1] for line in LINES[begin:end] if key_of(line)}
        return None if (near | inside) & set(names) else "%s: %s" % (key, texts(errors))
    each(loader, one, [(i,) for i in KEYS])


def test_of_another_type(loader):
    def one(i, value):
        start, key, _ = key_of(LINES[i])
        status, errors = loader.check(put(i, "%s%s: %s" % (start, key, value), upto=block(i)[1]))
        return None if status == 1 and any(e["line"] == i + 1 for e in errors) else \
            "%s: %s: %s" % (key, value, texts(errors))
    mutants = []
    for i in KEYS:
        # any word is a file, or a value, there
        if key_of(LINES[i])[1] in ("access", "X-Version", "lang", "debug"):
            continue
        mutants += [(i, v) for v in (("[[]]", "{ zz: 1 }", "") if key_of(LINES[i])[2] else
                                     ("7", '"a b"', "", "[[]]"))]
    each(loader, one, mutants)


def test_wrong_units(loader):
    def one(i, value):
        start, key, _ = key_of(LINES[i])
        status, errors = loader.check(put(i, "%s%s: %s" % (start, key, value)))
        return None if status == 1 and any(e["line"] == i + 1 for e in errors) and \
            len(errors) == 1 else "%s: %s: %s" % (key, value, texts(errors))
    each(loader, one, [(i, v) for i in KEYS for m in [re.fullmatch(UNITS, key_of(LINES[i])[2] or "")] if m
               for v in (m[1], m[1] + "x", m[1] + " " + m[2], "-" + m[0], m[1] + ".5.5" + m[2],
                         m[1] + ("s" if "B" in m[2] else "KiB"), m[2], "99999999999999999999" + m[2])])


def test_indented(loader):
    """A line that stands a column off: refused near it, or nothing changed."""
    whole = loader.show(FULL)

    def one(i, by):
        line = " " + LINES[i] if by > 0 else LINES[i][1:]
        text = put(i, line)
        status, errors = loader.check(text)
        if status == 0:
            return None if loader.show(text) == whole else "%s: another meaning" % line
        # the line, or the first one that does not go with it
        near = range(i, block(i)[1] + 2) if key_of(LINES[i]) else range(i, i + 3)
        return None if any(e["line"] in near for e in errors) else "%s: %s" % (line, texts(errors))
    each(loader, one, [(i, by) for i in range(len(LINES)) for by in (1, -1)
               if by > 0 or LINES[i].startswith(" ")])

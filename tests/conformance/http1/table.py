# SPDX-License-Identifier: Apache-2.0
"""Reads the table. README.md describes the format."""

import re

ESC = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.S)
PLAIN = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"\\": b"\\", b'"': b'"'}
CHECKS = {"method", "target", "framing", "body", "status", "interim", "has", "contains", "any",
          "lacks", "lacks-value", "order", "trailer", "notrailer"}
VERDICTS = {"request": r"accept|closed|4\d\d|5\d\d", "response": r"pass|cut|502"}


class Row:
    def __init__(self, kind, name):
        self.kind, self.name = kind, name
        self.why = ""
        self.data = b""
        self.fin = self.partial = self.open = False
        self.want = []
        self.method = b"GET"
        self.answered = None
        self.up, self.down = [], []
        self.after = self.reuse = None


def unquote(text):
    m = re.fullmatch(r'"((?:[^"\\]|\\.)*)"(?: \* (\d+))?', text)
    if not m:
        raise ValueError("not a string: %s" % text)

    def one(e):
        if e[1]:
            return bytes([int(e[1], 16)])
        if e[2] not in PLAIN:
            raise ValueError("unknown escape \\%s" % e[2].decode())
        return PLAIN[e[2]]
    return ESC.sub(one, m[1].encode("latin-1")) * int(m[2] or 1)


def check_of(rest):
    what, _, value = rest.partition(" ")
    if what not in CHECKS:
        raise ValueError("unknown check %r" % what)
    return what, unquote(value) if value.startswith('"') else value.encode()


def directive(row, key, rest):
    if key == "why":
        row.why = rest
    elif key == "send":
        row.data += unquote(rest)
    elif key in ("fin", "partial", "open"):
        setattr(row, key, True)
    elif key == "want":
        row.want = rest.split("|")
        for v in row.want:
            if not re.fullmatch(VERDICTS[row.kind], v):
                raise ValueError("unknown verdict %r" % v)
    elif key == "method":
        row.method = rest.encode()
    elif key == "answered":
        row.answered = int(rest)
    elif key in ("up", "down"):
        getattr(row, key).append(check_of(rest))
    elif key in ("after", "reuse"):
        if rest not in ("keep", "close", "yes", "no"):
            raise ValueError("unknown %s %r" % (key, rest))
        setattr(row, key, rest)
    else:
        raise ValueError("unknown directive %r" % key)


def finish(row):
    if not row.want or not row.why:
        raise ValueError("row %s needs `want` and `why`" % row.name)
    if row.answered is None:
        row.answered = 1 if row.want[0] == "accept" else 0
    if row.kind == "response" and row.want != ["pass"] and "pass" not in row.want:
        row.reuse = "no"


def read(path):
    rows, names, row = [], set(), None
    with open(path, encoding="ascii") as f:
        for number, line in enumerate(f, 1):
            line = line.rstrip("\n")
            if line.startswith("#"):
                continue
            key, _, rest = line.partition(" ")
            try:
                if not line:
                    if row:
                        finish(row)
                        row = None
                elif key in ("request", "response"):
                    if row or rest in names:
                        raise ValueError("no empty line before, or a second %s" % rest)
                    names.add(rest)
                    row = Row(key, rest)
                    rows.append(row)
                elif row is None:
                    raise ValueError("directive outside of a row")
                else:
                    directive(row, key, rest)
            except ValueError as e:
                raise SystemExit("%s:%d: %s" % (path, number, e)) from None
    if row:
        finish(row)
    return rows

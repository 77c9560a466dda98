# SPDX-License-Identifier: Apache-2.0
"""A file with every key, and mistakes put into each line of it: the loader refuses with the right line
and the right suggestion, or the file means what it now says. And the JSON Schema says the same of all
of them.

What an accepted file means is told in two ways that have nothing in common: the loader reads its
lines, and it reads the JSON of what somebody else's YAML parser made of them.
"""

import functools
import json
import os
import re
import subprocess

import jsonschema
import pytest
import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "every-key.yaml"), encoding="utf-8") as f:
    FULL = f.read()
LINES = FULL.splitlines()
UNITS = r"([\d.]+)(ms|s|m|h|B|KiB|MiB|B/s|%)"
# What a schema can judge, by the kinds of `check --json`.
JUDGED = {"key", "missing", "conflict", "type", "form", "bound"}
AT_LEAST = 2000


# ---- the file, line by line ----

def key_of(line):
    m = re.match(r"( *(?:- )?)([A-Za-z0-9_-]+):(?: (.*))?$", line)
    return m and (m[1], m[2], m[3])


def item_of(line):
    m = re.match(r"( *- )(?![A-Za-z0-9_-]+: |[A-Za-z0-9_-]+:$)(.+)$", line)
    return m and (m[1], m[2])


KEYS = [i for i, line in enumerate(LINES) if key_of(line)]
ITEMS = [i for i, line in enumerate(LINES) if item_of(line)]


def depth(line):
    return len(line) - len(line.lstrip(" "))


def block(i):
    """Lines of a key: its own and those of its value."""
    begin, end = len(key_of(LINES[i])[0]), i + 1
    while end < len(LINES) and depth(LINES[end]) > begin:
        end += 1
    return i, end


def path_of(i):
    """`upstreams.NAME.servers[]`, as `defaults` writes it, but with the user's own names."""
    found, at = [], len(LINES[i])
    for k in range(i, -1, -1):
        key = key_of(LINES[k])
        begin = len(key[0]) if key else depth(LINES[k])
        if k == i and key is None:
            found.append("[]")
            at = begin
        elif key and (begin < at or (begin == at and "- " in key[0])):
            if begin < at:
                found.append(key[1])
            at = begin
            if "- " in key[0]:
                found.append("[]")
                at = depth(LINES[k])
    return ".".join(reversed(found)).replace(".[]", "[]")


def put(i, *lines, upto=None):
    return "\n".join(LINES[:i] + list(lines) + LINES[i + 1 if upto is None else upto:]) + "\n"


def with_value(i, value):
    start, key, _ = key_of(LINES[i])
    return put(i, "%s%s:%s" % (start, key, " " + value if value else ""), upto=block(i)[1])


# ---- another reader ----

class Yaml12(yaml.CSafeLoader):
    """The core schema of YAML 1.2, as the language has it: `yes` and 0777 are strings."""

    def construct_mapping(self, node, deep=False):
        keys = [k.value for k, _ in node.value]
        if len(set(keys)) != len(keys):
            raise yaml.YAMLError("a key stands twice")
        return {k.value: self.construct_object(v, deep=True) for k, v in node.value}


Yaml12.yaml_implicit_resolvers = {}
for _tag, _what, _first in (
        ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"), ("null", r"~|null|Null|NULL|", "~nN"),
        ("int", r"-?(?:0|[1-9]\d*)", "-0123456789"),
        ("float", r"-?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?", "-.0123456789")):
    Yaml12.add_implicit_resolver("tag:yaml.org,2002:" + _tag, re.compile("(?:%s)$" % _what),
                                 list(_first) + ([""] if _tag == "null" else []))
Yaml12.add_constructor("tag:yaml.org,2002:map", lambda loader, node: loader.construct_mapping(node))


@functools.lru_cache(4096)
def parsed(text):
    try:
        return yaml.load(text, Yaml12)
    except yaml.YAMLError:
        return None


def data_of(text):
    """What the text holds, or None where it is no YAML, or a key stands twice. Its parts are mostly
    those of other mutants, and are read once; where that leads nowhere, the text is read as a whole."""
    whole = {}
    for part in re.split(r"(?m)^(?=[A-Za-z\"'])", text):
        data = parsed(part) if part.strip() else {}
        if data is None and re.sub("(?m)^#.*\n", "", part) == "":
            continue
        if not isinstance(data, dict) or whole.keys() & data.keys():
            return parsed(text)
        whole.update(data)
    return whole


class Schema:
    """Whether it accepts a file. Mutants have nearly everything in common: what was looked at once is
    remembered."""

    def __init__(self, schema):
        self.seen = {}
        plain = jsonschema.Draft7Validator
        self.validator = jsonschema.validators.extend(plain, {
            "properties": self._properties, "items": self._items,
            "additionalProperties": lambda v, sub, instance, schema: self._additional(
                plain.VALIDATORS["additionalProperties"], v, sub, instance, schema)})(schema)

    def _accepts(self, validator, sub, value):
        key = id(sub), json.dumps(value)
        if key not in self.seen:
            self.seen[key] = validator.evolve(schema=sub).is_valid(value)
        return self.seen[key]

    def _each(self, validator, pairs):
        for name, sub, value in pairs:
            if not self._accepts(validator, sub, value):
                yield jsonschema.ValidationError(str(name))

    def _properties(self, validator, properties, instance, _):
        if isinstance(instance, dict):
            yield from self._each(validator, ((k, properties[k], v) for k, v in instance.items()
                                              if k in properties))

    def _items(self, validator, items, instance, _):
        if isinstance(instance, list):
            yield from self._each(validator, ((i, items, v) for i, v in enumerate(instance)))

    def _additional(self, plain, validator, sub, instance, schema):
        if isinstance(sub, dict) and isinstance(instance, dict):
            yield from self._each(validator, ((k, sub, v) for k, v in instance.items()
                                              if k not in schema.get("properties", {})))
        else:
            yield from plain(validator, sub, instance, schema)

    def accepts(self, data):
        return self.validator.is_valid(data)


# ---- the loader ----

class Verdict:
    def __init__(self, ok, errors, shown):
        self.ok, self.shown = ok, shown
        self.errors = [e for e in errors if e["level"] == "error"]

    def at(self, line, *words):
        return [e for e in self.errors if e["line"] == line and
                all(w in e["message"] + "; " + (e["hint"] or "") for w in words)]

    def __str__(self):
        return " / ".join("%d: %s; %s" % (e["line"], e["message"], e["hint"]) for e in self.errors) \
            or "accepted"


class Loader:
    """The loader of the program, over texts, in one process."""

    def __init__(self, build, folder):
        self.file = os.path.join(folder, "gateway.yaml")
        self.fd = os.open(self.file, os.O_WRONLY | os.O_CREAT, 0o600)
        with open(os.path.join(folder, "page.html"), "w", encoding="utf-8") as f:
            f.write("<p>\n")
        subprocess.run(["make", "-s", "tests/e2e/load_many"], cwd=build, check=True, timeout=300,
                       stdout=subprocess.DEVNULL)
        self.proc = subprocess.Popen([os.path.join(build, "tests/e2e/load_many")],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def load(self, text):
        # in place: a file that is cut to nothing and written anew may be written to disk when closed
        os.ftruncate(self.fd, os.pwrite(self.fd, text.encode(), 0))
        self.proc.stdin.write(self.file.encode() + b"\n")
        self.proc.stdin.flush()
        ok, said, shown = map(int, self.proc.stdout.readline().split())
        errors = json.loads(self.proc.stdout.read(said))
        shown = self.proc.stdout.read(shown).decode()
        # without the places
        return Verdict(bool(ok), errors, re.sub(r"(?m) +# (?:default|\S+:\d+)$", "", shown))

    def end(self):
        os.close(self.fd)
        self.proc.stdin.close()
        self.proc.stdout.close()
        assert self.proc.wait(30) == 0


class Bench:
    """Loader and schema beside each other, and what they said of the mutants so far."""

    def __init__(self, loader, schema, step):
        self.loader, self.schema, self.step = loader, schema, step
        self.whole = loader.load(FULL)
        self.texts = set()
        self.judged = 0

    def look(self, text):
        """-> (verdict, what is wrong with it whatever the mutant was, or None)"""
        v = self.loader.load(text)
        data = data_of(text)
        fault = None
        if v.ok and data is None:
            fault = "accepted, and it is no YAML"
        elif v.ok and self.loader.load(json.dumps(data)).shown != v.shown:
            fault = "its JSON means something else: %s" % self.loader.load(json.dumps(data))
        elif data is not None and {e["kind"] for e in v.errors} != {"syntax"}:
            fault = self.schema_fault(v, data)
        if text not in self.texts:
            self.texts.add(text)
        return v, fault

    def schema_fault(self, v, data):
        judges = any(e["kind"] in JUDGED for e in v.errors)
        self.judged += v.ok or judges
        accepts = self.schema.accepts(data)
        if v.ok and not accepts:
            return "only the schema refuses it"
        return "the schema accepts it" if judges and accepts else None

    def each(self, work, mutants):
        """All mutants, or in the quick run, and with it under the sanitizers, every seventh."""
        faults = [f for m in mutants[::self.step] for f in [work(*m)] if f]
        assert not faults, "%d of %d:\n%s" % (len(faults), len(mutants), "\n".join(faults[:30]))


@pytest.fixture(scope="module")
def bench(request, tmp_path_factory):
    path = os.path.abspath(request.config.getoption("--gateway"))
    said = subprocess.run([path, "schema"], capture_output=True, text=True, check=True).stdout
    loader = Loader(os.environ["WEIR_BUILDDIR"], str(tmp_path_factory.mktemp("mutants")))
    yield Bench(loader, Schema(json.loads(said)), 7 if request.config.getoption("--quick") else 1)
    loader.end()


@pytest.fixture(scope="module")
def types(request):
    """Of each key, by its path, what `defaults` says that stands there."""
    path = os.path.abspath(request.config.getoption("--gateway"))
    said = subprocess.run([path, "defaults"], capture_output=True, text=True, check=True).stdout
    at = said.index("type")
    # a long type pushes what follows to the right
    return {line[:at].strip(): line[at:] for line in said.splitlines()[1:]}


def as_told(types, path):
    """With NAME for the user's own names, where something is told of what is below them."""
    told = ""
    for word in path.split("."):
        if any(t.startswith(told + ".NAME.") for t in types):
            word = "NAME"
        told += ("." if told else "") + word
    return told


def is_own(types, i):
    """A word of the user, not of the language."""
    above = as_told(types, path_of(i)).rpartition(".")[0]
    return types.get(above, "").startswith("map of ")


# ---- the file itself ----

def test_the_file_is_fine_and_whole(bench, types):
    v, fault = bench.look(FULL)
    assert v.ok and not fault, "%s %s" % (v, fault)
    used = {as_told(types, path_of(i)) for i in KEYS}
    # policies are one table, whatever they stand on
    layer = r"^(listeners\.NAME|defaults|routes\[\])\."
    anywhere = {re.sub(layer, "*.", p) for p in used}
    missing = [p for p in types if p not in used and
               not (re.match(layer, p) and re.sub(layer, "*.", p) in anywhere)]
    assert not missing, "every-key.yaml lacks them"


def test_the_schema_is_one(bench):
    schema = bench.schema.validator.schema
    jsonschema.validators.validator_for(schema).check_schema(schema)
    assert schema["$schema"] == jsonschema.Draft7Validator.META_SCHEMA["$schema"]


def test_the_schema_tells_editors_what_a_key_is(bench):
    keys = bench.schema.validator.schema["properties"]
    missing = []

    def look(path, key):
        if not key.get("description"):
            missing.append(path)
        for one in key["anyOf"]:
            for name, sub in one.get("properties", {}).items():
                look(path + "." + name, sub)
    for name, key in keys.items():
        look(name, key)
    assert not missing
    limits = keys["listeners"]["anyOf"][0]["additionalProperties"]["anyOf"][0]["properties"]
    assert limits["body_limit"]["default"] == "16MiB"
    assert limits["body_limit"]["examples"] == ["16KiB"]
    assert limits["body_limit"]["anyOf"][0]["patternErrorMessage"] == "a size such as 16KiB is due"


# ---- mutants ----

def renames(word):
    """Words at a distance of one or two: a letter doubled, left out, changed, two exchanged."""
    mid = len(word) // 2
    found = {word[:mid] + word[mid - 1] + word[mid:], word[:mid] + word[mid + 1:],
             word[:mid] + "q" + word[mid + 1:]}
    if len(word) > 4:
        found |= {word[:1] + word[2] + word[1] + word[3:], word[:-2] + "q"}
    return sorted(found - {word, ""})


def distance(a, b):
    """Of optimal string alignment."""
    old, prev = [], list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        now = [i]
        for j, y in enumerate(b, 1):
            best = min(prev[j] + 1, now[-1] + 1, prev[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and y == a[i - 2]:
                best = min(best, old[j - 2] + 1)
            now.append(best)
        old, prev = prev, now
    return prev[-1]


def test_renamed(bench, types):
    def known_beside(i):
        above = as_told(types, path_of(i)).rpartition(".")[0]
        return {p.rpartition(".")[2] for p in types if p.rpartition(".")[0] == above}

    def own(i, new, v):
        key = key_of(LINES[i])[1]
        if v.ok:
            want = re.sub(r"(?<![\w-])%s(?![\w-])" % re.escape(key), new, bench.whole.shown)
            return None if v.shown in (want, bench.whole.shown.replace(key + ":", new + ":")) else \
                "%s -> %s: another meaning" % (key, new)
        return None if any('"%s"' % n in e["message"] for e in v.errors for n in (key, new)) else \
            "%s -> %s: %s" % (key, new, v)

    def one(i, new):
        start, key, value = key_of(LINES[i])
        v, fault = bench.look(put(i, "%s%s:%s" % (start, new, " " + value if value else "")))
        if fault or is_own(types, i):
            return fault and "%s -> %s: %s (%s)" % (key, new, fault, v) or own(i, new, v)
        at = v.at(i + 1, 'unknown key "%s"' % new)
        if len(at) != 1 or at[0]["column"] != len(start) + 1:
            return "%s -> %s: %s" % (key, new, v)
        hint, near = at[0]["hint"] or "", {key}
        if len(key) > 3:
            d = distance(new, key)
            near = {k for k in known_beside(i) if distance(new, k) <= d}
            if not any('did you mean "%s"' % k in hint for k in near):
                return "%s -> %s: %s" % (key, new, hint)
        # what the misspelt key would have said is not missed besides
        return None if len(v.errors) == 1 or near != {key} else "%s -> %s: %s" % (key, new, v)
    bench.each(one, [(i, new) for i in KEYS for new in renames(key_of(LINES[i])[1])
                     # another key of the same place is no misspelling
                     if is_own(types, i) or new not in known_beside(i)])


def test_twice(bench):
    def one(i):
        start, key, _ = key_of(LINES[i])
        begin, end = block(i)
        first = " " * len(start) + LINES[i][len(start):]
        v, fault = bench.look(put(i, *LINES[begin:end], first, *LINES[begin + 1:end], upto=end))
        good = not v.ok and v.at(i + 1 + end - begin, 'duplicate key "%s"' % key)
        return fault or (None if good else "%s: %s" % (key, v))
    bench.each(one, [(i,) for i in KEYS])


def test_left_out(bench):
    def one(i):
        key = (key_of(LINES[i]) or (None, item_of(LINES[i]) and LINES[i].strip()))[1]
        begin, end = block(i) if key_of(LINES[i]) else (i, i + 1)
        rest = LINES[end:]
        if key_of(LINES[i]) and "- " in key_of(LINES[i])[0] and rest and \
                depth(rest[0]) == len(key_of(LINES[i])[0]):
            rest = [key_of(LINES[i])[0] + rest[0].lstrip()] + rest[1:]
        v, fault = bench.look("\n".join(LINES[:begin] + rest) + "\n")
        if fault:
            return "%s: %s (%s)" % (key, fault, v)
        if v.ok:
            # what stands there for these is the default, or what a lower layer says
            return None if v.shown != bench.whole.shown or is_default(i) else \
                "%s: nothing changed" % key
        # around the line, or about what stood there, or about what has no meaning without it
        inside = {w for line in LINES[begin:end] for w in re.split(r"[\s:]+", line) if len(w) > 1}
        good = inside & set(re.findall(r"[\w./*-]+", str(v))) or owner(i) in str(v) or \
            any(begin - 4 <= e["line"] <= begin + 1 for e in v.errors)
        return None if good else "%s: %s" % (key, v)

    def owner(i):
        names = [m[1] for line in LINES[:i] for m in [re.match("  - name: (.*)", line)] if m]
        return 'route "%s"' % names[-1] if path_of(i).startswith("routes") and names else "-"

    def is_default(i):
        return LINES[i].strip() in ("include:", "- more/*.yaml", "format: json", "host: client",
                                    "allow_encoded_slash: false", "keep: trusted",
                                    "rewrite: off", "strip_prefix: off", "total: unlimited")
    bench.each(one, [(i,) for i in KEYS + ITEMS])


def test_of_another_type(bench, types):
    def one(i, value):
        v, fault = bench.look(with_value(i, value))
        key = key_of(LINES[i])[1]
        if fault:
            return "%s: %s: %s (%s)" % (key, value, fault, v)
        return None if not v.ok and v.at(i + 1) else "%s: %s: %s" % (key, value, v)
    mutants = []
    for i in KEYS:
        above = as_told(types, path_of(i)).rpartition(".")[0]
        # any word is a file there, or a value of it
        if path_of(i) == "log.access" or re.match("map of [a-z ]+[|]", types.get(above, "")):
            continue
        mutants += [(i, v) for v in (("[[]]", "{ zz: 1 }", "") if key_of(LINES[i])[2] else
                                     ("7", '"a b"', "", "[[]]", "true"))]
    bench.each(one, mutants)


def test_scalar_list_map(bench):
    """Something in a list, a list as its only item, a map as a list: what it means, or an error
    within it."""
    def one(i, value):
        begin, end = block(i)
        v, fault = bench.look(with_value(i, value))
        if fault:
            return "%s: %s: %s (%s)" % (key_of(LINES[i])[1], value, fault, v)
        # on the one line that is left of it, or about it elsewhere
        names = set(re.findall(r"[\w.*/-]+", "\n".join(LINES[begin:end])))
        return None if v.ok or v.at(i + 1) or names & set(re.findall(r'"([^"]*)"', str(v))) else \
            "%s: %s: %s" % (key_of(LINES[i])[1], value, v)
    mutants = []
    for i in KEYS:
        begin, end = block(i)
        value = data_of("\n".join(line[len(key_of(LINES[i])[0]):] for line in
                                  [" " * len(key_of(LINES[i])[0]) + LINES[i].lstrip(" -")] +
                                  LINES[begin + 1:end]))
        value = value[key_of(LINES[i])[1]]
        mutants += [(i, json.dumps(v)) for v in (
            [value], {key_of(LINES[i])[1]: value}, *(value[:1] if isinstance(value, list) else ()),
            *([list(value.items())] if isinstance(value, dict) else ()))]
    bench.each(one, mutants)


def test_quotes(bench):
    """A value put into quotes, or taken out of them, is the same value, or an error."""
    def one(i, line):
        v, fault = bench.look(put(i, line))
        if fault:
            return "%s: %s (%s)" % (line, fault, v)
        if line.count('"') == 1:
            # where it ends is found out later, and then where it began is told
            return None if not v.ok and any(
                e["line"] > i and ("line %d" % (i + 1) in str(v) or e["line"] == i + 1)
                for e in v.errors) else "%s: %s" % (line, v)
        return None if (v.ok and v.shown == bench.whole.shown) or v.at(i + 1) else \
            "%s: %s" % (line, v)
    mutants = []
    for i in KEYS + ITEMS:
        start, value = (key_of(LINES[i])[0] + key_of(LINES[i])[1] + ": ", key_of(LINES[i])[2]) \
            if key_of(LINES[i]) else item_of(LINES[i])
        if value and value[0] == '"':
            mutants += [(i, start + value.strip('"')), (i, start + value.replace('"', "'"))]
        elif value:
            mutants += [(i, start + '"%s"' % value), (i, start + "'%s'" % value),
                        (i, start + '"%s' % value)]
    for i in KEYS:
        start, key, value = key_of(LINES[i])
        mutants += [(i, '%s"%s":%s' % (start, key, " " + value if value else ""))]
    bench.each(one, mutants)


def test_wrong_units(bench):
    def one(i, value):
        v, fault = bench.look(with_value(i, value))
        if fault:
            return "%s: %s: %s (%s)" % (key_of(LINES[i])[1], value, fault, v)
        return None if not v.ok and v.at(i + 1) and len(v.errors) == 1 else \
            "%s: %s: %s" % (key_of(LINES[i])[1], value, v)
    bench.each(one, [(i, w) for i in KEYS for m in [re.fullmatch(UNITS, key_of(LINES[i])[2] or "")] if m
                     for w in (m[1], m[1] + "x", m[1] + " " + m[2], "-" + m[0], m[1] + ".5.5" + m[2],
                               m[1] + ("s" if "B" in m[2] else "KiB"), m[2], m[0].upper() + "U",
                               "99999999999999999999" + m[2])])


def test_wrong_numbers_and_words(bench, types):
    """Numbers that are none, booleans of YAML 1.1, words misspelt."""
    def one(i, value, hint):
        v, fault = bench.look(with_value(i, value))
        if fault:
            return "%s: %s: %s (%s)" % (key_of(LINES[i])[1], value, fault, v)
        return None if not v.ok and v.at(i + 1, hint) else \
            "%s: %s: %s" % (key_of(LINES[i])[1], value, v)
    mutants = []
    for i in KEYS:
        value, kind = key_of(LINES[i])[2] or "", types.get(as_told(types, path_of(i)), "")
        if kind.startswith("number"):
            # 1e3 is a whole number in JSON
            mutants += [(i, w, "") for w in ("-1", "1.5", "0x10", "01", "1e-3", "one", "1KiB", '"2"',
                                             "99999999999999999999", "")]
        elif kind.startswith("boolean"):
            mutants += [(i, w, "") for w in ("yes", "no", "on", "y", '"true"', "0", "maybe")]
        elif re.match(r"[a-z_0-9]+ \| [a-z]", kind) and re.fullmatch("[a-z_]{4,}", value):
            mutants += [(i, w, 'did you mean "%s"' % value) for w in renames(value)]
    bench.each(one, mutants)


def test_wrong_names(bench):
    """A reference to what is not there, an address that is none, a path that is none."""
    def one(i, line, hint):
        v, fault = bench.look(put(i, line))
        if fault:
            return "%s: %s (%s)" % (line, fault, v)
        return None if not v.ok and v.at(i + 1, hint) else "%s: %s" % (line, v)
    mutants = []
    for i, line in enumerate(LINES):
        m = re.match(r" +(?:upstream: |(users|orders|carts): \d|- (?=(?:web|plain)$))(\w*)", line)
        name = m and (m[1] or m[2])
        if name and not path_of(i).startswith("upstreams"):
            mutants += [(i, line.replace(name, n), 'did you mean "%s"' % name)
                        for n in renames(name) if len(name) > 3]
        m = re.search(r"(\d+\.\d+\.\d+\.\d+)(:\d+|/\d+)?$", line)
        if m:
            mutants += [(i, line[:m.start()] + w, "") for w in (
                "300.1.1.1" + (m[2] or ""), m[1] + "/33", m[1] + ":99999", "http://" + m[1],
                m[1].rpartition(".")[0] + (m[2] or ""))]
        m = re.match(r"( +(?:- )?(?:path|prefix): )(/\S*)$", line)
        if m:
            mutants += [(i, m[1] + w, "") for w in (m[2][1:] or "x", m[2] + "?a=b",
                                                    '"%s b"' % m[2], m[2] + "#a", "http://a" + m[2])]
        m = re.match(r"( +- )([A-Z]+)$", line)
        if m:
            mutants += [(i, m[1] + w, "") for w in (m[2].lower(), '"%s x"' % m[2], m[2] + "(")]
        m = re.match(r"( +)([A-Z][\w-]+)(: .*)$", line)
        if m:
            mutants += [(i, m[1] + w + m[3], "") for w in ('"%s:"' % m[2], '"%s x"' % m[2],
                                                           '"%s("' % m[2])]
    bench.each(one, mutants)


def test_indented(bench):
    """A line that stands a column off: refused near it, or nothing changed. With two of them it may be
    a key of the map above, and mean that."""
    def one(i, by):
        line = " " * by + LINES[i] if by > 0 else LINES[i][-by:]
        v, fault = bench.look(put(i, line))
        if fault:
            return "%d %s: %s (%s)" % (i + 1, line, fault, v)
        if v.ok:
            return None if v.shown == bench.whole.shown or abs(by) > 1 else \
                "%s: another meaning" % line
        # the line, or the first one that does not go with it
        near = range(i, block(i)[1] + 2) if key_of(LINES[i]) else range(i, i + 3)
        return None if any(e["line"] in near for e in v.errors) or abs(by) > 1 and v.errors else \
            "%d %s: %s" % (i + 1, line, v)
    bench.each(one, [(i, by) for i in range(1, len(LINES)) for by in (1, -1, 2, -2)
                     if by > 0 or LINES[i].startswith(" " * -by)])


def test_there_were_enough(bench):
    """The last: how many there were, and how many of them the schema had to judge."""
    assert len(bench.texts) >= AT_LEAST // bench.step, len(bench.texts)
    assert bench.judged >= len(bench.texts) // 3, bench.judged

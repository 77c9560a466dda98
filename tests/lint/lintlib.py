# SPDX-License-Identifier: Apache-2.0
"""What the lints share: which files there are, C without comments, and one way to report."""

import argparse
import os
import re
import subprocess
import sys

PRODUCT = ("engine", "filters", "plugins", "gateway", "sidecar", "ctl")
SERVICES = ("services",)
SKIP_DIRS = {".git", "build", "build-aux", "autom4te.cache", "__pycache__", ".deps"}


class Lint:
    """One run of one lint over one tree."""

    def __init__(self, about, more=None):
        parser = argparse.ArgumentParser(description=about)
        parser.add_argument("--root", default=os.environ.get("WEIR_SRCDIR") or default_root())
        parser.add_argument("--build", default=os.environ.get("WEIR_BUILDDIR"))
        if more:
            more(parser)
        self.args = parser.parse_args()
        self.root = os.path.abspath(self.args.root)
        self.problems = []

    def files(self, tops, endings):
        """Paths relative to the root, sorted: the files of these top folders with these endings."""
        return [f for f in all_files(self.root)
                if f.split("/")[0] in tops and f.endswith(endings)]

    def read(self, path):
        with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as f:
            return f.read()

    def bad(self, path, line, text):
        self.problems.append(f"{path}:{line}: {text}" if line else f"{path}: {text}")

    def done(self, summary):
        for problem in self.problems:
            print(problem)
        if self.problems:
            print(f"{len(self.problems)} problem(s)")
            sys.exit(1)
        print(summary)
        sys.exit(0)


def default_root():
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


_cache = {}


def all_files(root):
    """Every file that belongs to the project: what git knows or would add, else what the tarball
    lists, else what lies there."""
    if root not in _cache:
        _cache[root] = sorted(f for f in _list(root) if os.path.isfile(os.path.join(root, f)))
    return _cache[root]


def _list(root):
    if os.path.exists(os.path.join(root, ".git")):
        try:
            out = subprocess.run(
                ["git", "-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard"],
                cwd=root, capture_output=True, check=True, timeout=60).stdout
            return [f for f in out.decode().split("\0") if f]
        except (OSError, subprocess.SubprocessError):
            pass
    manifest = os.path.join(root, "MANIFEST")
    if os.path.exists(manifest):
        with open(manifest, encoding="utf-8") as f:
            return f.read().split("\n")
    found = []
    for top, dirs, names in os.walk(root):
        dirs[:] = [d for d in dirs if d not in SKIP_DIRS]
        found += [os.path.relpath(os.path.join(top, n), root) for n in names]
    return found


_TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def strip_comments(text, strings=True):
    """C text with comments blanked, and the insides of strings too; line numbers stay."""
    def blank(match):
        token = match.group(0)
        if token[0] == "/":
            return re.sub(r"[^\n]", " ", token)
        if not strings:
            return token
        return token[0] + " " * (len(token) - 2) + token[-1]
    return _TOKEN.sub(blank, text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def read_list(path):
    """Lines of a list file such as .may_include, without comments and blanks; None if missing."""
    try:
        with open(path, encoding="utf-8") as f:
            lines = [line.split("#")[0].strip() for line in f]
    except FileNotFoundError:
        return None
    return [line for line in lines if line]

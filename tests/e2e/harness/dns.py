# SPDX-License-Identifier: Apache-2.0
"""A name server on loopback, and what makes a gateway ask it.

    with Dns() as dns:
        dns.set("a.test", ["127.0.0.1"], ttl=1)
        start(yaml, env=dns.env)

It answers A over UDP; other types have no records. A name that was not set does not exist; one
that is silent gets no answer at all until it is set."""

import atexit
import functools
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
A, IN, NXDOMAIN = 1, 1, 3


@functools.lru_cache(maxsize=None)
def library():
    """Built once a process."""
    folder = tempfile.mkdtemp(prefix="weir-dns-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = os.path.join(folder, "dns_here.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", path, os.path.join(HERE, "dns_here.c"),
                    "-ldl"], check=True, timeout=60)
    return path


class Dns:
    def __init__(self):
        self.names = {}  # name: (addresses, ttl), or None: silent
        self.asked = []  # names, in order
        self.waiting = []  # (query, who): not answered yet
        self.cond = threading.Condition()
        self.stopping = False
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        # A sanitizer wants to be the first library, and need not be.
        self.env = {"LD_PRELOAD": library(), "DNS_HERE": str(self.sock.getsockname()[1]),
                    "ASAN_OPTIONS": "verify_asan_link_order=0"}
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stopping = True
        self.sock.sendto(b"", self.sock.getsockname())
        self.thread.join(2)
        self.sock.close()

    def set(self, name, addresses, ttl=1):
        """From now on; those who wait for it have their answer."""
        with self.cond:
            self.names[name] = (addresses, ttl)
            waiting, self.waiting = self.waiting, []
        for query, who in waiting:
            self._answer(query, who)

    def silence(self, name):
        with self.cond:
            self.names[name] = None

    def wait_asked(self, name, timeout=8.0):
        with self.cond:
            assert self.cond.wait_for(lambda: name in self.asked, timeout), \
                "%s was not asked for" % name

    def _serve(self):
        while not self.stopping:
            query, who = self.sock.recvfrom(4096)
            if len(query) > 12:
                self._answer(query, who)

    @staticmethod
    def _question(query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode("ascii").lower())
            at += 1 + query[at]
        return ".".join(labels), struct.unpack(">H", query[at + 1:at + 3])[0], at + 5

    def _answer(self, query, who):
        name, kind, end = self._question(query)
        with self.cond:
            self.asked.append(name)
            self.cond.notify_all()
            known = self.names.get(name, ([], 0))
            if known is None:
                self.waiting.append((query, who))
                return
            exists = name in self.names
        addresses = known[0] if kind == A else []
        records = b"".join(
            struct.pack(">HHHIH", 0xc00c, A, IN, known[1], 4) + socket.inet_aton(a)
            for a in addresses)
        head = query[:2] + struct.pack(">HHHHH", 0x8180 | (0 if exists else NXDOMAIN), 1,
                                       len(addresses), 0, 0)
        try:
            self.sock.sendto(head + query[12:end] + records, who)
        except OSError:
            pass  # stopped, or whoever asked has gone

# SPDX-License-Identifier: Apache-2.0
"""What an idle keep-alive connection costs a proxy in private memory."""

import socket
import time

from .procs import BenchError, memory_kib

_REQUEST = b"GET /small HTTP/1.1\r\nHost: idle.bench.test\r\n\r\n"


def _exchange(sock):
    sock.sendall(_REQUEST)
    data = b""
    while b"\r\n\r\n" not in data or len(data) < data.index(b"\r\n\r\n") + 4 + 128:
        got = sock.recv(4096)
        if not got:
            raise BenchError("the proxy closed an idle connection's first request")
        data += got
    if not data.startswith(b"HTTP/1.1 200 "):
        raise BenchError(f"answer {data[:20]!r} where 200 was due")


def measure(instance, count, settle_s=1.0):
    """Opens `count` connections, one request on each, and compares memory before and after."""
    socks = []
    try:
        before = memory_kib(instance.pids())
        for _ in range(count):
            s = socket.create_connection(("127.0.0.1", instance.port), timeout=10)
            socks.append(s)
            _exchange(s)
        time.sleep(settle_s)    # a proxy may give memory back a moment after the last request
        after = memory_kib(instance.pids())
        _exchange(socks[0])     # they are open still
        _exchange(socks[-1])
    finally:
        for s in socks:
            s.close()
    return {
        "connections": count,
        "private_before_kib": before["private"],
        "private_after_kib": after["private"],
        "bytes_each": (after["private"] - before["private"]) * 1024 / count,
    }

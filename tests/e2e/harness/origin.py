# SPDX-License-Identifier: Apache-2.0
"""A programmable origin: records what it is asked, answers as it is told.

    def play(conn, req):
        conn.send(answer(b"hello"))
    with Origin(play) as o: ... o.port ... o.requests

A handler runs on the connection's own thread and may send any bytes, drip, stall,
end one direction or reset. Without a handler the answer is 200 with `METHOD target`.
"""

import os
import socket
import threading
import time

from .client import hard_close
from .http1 import Eof, Malformed, Wire


def answer(body=b"", status=200, headers=(), reason=b"OK"):
    """A plain response with a length."""
    if isinstance(body, str):
        body = body.encode()
    out = b"HTTP/1.1 %d %s\r\n" % (status, reason)
    for name, value in headers:
        out += b"%s: %s\r\n" % (name.encode(), value.encode())
    return out + b"Content-Length: %d\r\n\r\n" % len(body) + body


class Conn:
    """One connection from the gateway."""

    def __init__(self, origin, sock, number):
        self.origin = origin
        self.sock = sock
        self.number = number
        self.wire = Wire(sock)
        self.requests = []
        self.partial = None  # head of a request whose body never ended
        self.fault = None  # Malformed, when the gateway sent nonsense
        self.closed = threading.Event()  # the gateway's end was seen, or we closed
        self.reset_seen = False
        self.open = True

    def send(self, data):
        self.sock.sendall(data)

    def drip(self, data, pause, size=1):
        for i in range(0, len(data), size):
            self.sock.sendall(data[i:i + size])
            time.sleep(pause)

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.open = False
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def rst(self):
        self.open = False
        hard_close(self.sock)

    def wait_gone(self, timeout=8.0):
        """True once the gateway has ended this connection; reads what still comes."""
        self.sock.settimeout(timeout)
        try:
            while True:
                self.wire.fill()
                self.wire.buf = b""
        except Eof as e:
            self.reset_seen = e.reset
            self.closed.set()
            return True
        except OSError:
            return False


class Origin:
    """Accepts on loopback (or a Unix path); a thread a connection."""

    def __init__(self, handler=None, on_head=None, on_connect=None, on_data=None,
                 path=None, backlog=512, host="127.0.0.1", port=0):
        self.handler = handler  # (conn, request)
        self.on_head = on_head  # (conn, head) before the body is read; True: skip the rest
        self.on_connect = on_connect  # (conn) does all by itself; True: go on as usual
        self.on_data = on_data  # (bytes) of each body
        self.requests = []  # complete ones, in order of arrival
        self.conns = []
        self.cond = threading.Condition()
        self.path = path
        if path:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.bind(path)
            self.port = 0
        else:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self.sock = socket.socket(family)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.sock.bind((host, port))
            self.port = self.sock.getsockname()[1]
        self.sock.listen(backlog)
        self.stopping = False
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def address(self):
        return "unix:" + self.path if self.path else "127.0.0.1:%d" % self.port

    def _accept(self):
        while not self.stopping:
            try:
                sock, _ = self.sock.accept()
            except OSError:
                return
            if not self.path:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(60)
            with self.cond:
                conn = Conn(self, sock, len(self.conns))
                self.conns.append(conn)
                self.cond.notify_all()
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        try:
            if self.on_connect and not self.on_connect(conn):
                return
            while conn.open and self._one(conn):
                pass
        except Eof as e:
            conn.reset_seen = e.reset
        except Malformed as e:
            conn.fault = e
        except (OSError, ValueError):
            pass  # closed under us, by a script or by stop()
        finally:
            if conn.open:
                conn.sock.close()
            conn.closed.set()
            with self.cond:
                self.cond.notify_all()

    def _one(self, conn):
        head = conn.wire.request_head()
        conn.partial = head
        with self.cond:
            self.cond.notify_all()
        if self.on_head and self.on_head(conn, head):
            return conn.open
        req = conn.wire.body(head, self.on_data)
        conn.partial = None
        req.conn = conn
        conn.requests.append(req)
        with self.cond:
            self.requests.append(req)
            self.cond.notify_all()
        if self.handler:
            self.handler(conn, req)
        else:
            body = req.method + b" " + req.target
            conn.send(answer(b"" if req.method == b"HEAD" else body))
        return conn.open

    def wait(self, test, timeout=8.0):
        """Wait until test() holds; it is tried whenever something happens here."""
        end = time.monotonic() + timeout
        with self.cond:
            while not test():
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self.cond.wait(min(left, 0.2))
        return True

    def wait_requests(self, n, timeout=8.0):
        assert self.wait(lambda: len(self.requests) >= n, timeout), \
            "origin saw %d of %d requests" % (len(self.requests), n)
        return self.requests[:n]

    def open_conns(self):
        return [c for c in self.conns if not c.closed.is_set()]

    def faults(self):
        return [c.fault for c in self.conns if c.fault]

    def forget(self):
        """Start a new record; connections stay."""
        with self.cond:
            self.requests = []

    def stop(self):
        self.stopping = True
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()
        for conn in list(self.conns):
            if not conn.closed.is_set():
                conn.close()
        if self.path and os.path.exists(self.path):
            os.unlink(self.path)
        self.thread.join(2)

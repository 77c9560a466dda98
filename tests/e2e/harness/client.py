# SPDX-License-Identifier: Apache-2.0
"""A raw client: sends the bytes it is given, reads strictly."""

import socket
import struct
import time

from .http1 import Eof, Wire


def hard_close(sock):
    """Close with an RST."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    sock.close()


class Client:
    """One connection. `addr` is a port on loopback, (host, port) or a Unix path."""

    def __init__(self, addr, timeout=8.0, rcvbuf=0):
        if isinstance(addr, int):
            addr = ("127.0.0.1", addr)
        if isinstance(addr, str):
            self.sock = socket.socket(socket.AF_UNIX)
        else:
            family = socket.AF_INET6 if ":" in addr[0] else socket.AF_INET
            self.sock = socket.socket(family)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if rcvbuf:  # must precede connect to bound the window
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(timeout)
        self.sock.connect(addr)
        self.wire = Wire(self.sock)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        if isinstance(data, str):
            data = data.encode("latin-1")
        self.sock.sendall(data)
        return self

    def send_at(self, data, cuts, pause=0.002):
        """Send `data` cut at the offsets, with a pause so that each piece is read alone."""
        last = 0
        for cut in list(cuts) + [len(data)]:
            if cut > last:
                self.sock.sendall(data[last:cut])
                last = cut
                if cut < len(data):
                    time.sleep(pause)
        return self

    def send_bytes(self, data):
        """One byte a send."""
        for i in range(len(data)):
            self.sock.sendall(data[i:i + 1])
        return self

    def head(self, method, target, headers=(), host="a.test", version="1.1"):
        lines = ["%s %s HTTP/%s" % (method, target, version)]
        if host is not None:
            lines.append("Host: " + host)
        lines += ["%s: %s" % h for h in headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def request(self, method="GET", target="/", headers=(), body=None, host="a.test", version="1.1"):
        """Send one request and return its response."""
        headers = list(headers)
        if body is not None:
            headers.append(("Content-Length", str(len(body))))
        self.send(self.head(method, target, headers, host, version) + (body or b""))
        return self.response(method)

    def response(self, method="GET", on_data=None):
        return self.wire.response(method.encode() if isinstance(method, str) else method, on_data)

    def rest(self, limit=1 << 20):
        """All bytes until the end; an RST ends it too."""
        try:
            while len(self.wire.buf) < limit:
                self.wire.fill()
        except Eof:
            pass
        out, self.wire.buf = self.wire.buf, b""
        return out

    def at_eof(self, timeout=None):
        """True when the peer ends the stream, with nothing more sent before."""
        if self.wire.buf:
            return False
        if timeout is not None:
            self.sock.settimeout(timeout)
        try:
            self.wire.fill()
        except Eof:
            return True
        except socket.timeout:
            return False
        return False

    def fin(self):
        self.sock.shutdown(socket.SHUT_WR)
        return self

    def rst(self):
        hard_close(self.sock)

    def close(self):
        self.sock.close()

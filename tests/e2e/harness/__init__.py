# SPDX-License-Identifier: Apache-2.0
"""Black-box test tools: a raw client, a programmable origin, a name server, a gateway process.

Standard library only. Everything is bounded in time, listens on loopback and is
stopped by its own handle or pid.
"""

from .http1 import Eof, Malformed, Message, Wire, framing_of
from .client import Client
from .dns import Dns
from .origin import Origin, answer
from .gateway import Gateway, fill, free_port

__all__ = [
    "Client", "Dns", "Eof", "Gateway", "Malformed", "Message", "Origin", "Wire",
    "answer", "fill", "framing_of", "free_port",
]

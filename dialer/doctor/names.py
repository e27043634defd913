"""Names. Asterisk looks up its own host name; where that is slow, every call stalls for seconds."""

from __future__ import annotations

import asyncio
import socket
import time

from dialer.doctor.finding import Finding, fault, ok, warning
from dialer.settings import Settings

SLOW_S = 0.5
GIVE_UP_S = 6.0


async def own_host_name(settings: Settings, *, host: str | None = None) -> list[Finding]:
    """This machine's own name resolves, and at once."""
    name = host or settings.host_name
    began = time.monotonic()
    cure = f"Put '127.0.1.1 {name}' into /etc/hosts of this machine (and of Asterisk's container): else every call can stall 5 s."
    try:
        async with asyncio.timeout(GIVE_UP_S):
            answers = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except TimeoutError:
        return [fault("host name", f"{name}: no answer from DNS within {GIVE_UP_S:.0f} s", cure)]
    except OSError as error:
        took = time.monotonic() - began
        finding = fault if took > SLOW_S else warning
        return [finding("host name", f"{name} does not resolve ({error.strerror or error}; {took:.1f} s)", cure)]
    took = time.monotonic() - began
    if took > SLOW_S:
        return [fault("host name", f"{name} resolves, but in {took:.1f} s", cure)]
    return [ok("host name", f"{name} is {answers[0][4][0]} ({took * 1000:.0f} ms)")]

"""The ports we listen on: free before the start, ours while we run."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp

from dialer.doctor.finding import Finding, fault, ok
from dialer.settings import Settings

_ANSWER_S = 2.0
_LISTENING = "0A"  # the state's code in /proc/net/tcp


async def ports(settings: Settings) -> list[Finding]:
    """Web, control and AGI ports are free, or answered by Waihu."""
    return [
        await web_port(settings),
        await plain_port("control port", "WAIHU_CONTROL_PORT", settings.control_host, settings.control_port),
        await plain_port("agi port", "WAIHU_AGI_PORT", settings.agi_host, settings.agi_port),
    ]


async def web_port(settings: Settings) -> Finding:
    """The API's port is free, or answers as Waihu does."""
    host, port = _dialable(settings.web_host), settings.web_port
    if not await _taken(host, port):
        return ok("web port", f"{host}:{port} is free (waihu serve does not run)")
    try:
        timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"http://{host}:{port}/healthz") as response,
        ):
            body = await response.read()
        if response.content_type == "application/json" and response.status in {200, 503}:
            return ok("web port", f"{host}:{port} answers: {body[:80].decode('utf-8', 'replace')}")
    except (aiohttp.ClientError, TimeoutError):
        pass
    return _stranger("web port", "WAIHU_WEB_PORT", host, port)


async def plain_port(subject: str, setting: str, host: str, port: int) -> Finding:
    """A port is free, or held by a waihu process."""
    host = _dialable(host)
    if not await _taken(host, port):
        return ok(subject, f"{host}:{port} is free (the engine does not run here)")
    holder = await asyncio.to_thread(holder_of, port)
    if holder is None or "waihu" in holder or "dialer" in holder:
        return ok(subject, f"{host}:{port} is held by {holder or 'a process of another user'}")
    return _stranger(subject, setting, host, port)


def _stranger(subject: str, setting: str, host: str, port: int) -> Finding:
    holder = holder_of(port) or "a process of another user"
    return fault(
        subject, f"{host}:{port} is taken by {holder}", f"Stop that program, or choose another port with {setting}."
    )


def _dialable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # read, not bound


async def _taken(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(_ANSWER_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def holder_of(port: int) -> str | None:
    """The command line of the process that listens on a TCP port; None when it cannot be known."""
    inodes = {
        fields[9]
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        if Path(table).exists()
        for fields in (line.split() for line in Path(table).read_text(encoding="ascii").splitlines()[1:])
        if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port
    }
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            if any(
                link.readlink().name.removeprefix("socket:[").removesuffix("]") in inodes
                for link in (process / "fd").iterdir()
            ):
                return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()[:120]
        except OSError:
            continue
    return None

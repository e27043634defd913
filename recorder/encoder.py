"""The asyncio side of an encoder process: ask, wait with a deadline, start a new one after a death."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from recorder.analysis import Analysis
from recorder.errors import BadLeg, EncoderFailed, StoreRefused
from recorder.master import Master
from recorder.sealing import Seal

_START_TIMEOUT_S: Final = 30.0
_END_TIMEOUT_S: Final = 5.0
_LONGEST_LINE: Final = 1 << 20
_ROOT: Final = str(Path(__file__).resolve().parent.parent)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeOrder:
    """Which legs, where to, how long the call lasted (None: not known) and the customer was alone in it, what to seal it with (None: it is not sealed), and where it was paused (ms)."""

    customer: Path
    agent: Path
    part: Path
    expected_ms: int | None
    alone_ms: int = 0
    seal: Seal | None = None
    pauses: tuple[tuple[int, int], ...] = ()


class Encoder:
    """One process, one call at a time. A death or a stall is reported for the call at hand, and the next call gets a new process."""

    def __init__(self, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """Of the process at work; None when there is none."""
        return None if self._process is None else self._process.pid

    async def encode(self, order: EncodeOrder) -> Master:
        """Make the master.

        Raises BadLeg or EncoderFailed for this call, StoreRefused when no encoder can be started, OSError with the errno of the disk.
        """
        request = {
            "customer": str(order.customer),
            "agent": str(order.agent),
            "part": str(order.part),
            "expected_ms": order.expected_ms,
            "alone_ms": order.alone_ms,
            "pauses": order.pauses,
            "seal": order.seal and [order.seal.attempt_id.hex, order.seal.key.hex()],  # a pipe is read by nobody else
        }
        process = await self._running()
        try:
            async with asyncio.timeout(self._timeout_s):
                reply = await _exchange(process, request)
        except TimeoutError:
            await self.kill()
            raise EncoderFailed("encoder_stalled", "The encoder did not finish this call in time.") from None
        except (EOFError, ConnectionError, ValueError):
            await self.kill()
            raise EncoderFailed("encoder_died", "The encoder died while it had this call.") from None
        except asyncio.CancelledError:
            await self.kill()  # its next answer would be taken for the next call's
            raise
        return _master(reply)

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                return await self._started()
        except (OSError, EOFError, ValueError) as error:  # TimeoutError is an OSError
            await self.kill()
            message = (
                "The encoder process does not start: is PyAV installed, is there memory? The calls wait in the spool."
            )
            raise StoreRefused("encoder_unavailable", message) from error

    async def _started(self) -> asyncio.subprocess.Process:
        # The package must be found whatever the working directory is.
        path = os.pathsep.join(filter(None, [_ROOT, os.environ.get("PYTHONPATH")]))
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "recorder.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LONGEST_LINE,
            env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
        await _line(self._process)
        return self._process

    async def close(self) -> None:
        """End the process in good order, by force when it does not."""
        process = self._process
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            async with asyncio.timeout(_END_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            pass
        await self.kill()

    async def kill(self) -> None:
        """End the process now."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if process.stdin is not None:
            process.stdin.close()


class EncoderPool:
    """The encoders of a recorder; who comes when all are at work waits for the next free one."""

    def __init__(self, count: int, *, timeout_s: float) -> None:
        self._all = [Encoder(timeout_s=timeout_s) for _ in range(count)]
        self._free: asyncio.LifoQueue[Encoder] = asyncio.LifoQueue()
        for encoder in self._all:
            self._free.put_nowait(encoder)

    async def encode(self, order: EncodeOrder) -> Master:
        """As `Encoder.encode`."""
        encoder = await self._free.get()
        try:
            return await encoder.encode(order)
        finally:
            self._free.put_nowait(encoder)

    @property
    def pids(self) -> list[int]:
        """Processes at work."""
        return [encoder.pid for encoder in self._all if encoder.pid is not None]

    async def close(self) -> None:
        """End all of them."""
        for encoder in self._all:
            await encoder.close()


async def _exchange(process: asyncio.subprocess.Process, request: dict[str, Any]) -> dict[str, Any]:
    if process.stdin is None:
        raise EOFError
    process.stdin.write(json.dumps(request).encode() + b"\n")
    await process.stdin.drain()
    return await _line(process)


async def _line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    line = b"" if process.stdout is None else await process.stdout.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    reply = json.loads(line)
    if not isinstance(reply, dict):
        raise ValueError(reply)  # noqa: TRY004 - one kind of error for everything that is no answer
    return reply


def _master(reply: dict[str, Any]) -> Master:
    if "errno" in reply:
        raise OSError(reply["errno"], reply["message"])
    if "bad_leg" in reply:
        raise BadLeg(reply["bad_leg"], reply["message"])
    return Master(
        bytes=reply["bytes"],
        sha256=bytes.fromhex(reply["sha256"]),
        content_bytes=reply["content_bytes"],
        content_sha256=bytes.fromhex(reply["content_sha256"]),
        duration_ms=reply["duration_ms"],
        faults=reply["faults"],
        analysis=reply["analysis"] and Analysis.of_json(reply["analysis"]),
    )

"""Agents' softphones for the lab: real SIP user agents (baresip) that register with digest, answer, talk and hang up.

Each account has a baresip process of its own, all in one container: baresip's menu acts on "the current account", which every incoming
call changes, so that several accounts in one process answer for one another. The bank steers them over their control ports and belongs
to the event loop that started it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.ports import free_port, free_range
from lab.voices import AGENT_VOICE_S, AGENT_VOICES
from lab.waiting import wait_until

_REFRESH_VOICE_S = AGENT_VOICE_S * 0.6
_COMMAND_TIMEOUT_S = 5.0
_LONGEST_MESSAGE = 1_000_000
_RTP_PORTS = 16


class SoftphoneFailed(LabError):
    """A softphone did not do what it was told."""

    error_id = "lab.softphone_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who a softphone is, and how often it registers anew."""

    username: str
    secret: str
    register_s: int = 60


class Softphone:
    """One softphone. `answers`, `answer_after_s` and `rejects` may be set at any time; they hold for the next call that rings."""

    def __init__(self, directory: Path, place: int, account: Account, registrar: str) -> None:
        self.directory = directory
        self.account = account
        self.answers = True
        self.answer_after_s = 0.0
        self.rejects = False  # 486 as soon as it rings
        self.registered = False
        self.calls: dict[str, str] = {}  # baresip's call id → "ringing" or "talking"
        self.calls_seen = 0
        self._registrar = registrar
        self._voice = f"aufile,/voices/agent-{place % AGENT_VOICES}.wav"
        self._sip_port = free_range(2, self).start  # baresip listens for TLS on the next one
        self._control_port = free_port(self)
        self._rtp = free_range(_RTP_PORTS, self)
        self._writer: asyncio.StreamWriter | None = None
        self._reader: asyncio.Task[None] | None = None
        self._answers_to: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._tokens = 0

    @property
    def username(self) -> str:
        return self.account.username

    @property
    def talking(self) -> bool:
        return "talking" in self.calls.values()

    @property
    def ringing(self) -> bool:
        return "ringing" in self.calls.values()

    @property
    def voice_file(self) -> str:
        """Name of the file it speaks, below the voices directory."""
        return Path(self._voice).name

    async def hang_up(self) -> None:
        """BYE; 486 while it still rings."""
        await self.command("hangup")

    async def accept(self) -> None:
        await self.command("accept")

    async def wait_registered(self, timeout_s: float = 10.0) -> None:
        await wait_until(lambda: self.registered, timeout_s=timeout_s, what=f"registration of {self.username}")

    async def wait_ringing(self, timeout_s: float = 10.0) -> None:
        await wait_until(lambda: self.ringing, timeout_s=timeout_s, what=f"a call that rings at {self.username}")

    async def wait_talking(self, timeout_s: float = 10.0) -> None:
        await wait_until(lambda: self.talking, timeout_s=timeout_s, what=f"{self.username} in a call")

    async def wait_free(self, timeout_s: float = 10.0) -> None:
        await wait_until(lambda: not self.calls, timeout_s=timeout_s, what=f"{self.username} without a call")

    async def command(self, command: str, parameters: str = "") -> dict[str, Any]:
        """A command of baresip's menu; raises SoftphoneFailed when it is refused or not answered."""
        if self._writer is None:
            raise SoftphoneFailed(f"softphone {self.username} does not run")
        self._tokens += 1
        token = str(self._tokens)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers_to[token] = answer
        message = json.dumps({"command": command, "params": parameters, "token": token}).encode()
        self._writer.write(b"%d:%s," % (len(message), message))
        try:
            async with asyncio.timeout(_COMMAND_TIMEOUT_S):
                told = await answer
        except TimeoutError:
            raise SoftphoneFailed(f"softphone {self.username} did not answer {command}") from None
        finally:
            self._answers_to.pop(token, None)
        if not told.get("ok"):
            raise SoftphoneFailed(f"softphone {self.username} refused {command}: {told.get('data')}")
        return told

    def write_files(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        config = _CONFIG.format(
            sip_port=self._sip_port,
            control_port=self._control_port,
            first_rtp=self._rtp.start,
            last_rtp=self._rtp.stop - 1,
            voice=self._voice,
        )
        (self.directory / "config").write_text(config, encoding="ascii")
        account = (
            f"<sip:{self.username}@{self._registrar};transport=udp>;auth_user={self.username}"
            f";auth_pass={self.account.secret};answermode=manual;regint={self.account.register_s};audio_codecs=pcma\n"
        )
        (self.directory / "accounts").write_text(account, encoding="ascii")
        (self.directory / "contacts").touch()

    async def connect(self, timeout_s: float) -> None:
        """Take hold of the control port of a process that was just started."""
        reader, self._writer = await wait_until(
            self._try_connect, timeout_s=timeout_s, what=f"softphone {self.username} (log: {self.directory / 'log'})"
        )
        self._reader = asyncio.get_running_loop().create_task(self._read(reader), name=f"softphone {self.username}")
        # A registration that was faster than we are has raised no event here.
        told = await self.command("reginfo")
        self.registered = self.registered or "OK " in str(told.get("data", ""))
        self.answers, self.answer_after_s, self.rejects = True, 0.0, False

    async def disconnect(self) -> None:
        for task in [*self._tasks, *([self._reader] if self._reader else [])]:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self._writer is not None:
            self._writer.close()
        self._reader = None
        self._writer = None
        self.registered = False
        self.calls.clear()

    async def _try_connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        try:
            return await asyncio.open_connection("127.0.0.1", self._control_port, limit=_LONGEST_MESSAGE)
        except OSError:
            return None

    async def _read(self, reader: asyncio.StreamReader) -> None:
        # Netstrings: length, colon, JSON, comma.
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                length = int((await reader.readuntil(b":"))[:-1])
                message = json.loads(await reader.readexactly(length))
                await reader.readexactly(1)
                answer = self._answers_to.get(str(message.get("token")))
                if not message.get("response"):
                    self._on_event(message)
                elif answer is not None and not answer.done():
                    answer.set_result(message)
        self.registered = False
        self.calls.clear()

    def _on_event(self, event: dict[str, Any]) -> None:
        call_id = str(event.get("id", ""))
        match event.get("type"):
            case "REGISTER_OK":
                self.registered = True
            case "REGISTER_FAIL" | "UNREGISTERING":
                self.registered = False
            case "CALL_INCOMING":
                self.calls[call_id] = "ringing"
                self.calls_seen += 1
                self._run(self._answer(call_id), "answers")
            case "CALL_ESTABLISHED":
                self.calls[call_id] = "talking"
                self._run(self._keep_talking(call_id), "talks")
            case "CALL_CLOSED":
                self.calls.pop(call_id, None)

    async def _answer(self, call_id: str) -> None:
        if self.rejects:
            await self.hang_up()
        elif self.answers:
            await asyncio.sleep(self.answer_after_s)
            if call_id in self.calls:
                await self.accept()

    async def _keep_talking(self, call_id: str) -> None:
        # At the end of its file baresip would hang up.
        while True:
            await asyncio.sleep(_REFRESH_VOICE_S)
            if call_id not in self.calls:
                return
            await self.command("ausrc", self._voice)

    def _run(self, work: Coroutine[Any, Any, None], what: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=f"softphone {self.username} {what}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            print(f"{task.get_name()}: {task.exception()}")


# The player is a bridge that leads nowhere: aufile as a player crashes baresip once in a hundred answers.
_CONFIG = """\
poll_method epoll
sip_listen 127.0.0.1:{sip_port}
net_interface 127.0.0.1
call_local_timeout 3600
call_max_calls 4
call_hold_other_calls no
audio_source {voice}
audio_player aubridge,nowhere
audio_alert aufile,/dev/null
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
audio_txmode poll
audio_level no
jitter_buffer_type off
rtp_ports {first_rtp}-{last_rtp}
rtcp_mux no
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module aubridge.so
module account.so
module menu.so
module ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control_port}
"""

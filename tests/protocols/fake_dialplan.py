"""What conf/extensions.conf does, played by the fake Asterisk: channels, variables, and the side of FastAGI that asks."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shlex
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

CAUSES = {0: "Unknown", 16: "Normal Clearing", 17: "User busy", 19: "User alerting, no answer"}
STATES = {0: "Down", 4: "Ring", 5: "Ringing", 6: "Up"}

MAX_COMMAND_BYTES = 8_191
"""What does not fit the real one's buffer is read as the next command."""

Broadcast = Callable[..., None]


@dataclass(slots=True)
class Channel:
    """One side of a Local channel."""

    channel_id: str
    name: str
    linked_id: str
    context: str
    exten: str
    state: int
    variables: dict[str, str] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)

    def snapshot(self, prefix: str = "") -> list[tuple[str, str]]:
        """The headers by which every event about a channel describes it."""
        fields = {
            "Channel": self.name,
            "ChannelState": str(self.state),
            "ChannelStateDesc": STATES[self.state],
            "CallerIDNum": "<unknown>",
            "CallerIDName": "<unknown>",
            "Context": self.context,
            "Exten": self.exten,
            "Priority": "1",
            "Uniqueid": self.channel_id,
            "Linkedid": self.linked_id,
        }
        return [(prefix + key, value) for key, value in fields.items()]


def split_variables(line: str) -> dict[str, str]:
    """A `Variable:` line as Asterisk reads it: commas separate, a backslash keeps the next character, quotes and brackets hold together."""
    parts, current, depth, quoted, escaped = [], "", 0, False, False
    for char in line:
        if escaped:
            current, escaped = current + char, False
        elif char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif char == "," and not depth and not quoted:
            parts.append(current)
            current = ""
        else:
            depth += (char in "([") - (char in ")]" and depth > 0)
            current += char
    found = (part.partition("=") for part in [*parts, current])
    return {name: value for name, equals, value in found if equals and name}


class Dialplan:
    """The channels there are."""

    def __init__(self, broadcast: Broadcast) -> None:
        self.channels: dict[str, Channel] = {}
        self._broadcast = broadcast
        self._tasks: set[asyncio.Task[None]] = set()
        self._serial = 0

    def find(self, name: str) -> Channel | None:
        """By channel name or by id."""
        if name in self.channels:
            return self.channels[name]
        return next((channel for channel in self.channels.values() if channel.name == name), None)

    async def stop(self) -> None:
        """Everything vanishes."""
        self.channels.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def originate(self, one: dict[str, str], variables: list[str], action_id: str) -> None:
        """Asynchronous Originate of a `Local/<exten>@<context>/n`."""
        task = self._spawn(self._originate(one, variables, action_id))
        task.set_name(f"fake originate {action_id}")

    def hang_up(self, channel: Channel, cause: int) -> None:
        """Hang up the channel and its other half."""
        for one in [channel, *(other for other in self.channels.values() if other.linked_id == channel.linked_id)]:
            self._end(one, cause)

    def go_to(self, channel: Channel, context: str, exten: str) -> None:
        """Redirect."""
        if channel.task is not None:
            channel.task.cancel()
        channel.context, channel.exten = context, exten
        self._run(channel)

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work, name="fake dialplan")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _run(self, channel: Channel) -> None:
        script = getattr(self, f"_exten_{channel.exten}", None)
        if script is None:
            self._end(channel, 0)
            return
        channel.task = self._spawn(script(channel))

    async def _originate(self, one: dict[str, str], variables: list[str], action_id: str) -> None:
        near_id, far_id = one["channelid"], one.get("otherchannelid", one["channelid"] + ";2")
        target = re.fullmatch(r"Local/([^@]+)@([^/]+)(/n)?", one["channel"])
        response = [("ActionID", action_id), ("Response", "Failure"), ("Channel", one["channel"])]
        tail = [("Context", one["context"]), ("Exten", one["exten"]), ("Reason", "0"), ("Uniqueid", near_id)]
        if near_id in self.channels or target is None or not hasattr(self, f"_exten_{target[1]}"):
            self._broadcast("OriginateResponse", response + tail)
            return
        self._serial += 1
        base = f"Local/{target[1]}@{target[2]}-{self._serial:08x}"
        near = Channel(near_id, f"{base};1", near_id, one["context"], one["exten"], 0)
        far = Channel(far_id, f"{base};2", near_id, target[2], target[1], 4)
        for channel in (near, far):
            for line in reversed(variables):
                channel.variables.update(split_variables(line))
            self.channels[channel.channel_id] = channel
            self._broadcast("Newchannel", channel.snapshot())
        self._broadcast("DialBegin", near.snapshot("Dest"))
        self._run(far)
        reason, cause = await self._outcome(near, far, int(one.get("timeout", "30000")) / 1000)
        tail[2] = ("Reason", str(reason))
        if reason != 4:
            self._broadcast("OriginateResponse", response + tail)
            for channel in (far, near):
                self._end(channel, cause)
            return
        near.state = 6
        self._broadcast("Newstate", near.snapshot())
        self._broadcast("DialEnd", [*near.snapshot("Dest"), ("DialStatus", "ANSWER")])
        self._run(near)
        response[1:] = [("Response", "Success"), ("Channel", near.name)]
        self._broadcast("OriginateResponse", response + tail)

    async def _outcome(self, near: Channel, far: Channel, ring_s: float) -> tuple[int, int]:
        """How the far side ends: 4 answered, 5 busy, 1 hung up, 3 not answered in time; and the cause."""
        try:
            async with asyncio.timeout(ring_s):
                while far.state != 6:
                    if far.channel_id not in self.channels or near.channel_id not in self.channels:
                        busy = far.variables.get("CAUSE") == "17"
                        return (5, 17) if busy else (1, 16)
                    await asyncio.sleep(0.002)
        except TimeoutError:
            return 3, 0
        return 4, 0

    def _end(self, channel: Channel, cause: int) -> None:
        if self.channels.pop(channel.channel_id, None) is None:
            return
        channel.hung_up.set()
        if channel.task is not None and not channel.exten.startswith("ask"):
            channel.task.cancel()
        text = CAUSES.get(cause, "Unknown")
        self._broadcast("Hangup", [*channel.snapshot(), ("Cause", str(cause)), ("Cause-txt", text)])

    def _user_event(self, channel: Channel, name: str, **fields: str) -> None:
        self._broadcast("UserEvent", [*channel.snapshot(), ("UserEvent", name), *fields.items()], "user,all")

    # --- the extensions ---

    async def _exten_wait(self, channel: Channel) -> None:
        if channel.state != 6:
            channel.state = 6
            self._broadcast("Newstate", channel.snapshot())
        await asyncio.sleep(60)

    async def _exten_ring(self, _channel: Channel) -> None:
        await asyncio.sleep(60)

    async def _exten_busy(self, channel: Channel) -> None:
        channel.variables["CAUSE"] = "17"
        channel.task = None
        self._end(channel, 17)

    async def _exten_copy(self, channel: Channel) -> None:
        channel.variables["COPY"] = channel.variables["TEXT"]
        self._user_event(channel, "Copied", Length=str(len(channel.variables["TEXT"].encode())))
        await asyncio.sleep(60)

    async def _exten_marked(self, channel: Channel) -> None:
        self._user_event(channel, "Marked", Context=channel.context, Exten=channel.exten)
        await asyncio.sleep(60)

    async def _exten_ask(self, channel: Channel) -> None:
        await self._ask(channel, "call/answered?round=1", ["first", "second one"])

    async def _exten_ask_nowhere(self, channel: Channel) -> None:
        await self._ask(channel, "no/such/route", [])

    async def _ask(self, channel: Channel, script: str, arguments: list[str]) -> None:
        status = await AgiCaller(self, channel).ask(channel.variables["TEST_AGI"], script, arguments)
        if channel.channel_id not in self.channels:
            return
        action = channel.variables.get("WAIHU_ACTION", "")
        self._user_event(channel, "AgiDone", Status=status, Action=action)
        await asyncio.sleep(60)


class AgiCaller:
    """Asterisk's side of FastAGI: connects, tells the environment, carries out commands until the other side closes."""

    def __init__(self, dialplan: Dialplan, channel: Channel) -> None:
        self._dialplan = dialplan
        self._channel = channel

    async def ask(self, where: str, script: str, arguments: list[str]) -> str:
        """What the dialplan finds in AGISTATUS."""
        host, _, port = where.partition(":")
        try:
            reader, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            return "FAILURE"
        hangup = asyncio.get_running_loop().create_task(self._say_hangup(writer), name="fake agi hangup")
        try:
            writer.write(self._environment(where, script, arguments))
            while line := await reader.readline():
                for start in range(0, len(line), MAX_COMMAND_BYTES):
                    piece = line[start : start + MAX_COMMAND_BYTES].decode().rstrip("\n")
                    writer.write(self._carry_out(piece))
        except ConnectionError:
            return "FAILURE"
        finally:
            hangup.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await hangup
            writer.close()
        return "HANGUP" if self._channel.hung_up.is_set() else "SUCCESS"

    async def _say_hangup(self, writer: asyncio.StreamWriter) -> None:
        await self._channel.hung_up.wait()
        writer.write(b"HANGUP\n")

    def _environment(self, where: str, script: str, arguments: list[str]) -> bytes:
        fields = {
            "network": "yes",
            "network_script": script,
            "request": f"agi://{where}/{script}",
            "channel": self._channel.name,
            "language": "en",
            "type": "Local",
            "uniqueid": self._channel.channel_id,
            "version": "22.10.1+fake",
            "callerid": "unknown",
            "calleridname": "unknown",
            "context": self._channel.context,
            "extension": self._channel.exten,
            "priority": "1",
            "enhanced": "0.0",
            "accountcode": "",
            "threadid": "1",
        }
        fields |= {f"arg_{number}": value for number, value in enumerate(arguments, 1)}
        return "".join(f"agi_{key}: {value}\n" for key, value in fields.items()).encode() + b"\n"

    def _carry_out(self, line: str) -> bytes:
        try:
            words = shlex.split(line)
        except ValueError:  # cut in the middle of its quotes
            words = shlex.split(line + '"')
        match [word.upper() for word in words[:2]], words:
            case (["SET", "VARIABLE"], [_, _, name, value]):
                self._channel.variables[name] = value
                return b"200 result=1\n"
            case (["GET", "VARIABLE"], [_, _, name]):
                if name not in self._channel.variables:
                    return b"200 result=0\n"
                return b"200 result=1 (" + self._channel.variables[name].encode()[:1023] + b")\n"
            case (["SET" | "GET", "VARIABLE"], _):
                usage = "520-Invalid command syntax.  Proper usage follows:\nUsage: SET VARIABLE <name> <value>\n"
                return usage.encode() + b"520 End of proper usage.\n"
            case (["GET", "FULL"], [_, _, _, expression]) if expression.startswith("${LEN(${"):
                length = len(self._channel.variables[expression.removeprefix("${LEN(${").removesuffix("})}")].encode())
                return f"200 result=1 ({length})\n".encode()
            case (["CHANNEL", "STATUS"], _):
                return f"200 result={self._channel.state}\n".encode()
            case (["NOOP" | "VERBOSE", *_], _):
                return b"200 result=0\n" if words[0].upper() == "NOOP" else b"200 result=1\n"
            case (["HANGUP", *_], _):
                self._dialplan.hang_up(self._channel, 16)
                return b"200 result=1\n"
            case (["EXEC", "MSET"], [_, _, pairs]):
                self._channel.variables |= dict(pair.split("=", 1) for pair in pairs.split(","))
                return b"200 result=0\n"
            case (["EXEC", *_], _):
                return b"200 result=-2\n"
            case _:
                return b"510 Invalid or unknown command\n"

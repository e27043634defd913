"""An Asterisk that does only what a test tells it: AMI by the fake of the protocol tests, the dialplan's questions over real FastAGI."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from dialer.domain.ids import call_channel
from tests.protocols.fake_asterisk import FakeAsterisk, Headers

USER, SECRET = "waihu", "scripted-secret"


@dataclass(slots=True)
class Channel:
    """A channel as CoreShowChannels lists it."""

    channel_id: str
    name: str
    state: str = "Down"
    context: str = ""
    bridge_id: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    muted: bool = False  # its recording


@dataclass(slots=True)
class Script:
    """What happens to the next actions, by name: None (answered), silent, lost (done, and the session dies), close (not done, dies), refused, swallowed (said to be done, and not)."""

    fates: dict[str, list[str]] = field(default_factory=dict)

    def next(self, action: str) -> str | None:
        fates = self.fates.get(action)
        return fates.pop(0) if fates else None


class ScriptedAsterisk:
    """Seats answer by themselves (`seats_answer`); calls do what `ring`, `answer`, `hang_up` say."""

    def __init__(self, directory: Path) -> None:
        self.fake = FakeAsterisk(users={USER: SECRET})
        self.fake.on_action = self._on_action
        self.script = Script()
        self.channels: dict[str, Channel] = {}
        self.originated: list[str] = []
        self.seats_answer = True
        self.devices: dict[str, str] = {}  # user name → digest
        self.agi_port = 0
        self.started_at = datetime(2026, 1, 1, tzinfo=UTC)
        self.cdr_file = directory / "cdr-custom" / "calls.csv"
        self.hangups_file = directory / "cel-custom" / "hangups.csv"
        for path in (self.cdr_file, self.hangups_file):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        self._serial = 0
        self._quiet = False
        self.dated: float | None = None  # what its next news says of when it happened

    async def start(self) -> None:
        await self.fake.start()

    async def stop(self) -> None:
        self.channels.clear()
        await self.fake.stop()

    # --- what is there ---

    @property
    def calls(self) -> list[Channel]:
        return [channel for channel in self.channels.values() if channel.channel_id.startswith("call-")]

    @property
    def seats(self) -> list[Channel]:
        return [channel for channel in self.channels.values() if channel.channel_id.startswith("seat-")]

    def sent_calls(self) -> list[str]:
        return [channel_id for channel_id in self.originated if channel_id.startswith("call-")]

    # --- what happens ---

    def ring(self, attempt_id: UUID) -> None:
        self._state(self.channels[call_channel(attempt_id)], "5", "Ringing")

    def up(self, attempt_id: UUID) -> None:
        channel = self.channels[call_channel(attempt_id)]
        channel.context = "waihu-customer"
        channel.variables["WAIHU_MIXMONITOR"] = f"0x{attempt_id.hex[-12:]}"
        self._state(channel, "6", "Up")

    async def ask(self, attempt_id: UUID, path: str = "/call/answered", *arguments: str) -> dict[str, str]:
        """The dialplan asks over FastAGI; gives the variables that were set."""
        channel = self.channels[call_channel(attempt_id)]
        reader, writer = await asyncio.open_connection("127.0.0.1", self.agi_port)
        lines = {
            "agi_network": "yes",
            "agi_network_script": path.lstrip("/"),
            "agi_request": f"agi://127.0.0.1:{self.agi_port}{path}",
            "agi_channel": channel.name,
            "agi_uniqueid": channel.channel_id,
        }
        lines |= {f"agi_arg_{place}": argument for place, argument in enumerate(arguments, 1)}
        writer.write("".join(f"{key}: {value}\n" for key, value in lines.items()).encode() + b"\n")
        variables: dict[str, str] = {}
        while line := await reader.readline():
            words = line.decode().split(None, 3)
            if words[:2] == ["SET", "VARIABLE"]:
                variables[words[2].strip('"')] = words[3].strip().strip('"')
            elif words[:2] == ["EXEC", '"MSet"']:
                variables |= dict(pair.split("=", 1) for pair in line.decode().split('"')[3].split(","))
            writer.write(b"200 result=1\n")
        writer.close()
        return variables

    async def answer(self, attempt_id: UUID) -> dict[str, str]:
        """The customer answers, and the dialplan does what it is told; gives the answer."""
        self.up(attempt_id)
        told = await self.ask(attempt_id)
        self.act(attempt_id, told)
        return told

    def act(self, attempt_id: UUID, told: dict[str, str]) -> None:
        channel = self.channels[call_channel(attempt_id)]
        if told.get("WAIHU_ACTION") == "bridge":
            self.bridge(attempt_id, told["WAIHU_SEAT"])
        elif told.get("WAIHU_ACTION") == "safe_harbour":
            channel.context = "waihu-safe-harbour"

    def say_result(self, attempt_id: UUID, result: str) -> None:
        """The dialplan's last word about a call."""
        channel = self.channels[call_channel(attempt_id)]
        self._event("UserEvent", channel, ("UserEvent", "WaihuResult"), ("Attempt", attempt_id.hex), ("Result", result))

    def bridge(self, attempt_id: UUID, seat_name: str) -> None:
        call = self.channels[call_channel(attempt_id)]
        seat = next(channel for channel in self.channels.values() if channel.name == seat_name)
        self._serial += 1
        bridge_id = f"bridge-{self._serial}"
        for number, channel in enumerate((call, seat), 1):
            channel.bridge_id = bridge_id
            self._event(
                "BridgeEnter",
                channel,
                ("BridgeUniqueid", bridge_id),
                ("BridgeType", "basic"),
                ("BridgeNumChannels", str(number)),
            )

    def unbridge(self, attempt_id: UUID) -> None:
        call = self.channels[call_channel(attempt_id)]
        left = [channel for channel in self.channels.values() if call.bridge_id and channel.bridge_id == call.bridge_id]
        for channel in left:
            bridge_id, channel.bridge_id = channel.bridge_id, ""
            self._event("BridgeLeave", channel, ("BridgeUniqueid", bridge_id), ("BridgeNumChannels", "0"))
            if channel.channel_id.startswith("seat-"):
                self._idle(channel)

    def hang_up(self, attempt_id: UUID, cause: int = 16, sip: str = "") -> None:
        """The call ends, with all its events."""
        self.unbridge(attempt_id)
        self.vanish(call_channel(attempt_id), cause, sip)

    def vanish(self, channel_id: str, cause: int = 16, sip: str = "") -> None:
        channel = self.channels.pop(channel_id)
        tech = (("TechCause", sip),) if sip else ()
        self._event("Hangup", channel, ("Cause", str(cause)), ("Cause-txt", ""), *tech)

    def refuse(self, attempt_id: UUID, cause: int, sip: str, reason: int = 0) -> None:
        """An unanswered end as Asterisk tells it: OriginateResponse first, then the hang-up."""
        channel_id = call_channel(attempt_id)
        self.fake.broadcast(
            "OriginateResponse",
            [("ActionID", channel_id), ("Response", "Failure"), ("Reason", str(reason)), ("Uniqueid", channel_id)],
        )
        self.vanish(channel_id, cause, sip)

    def end_unseen(self, attempt_id: UUID, **record: Any) -> None:
        """The call ends while nobody listens: only the records know."""
        channel_id = call_channel(attempt_id)
        self.channels.pop(channel_id, None)
        self.record(attempt_id, **record)

    def record(
        self,
        attempt_id: UUID,
        *,
        started: float = 0,
        answered: float = 0,
        ended: float = 0,
        cause: int = 16,
        result: str = "",
        seat: str = "",
    ) -> None:
        channel_id = call_channel(attempt_id)
        columns = [
            channel_id,
            channel_id,
            "1",
            f"{started:.6f}",
            f"{answered:.6f}",
            f"{ended:.6f}",
            "ANSWERED" if answered else "NO ANSWER",
            str(cause) if answered else "",
            "",
            attempt_id.hex,
            result,
            seat,
            "",
            "PJSIP/x",
            "",
            "",
        ]
        with self.cdr_file.open("a") as file:
            file.write(",".join(f'"{column}"' for column in columns) + "\n")
        with self.hangups_file.open("a") as file:
            file.write(f'"{ended:.6f}","{channel_id}","PJSIP/x","{{""hangupcause"":{cause}}}"\n')

    # --- AMI ---

    def _on_action(self, name: str, headers: Headers) -> str | None:
        fate = self.script.next(name)
        if fate in ("silent", "close"):
            return fate
        answer = getattr(self, f"_do_{name.lower()}", None)
        if answer is None:
            return None
        if fate == "lost":
            self._quiet = True
            answer(headers)
            self._quiet = False
            return "close"
        if fate == "refused":
            self._respond(headers, "Error", ("Message", "Refused by the script"))
            return "silent"
        if fate == "swallowed":
            self._respond(headers, "Success", ("Message", "Done"))
            return "silent"
        answer(headers)
        return "silent"

    def _do_originate(self, headers: Headers) -> None:
        if headers["channel"][0].endswith("@waihu-devices/n"):
            self._device(headers)
            return
        channel_id = headers["channelid"][0]
        self.originated.append(channel_id)
        self._serial += 1
        name = f"{headers['channel'][0].split('@')[0]}-{self._serial:08x}"
        channel = self.channels[channel_id] = Channel(channel_id, name)
        self._respond(headers, "Success", ("Message", "Originate successfully queued"))
        if channel_id.startswith("seat-") and self.seats_answer:
            self.seat_answers(channel)

    def seat_answers(self, channel: Channel) -> None:
        channel.context = "waihu-seat"
        self._state(channel, "6", "Up")
        self._idle(channel)

    def _device(self, headers: Headers) -> None:
        given = dict(line.split("=", 1) for line in headers["variable"])
        if headers["channel"][0].startswith("Local/put@"):
            self.devices[given["WAIHU_DEVICE"]] = given["WAIHU_DIGEST"]
        else:
            self.devices.pop(given["WAIHU_DEVICE"], None)
        self._respond(headers, "Success", ("Message", "Originate successfully queued"))

    def _do_dbget(self, headers: Headers) -> None:
        digest = self.devices.get(headers["key"][0])
        value = f'"md5_cred":"MD5:{digest}"' if headers["family"][0] == "waihu/auth" else '"softphone"'
        self._entries(headers, [] if digest is None else [(headers["key"][0], value)], "DBGet")

    def _do_dbgettree(self, headers: Headers) -> None:
        self._entries(headers, [(f"/waihu/endpoint/{name}", "") for name in self.devices], "DBGetTree")

    def _entries(self, headers: Headers, entries: list[tuple[str, str]], action: str) -> None:
        if not entries:
            self._respond(headers, "Error", ("Message", "Database entry not found"))
            return
        self._respond(headers, "Success", ("EventList", "start"))
        rows = [[("Event", f"{action}Response"), ("Key", key), ("Val", value)] for key, value in entries]
        for row in [*rows, [("Event", f"{action}Complete"), ("EventList", "Complete")]]:
            self._send([*row, ("ActionID", headers["actionid"][0])])

    def _do_coreshowchannels(self, headers: Headers) -> None:
        rows = [
            [
                ("Event", "CoreShowChannel"),
                ("Uniqueid", channel.channel_id),
                ("Channel", channel.name),
                ("ChannelStateDesc", channel.state),
                ("Context", channel.context),
                ("BridgeId", channel.bridge_id),
                ("Duration", "00:00:05"),
            ]
            for channel in self.channels.values()
        ]
        action_id = headers["actionid"][0]
        self._respond(headers, "Success", ("EventList", "start"))
        for row in [*rows, [("Event", "CoreShowChannelsComplete"), ("EventList", "Complete")]]:
            self._send([*row, ("ActionID", action_id)])

    def _do_corestatus(self, headers: Headers) -> None:
        self._respond(
            headers,
            "Success",
            ("CoreStartupDate", f"{self.started_at:%Y-%m-%d}"),
            ("CoreStartupTime", f"{self.started_at:%H:%M:%S}"),
        )

    def _do_status(self, headers: Headers) -> None:
        asked = headers["variables"][0].split(",")
        self._respond(headers, "Success", ("EventList", "start"))
        action_id = ("ActionID", headers["actionid"][0])
        for channel in self.channels.values():
            values = [("Variable", f"{name}={channel.variables.get(name, '')}") for name in asked]
            self._send([("Event", "Status"), ("Uniqueid", channel.channel_id), ("Seconds", "5"), *values, action_id])
        self._send([("Event", "StatusComplete"), ("EventList", "Complete"), action_id])

    def _do_getvar(self, headers: Headers) -> None:
        name = headers["variable"][0]
        value = "+0000"
        if asked := headers.get("channel", [""])[0]:
            found = [one for one in self.channels.values() if asked in (one.channel_id, one.name)]
            if not found:
                self._respond(headers, "Error", ("Message", "No such channel"))
                return
            value = self._peer(found[0]) if name == "BRIDGEPEER" else found[0].variables.get(name, "")
        self._respond(headers, "Success", ("Variable", name), ("Value", value))

    def _peer(self, channel: Channel) -> str:
        others = (
            one.name for one in self.channels.values() if one is not channel and one.bridge_id == channel.bridge_id
        )
        return next(others, "") if channel.bridge_id else ""

    def _do_mixmonitormute(self, headers: Headers) -> None:
        channel = self.channels.get(headers["channel"][0])
        wanted = headers.get("mixmonitorid", [""])[0]
        if channel is None or wanted not in ("", channel.variables.get("WAIHU_MIXMONITOR", "")):
            self._respond(
                headers, "Error", ("Message", "No such channel" if channel is None else "Cannot set mute flag")
            )
            return
        channel.muted = headers["state"] == ["1"]
        self._respond(headers, "Success")

    def _do_hangup(self, headers: Headers) -> None:
        channel_id = headers["channel"][0]
        if channel_id not in self.channels:
            self._respond(headers, "Error", ("Message", "No such channel"))
            return
        self._respond(headers, "Success", ("Message", "Channel Hungup"))
        channel = self.channels[channel_id]
        others = [one for one in self.channels.values() if channel.bridge_id and one.bridge_id == channel.bridge_id]
        for one in others:
            one.bridge_id = ""
            if one.channel_id.startswith("seat-") and one is not channel:
                self._idle(one)
        self.vanish(channel_id)

    def _do_setvar(self, headers: Headers) -> None:
        if (channel := self.channels.get(headers["channel"][0])) is not None:
            channel.variables[headers["variable"][0]] = headers["value"][0]
            self._respond(headers, "Success", ("Message", "Variable Set"))
        else:
            self._respond(headers, "Error", ("Message", "No such channel"))

    def _do_absolutetimeout(self, headers: Headers) -> None:
        """A channel that rings ends; one that is up goes to `T`, which asks again: the test does that when it likes."""
        channel = self.channels.get(headers["channel"][0])
        if channel is None:
            self._respond(headers, "Error", ("Message", "No such channel"))
            return
        self._respond(headers, "Success", ("Message", "Timeout Set"))
        if channel.state != "Up":
            self.vanish(channel.channel_id)

    def _do_redirect(self, headers: Headers) -> None:
        channel = self.channels.get(headers["channel"][0])
        if channel is None:
            self._respond(headers, "Error", ("Message", "Channel does not exist"))
            return
        self._respond(headers, "Success", ("Message", "Redirect successful"))
        bridge_id = channel.bridge_id
        for one in self.channels.values():
            if bridge_id and one.bridge_id == bridge_id:
                one.bridge_id = ""
                self._event("BridgeLeave", one, ("BridgeUniqueid", bridge_id), ("BridgeNumChannels", "1"))
                if one.channel_id.startswith("seat-"):
                    self._idle(one)
        channel.context = headers["context"][0]

    def _respond(self, headers: Headers, kind: str, *fields: tuple[str, str]) -> None:
        if not self._quiet:
            self._send([("Response", kind), ("ActionID", headers["actionid"][0]), *fields])

    def _send(self, fields: list[tuple[str, str]]) -> None:
        self.fake.send_raw("".join(f"{key}: {value}\r\n" for key, value in fields).encode() + b"\r\n")

    def _event(self, name: str, channel: Channel, *fields: tuple[str, str]) -> None:
        self.fake.broadcast(name, [("Channel", channel.name), ("Uniqueid", channel.channel_id), *fields])

    def _state(self, channel: Channel, number: str, name: str) -> None:
        channel.state = name
        dated = (("Timestamp", f"{self.dated:.6f}"),) if self.dated is not None else ()
        self._event("Newstate", channel, ("ChannelState", number), ("ChannelStateDesc", name), *dated)

    def _idle(self, channel: Channel) -> None:
        self._event("UserEvent", channel, ("UserEvent", "WaihuSeat"), ("Seat", channel.channel_id), ("State", "idle"))

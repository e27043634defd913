"""A fake Asterisk: AMI as the real one speaks it, for the dialplan of conf/extensions.conf (played by fake_dialplan.py).

It shares no code with ours. The contract tests run on it and on the real Asterisk, so that it cannot lie; what only the fake can do
(say nothing, close at a chosen action, be too old, talk nonsense) is for the tests of faults.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable

from tests.protocols.fake_dialplan import Channel, Dialplan

Headers = dict[str, list[str]]
MAX_LINE_BYTES = 1_024


class FakeAsterisk:
    """`on_action(name, headers)` may return "silent" (no answer, nothing done), "close" (drop the session instead of an answer), "done" (do it, then drop without an answer)."""

    def __init__(self, *, version: str = "22.10.1+fake", users: dict[str, str] | None = None) -> None:
        self.version = version
        self.users = users or {"waihu": "contract-secret"}
        self.booted = True
        self.greeting = b"Asterisk Call Manager/11.0.0\r\n"
        self.on_action: Callable[[str, Headers], str | None] = lambda _name, _headers: None
        self.actions: list[str] = []
        """Every action that arrived, by name, over all sessions."""
        self.originated: list[str] = []
        """The ChannelId of every Originate that arrived."""
        self.database: dict[tuple[str, str], str] = {}
        self.globals: dict[str, str] = {}
        self.dialplan = Dialplan(self.broadcast)
        self._sessions: set[_Session] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen; on the same port again after `stop`."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close everything; channels vanish as when Asterisk dies."""
        if self._server is not None:
            self._server.close()
        self.drop_sessions()
        await self.dialplan.stop()

    def drop_sessions(self) -> None:
        """Cut every session, without a word."""
        for session in list(self._sessions):
            session.writer.transport.abort()

    @property
    def sessions(self) -> int:
        """Sessions that are logged in."""
        return sum(session.user is not None for session in self._sessions)

    def broadcast(self, name: str, fields: list[tuple[str, str]], privilege: str = "call,all") -> None:
        """Send one event to every session that is logged in."""
        for session in self._sessions:
            if session.user is not None:
                session.send([("Event", name), ("Privilege", privilege), *fields])

    def send_raw(self, data: bytes) -> None:
        """Send bytes to every session, whatever they mean."""
        for session in self._sessions:
            session.writer.write(data)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = _Session(self, reader, writer)
        self._sessions.add(session)
        try:
            await session.run()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._sessions.discard(session)
            writer.transport.abort()


class _Session:
    def __init__(self, asterisk: FakeAsterisk, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asterisk = asterisk
        self.reader = reader
        self.writer = writer
        self.user: str | None = None
        self._challenge = ""
        self._action_id = ""
        self._mute = False

    async def run(self) -> None:
        self.writer.write(self.asterisk.greeting)
        while (headers := await self._read_action()) is not None:
            name = (headers.get("action") or [""])[0]
            self._action_id = (headers.get("actionid") or [""])[0]
            self.asterisk.actions.append(name)
            what = self.asterisk.on_action(name, headers)
            if what == "silent":
                continue
            if what == "close":
                return
            if what == "done":
                self._mute = True
                self._perform(name.lower(), headers)
                return
            self._perform(name.lower(), headers)
            if name.lower() == "logoff":
                return

    async def _read_action(self) -> Headers | None:
        """One action. Too long a line is answered and what follows read as a new action, as the real one does."""
        headers: Headers = {}
        while line := await self.reader.readline():
            if len(line) > MAX_LINE_BYTES:
                self._action_id = ""
                self._error("Failed to parse message: line too long")
                headers = {}
                continue
            text = line.rstrip(b"\r\n").decode()
            if not text:
                if headers:
                    return headers
                continue
            key, _, value = text.partition(":")
            headers.setdefault(key.lower(), []).append(value.lstrip(" \t"))
        return None

    def send(self, fields: list[tuple[str, str]]) -> None:
        if not self._mute:
            self.writer.write("".join(f"{key}: {value}\r\n" for key, value in fields).encode() + b"\r\n")

    def _answer(self, kind: str, *fields: tuple[str, str]) -> None:
        action_id = [("ActionID", self._action_id)] if self._action_id else []
        self.send([("Response", kind), *action_id, *fields])

    def _success(self, message: str = "", *fields: tuple[str, str]) -> None:
        self._answer("Success", *([("Message", message)] if message else []), *fields)

    def _error(self, message: str) -> None:
        self._answer("Error", ("Message", message))

    def _list(self, message: str, rows: list[list[tuple[str, str]]], complete: str) -> None:
        own = ("ActionID", self._action_id)
        self._answer("Success", ("EventList", "start"), ("Message", message))
        for row in rows:
            self.send([*row, own])
        self.send([("Event", complete), own, ("EventList", "Complete"), ("ListItems", str(len(rows)))])

    def _perform(self, name: str, headers: Headers) -> None:
        one = {key: values[0] for key, values in headers.items()}
        if name in ("login", "challenge", "logoff"):
            getattr(self, f"_do_{name}")(one)
            return
        if self.user is None:
            self._error("Permission denied")
            return
        if name == "originate":
            self._originate(one, headers.get("variable", []))
            return
        perform = getattr(self, f"_do_{name}", None)
        if perform is None:
            self._error(
                f"Invalid/unknown command: {one.get('action', '')}. Use Action: ListCommands to show available commands."
            )
        else:
            perform(one)

    def _do_challenge(self, _one: dict[str, str]) -> None:
        self._challenge = "107736021"
        self._success("", ("Challenge", self._challenge))

    def _do_login(self, one: dict[str, str]) -> None:
        user = one.get("username", "")
        secret = self.asterisk.users.get(user)
        if secret is not None and one.get("authtype", "").upper() == "MD5":
            accepted = one.get("key") == hashlib.md5((self._challenge + secret).encode()).hexdigest()
        else:
            accepted = secret is not None and one.get("secret") == secret
        if not accepted:
            self._error("Authentication failed")
            return
        self.user = user
        self._success("Authentication accepted")
        if self.asterisk.booted:
            self.send(
                [("Event", "FullyBooted"), ("Privilege", "system,all"), ("Uptime", "6"), ("Status", "Fully Booted")]
            )

    def _do_logoff(self, _one: dict[str, str]) -> None:
        self._answer("Goodbye", ("Message", "Thanks for all the fish."))

    def _do_ping(self, _one: dict[str, str]) -> None:
        self._success("", ("Ping", "Pong"), ("Timestamp", "1795458443.140712"))

    def _do_coresettings(self, _one: dict[str, str]) -> None:
        self._success("", ("AMIversion", "11.0.0"), ("AsteriskVersion", self.asterisk.version), ("SystemName", ""))

    def _do_command(self, one: dict[str, str]) -> None:
        if one.get("command") == "core show version":
            output = [("Output", f"Asterisk {self.asterisk.version} built by nobody")]
            self._success("Command output follows", *output)
        else:
            text = f"No such command '{one.get('command', '')}' (type 'core show help' for other possible commands)"
            self._answer("Error", ("Message", "Command output follows"), ("Output", text))

    def _do_userevent(self, one: dict[str, str]) -> None:
        self._success("Event Sent")
        fields = [("UserEvent", one.get("userevent", ""))]
        if self._action_id:
            fields.append(("ActionID", self._action_id))
        names = {"action", "actionid", "userevent"}
        fields += [(key.capitalize(), value) for key, value in one.items() if key not in names]
        self.asterisk.broadcast("UserEvent", fields, "user,all")

    def _originate(self, one: dict[str, str], variables: list[str]) -> None:
        self.asterisk.originated.append(one.get("channelid", ""))
        self._success("Originate successfully queued")
        self.asterisk.dialplan.originate(one, variables, self._action_id)

    def _channel(self, one: dict[str, str]) -> Channel | None:
        return self.asterisk.dialplan.find(one.get("channel", ""))

    def _do_hangup(self, one: dict[str, str]) -> None:
        channel = self._channel(one)
        if channel is None:
            self._error("No such channel")
            return
        self._success("Channel Hungup")
        self.asterisk.dialplan.hang_up(channel, int(one.get("cause", "16")))

    def _do_redirect(self, one: dict[str, str]) -> None:
        channel = self._channel(one)
        if channel is None:
            self._error("Channel does not exist: " + one.get("channel", ""))
            return
        self._success("Redirect successful")
        self.asterisk.dialplan.go_to(channel, one["context"], one["exten"])

    def _variables(self, one: dict[str, str]) -> dict[str, str] | None:
        if "channel" not in one:
            return self.asterisk.globals
        channel = self._channel(one)
        return None if channel is None else channel.variables

    def _do_getvar(self, one: dict[str, str]) -> None:
        variables = self._variables(one)
        if variables is None:
            self._error("No such channel")
            return
        name = one.get("variable", "")
        self._success("", ("Variable", name), ("Value", variables.get(name, "")[:1023]))

    def _do_setvar(self, one: dict[str, str]) -> None:
        variables = self._variables(one)
        if variables is None:
            self._error("No such channel")
            return
        variables[one["variable"]] = one.get("value", "")
        self._success("Variable Set")

    def _do_coreshowchannels(self, _one: dict[str, str]) -> None:
        rows = [
            [("Event", "CoreShowChannel"), *channel.snapshot(), ("Duration", "00:00:01"), ("BridgeId", "")]
            for channel in self.asterisk.dialplan.channels.values()
        ]
        self._list("Channels will follow", rows, "CoreShowChannelsComplete")

    def _do_status(self, one: dict[str, str]) -> None:
        wanted = self._channel(one) if "channel" in one else None
        if "channel" in one and wanted is None:
            self._error("No such channel")
            return
        asked = [name for name in one.get("variables", "").split(",") if name]
        rows = []
        for channel in [wanted] if wanted is not None else self.asterisk.dialplan.channels.values():
            values = [("Variable", f"{name}={channel.variables.get(name, '')}") for name in asked]
            rows.append([("Event", "Status"), *channel.snapshot(), ("Seconds", "1"), *values])
        self._list("Channel status will follow", rows, "StatusComplete")

    def _do_dbput(self, one: dict[str, str]) -> None:
        self.asterisk.database[one["family"], one["key"]] = one.get("val", "")
        self._success("Updated database successfully")

    def _do_dbget(self, one: dict[str, str]) -> None:
        value = self.asterisk.database.get((one["family"], one["key"]))
        if value is None:
            self._error("Database entry not found")
            return
        row = [("Event", "DBGetResponse"), ("Family", one["family"]), ("Key", one["key"]), ("Val", value)]
        self._list("Result will follow", [row], "DBGetComplete")

    def _do_dbdel(self, one: dict[str, str]) -> None:
        if self.asterisk.database.pop((one["family"], one["key"]), None) is None:
            self._error("Database entry could not be deleted")
        else:
            self._success("Key deleted successfully")

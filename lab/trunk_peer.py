"""A carrier that takes every call and writes down who the INVITEs say is calling, as they came off the wire."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dialer.asterisk.site import TrunkSettings
from lab.ports import free_port
from lab.sip_client import SipClient, parse

_USER: Final = re.compile(r"(?:sips?|tel):([^@;>]*)")
_NUMBER: Final = re.compile(r"\+?[0-9]{5,}")
_OF_THE_CALLEE: Final = {"to", "via", "call-id", "cseq"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenInvite:
    """What one INVITE said: who was called, the user in From, and the whole of the headers that say more of who calls; empty: there is no such header.

    `numbers`: every telephone number in any header but those of the callee. `text`: the whole message.
    """

    called: str
    from_user: str
    asserted: str
    diversion: str
    privacy: str
    numbers: frozenset[str]
    text: str


class TrunkPeer(SipClient):
    """What is behind the trunk `name`. `answer_invites_with`: what each call gets, one status after the other."""

    def __init__(self, name: str = "peer") -> None:
        super().__init__(name, "", ("127.0.0.1", 0), local_port=free_port())
        self.trunk = TrunkSettings(name=name, host="127.0.0.1", port=self.port, qualify_s=0)
        self.answer_invites_with = [486]
        self.seen: list[SeenInvite] = []
        self.on_invite: Callable[[SeenInvite], None] | None = None
        self._calls: set[str] = set()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        message = parse(data)
        if message is not None and message.method == "INVITE":
            call_id = message.headers.get("call-id", "")
            if call_id not in self._calls:  # else it is the same once more: UDP
                self._calls.add(call_id)
                self.seen.append(_seen(message.first_line, message.headers, data.decode("utf-8", "replace")))
                if self.on_invite is not None:
                    self.on_invite(self.seen[-1])
        super().datagram_received(data, addr)


def _seen(first_line: str, headers: dict[str, str], text: str) -> SeenInvite:
    lines = [line for line in text.partition("\r\n\r\n")[0].split("\r\n")[1:] if _name(line) not in _OF_THE_CALLEE]
    users = [user for line in lines for user in _USER.findall(line)]
    return SeenInvite(
        called=_user(first_line),
        from_user=_user(headers.get("from", "")),
        asserted=headers.get("p-asserted-identity", ""),
        diversion=headers.get("diversion", ""),
        privacy=headers.get("privacy", ""),
        numbers=frozenset(number for user in users for number in _NUMBER.findall(user)),
        text=text,
    )


def _name(line: str) -> str:
    return line.partition(":")[0].strip().lower()


def _user(text: str) -> str:
    found = _USER.search(text)
    return found[1] if found is not None else ""

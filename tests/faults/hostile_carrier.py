"""A carrier that puts poison into every SIP header we look at, and into those we do not."""

from __future__ import annotations

import asyncio
import secrets
from typing import Self

from lab.ports import free_port
from lab.sip_client import SipClient, SipMessage

HOSTILE_PORT = free_port()
INJECTIONS = (
    "${SYSTEM(touch /var/log/asterisk/owned)}",
    '"; Action: Originate; Channel: Local/s@waihu-hold',
    "a,b,c\\,d|e&f=g;h=i",
    "%0d%0aAction: Logoff%0d%0a",
    "\r\n folded: Event: Hangup\r\n Uniqueid: call-0",
    "$[1/0] ${ENV(PATH)} ${EVAL(${EVAL(${X})})} `id` $(id)",
    "\x01\x02\x7f\t 王小明 \u202e '--",
    "x" * 10_000,
)


class HostileCarrier(SipClient):
    """Takes calls on HOSTILE_PORT and answers with `statuses`; `poison` stands in every header that may hold text."""

    def __init__(self, poison: str) -> None:
        super().__init__("carrier", "", ("127.0.0.1", 0))
        self.poison = poison
        self.answer_invites_with = [180, 200]
        self.last_invite: SipMessage | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", HOSTILE_PORT))
        self.port = HOSTILE_PORT
        return self

    def hang_up(self, caller: tuple[str, int]) -> None:
        """BYE with a poisoned reason, in the dialog of the last call."""
        invite = self.last_invite
        assert invite is not None
        target = invite.headers["contact"].split("<")[1].split(">")[0]
        lines = [
            f"BYE {target} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};rport;branch=z9hG4bK{secrets.token_hex(8)}",
            "Max-Forwards: 70",
            f"From: {invite.headers['to']};tag=odd",
            f"To: {invite.headers['from']}",
            f"Call-ID: {invite.headers['call-id']}",
            "CSeq: 4711 BYE",
            *self._poisoned(),
            "Content-Length: 0",
        ]
        self._send("\r\n".join(lines) + "\r\n\r\n", caller)

    def _answer(self, request: SipMessage, status: int, addr: tuple[str, int]) -> None:
        if request.method != "INVITE":
            super()._answer(request, status, addr)
            return
        self.last_invite = request
        body = self._sdp() if status == 200 else ""
        phrase = self.poison.replace("\r\n", " ")[:100]
        lines = [
            f"SIP/2.0 {status} {phrase}",
            *(f"Via: {via}" for via in request.vias),
            f"From: {request.headers['from']}",
            f"To: {request.headers['to']};tag=odd",
            f"Call-ID: {request.headers['call-id']}",
            f"CSeq: {request.headers['cseq']}",
            f"Contact: {self._contact()}",
            *self._poisoned(),
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        self._send("\r\n".join(lines) + "\r\n\r\n" + body, addr)

    def _poisoned(self) -> list[str]:
        quoted = self.poison.replace("\\", "\\\\").replace('"', '\\"')
        return [
            f'Reason: Q.850;cause=16;text="{quoted}"',
            f"User-Agent: {self.poison}",
            f"Server: {self.poison}",
            f'P-Asserted-Identity: "{quoted}" <sip:+8613800000000@127.0.0.1>',
            f'Remote-Party-ID: "{quoted}" <sip:+8613800000000@127.0.0.1>;party=called',
            f"X-{secrets.token_hex(2)}: {self.poison}",
        ]

"""A SIP client in a few lines, for what a proper softphone will not do: odd requests, odd answers, and many registrations at once.

UDP only. It speaks just enough of RFC 3261 (REGISTER, OPTIONS, INVITE as caller and as called party) and RFC 2617 digest (MD5, qop=auth).
No media: a call it answers is silent.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

_AUTH = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')


@dataclass(slots=True)
class SipMessage:
    """A request or an answer. Header names in lower case, first value wins; `vias` keeps all Via lines for the answer."""

    first_line: str
    headers: dict[str, str] = field(default_factory=dict)
    vias: list[str] = field(default_factory=list)
    body: str = ""

    @property
    def status(self) -> int:
        """Of an answer; 0 for a request."""
        return int(self.first_line.split(" ", 2)[1]) if self.first_line.startswith("SIP/2.0 ") else 0

    @property
    def method(self) -> str:
        return self.first_line.split(" ", 1)[0]


class SipClient(asyncio.DatagramProtocol):
    """One user at one registrar. `async with SipClient(...) as client`."""

    def __init__(
        self, username: str, secret: str, registrar: tuple[str, int], *, local_port: int = 0, timeout_s: float = 5.0
    ) -> None:
        """`local_port` 0: a free one."""
        self.username = username
        self.secret = secret
        self.registrar = registrar
        self.timeout_s = timeout_s
        self.answer_invites_with: list[int] = [200]  # each is sent, in turn: [200, 200] answers twice
        self.received: list[SipMessage] = []
        self.port = local_port
        self._transport: asyncio.DatagramTransport | None = None
        self._answers: dict[tuple[str, str], asyncio.Queue[SipMessage]] = {}
        self._sequence = secrets.randbelow(10_000) + 1
        self._requests: asyncio.Queue[SipMessage] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", self.port))
        self.port = int(self._transport.get_extra_info("sockname")[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._transport is not None:
            self._transport.close()
            await asyncio.sleep(0)  # the socket is closed in the loop's next turn

    async def register(self, *, expires_s: int = 60) -> int:
        """The final status of REGISTER, after one answer to a challenge."""
        return (
            await self._authenticated(
                "REGISTER", self._uri(""), {"Expires": str(expires_s), "Contact": self._contact()}
            )
        ).status

    async def invite(
        self, number: str, *, headers: Mapping[str, str] | None = None, from_line: str | None = None
    ) -> int:
        """The final status of an INVITE to `number`; a 2xx is not followed up."""
        extra = {"Contact": self._contact(), "Content-Type": "application/sdp", **(headers or {})}
        return (
            await self._authenticated("INVITE", self._uri(number), extra, body=self._sdp(), from_line=from_line)
        ).status

    async def options(self) -> int:
        return (await self._authenticated("OPTIONS", self._uri(""), {})).status

    async def next_request(self, method: str, *, timeout_s: float = 5.0) -> SipMessage:
        """The next request of that kind which reaches us; others before it are passed over."""
        async with asyncio.timeout(timeout_s):
            while True:
                request = await self._requests.get()
                if request.method == method:
                    return request

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        message = parse(data)
        if message is None:
            return
        self.received.append(message)
        if message.status:
            key = (message.headers.get("call-id", ""), message.headers.get("cseq", ""))
            if key in self._answers:
                self._answers[key].put_nowait(message)
            return
        self._requests.put_nowait(message)
        if message.method == "INVITE":
            for status in self.answer_invites_with:
                self._answer(message, status, addr)
        elif message.method != "ACK":
            self._answer(message, 200, addr)

    async def _authenticated(
        self, method: str, uri: str, headers: Mapping[str, str], *, body: str = "", from_line: str | None = None
    ) -> SipMessage:
        call_id = secrets.token_hex(8)
        answer = await self._request(method, uri, call_id, headers, body, from_line)
        if answer.status in {401, 407}:
            name = "Authorization" if answer.status == 401 else "Proxy-Authorization"
            challenge = answer.headers.get("www-authenticate") or answer.headers.get("proxy-authenticate", "")
            proof = self._proof(method, uri, challenge)
            answer = await self._request(method, uri, call_id, {**headers, name: proof}, body, from_line)
        return answer

    async def _request(
        self, method: str, uri: str, call_id: str, headers: Mapping[str, str], body: str, from_line: str | None
    ) -> SipMessage:
        self._sequence += 1
        cseq = f"{self._sequence} {method}"
        host, port = self.registrar
        tag = secrets.token_hex(4)
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};rport;branch=z9hG4bK{secrets.token_hex(8)}",
            "Max-Forwards: 70",
            f"From: {from_line or f'<sip:{self.username}@{host}:{port}>'};tag={tag}",
            f"To: <{uri if method != 'REGISTER' else f'sip:{self.username}@{host}:{port}'}>",
            f"Call-ID: {call_id}",
            f"CSeq: {cseq}",
            *(f"{name}: {value}" for name, value in headers.items()),
            f"Content-Length: {len(body.encode())}",
        ]
        queue: asyncio.Queue[SipMessage] = asyncio.Queue()
        self._answers[call_id, cseq] = queue
        self._send("\r\n".join(lines) + "\r\n\r\n" + body, self.registrar)
        try:
            async with asyncio.timeout(self.timeout_s):
                while (answer := await queue.get()).status < 200:
                    pass
        finally:
            del self._answers[call_id, cseq]
        if method == "INVITE" and answer.status >= 300:
            to_line = answer.headers["to"]
            ack = [f"ACK {uri} SIP/2.0", lines[1], lines[2], lines[3], f"To: {to_line}", lines[5]]
            self._send(
                "\r\n".join([*ack, f"CSeq: {self._sequence} ACK", "Content-Length: 0"]) + "\r\n\r\n", self.registrar
            )
        return answer

    def _answer(self, request: SipMessage, status: int, addr: tuple[str, int]) -> None:
        body = self._sdp() if status == 200 and request.method == "INVITE" else ""
        lines = [
            f"SIP/2.0 {status} As told",
            *(f"Via: {via}" for via in request.vias),
            f"From: {request.headers['from']}",
            f"To: {request.headers['to']}" + ("" if "tag=" in request.headers["to"] else ";tag=odd"),
            f"Call-ID: {request.headers['call-id']}",
            f"CSeq: {request.headers['cseq']}",
            f"Contact: {self._contact()}",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        self._send("\r\n".join(lines) + "\r\n\r\n" + body, addr)

    def _proof(self, method: str, uri: str, challenge: str) -> str:
        asked = {name.lower(): quoted or plain for name, quoted, plain in _AUTH.findall(challenge)}
        realm, nonce, cnonce = asked.get("realm", ""), asked.get("nonce", ""), secrets.token_hex(8)
        ha1 = _md5(f"{self.username}:{realm}:{self.secret}")
        response = _md5(f"{ha1}:{nonce}:00000001:{cnonce}:auth:{_md5(f'{method}:{uri}')}")
        opaque = f', opaque="{asked["opaque"]}"' if "opaque" in asked else ""
        return (
            f'Digest username="{self.username}", realm="{realm}", nonce="{nonce}", uri="{uri}", response="{response}", '
            f'algorithm=MD5, qop=auth, nc=00000001, cnonce="{cnonce}"{opaque}'
        )

    def _uri(self, user: str) -> str:
        host, port = self.registrar
        return f"sip:{user}@{host}:{port}" if user else f"sip:{host}:{port}"

    def _contact(self) -> str:
        return f"<sip:{self.username}@127.0.0.1:{self.port}>"

    def _sdp(self) -> str:
        lines = (
            "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0",
            f"m=audio {self.port} RTP/AVP 8 0", "a=rtpmap:8 PCMA/8000", "a=rtpmap:0 PCMU/8000", "a=sendrecv",
        )  # fmt: skip
        return "\r\n".join(lines) + "\r\n"

    def _send(self, text: str, addr: tuple[str, int]) -> None:
        if self._transport is not None:
            self._transport.sendto(text.encode(), addr)


def parse(data: bytes) -> SipMessage | None:
    """A SIP message, or None for anything else (RTP, keep-alives)."""
    head, separator, body = data.partition(b"\r\n\r\n")
    lines = head.decode("utf-8", "replace").split("\r\n")
    if not separator or "SIP/2.0" not in lines[0]:
        return None
    message = SipMessage(lines[0], body=body.decode("utf-8", "replace"))
    for line in lines[1:]:
        name, _, value = line.partition(":")
        key = name.strip().lower()
        if key == "via":
            message.vias.append(value.strip())
        message.headers.setdefault(key, value.strip())
    return message


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

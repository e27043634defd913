"""Who answers: the SIP side of a crowd. Every INVITE is answered at once; who is told to leave says BYE.

Just enough of RFC 3261 for a peer on the same host: UDP, no authentication, answers repeated when a request is.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lab.crowd.media import Media

_HEADER = re.compile(r"^([A-Za-z-]+)\s*:\s*(.*)$")
_CONNECTION = re.compile(r"^c=IN IP4 (\S+)", re.MULTILINE)
_AUDIO = re.compile(r"^m=audio (\d+) ", re.MULTILINE)
_SHORT = {
    "v": "via",
    "f": "from",
    "t": "to",
    "i": "call-id",
    "m": "contact",
    "l": "content-length",
    "c": "content-type",
}
_LONGEST = 65_536


@dataclass(slots=True)
class Party:
    """One call of one party."""

    place: int
    media: Media
    caller: str
    called: str
    contact: str
    peer: tuple[str, int]


class Parties:
    """All parties behind one SIP port."""

    def __init__(self, host: str, port: int, voice: int, share: Iterator[Media], source: Callable[[], int]) -> None:
        """`share` gives the sound of the next party its socket; `source` gives it an SSRC."""
        self.calls: dict[str, Party] = {}
        self.answered = 0
        self._host, self._port = host, port
        self._voice = voice
        self._share = share
        self._source = source
        self._sequence = 1
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, port))
        self.socket.setblocking(False)

    def listen(self) -> None:
        """Take all that has come."""
        while True:
            try:
                text, peer = self.socket.recvfrom(_LONGEST)
            except BlockingIOError:
                return
            self._take(text.decode("utf-8", "replace"), peer)

    def leave(self, call_id: str) -> None:
        """Say BYE; the sound ends with it."""
        party = self.calls.pop(call_id)
        party.media.leave(party.place)
        self._sequence += 1
        lines = (
            f"BYE {party.contact} SIP/2.0",
            f"Via: SIP/2.0/UDP {self._host}:{self._port};rport;branch=z9hG4bK{self._sequence}x{self._port}",
            f"From: {party.called}",
            f"To: {party.caller}",
            f"Call-ID: {call_id}",
            f"CSeq: {self._sequence} BYE",
            "Max-Forwards: 70",
            "Content-Length: 0",
        )
        self._send("\r\n".join(lines) + "\r\n\r\n", party.peer)

    def _take(self, text: str, peer: tuple[str, int]) -> None:
        head, _, body = text.partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        if first.startswith("SIP/2.0") or not first:
            return
        method = first.split(" ", 1)[0]
        headers: dict[str, str] = {}
        vias = []
        for line in lines:
            if found := _HEADER.match(line):
                name = _SHORT.get(found[1].lower(), found[1].lower())
                headers.setdefault(name, found[2])
                if name == "via":
                    vias.append(f"Via: {found[2]}")
        call_id = headers.get("call-id", "")
        match method:
            case "ACK":
                return
            case "INVITE":
                self._invited(call_id, headers, vias, body, peer)
                return
            case "BYE" | "CANCEL" if call_id in self.calls:
                party = self.calls.pop(call_id)
                party.media.leave(party.place)
        self._send(_answer(200, "OK", headers, vias, headers.get("to", ""), ""), peer)

    def _invited(
        self, call_id: str, headers: dict[str, str], vias: list[str], body: str, peer: tuple[str, int]
    ) -> None:
        party = self.calls.get(call_id)
        if party is None:
            called = f"{headers.get('to', '')};tag={self._port}n{self.answered}"
            self._send(_answer(180, "Ringing", headers, vias, called, ""), peer)
            media = next(self._share)
            connection, audio = _CONNECTION.search(body), _AUDIO.search(body)
            if connection is None or audio is None:
                self._send(_answer(488, "Not Acceptable Here", headers, vias, called, ""), peer)
                return
            source = self._source()
            # Each begins its sound at another place: crossed lines are heard as a gap.
            place = media.join(self._voice, connection[1], int(audio[1]), self.answered * 37, source)
            contact = headers.get("contact", "").partition("<")[2].partition(">")[0]
            party = Party(place, media, headers.get("from", ""), called, contact, peer)
            self.calls[call_id] = party
            self.answered += 1
        self._send(self._accept(party, headers, vias), peer)

    def _accept(self, party: Party, headers: dict[str, str], vias: list[str]) -> str:
        body = (
            f"v=0\r\no=crowd 1 1 IN IP4 {self._host}\r\ns=-\r\nc=IN IP4 {self._host}\r\nt=0 0\r\n"
            f"m=audio {party.media.port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\n"
        )
        contact = f"Contact: <sip:{self._host}:{self._port}>\r\nContent-Type: application/sdp\r\n"
        return _answer(200, "OK", headers, vias, party.called, body, contact)

    def _send(self, text: str, peer: tuple[str, int]) -> None:
        self.socket.sendto(text.encode(), peer)


def _answer(
    code: int, words: str, headers: dict[str, str], vias: list[str], called: str, body: str, more: str = ""
) -> str:
    lines = (
        f"SIP/2.0 {code} {words}",
        *vias,
        f"From: {headers.get('from', '')}",
        f"To: {called}",
        f"Call-ID: {headers.get('call-id', '')}",
        f"CSeq: {headers.get('cseq', '')}",
    )
    return "\r\n".join(lines) + f"\r\n{more}Content-Length: {len(body)}\r\n\r\n{body}"

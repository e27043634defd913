"""The sound of a share of the crowd: one RTP socket, a packet from each party every 20 ms, and an ear for what the others send.

What is heard is compared with the known sound packet by packet: a number that does not follow the one before is a gap.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.crowd.datagrams import Batch
from lab.crowd.pattern import PACKETS, Bytes

_PCMA = 8
_VERSION = 0x80
_RECEIVED_AT_ONCE = 512
_RECEIVE_BUFFER_BYTES = 2 << 20


@dataclass(slots=True)
class Ears:
    """What each place has heard since the last reset. missing: packets not heard between two that were; late_ms: longest silence."""

    packets: NDArray[np.int64]
    gaps: NDArray[np.int64]
    missing: NDArray[np.int64]
    late_ms: NDArray[np.float64]

    @classmethod
    def of(cls, places: int) -> Ears:
        return cls(*(np.zeros(places, dtype=kind) for kind in (np.int64, np.int64, np.int64, np.float64)))  # type: ignore[arg-type]


class Media:
    """Places are given to parties by `join` and taken back by `leave`; `tick` is called every 20 ms."""

    def __init__(self, host: str, port: int, places: int, sounds: tuple[Bytes, ...]) -> None:
        """`sounds`: of customers and of agents. A party says one and hears the other."""
        self.port = port
        self.ears = Ears.of(places)
        self._sounds = sounds
        self._socket = _bound(host, port)
        self._control = _bound(host, port + 1)  # RTCP arrives and is not read
        self._mouths = Batch(places)
        self._inbox = Batch(_RECEIVED_AT_ONCE)
        self._free = list(range(places))
        self._talking = np.zeros(places, dtype=bool)
        self._voice = np.zeros(places, dtype=np.intp)
        self._number = np.zeros(places, dtype=np.int64)
        self._last = np.full(places, -1, dtype=np.int64)
        self._last_s = np.zeros(places)
        self._place_of_port = np.full(1 << 16, -1, dtype=np.int32)
        self._chosen: NDArray[np.intp] = np.flatnonzero(self._talking)
        self._numbers = [_numbers(sound) for sound in sounds]

    def join(self, voice: int, host: str, port: int, first_number: int, source: int) -> int:
        """A party begins to speak to host:port, with packet `first_number` of its sound."""
        place = self._free.pop()
        packet: Any = self._mouths.packets[place]
        packet["flags"], packet["kind"], packet["source"] = _VERSION, _PCMA, source
        address: Any = self._mouths.addresses[place]
        address["family"], address["port"] = socket.AF_INET, port
        address["ip"] = int.from_bytes(socket.inet_aton(host), "big")
        self._voice[place], self._number[place] = voice, first_number
        self._last[place] = -1
        self._place_of_port[port] = place
        self._talking[place] = True
        self._choose()
        return place

    def leave(self, place: int) -> None:
        """The party is silent from now on."""
        self._talking[place] = False
        self._place_of_port[int(self._mouths.addresses[place]["port"])] = -1
        self._free.append(place)
        self._choose()

    def tick(self, now_s: float) -> None:
        """Say one packet each; hear what has come."""
        here = self._chosen
        if len(here):
            number = self._number[here]
            packets = self._mouths.packets
            packets["sequence"][here] = number & 0xFFFF
            packets["stamp"][here] = (number * 160) & 0xFFFFFFFF
            for voice, sound in enumerate(self._sounds):
                mine = here[self._voice[here] == voice]
                packets["sound"][mine] = sound[self._number[mine] % PACKETS]
            self._number[here] = number + 1
            self._mouths.send(self._socket)
        self.listen(now_s)

    def listen(self, now_s: float) -> None:
        """Hear what has come; never waits."""
        while True:
            count = self._inbox.receive(self._socket)
            if count:
                self._hear(count, now_s)
            if count < _RECEIVED_AT_ONCE:
                return

    def skip(self, place: int, packets: int) -> None:
        """A party does not say so many packets: a loss on the way, for tests."""
        self._number[place] += packets

    def close(self) -> None:
        """Let the ports go."""
        self._socket.close()
        self._control.close()

    def reset(self) -> None:
        """Count from here."""
        for counter in (self.ears.packets, self.ears.gaps, self.ears.missing, self.ears.late_ms):
            counter[:] = 0

    @property
    def talking(self) -> NDArray[np.bool_]:
        """Places in a call."""
        return self._talking

    def _choose(self) -> None:
        self._chosen = np.flatnonzero(self._talking)
        self._mouths.choose(self._chosen)

    def _hear(self, count: int, now_s: float) -> None:
        places = self._place_of_port[self._inbox.addresses["port"][:count]]
        sounds = self._inbox.packets["sound"][:count, :2]
        keys = sounds[:, 0].astype(np.intp) << 8 | sounds[:, 1]
        left = np.flatnonzero(places >= 0)
        while len(left):  # once, unless somebody sent two packets
            _, firsts = np.unique(places[left], return_index=True)
            now = left[firsts]
            self._follow(places[now], keys[now], now_s)
            left = np.delete(left, firsts)

    def _follow(self, places: NDArray[np.int32], keys: NDArray[np.intp], now_s: float) -> None:
        voices = 1 - self._voice[places]
        numbers = np.where(voices == 0, self._numbers[0][keys], self._numbers[1][keys])
        last = self._last[places]
        jump = (numbers - last) % PACKETS
        is_gap = (last >= 0) & ((jump != 1) | (numbers < 0))
        ears = self.ears
        ears.packets[places] += 1
        ears.gaps[places] += is_gap
        ears.missing[places] += np.where(is_gap, jump - 1, 0)
        ears.late_ms[places] = np.maximum(
            ears.late_ms[places], np.where(last >= 0, (now_s - self._last_s[places]) * 1000, 0)
        )
        self._last[places], self._last_s[places] = numbers, now_s


def _numbers(sound: Bytes) -> NDArray[np.int64]:
    """First two bytes of a packet → its number; -1: not of this sound."""
    numbers = np.full(1 << 16, -1, dtype=np.int64)
    numbers[sound[:, 0].astype(np.intp) << 8 | sound[:, 1]] = np.arange(PACKETS)
    return numbers


def _bound(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _RECEIVE_BUFFER_BYTES)
    bound.bind((host, port))
    bound.setblocking(False)
    return bound

"""The process of a crowd: `python -m lab.crowd <json>`; see steering.py, which starts it."""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from itertools import count, cycle
from typing import Any

import numpy as np

from lab.crowd.media import Media
from lab.crowd.parties import Parties
from lab.crowd.pattern import sound_of

_PACKET_S = 0.02


class Stage:
    """Everything of one process: parties behind two SIP ports, their sound in shares that take turns within 20 ms."""

    def __init__(self, order: dict[str, Any]) -> None:
        sounds = (sound_of(0), sound_of(1))
        host = order["host"]
        self.media = [Media(host, port, order["places_each"], sounds) for port in order["media_ports"]]
        share, source = cycle(self.media), count(0x57000000).__next__
        self.parties = [Parties(host, port, voice, share, source) for voice, port in enumerate(order["sip_ports"])]
        self.control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.control.bind((host, order["control_port"]))
        self.late_ms = 0.0
        self._leave_each_tick = 0

    def run(self) -> None:
        """For ever; ended by a signal."""
        listening = [self.control, *(party.socket for party in self.parties)]
        step_s = _PACKET_S / len(self.media)
        due_s = time.monotonic()
        for turn in cycle(range(len(self.media))):
            due_s += step_s
            while True:
                left_s = due_s - time.monotonic()
                for ready in select.select(listening, [], [], max(left_s, 0.0))[0]:
                    self._serve(ready)
                if left_s <= 0:
                    break
            self.late_ms = max(self.late_ms, -left_s * 1000)
            self.media[turn].tick(time.monotonic())
            if turn == 0:
                self._some_leave()

    def _serve(self, ready: socket.socket) -> None:
        if ready is self.control:
            text, peer = self.control.recvfrom(1024)
            self.control.sendto(json.dumps(self._obey(json.loads(text))).encode(), peer)
        for party in self.parties:
            if party.socket is ready:
                party.listen()

    def _obey(self, command: dict[str, Any]) -> dict[str, Any]:
        match command["do"]:
            case "reset":
                for media in self.media:
                    media.reset()
                self.late_ms = 0.0
            case "leave":
                self._leave_each_tick = command["each_tick"]
        talking = [media.talking for media in self.media]

        def all_of(name: str) -> np.ndarray[Any, np.dtype[Any]]:
            return np.concatenate(
                [getattr(media.ears, name)[who] for media, who in zip(self.media, talking, strict=True)]
            )

        packets = all_of("packets")
        hearing = packets > 0
        return {
            "customers": len(self.parties[0].calls),
            "agents": len(self.parties[1].calls),
            "hearing": int(hearing.sum()),
            "packets": int(packets.sum()),
            "gaps": int(all_of("gaps").sum()),
            "missing": int(all_of("missing").sum()),
            "longest_silence_ms": float(max(all_of("late_ms")[hearing], default=0.0)),
            "own_lateness_ms": self.late_ms,
        }

    def _some_leave(self) -> None:
        customers = self.parties[0]
        for call_id in list(customers.calls)[: self._leave_each_tick]:
            customers.leave(call_id)
        if not customers.calls:
            self._leave_each_tick = 0


if __name__ == "__main__":
    Stage(json.loads(sys.argv[1])).run()

"""Recorded streams, damaged at random: only typed errors, no spinning, no growing."""

from __future__ import annotations

import contextlib
import time
from random import Random

import pytest

from dialer.asterisk.ami.actions import core_show_channels, ping
from dialer.asterisk.ami.errors import ProtocolError
from dialer.asterisk.ami.events import channel_row, view
from dialer.asterisk.ami.message import Event, Response
from dialer.asterisk.ami.pending import PendingActions
from dialer.asterisk.ami.protocol import AmiProtocol
from tests.benchmarks.bench_ami import GREETING, event_stream

BOUND = 20_000
_LIST = (
    b"Response: Success\r\nActionID: w2\r\nEventList: start\r\nMessage: Channels will follow\r\n\r\n"
    b"Event: CoreShowChannel\r\nChannel: PJSIP/a-1\r\nUniqueid: call-1\r\nDuration: 00:01:02\r\nActionID: w2\r\n\r\n"
    b"Event: CoreShowChannelsComplete\r\nActionID: w2\r\nEventList: Complete\r\nListItems: 1\r\n\r\n"
    b"Response: Success\r\nActionID: w1\r\nPing: Pong\r\n\r\n"
)
RECORDED = GREETING + event_stream(calls=3)[0] + _LIST
_TOKENS = [
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"\0",
    b":",
    b"Event: ",
    b"Response: ",
    b"ActionID: w1\r\n",
    b"\xff\xfe",
    b"y" * 3_000,
]


def damage(data: bytes, random: Random) -> bytes:
    """A few random wounds: flipped, lost, doubled, moved and foreign bytes."""
    out = bytearray(data)
    for _ in range(random.randint(1, 12)):
        at, size = random.randrange(len(out) + 1), random.randint(1, 400)
        match random.randrange(5):
            case 0 if at < len(out):
                out[at] = random.randrange(256)
            case 1:
                del out[at : at + size]
            case 2:
                out[at:at] = out[at : at + size]
            case 3:
                out[at:at] = random.choice(_TOKENS)
            case _:
                piece = out[at : at + size]
                del out[at : at + size]
                where = random.randrange(len(out) + 1)
                out[where:where] = piece
    return bytes(out)


@pytest.mark.parametrize("seed", range(300))
def test_damaged_streams_end_in_messages_or_typed_errors_within_time_and_memory(seed: int) -> None:
    random = Random(seed)
    data = damage(RECORDED, random)
    if random.random() < 0.5:
        data = GREETING + data.removeprefix(GREETING)
    protocol, pending = AmiProtocol(max_message_bytes=BOUND), PendingActions(bound=10)
    pending.add(ping(), "w1", is_list=False, max_events=0)
    pending.add(core_show_channels(), "w2", is_list=True, max_events=5)
    began, at = time.perf_counter(), 0
    with contextlib.suppress(ProtocolError):
        while at < len(data):
            step = random.choice([1, 7, 100, 4_096])
            for message in protocol.receive_data(data[at : at + step]):
                read_everything(message, pending)
            at += step
            assert len(protocol._buffer) <= BOUND + step
        protocol.receive_eof()
    assert time.perf_counter() - began < 5.0


def read_everything(message: object, pending: PendingActions) -> None:
    """All that we ever do with a message; nothing of it may raise."""
    if isinstance(message, Event):
        view(message)
        channel_row(message)
        pending.feed(message)
    elif isinstance(message, Response):
        pending.feed(message)
        assert isinstance(message.output, list)
    repr(message)


def test_a_megabyte_byte_by_byte_costs_linear_time() -> None:
    def seconds(size: int) -> float:
        protocol = AmiProtocol(max_message_bytes=1 << 20)
        protocol.receive_data(GREETING)
        began = time.process_time()
        for _ in range(size):
            protocol.receive_data(b"y")
        return time.process_time() - began

    small, large = seconds(20_000), seconds(200_000)
    assert large < small * 40, "ten times the bytes must not cost a hundred times the time"

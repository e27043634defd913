"""How fast the AMI core reads events: ours, panoramisk's parser and a bare split, on the same bytes in one run.

Every contender gets the stream in the same pieces of 64 KiB and really reads `Event`, `Uniqueid`, `Channel` and `Linkedid` of each
event. The events are those of real calls (a third of them long). Prints `name | figure | bound | ratio | ok/MISSED`.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

from panoramisk.ami_protocol import AMIProtocol as PanoramiskProtocol

from dialer.asterisk.ami.message import Event
from dialer.asterisk.ami.protocol import AmiProtocol

EVENTS_PER_S_BOUND = 100_000
PANORAMISK_RATIO_BOUND = 2.5
PIECE_BYTES = 64 << 10
ROUNDS = 5

GREETING = b"Asterisk Call Manager/11.0.0\r\n"

_CHANNEL = (
    "{p}Channel: PJSIP/carrier-{n:08x}\r\n{p}ChannelState: {state}\r\n{p}ChannelStateDesc: {desc}\r\n"
    "{p}CallerIDNum: 8613{n:09d}\r\n{p}CallerIDName: <unknown>\r\n{p}ConnectedLineNum: 02085550{n:03d}\r\n"
    "{p}ConnectedLineName: <unknown>\r\n{p}Language: en\r\n{p}AccountCode: \r\n{p}Context: waihu-customer\r\n{p}Exten: s\r\n"
    "{p}Priority: 1\r\n{p}Uniqueid: call-0198c2d3e4f5{n:020x}\r\n{p}Linkedid: call-0198c2d3e4f5{n:020x}\r\n"
)


def _channel(n: int, *, prefix: str = "", state: int = 6, desc: str = "Up") -> str:
    return _CHANNEL.format(p=prefix, n=n, state=state, desc=desc)


def events_of_call(n: int) -> list[str]:
    """What Asterisk says about one answered call, in its words and order."""
    bridge = (
        f"BridgeUniqueid: 6f1c2b1e-8f3a-4a57-9a55-{n:012x}\r\nBridgeType: basic\r\nBridgeTechnology: simple_bridge\r\n"
        "BridgeCreator: <unknown>\r\nBridgeName: <unknown>\r\nBridgeNumChannels: 1\r\nBridgeVideoSourceMode: none\r\n"
    )
    call = "Privilege: call,all\r\n"
    return [
        f"Event: Newchannel\r\n{call}{_channel(n, state=0, desc='Down')}",
        f"Event: DialBegin\r\n{call}{_channel(n)}{_channel(n, prefix='Dest', state=0, desc='Down')}DialString: 13{n:09d}@carrier\r\n",
        f"Event: DialState\r\n{call}{_channel(n)}{_channel(n, prefix='Dest', state=5, desc='Ringing')}DialStatus: RINGING\r\n",
        f"Event: Newstate\r\n{call}{_channel(n, state=5, desc='Ringing')}",
        f"Event: Newstate\r\n{call}{_channel(n)}",
        f"Event: DialEnd\r\n{call}{_channel(n)}{_channel(n, prefix='Dest')}DialStatus: ANSWER\r\n",
        (
            f"Event: OriginateResponse\r\n{call}ActionID: {n:032x}\r\nResponse: Success\r\nChannel: PJSIP/carrier-{n:08x}\r\n"
            f"Context: waihu-customer\r\nExten: s\r\nReason: 4\r\nUniqueid: call-0198c2d3e4f5{n:020x}\r\nCallerIDNum: <unknown>\r\n"
            "CallerIDName: <unknown>\r\n"
        ),
        f"Event: BridgeEnter\r\n{call}{bridge}{_channel(n)}",
        f"Event: BridgeEnter\r\n{call}{bridge}{_channel(n + 1)}",
        f"Event: BridgeLeave\r\n{call}{bridge}{_channel(n)}",
        f"Event: UserEvent\r\nPrivilege: user,all\r\n{_channel(n)}UserEvent: WaihuResult\r\nAttempt: {n:032x}\r\nResult: bridged_end\r\n",
        f"Event: Hangup\r\n{call}{_channel(n)}Cause: 16\r\nCause-txt: Normal Clearing\r\n",
    ]


def event_stream(calls: int) -> tuple[bytes, int]:
    """The bytes of `calls` calls, and how many events they are."""
    events = [event for n in range(calls) for event in events_of_call(n)]
    return "".join(f"{event}\r\n" for event in events).encode(), len(events)


def _pieces(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), PIECE_BYTES):
        yield data[start : start + PIECE_BYTES]


def read_with_ours(data: bytes) -> tuple[int, int]:
    """Events read, and a sum over what was read in them (so that nothing can be skipped)."""
    protocol = AmiProtocol()
    protocol.receive_data(GREETING)
    count = total = 0
    for piece in _pieces(data):
        for message in protocol.receive_data(piece):
            if isinstance(message, Event):
                get = message.get
                count += 1
                total += len(message.name) + len(get("Uniqueid")) + len(get("Channel")) + len(get("Linkedid"))
    return count, total


def read_with_panoramisk(data: bytes) -> tuple[int, int]:
    """The same through panoramisk's protocol class, with the least factory that it accepts."""
    count = total = 0

    def dispatch(message: Any) -> None:
        nonlocal count, total
        count += 1
        total += len(message["Event"]) + len(message.get("Uniqueid", "")) + len(message.get("Channel", ""))
        total += len(message.get("Linkedid", ""))

    protocol = PanoramiskProtocol()
    protocol.connection_made(None)
    protocol.encoding = "utf8"
    protocol.factory = SimpleNamespace(dispatch=dispatch, save_stream=None)
    protocol.data_received(GREETING + b"\r\n")
    for piece in _pieces(data):
        protocol.data_received(piece)
    return count, total


def read_with_bare_split(data: bytes) -> tuple[int, int]:
    """What one would write by hand without caring for bad input: split, split, dict."""
    count = total = 0
    rest = ""
    for piece in _pieces(data):
        *blocks, rest = (rest + piece.decode()).split("\r\n\r\n")
        for block in blocks:
            fields = dict(line.split(": ", 1) for line in block.split("\r\n"))
            get = fields.get
            count += 1
            total += (
                len(fields["Event"]) + len(get("Uniqueid", "")) + len(get("Channel", "")) + len(get("Linkedid", ""))
            )
    return count, total


Reader = Callable[[bytes], tuple[int, int]]


def events_per_s(readers: dict[str, Reader], data: bytes, expected: int) -> dict[str, float]:
    """The best of several rounds for each reader, in turns, so that a busy machine hurts all alike.

    Errors: RuntimeError when the readers do not read the same.
    """
    best = dict.fromkeys(readers, 0.0)
    seen: set[tuple[int, int]] = set()
    for _ in range(ROUNDS):
        for name, reader in readers.items():
            gc.collect()
            started = time.process_time()
            result = reader(data)
            best[name] = max(best[name], expected / (time.process_time() - started))
            seen.add(result)
    if len(seen) != 1 or next(iter(seen))[0] != expected:
        raise RuntimeError(f"the parsers disagree about {expected} events: {seen}")
    return best


def main() -> int:
    """Print the figures; 0 when every bound is held."""
    data, expected = event_stream(calls=1_500)
    speed = events_per_s(
        {"ours": read_with_ours, "panoramisk": read_with_panoramisk, "bare split": read_with_bare_split}, data, expected
    )
    ours = speed["ours"]
    lines = [
        (
            "AMI core, events/s on one core",
            f"{ours:,.0f}",
            f">= {EVENTS_PER_S_BOUND:,}",
            ours / EVENTS_PER_S_BOUND,
            1.0,
        ),
        (
            "AMI core vs panoramisk",
            f"{ours:,.0f} : {speed['panoramisk']:,.0f}",
            f">= {PANORAMISK_RATIO_BOUND}x",
            ours / speed["panoramisk"],
            PANORAMISK_RATIO_BOUND,
        ),
        (
            "AMI core vs bare split",
            f"{ours:,.0f} : {speed['bare split']:,.0f}",
            "(none)",
            ours / speed["bare split"],
            0.0,
        ),
    ]
    missed = 0
    for name, figure, bound, ratio, wanted in lines:
        held = ratio >= wanted
        missed += not held
        print(f"{name} | {figure} | {bound} | {ratio:.2f} | {'ok' if held else 'MISSED'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

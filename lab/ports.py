"""Free ports that two demos, test runs or users of one machine never give out twice.

A port counts as free when TCP and UDP can be bound on it and no living process of ours has reserved it. Reservations are made by
the block: an abstract Unix socket named after the block is a lock without a file, it belongs to the same network namespace as the
ports do, and the kernel drops it when its process ends, however it ends. So a service that was killed finds its port still kept for
it as long as the process that asked for it lives.
"""

from __future__ import annotations

import os
import random
import socket
import threading
import weakref
from collections import deque
from itertools import pairwise

from lab.errors import PortsExhausted

# Below the range from which Linux takes ports for outgoing connections (32768 up), or one of those could sit on the port of a
# service that is just being restarted.
_LOWEST = 12_000
_HIGHEST = 32_000
_BLOCK = 50

_guard = threading.Lock()
_locks: dict[
    int, int
] = {}  # first port of a block → its lock, a bare descriptor: the end of the process is its right end
_given: set[int] = set()
_returned: deque[range] = deque()  # what owners who are gone had; a finaliser may run anywhere, so it takes no lock
_owner = os.getpid()
_random = random.SystemRandom()


def free_port(owner: object | None = None) -> int:
    """One port, free for TCP and UDP, reserved for this process until it ends, or until `owner` is garbage."""
    return free_range(1, owner).start


def free_range(count: int, owner: object | None = None) -> range:
    """`count` neighbouring ports, reserved like free_port; a run of two or more begins at an even number, as RTP wants it."""
    found = _reserve(count)
    if owner is not None:
        weakref.finalize(owner, _returned.append, found)
    return found


def _reserve(count: int) -> range:
    with _guard:
        _start_anew_after_fork()
        _take_back()
        blocks_needed = -(-count // _BLOCK)
        if blocks_needed == 1:
            for block in _locks:
                if found := _take(range(block, block + _BLOCK), count):
                    return found
        starts = range(_LOWEST, _HIGHEST - blocks_needed * _BLOCK + 1, _BLOCK)
        for start in _random.sample(starts, len(starts)):
            blocks = range(start, start + blocks_needed * _BLOCK, _BLOCK)
            if not _lock_all(blocks):
                continue
            if found := _take(range(start, blocks.stop), count):
                return found
            for block in blocks:
                os.close(_locks.pop(block))
    raise PortsExhausted(
        f"no {count} neighbouring free ports between {_LOWEST} and {_HIGHEST}: "
        "stop demos or test runs that are not needed (`make clean` in their checkouts)"
    )


def _take_back() -> None:
    """Blocks in which nothing is given any more are for everybody again."""
    while _returned:
        _given.difference_update(_returned.popleft())
    for block in [block for block in _locks if _given.isdisjoint(range(block, block + _BLOCK))]:
        os.close(_locks.pop(block))


def _take(within: range, count: int) -> range | None:
    """The first run of `count` ports in `within` that were not given and can be bound; it counts as given from now on."""
    step = 1 if count == 1 else 2
    blocked = [port for port in within if port in _given or not _can_bind(port)]
    for before, after in pairwise([within.start - 1, *blocked, within.stop]):
        start = before + 1 + (before + 1) % step
        if after - start >= count:
            found = range(start, start + count)
            _given.update(found)
            return found
    return None


def _lock_all(blocks: range) -> bool:
    fresh: dict[int, int] = {}
    for block in blocks:
        lock = None if block in _locks else _lock(block)
        if lock is None:
            for taken in fresh.values():
                os.close(taken)
            return False
        fresh[block] = lock
    _locks.update(fresh)
    return True


def _lock(block: int) -> int | None:
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        lock.bind(f"\0waihu-ports-{block}")
    except OSError:
        lock.close()
        return None
    return lock.detach()


def _start_anew_after_fork() -> None:
    # A forked child shares its parent's locks: it must not give out from the parent's blocks.
    global _owner  # noqa: PLW0603  # it says whose state the three names above are
    if _owner != os.getpid():
        _owner = os.getpid()
        for lock in _locks.values():
            os.close(lock)
        _locks.clear()
        _given.clear()
        _returned.clear()


def _can_bind(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("0.0.0.0", port))  # nobody may have it on any address; it is closed at once
            except OSError:
                return False
    return True

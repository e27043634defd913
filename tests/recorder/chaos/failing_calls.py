"""System calls that fail, for real: a process and its children get an errno from the kernel where they touch a directory.

seccomp with user notification (Linux 5.5, seccomp_unotify(2)): the filter stops the calls that touch files, and whoever holds the listener lets
each of them pass or fail. No privilege, no compiler and no module of the kernel is needed. x86-64 and arm64.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import select
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

_NUMBERS: Final = {
    "x86_64": {
        "read": 0, "write": 1, "pread64": 17, "pwrite64": 18, "fsync": 74, "fdatasync": 75, "rename": 82, "unlink": 87, "openat": 257,
        "unlinkat": 263, "renameat": 264, "renameat2": 316,
    },
    "aarch64": {
        "read": 63, "write": 64, "pread64": 67, "pwrite64": 68, "fsync": 82, "fdatasync": 83, "openat": 56, "unlinkat": 35, "renameat": 38,
        "renameat2": 276,
    },
}  # fmt: skip
_SECCOMP: Final = {"x86_64": 317, "aarch64": 277}
_PATH_ARGUMENT: Final = {"rename": 0, "unlink": 0, "openat": 1, "unlinkat": 1, "renameat": 1, "renameat2": 1}
_PR_SET_NO_NEW_PRIVS: Final = 38
_SET_MODE_FILTER, _NEW_LISTENER = 1, 8
_ALLOW, _ASK = 0x7FFF0000, 0x7FC00000
_RECEIVE, _ANSWER = 0xC0502100, 0xC0182101
_NOTICE: Final = struct.Struct("=QII iI Q6Q")  # id, pid, flags; nr, arch, instruction pointer, six arguments
_REPLY: Final = struct.Struct("=QqiI")
_CONTINUE: Final = 1
_LOAD_NUMBER: Final = struct.pack("HBBI", 0x20, 0, 0, 0)


def ask_before_touching_files(channel: socket.socket) -> None:
    """From now on this thread, and all that it starts, waits for an answer before each call that touches a file. The listener goes through `channel`."""
    numbers = sorted(_NUMBERS[platform.machine()].values())
    jumps = [
        struct.pack("HBBI", 0x15, len(numbers) - place, 0, number) for place, number in enumerate(numbers)
    ]  # equal: to the last
    program = b"".join(
        [_LOAD_NUMBER, *jumps, struct.pack("HBBI", 0x06, 0, 0, _ALLOW), struct.pack("HBBI", 0x06, 0, 0, _ASK)]
    )
    kept = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(kept))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    listener = libc.syscall(_SECCOMP[platform.machine()], _SET_MODE_FILTER, _NEW_LISTENER, ctypes.c_char_p(head))
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    socket.send_fds(channel, [b"."], [listener])
    os.close(listener)


Decide = Callable[[str, Path], int]
"""An errno for a call on a path, or 0: let it pass."""


class Answering:
    """Answers the calls of another process, in a thread, until that process and its children are gone."""

    def __init__(self, channel: socket.socket, decide: Decide) -> None:
        self.failed: Counter[str] = Counter()
        self._decide = decide
        self._names = {number: name for name, number in _NUMBERS[platform.machine()].items()}
        _, [self._listener], _, _ = socket.recv_fds(channel, 1, 1)
        self._thread = threading.Thread(target=self._serve, name="failing-calls", daemon=True)
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait for its end."""
        self._thread.join(timeout_s)

    def _serve(self) -> None:
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        try:
            while True:
                [(_, events)] = poll.poll()
                if not events & select.POLLIN:
                    return  # nobody is left
                self._one()
        finally:
            os.close(self._listener)

    def _one(self) -> None:
        notice = bytearray(_NOTICE.size)
        with suppress(FileNotFoundError, InterruptedError):  # ENOENT: the process was killed while it waited
            fcntl.ioctl(self._listener, _RECEIVE, notice)
            number, pid, _, call, _, _, *arguments = _NOTICE.unpack(notice)
            failure = 0
            name = self._names[call]
            with suppress(OSError):
                if (path := _path(pid, name, arguments)) is not None:
                    failure = self._decide(name, path)
            if failure:
                self.failed[f"{name} {errno.errorcode[failure]}"] += 1
            fcntl.ioctl(self._listener, _ANSWER, _REPLY.pack(number, 0, -failure, 0 if failure else _CONTINUE))


def _path(pid: int, name: str, arguments: list[int]) -> Path | None:
    """What the call is about: the path it names, or that of its open file."""
    where = _PATH_ARGUMENT.get(name)
    if where is None:
        return Path(f"/proc/{pid}/fd/{arguments[0]}").readlink()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:  # noqa: PTH123 - no buffer: the memory is another's
        memory.seek(arguments[where])
        text = _until_zero(memory.fileno(), arguments[where])
    return Path(os.fsdecode(text)) if text.startswith(b"/") else None


def _until_zero(memory: int, at: int) -> bytes:
    text = b""
    while b"\0" not in text and len(text) < os.pathconf("/", "PC_PATH_MAX"):
        # Not beyond the page: the next one may not be there.
        text += os.pread(memory, 4096 - (at + len(text)) % 4096, at + len(text))
    return text.partition(b"\0")[0]

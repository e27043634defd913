"""Ports are handed out once on a machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading

import pytest

from lab import ports
from lab.errors import PortsExhausted
from lab.ports import free_port, free_range


def test_no_port_is_given_twice_in_one_process() -> None:
    given: list[int] = []
    threads = [threading.Thread(target=lambda: given.extend(free_port() for _ in range(50))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(given)) == 200


def test_no_port_is_given_to_another_process_while_ours_lives() -> None:
    ours = set(free_range(400))
    script = "from lab.ports import free_range\nfor _ in range(40): print(*free_range(100))"
    theirs = {
        int(word) for word in subprocess.check_output([sys.executable, "-c", script], text=True, timeout=60).split()
    }
    assert len(theirs) == 4_000
    assert ours.isdisjoint(theirs)


def test_a_range_begins_at_an_even_port() -> None:
    assert all(free_range(3).start % 2 == 0 for _ in range(10))


def test_a_forked_child_does_not_give_out_its_parents_ports() -> None:
    script = (
        "import os\nfrom lab.ports import free_port\n"
        "def many(): os.write(1, (' '.join(str(free_port()) for _ in range(60)) + '\\n').encode())\n"
        "many()\nchild = os.fork()\nmany()\nif child: os.wait()"
    )
    given = subprocess.check_output([sys.executable, "-c", script], text=True, timeout=60).split()
    assert len(given) == len(set(given)) == 180


def test_ports_of_an_owner_who_is_gone_are_given_again() -> None:
    class Owner:
        """Somebody who wants ports."""

    for _ in range(60):  # 60 times 800 is more than there are
        assert len(free_range(800, Owner())) == 800


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_in_use_is_not_given(monkeypatch: pytest.MonkeyPatch, kind: socket.SocketKind) -> None:
    monkeypatch.setattr(ports, "_locks", {})
    monkeypatch.setattr(ports, "_given", set())
    block = free_range(ports._BLOCK)
    for lock in ports._locks.values():
        os.close(lock)
    ports._locks.clear()
    monkeypatch.setattr(ports, "_LOWEST", block.start)
    monkeypatch.setattr(ports, "_HIGHEST", block.stop)
    ports._given.clear()
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", block.start + 20))
        with pytest.raises(PortsExhausted, match="make clean"):
            free_range(30)
        assert free_range(28).start == block.start + 22
    for lock in ports._locks.values():
        os.close(lock)

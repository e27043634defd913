"""Asks for ranges as fast as they come, over several connections: `python -m tests.benchmarks.range_client HOST PORT PATH TOKEN SIZE SPAN COUNT CONNECTIONS`.

Prints megabytes a second. It knows just enough of HTTP for that, so that it costs less than what it measures.
"""

from __future__ import annotations

import random
import socket
import sys
import threading
import time


def fetch(host: str, port: int, path: str, token: str, size: int, span: int, count: int, seed: int) -> None:
    """Some ranges over one connection."""
    chance, buffer = random.Random(seed), bytearray(1 << 18)
    with socket.create_connection((host, port)) as connection:
        for _ in range(count):
            start = chance.randrange(size - span)
            connection.sendall(
                f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\nRange: bytes={start}-{start + span - 1}\r\n\r\n".encode()
            )
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(4096)
            if b" 206 " not in head[:20]:
                raise SystemExit(head.decode(errors="replace"))
            left = span - len(head) + head.index(b"\r\n\r\n") + 4
            while left > 0:
                left -= connection.recv_into(buffer, min(left, len(buffer)))


def main(words: list[str]) -> None:
    """Run and print."""
    host, port, path, token = words[0], int(words[1]), words[2], words[3]
    size, span, count, connections = map(int, words[4:8])
    threads = [
        threading.Thread(target=fetch, args=(host, port, path, token, size, span, count, seed))
        for seed in range(connections)
    ]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(span * count * connections / 1e6 / (time.perf_counter() - began))


if __name__ == "__main__":
    main(sys.argv[1:])

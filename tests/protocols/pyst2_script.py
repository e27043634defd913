"""An AGI script written with pyst2, behind a socket: run by itself, because pyst2 takes signals and wants the main thread.

Prints its port, answers one question (`WAIHU_ACTION` becomes "pyst2:" and the value of WAIHU_ATTEMPT), prints the environment as JSON.
"""

from __future__ import annotations

import io
import json
import socket
import sys

from asterisk.agi import AGI


def tell(line: str) -> None:
    """One line for the test."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Serve one connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        tell(str(listener.getsockname()[1]))
        connection, _ = listener.accept()
    with connection, connection.makefile("r") as reading, connection.makefile("w") as writing:
        agi = AGI(stdin=reading, stdout=writing, stderr=io.StringIO())
        attempt = agi.get_variable("WAIHU_ATTEMPT")
        agi.set_variable("WAIHU_ACTION", f"pyst2:{attempt}")
        tell(json.dumps(agi.env))


if __name__ == "__main__":
    main()

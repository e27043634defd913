"""pyst2's AMI client as a process: actions as JSON lines on stdin, responses and OriginateResponse events as JSON lines on stdout.

A process of its own, because pyst2 starts threads that it does not always end and uses names that Python is about to drop.
Arguments: port, user, secret.
"""

from __future__ import annotations

import json
import os
import sys
import warnings

from asterisk.manager import Event, Manager, ManagerAuthException


def tell(**what: object) -> None:
    """One line for the test."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main(port: int, user: str, secret: str) -> None:
    """Log in, then do as told until stdin ends."""
    manager = Manager()
    manager.register_event("OriginateResponse", lambda event, _: tell_event(event))
    manager.connect("127.0.0.1", port)
    try:
        manager.login(user, secret)
    except ManagerAuthException as error:
        tell(refused=str(error))
        return
    tell(logged_in=manager.version)
    for line in sys.stdin:
        tell(response=manager.send_action(json.loads(line)).headers)


def tell_event(event: Event) -> None:
    """What pyst2 read in it."""
    tell(event=event.headers)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
    os._exit(0)  # its threads would keep the process

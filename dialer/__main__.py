"""`python -m dialer`, and the console script `waihu`."""

from __future__ import annotations

import sys

SERVING = {
    "serve": frozenset({"engine", "web", "recorder"}),
    "engine": frozenset({"engine"}),
    "web": frozenset({"web"}),
    "recorder": frozenset({"recorder"}),
}


def main() -> None:
    """Run the command line with the composition root behind it."""
    argv = sys.argv[1:]
    if len(argv) == 1 and argv[0] in SERVING:
        # Calls wait for an engine that starts again: it does not load the rest of the command line first.
        from dialer.cli.exits import told

        sys.exit(told(lambda: _programs(SERVING[argv[0]])))
    from dialer.cli.command import run

    sys.exit(run(argv, _programs))


def _programs(parts: frozenset[str]) -> int:
    from dialer.main.programs import run

    return run(parts)


if __name__ == "__main__":
    main()

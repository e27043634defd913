"""The encoder process: `python -m recorder.worker`. A request a line in, an answer a line out, JSON, until its input ends.

It stays up because starting a process costs more than encoding a short call, and it is a process so that a poisoned file takes
down nothing but it. It ends with its parent.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from av.error import FFmpegError

from recorder.errors import BadLeg
from recorder.master import make_master
from recorder.sealing import Seal

_PR_SET_PDEATHSIG: Final = 1
_NICENESS: Final = 5  # voices come first


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Encode what the request names. Failures that belong to this call or to the disk are answers, not crashes."""
    seal = request["seal"] and Seal(attempt_id=UUID(request["seal"][0]), key=bytes.fromhex(request["seal"][1]))
    try:
        made = make_master(
            Path(request["customer"]),
            Path(request["agent"]),
            Path(request["part"]),
            expected_ms=request["expected_ms"],
            alone_ms=request["alone_ms"],
            seal=seal,
            pauses=request["pauses"],
        )
    except BadLeg as error:
        return {"bad_leg": error.error_id, "message": error.message}
    except OSError as error:
        # PyAV's own failures can be OSErrors too; the disk's have an errno of the system.
        return {"errno": error.errno or 0, "message": error.strerror or str(error)}
    except FFmpegError as error:
        return {"bad_leg": "encode_failed", "message": str(error)}
    return {
        "bytes": made.bytes,
        "sha256": made.sha256.hex(),
        "content_bytes": made.content_bytes,
        "content_sha256": made.content_sha256.hex(),
        "duration_ms": made.duration_ms,
        "faults": made.faults,
        "analysis": made.analysis and made.analysis.as_json(),
    }


def main() -> None:
    """Serve until the parent closes our input or dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an orderly stop comes through our input
    os.nice(_NICENESS)
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nothing a library prints can break the protocol
    print(json.dumps({"ready": True}), file=replies, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=replies, flush=True)


if __name__ == "__main__":
    main()

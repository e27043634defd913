"""What an engine must be told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """One engine for one Asterisk node. Port 0: a free one; `control_port` None: no control port."""

    node: str
    ami_host: str
    ami_port: int
    ami_user: str
    ami_secret: str
    agi_host: str
    agi_port: int
    cdr_file: Path
    control_host: str = "127.0.0.1"
    control_port: int | None = None
    control_url: str | None = None
    control_token: str = ""
    lease_s: float = 3.0
    tick_s: float = 1.0
    journal_every_s: float = 0.05
    journal_bound: int = 20_000  # calls and agents with unwritten news before no new call is placed
    audit_every_s: float = 10.0
    warnings_every_s: float = 60.0
    projects_every_s: float = 5.0
    action_deadline_s: float = 5.0
    seat_ring_s: float = 20.0
    seat_tries: int = 4
    seat_retry_s: float = 2.0
    loop_blocked_s: float = 0.25
    caller_watch_every_s: float = 15.0
    caller_rest_h: float = (
        24.0  # a caller number that does worse than the others rests so long; 0: it only raises an alarm
    )
    label_url: str = ""
    label_token: str = ""

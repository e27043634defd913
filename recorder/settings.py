"""What the recorder is told at its start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderSettings:
    """Directories, bounds and deadlines. The spool is this node's; the store may be shared by all nodes."""

    spool_dir: Path
    store_dir: Path
    node: str | None = None  # only calls of this Asterisk node are closed as missing; None: of every node
    encoders: int = 1  # encoder processes
    queue_bound: int = 2000  # signalled calls waiting; what comes beyond is found by the reconciler
    reconcile_every_s: float = 15.0
    reconcile_batch: int = 500  # files and rows looked at in a round
    doubted_every_s: float = 300.0  # stored files that were found to be wrong are read again
    settle_s: float = 10.0  # an unfinished leg that has not grown for so long will not grow any more
    legs_deadline_s: float = 120.0  # after the hang-up; then a call without legs is stated missing
    stray_after_s: float = 3600.0  # a leg of no attempt we know is set aside after this
    encode_timeout_s: float = 300.0
    tries: int = 3  # of a call on which the encoder dies or the stored copy proves wrong
    back_off_min_s: float = 0.5
    back_off_max_s: float = 60.0
    space_every_s: float = 5.0
    space_timeout_s: float = 3.0  # a place that does not say by then how much is free counts as broken
    alarm_every_s: float = 60.0
    chain_every_s: float = 5.0  # the ledger's entries wait so long for their place in the chain
    spool_floor_bytes: int = 512 * _MIB
    store_floor_bytes: int = 1024 * _MIB
    store_low_days: float = 3.0  # below it files that verified discs have leave the store; 0: never by itself
    store_enough_days: float = 7.0  # and up to it
    release_every_s: float = 60.0
    ledger_timeout_s: float = 15.0
    stop_timeout_s: float = 30.0

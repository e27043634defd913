"""What Asterisk tells when it is asked: the channels of ours, calls and seats told apart by their names, and when its life began."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from dialer.asterisk.ami import actions
from dialer.asterisk.ami.client import AmiClient
from dialer.asterisk.ami.errors import AmiError
from dialer.asterisk.ami.events import ChannelRow, channel_row
from dialer.domain.ids import CALL_PREFIX, SEAT_PREFIX, attempt_of_channel
from dialer.domain.pauses import MARK_VARIABLE, Mark, mark_of

YOUNG_S = 1.5  # what was begun so shortly before the listing may not be in it yet


@dataclass(slots=True, kw_only=True)
class Listing:
    """`asked_s`: when it was asked for, monotonic."""

    asked_s: float
    calls: dict[UUID, ChannelRow] = field(default_factory=dict)
    seats: dict[str, ChannelRow] = field(default_factory=dict)
    in_bridge: dict[str, list[str]] = field(default_factory=dict)  # bridge id → our channel ids

    def partner(self, row: ChannelRow) -> str | None:
        """The seat in the same bridge."""
        others = self.in_bridge.get(row.bridge_id, []) if row.bridge_id else []
        return next((channel_id for channel_id in others if channel_id.startswith(SEAT_PREFIX)), None)


async def list_channels(ami: AmiClient, asked_s: float) -> Listing:
    """Ask Asterisk. Errors: those of the AMI client."""
    listing = Listing(asked_s=asked_s)
    for row in [channel_row(event) for event in await ami.fetch(actions.core_show_channels())]:
        if row.channel_id.startswith(CALL_PREFIX) and (attempt_id := attempt_of_channel(row.channel_id)):
            listing.calls[attempt_id] = row
        elif row.channel_id.startswith(SEAT_PREFIX):
            listing.seats[row.channel_id] = row
        else:
            continue
        if row.bridge_id:
            listing.in_bridge.setdefault(row.bridge_id, []).append(row.channel_id)
    return listing


async def list_pauses(ami: AmiClient) -> dict[UUID, Mark]:
    """What customers' channels say of the last pause of their recording. Errors: those of the AMI client."""
    rows = [channel_row(event) for event in await ami.fetch(actions.status(variables=(MARK_VARIABLE,)))]
    found = ((attempt_of_channel(row.channel_id), mark_of(row.variables.get(MARK_VARIABLE, ""))) for row in rows)
    return {attempt_id: mark for attempt_id, mark in found if attempt_id is not None and mark is not None}


async def asterisk_start(ami: AmiClient) -> datetime | None:
    """When Asterisk began this life; None when that cannot be told. Errors: those of the AMI client."""
    status = await ami.send(actions.core_status())
    try:
        offset = (await ami.send(actions.get_variable(None, "STRFTIME(,,%z)"))).get("Value")
    except AmiError:
        offset = ""
    return _started_at(status.get("CoreStartupDate"), status.get("CoreStartupTime"), offset)


def _started_at(date: str, time: str, offset: str) -> datetime | None:
    """`2026-01-05`, `09:00:00` and `+0800` as Asterisk says them; None when its zone is not known (then it may have been restarted)."""
    try:
        return datetime.strptime(f"{date} {time} {offset}", "%Y-%m-%d %H:%M:%S %z").astimezone(UTC)
    except ValueError:
        return None

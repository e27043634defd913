"""The events we act on, as values. `view(event)` gives one of them, or None for an event that nobody asked for.

    match view(event):
        case Hangup(channel_id=channel_id, cause=cause): ...

`channel_id` is Asterisk's Uniqueid, which is ours for channels that we originated. What Asterisk leaves out or writes as
`<unknown>` is an empty text; numbers that cannot be read are None: an event never raises.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dialer.asterisk.ami.message import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChannel:
    """A channel came into being."""

    channel_id: str
    channel: str
    linked_id: str
    context: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewState:
    """A channel changed state: 5 Ringing, 6 Up."""

    channel_id: str
    channel: str
    linked_id: str
    state: int | None
    state_name: str

    @property
    def is_up(self) -> bool:
        """The channel was answered."""
        return self.state == 6

    @property
    def is_ringing(self) -> bool:
        """The far end rings (5), or is told to (4)."""
        return self.state in (4, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hangup:
    """A channel is gone. `cause` is the ISDN cause (Q.850); `tech_cause` what SIP said, where Asterisk tells."""

    channel_id: str
    channel: str
    linked_id: str
    cause: int | None
    cause_text: str
    tech_cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginateResponse:
    """How an asynchronous Originate went. `reason`: 0 failed, 1 hung up, 3 no answer, 4 answered, 5 busy, 8 congestion.

    A failure does not always name the channel by its id: match by `action_id` too.
    """

    action_id: str
    channel_id: str
    channel: str
    answered: bool
    reason: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeEnter:
    """A channel joined a bridge."""

    bridge_id: str
    bridge_type: str
    channels_in_bridge: int | None
    channel_id: str
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeLeave:
    """A channel left a bridge."""

    bridge_id: str
    bridge_type: str
    channels_in_bridge: int | None
    channel_id: str
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DialState:
    """The far end of an Originate or Dial rings or makes progress: RINGING, PROGRESS, PROCEEDING."""

    channel_id: str
    channel: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DialEnd:
    """An Originate or Dial ended: ANSWER, BUSY, NOANSWER, CANCEL, CONGESTION, CHANUNAVAIL."""

    channel_id: str
    channel: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UserEvent:
    """What our dialplan says (`WaihuResult`, `WaihuSeat`); `headers` holds everything, the channel's headers included."""

    name: str
    channel_id: str
    channel: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactStatus:
    """A registration: Reachable, Unreachable, NonQualified, Removed, Updated, Unknown, Created."""

    endpoint: str
    aor: str
    uri: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerStatus:
    """An endpoint as a whole: Registered, Unregistered, Reachable, Unreachable. `peer` is like `PJSIP/<endpoint>`."""

    peer: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceState:
    """A device: NOT_INUSE, INUSE, BUSY, RINGING, UNAVAILABLE ..."""

    device: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FullyBooted:
    """Asterisk is up; after a restart everything that was is gone."""

    uptime_s: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shutdown:
    """Asterisk is stopping by order."""

    restart: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MixMonitorStop:
    """A recording was stopped by order (not raised on a plain hang-up)."""

    channel_id: str
    channel: str


TypedEvent = (
    NewChannel
    | NewState
    | Hangup
    | OriginateResponse
    | BridgeEnter
    | BridgeLeave
    | DialState
    | DialEnd
    | UserEvent
    | ContactStatus
    | PeerStatus
    | DeviceState
    | FullyBooted
    | Shutdown
    | MixMonitorStop
)


def view(event: Event) -> TypedEvent | None:
    """The typed form of `event`, or None when we have no use for its kind."""
    build = _VIEWS.get(event.name)
    return build(event) if build is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelRow:
    """One channel of a `CoreShowChannels` or `Status` list."""

    channel_id: str
    channel: str
    linked_id: str
    state_name: str
    context: str
    exten: str
    application: str
    bridge_id: str
    age_s: int | None
    variables: dict[str, str]


def channel_row(event: Event) -> ChannelRow:
    """A row from an event `CoreShowChannel` (age as `HH:MM:SS`) or `Status` (age in seconds, asked variables)."""
    variables = (line.partition("=") for line in event.get_all("Variable"))
    return ChannelRow(
        channel_id=_text(event, "Uniqueid"),
        channel=_text(event, "Channel"),
        linked_id=_text(event, "Linkedid"),
        state_name=_text(event, "ChannelStateDesc"),
        context=_text(event, "Context"),
        exten=_text(event, "Exten"),
        application=_text(event, "Application"),
        bridge_id=_text(event, "BridgeId") or _text(event, "BridgeID"),
        age_s=_number(event, "Seconds") if "Seconds" in event else _clock_s(_text(event, "Duration")),
        variables={name: value for name, _, value in variables},
    )


def _text(event: Event, name: str) -> str:
    value = event.get(name)
    return "" if value in ("<unknown>", "<null>", "(null)", "<none>") else value


def _number(event: Event, name: str) -> int | None:
    value = event.get(name)
    return int(value) if value.isascii() and value.isdigit() and len(value) < 12 else None


def _clock_s(text: str) -> int | None:
    parts = text.split(":")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts):
        return None
    hours, minutes, seconds = (int(part) for part in parts)
    return hours * 3600 + minutes * 60 + seconds


def _channel(event: Event) -> dict[str, str]:
    return {"channel_id": _text(event, "Uniqueid"), "channel": _text(event, "Channel")}


def _dialled(event: Event) -> dict[str, str]:
    return {"channel_id": _text(event, "DestUniqueid"), "channel": _text(event, "DestChannel")}


def _new_channel(e: Event) -> NewChannel:
    return NewChannel(**_channel(e), linked_id=_text(e, "Linkedid"), context=_text(e, "Context"))


def _new_state(e: Event) -> NewState:
    return NewState(
        **_channel(e),
        linked_id=_text(e, "Linkedid"),
        state=_number(e, "ChannelState"),
        state_name=_text(e, "ChannelStateDesc"),
    )


def _hangup(e: Event) -> Hangup:
    return Hangup(
        **_channel(e),
        linked_id=_text(e, "Linkedid"),
        cause=_number(e, "Cause"),
        cause_text=_text(e, "Cause-txt"),
        tech_cause=_text(e, "TechCause"),
    )


def _originate_response(e: Event) -> OriginateResponse:
    return OriginateResponse(
        **_channel(e),
        action_id=e.action_id,
        answered=e.get("Response") == "Success",
        reason=_number(e, "Reason"),
    )


def _bridge_enter(e: Event) -> BridgeEnter:
    return BridgeEnter(
        **_channel(e),
        bridge_id=_text(e, "BridgeUniqueid"),
        bridge_type=_text(e, "BridgeType"),
        channels_in_bridge=_number(e, "BridgeNumChannels"),
    )


def _bridge_leave(e: Event) -> BridgeLeave:
    return BridgeLeave(
        **_channel(e),
        bridge_id=_text(e, "BridgeUniqueid"),
        bridge_type=_text(e, "BridgeType"),
        channels_in_bridge=_number(e, "BridgeNumChannels"),
    )


def _user_event(e: Event) -> UserEvent:
    headers: dict[str, str] = {}
    for key, value in e.headers():
        headers.setdefault(key, value)
    return UserEvent(**_channel(e), name=e.get("UserEvent"), headers=headers)


def _contact_status(e: Event) -> ContactStatus:
    return ContactStatus(
        endpoint=_text(e, "EndpointName"), aor=_text(e, "AOR"), uri=_text(e, "URI"), status=_text(e, "ContactStatus")
    )


_VIEWS: dict[str, Callable[[Event], TypedEvent]] = {
    "Newchannel": _new_channel,
    "Newstate": _new_state,
    "Hangup": _hangup,
    "OriginateResponse": _originate_response,
    "BridgeEnter": _bridge_enter,
    "BridgeLeave": _bridge_leave,
    "DialState": lambda e: DialState(**_dialled(e), status=_text(e, "DialStatus")),
    "DialEnd": lambda e: DialEnd(**_dialled(e), status=_text(e, "DialStatus")),
    "UserEvent": _user_event,
    "ContactStatus": _contact_status,
    "PeerStatus": lambda e: PeerStatus(peer=_text(e, "Peer"), status=_text(e, "PeerStatus")),
    "DeviceStateChange": lambda e: DeviceState(device=_text(e, "Device"), state=_text(e, "State")),
    "FullyBooted": lambda e: FullyBooted(uptime_s=_number(e, "Uptime")),
    "Shutdown": lambda e: Shutdown(restart=e.get("Restart").lower() in ("true", "yes", "1")),
    "MixMonitorStop": lambda e: MixMonitorStop(**_channel(e)),
}

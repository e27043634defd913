"""What can be asked of an engine, and by whom: the commands of the agent desk, of the floor and of projects.

Imperative names, plain values. The web process hands them to the engine in its own process or over the engine's control
port; both see the same types. An engine answers with a `Done`, or raises one of `dialer.domain.errors`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentLogin:
    """Call the agent's softphone and seat it. The agent starts on a break (or ready, if wanted)."""

    agent_id: UUID
    device_id: UUID
    wanted: Literal["ready", "break"] = "break"
    kind: Literal["agent_login"] = "agent_login"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentLogout:
    """Log out: at once when idle, after the present call and its wrap-up when not."""

    agent_id: UUID
    kind: Literal["agent_logout"] = "agent_logout"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentReady:
    """Ready for the next call (after the present work, if there is any)."""

    agent_id: UUID
    kind: Literal["agent_ready"] = "agent_ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentBreak:
    """A break (小休) with its reason (after the present work, if there is any)."""

    agent_id: UUID
    reason: str
    kind: Literal["agent_break"] = "agent_break"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """Manual dialling: this agent calls a number, or a lead of the project (preview: the one shown)."""

    agent_id: UUID
    project_id: UUID
    number: str | None = None
    lead_id: int | None = None
    kind: Literal["dial"] = "dial"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewNext:
    """Show the agent the next lead of the project and keep it for them while they look at it."""

    agent_id: UUID
    project_id: UUID
    kind: Literal["preview_next"] = "preview_next"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewSkip:
    """Do not dial the lead shown, and say why (1 to 200 characters); how often that is allowed is for the project to say."""

    agent_id: UUID
    reason: str
    kind: Literal["preview_skip"] = "preview_skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp:
    """End the agent's present call."""

    agent_id: UUID
    kind: Literal["hang_up"] = "hang_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Let the customer wait with music."""

    agent_id: UUID
    kind: Literal["hold"] = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Back to the customer on hold."""

    agent_id: UUID
    kind: Literal["resume"] = "resume"


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseRecording:
    """Nothing of the conversation is recorded until it is resumed, at the latest after the project's limit (card numbers and the like).

    `reason`: a code of `dialer.domain.pauses.REASONS`; `note` where it needs one.
    """

    agent_id: UUID
    reason: str
    note: str = ""
    kind: Literal["pause_recording"] = "pause_recording"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeRecording:
    """Record the conversation again."""

    agent_id: UUID
    kind: Literal["resume_recording"] = "resume_recording"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Give the customer to another agent who is ready."""

    agent_id: UUID
    to_agent_id: UUID
    kind: Literal["transfer"] = "transfer"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrapUp:
    """The result of the agent's last call: a disposition of its project; ends the wrap-up.

    `callback_at` is required when the disposition's effect is a callback; `callback_personal` keeps it for this agent.
    """

    agent_id: UUID
    disposition: str
    note: str = ""
    callback_at: datetime | None = None
    callback_personal: bool = True
    fields: dict[str, str] = field(default_factory=dict)
    kind: Literal["wrap_up"] = "wrap_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who has a project started or paused, for its books: a user of a role, or the command line."""

    actor: str
    role: str
    user_id: UUID | None = None


SOMEBODY: Final = Person(actor="somebody", role="admin")
"""Whoever can command an engine may do everything; this one did not say who it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartProject:
    """Dial this project: start a draft without sign-offs, resume one that is paused."""

    project_id: UUID
    by: Person = SOMEBODY
    kind: Literal["start_project"] = "start_project"


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseProject:
    """Place no new calls for this project. Conversations go on; what rings may still be answered, or is hung up."""

    project_id: UUID
    by: Person = SOMEBODY
    hang_up_ringing: bool = False
    kind: Literal["pause_project"] = "pause_project"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadProject:
    """The project's settings, state, trunks, caller numbers or agents have changed in the database: read them again.

    What rings of it is hung up when that is said: it was stopped.
    """

    project_id: UUID
    hang_up_ringing: bool = False
    kind: Literal["reload_project"] = "reload_project"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionDevice:
    """A device was created, or its secret rotated: Asterisk must know it now."""

    device_id: UUID
    kind: Literal["provision_device"] = "provision_device"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveDevice:
    """This device may not register any more."""

    device_id: UUID
    kind: Literal["remove_device"] = "remove_device"


AgentCommand = (
    AgentLogin
    | AgentLogout
    | AgentReady
    | AgentBreak
    | Dial
    | PreviewNext
    | PreviewSkip
    | HangUp
    | Hold
    | Resume
    | PauseRecording
    | ResumeRecording
    | Transfer
    | WrapUp
)
Command = AgentCommand | StartProject | PauseProject | ReloadProject | ProvisionDevice | RemoveDevice


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The engine did it. `state` is the agent's (or the project's) state after it; ids where one was made."""

    state: str
    attempt_id: UUID | None = None
    lead_id: int | None = None

"""What of the live state a caller may see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from campaigns.masking import mask
from dialer.domain.roles import Role
from dialer.web.identity import Identity
from dialer.web.parts import Masks

Change = dict[str, Any]
NUMBERS = ("number", "callee")


def visible(identity: Identity, kind: str, key: str, value: Mapping[str, Any] | None, own_project: object) -> bool:
    """An agent sees their own state, their own calls and the project they work in; payroll nothing live; everybody else everything."""
    if identity.role == Role.PAYROLL:
        return False
    if identity.role != Role.AGENT:
        return True
    own = str(identity.agent_id) if identity.agent_id else None
    if own is None:
        return False
    match kind:
        case "agent":
            return key == own
        case "call":
            return value is not None and str(value.get("agent_id")) == own
        case "project":
            return own_project is not None and key == str(own_project)
        case _:
            return False


def shown_call(value: Mapping[str, Any], masks: Masks) -> dict[str, Any]:
    """A call as people see it: its number masked, unless its project is known to show numbers."""
    made = dict(value)
    if masks.masked(value.get("project_id")):
        for name in NUMBERS:
            if isinstance(made.get(name), str) and "*" not in made[name]:
                made[name] = mask(made[name])
    return made


class View:
    """One client's picture: what they have been shown, so that what leaves their sight is taken away again."""

    def __init__(self, identity: Identity, masks: Masks) -> None:
        self._identity = identity
        self._masks = masks
        self._shown: set[tuple[str, str]] = set()
        self._project: object = None

    def full(self, state: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """All they may see."""
        own = state.get("agent", {}).get(str(self._identity.agent_id)) or {}
        self._project = own.get("project_id")
        made = {
            kind: {key: self._value(kind, value) for key, value in values.items() if self._may(kind, key, value)}
            for kind, values in state.items()
        }
        self._shown = {(kind, key) for kind, values in made.items() for key in values}
        return made

    def change(self, change: Mapping[str, Any]) -> Change | None:
        """What a change is to them; None when they may not know of it."""
        kind, key, value = str(change["kind"]), str(change["key"]), change["value"]
        if kind == "agent" and key == str(self._identity.agent_id):
            self._project = (value or {}).get("project_id")
        if value is not None and self._may(kind, key, value):
            self._shown.add((kind, key))
            return {"kind": kind, "key": key, "value": self._value(kind, value)}
        if (kind, key) in self._shown:
            self._shown.discard((kind, key))
            return {"kind": kind, "key": key, "value": None}
        return None

    def _may(self, kind: str, key: str, value: Mapping[str, Any]) -> bool:
        return visible(self._identity, kind, key, value, self._project)

    def _value(self, kind: str, value: Any) -> Any:
        return shown_call(value, self._masks) if kind == "call" else value

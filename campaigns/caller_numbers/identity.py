"""How a carrier gets a caller number: what stands in From, P-Asserted-Identity, Privacy and Diversion. Pure.

RFC 3261 (From), RFC 3323 and 3325 (Privacy, P-Asserted-Identity), RFC 3966 (tel URI), RFC 5806 (Diversion).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from campaigns.numbers import for_trunk
from campaigns.states import Pai, Privacy
from campaigns.trunks import Trunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """`from_number`: digits, with or without a + in front; empty: From names nobody. `headers`: SIP headers with their values."""

    from_number: str
    headers: Mapping[str, str]


def identity_of(caller_number: str, trunk: Trunk) -> Identity:
    """What a call over `trunk` that shows `caller_number` (E.164) says of us. Errors: as `numbers.for_trunk`."""
    headers = {}
    if trunk.pai is not Pai.OFF:
        headers["P-Asserted-Identity"] = _address(caller_number, trunk, e164=trunk.pai is Pai.E164)
    if trunk.diversion is not None:
        headers["Diversion"] = _address(trunk.diversion, trunk) + ";reason=unconditional"
    if trunk.privacy is Privacy.ID:
        headers["Privacy"] = "id"
    from_number = _written(caller_number, trunk)
    return Identity(from_number="" if trunk.privacy is Privacy.ID else from_number, headers=headers)


def _address(number: str, trunk: Trunk, *, e164: bool = False) -> str:
    """A number beside the trunk's domain, as in From or in E.164 form; without a domain a tel URI, which is always in E.164 form."""
    whole = for_trunk(number, "e164")
    if not trunk.domain:
        return f"<tel:{whole}>"
    return f"<sip:{whole if e164 else _written(number, trunk)}@{trunk.domain}>"


def _written(number: str, trunk: Trunk) -> str:
    return trunk.caller_prefix + for_trunk(number, trunk.caller_format)

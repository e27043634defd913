"""What is known of a call's sound beside the sound itself, as it travels from the encoder process to the ledger."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass
from typing import Any

from recorder.talk import Talk


@dataclass(frozen=True, slots=True, kw_only=True)
class Waveform:
    """Peaks of both sides, 0 to 255 of full scale, each for `each_ms` of the call."""

    each_ms: int
    customer: bytes
    agent: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """Who spoke when, how loud (RMS of the voice in dB of full scale, None: no voice), and the picture of it."""

    talk: Talk
    customer_db: float | None
    agent_db: float | None
    waveform: Waveform

    def as_json(self) -> dict[str, Any]:
        """For the pipe."""
        return {
            "talk": asdict(self.talk),
            "levels": [self.customer_db, self.agent_db],
            "each_ms": self.waveform.each_ms,
            "peaks": [b64encode(side).decode() for side in (self.waveform.customer, self.waveform.agent)],
        }

    @classmethod
    def of_json(cls, fields: dict[str, Any]) -> Analysis:
        """What `as_json` made."""
        customer, agent = map(b64decode, fields["peaks"])
        return cls(
            talk=Talk(**fields["talk"]),
            customer_db=fields["levels"][0],
            agent_db=fields["levels"][1],
            waveform=Waveform(each_ms=fields["each_ms"], customer=customer, agent=agent),
        )

"""Whom the demo may not call: a rule pack of the house with a region that is left out, and people on the do-not-call list; and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from uuid import UUID

from lab.api_client import ApiClient
from lab.carrier.behaviour import Behaviour
from lab.command import waihu
from lab.demo.compare import CarrierFact, Mismatch
from lab.places import home_of, prefix_table
from lab.population import Person

RULES = Path(__file__).with_name("house-rules.toml")
LEFT_OUT = "贵州"
"""The region that the rules leave out."""
_ON_THE_LIST = 12


@dataclass(slots=True)
class House:
    """Whom the rules forbid to call, by the reason that Waihu must give."""

    forbidden: dict[str, set[str]] = field(default_factory=dict)

    async def know_places(self, config: Path, folder: Path) -> None:
        """The lab's prefix table, before the list comes in."""
        file = folder / "prefixes.csv"
        file.write_bytes(prefix_table())
        await waihu(config, "locality", "load", str(file), "--name", "lab", "--version", "1", "--use")

    async def forbid(self, admin: ApiClient, project_id: UUID, people: Sequence[Person], random: Random) -> None:
        """The rule pack for the project, and some people on the do-not-call list."""
        pack = await admin.post("/rule-packs", {"document": RULES.read_text(encoding="utf-8")})
        chosen = {"pack": pack["pack"], "version": pack["version"]}
        await admin.put(f"/projects/{project_id}/rule-packs", {"packs": [chosen]})
        away = {person.number for person in people if home_of(person.number)[0] == LEFT_OUT}
        there = [one.number for one in people if one.behaviour is Behaviour.HUMAN and one.number not in away]
        refused = set(random.sample(there, min(_ON_THE_LIST, len(there) // 4)))
        if refused:
            await admin.post("/do-not-call", {"numbers": sorted(refused), "reason": "asked not to be called"})
        self.forbidden = {"blind_region": away, "do_not_call": refused}

    async def held_back(self, admin: ApiClient, project_id: UUID) -> dict[str, int]:
        """Gate, or end, → how many leads stand there, as Waihu counts them."""
        told = await admin.get(f"/projects/{project_id}/held-back")
        return {one["reason"]: one["leads"] for one in told["held"]}

    def not_held_back(self, gates: Mapping[str, int]) -> list[Mismatch]:
        """Reasons that hold back fewer leads than they must. People may join the do-not-call list in a call."""
        return [
            Mismatch(
                what="a gate held back too few",
                attempt="",
                detail=f"{reason}: {gates.get(reason, 0)} of {len(numbers)}",
            )
            for reason, numbers in self.forbidden.items()
            if gates.get(reason, 0) < len(numbers)
        ]

    def called_all_the_same(self, carrier: Iterable[CarrierFact]) -> list[Mismatch]:
        """Calls the carrier saw to people who must not be called."""
        why = {number: reason for reason, numbers in self.forbidden.items() for number in numbers}
        return [
            Mismatch(
                what="a number was called that must not be", attempt="", detail=f"{call.uniqueid}: {why[call.number]}"
            )
            for call in carrier
            if call.number in why
        ]

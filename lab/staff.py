"""Furnishes a floor through the API, as an administrator would: trunk, caller number, people, devices, a project, its list."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

from lab.api_client import ApiClient
from lab.carrier.behaviour import Behaviour
from lab.city_list import FAMILY_NAMES, city_list
from lab.errors import LabError
from lab.floor import NODE, Floor
from lab.population import Person
from lab.robot import DISPOSITIONS, Manners, Robot
from lab.softphone import Account

CALLER_NUMBERS = (
    "+861055550100", "+862155550100", "+862055550100", "+8657155550100", "+862555550100",
    "+862855550100", "+862755550100", "+8653155550100", "+8637155550100", "+8659155550100",
)  # fmt: skip
"""A pool over ten provinces: Beijing, Shanghai, Guangdong, Zhejiang, Jiangsu, Sichuan, Hubei, Shandong, Henan, Fujian."""
RETRY_RULES: list[dict[str, Any]] = [
    {"outcome": "busy", "retry_after_s": 15, "max_times": 2},
    {"outcome": "no_answer", "retry_after_s": 15, "max_times": 1},
    {"outcome": "congestion", "retry_after_s": 10, "max_times": 1},
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """An agent with what they need to work."""

    agent_id: UUID
    device_id: UUID
    login: str
    password: str
    account: Account


@dataclass(slots=True, kw_only=True)
class Staffed:
    """A furnished floor. `behaviour_of_lead` is what robots hear."""

    project_id: UUID
    trunk_id: UUID
    seats: list[Seat]
    robots: list[Robot] = field(default_factory=list)
    behaviour_of_lead: dict[int, Behaviour] = field(default_factory=dict)


class ListNotImported(LabError):
    """Rows of the lab's own list were rejected."""

    error_id = "lab.list_not_imported"


async def furnish(admin: ApiClient, *, agents: int, project: Mapping[str, Any]) -> Staffed:
    """Create everything but the list. `project`: values over the demo's own."""
    trunk = await admin.post(
        "/trunks", {"name": "carrier", "node": NODE, "endpoint": "carrier", "max_channels": 60, "max_cps": "20"}
    )
    numbers = [
        await admin.post("/caller-numbers", {"number": number, "trunk_id": trunk["id"]}) for number in CALLER_NUMBERS
    ]
    made = await admin.post(
        "/projects",
        {
            "name": "Demo",
            "client": "Lab",
            "trunk_id": trunk["id"],
            "window_start": "00:00:00",
            "window_end": "23:59:59.999999",
            **project,
        },
    )
    path = f"/projects/{made['id']}"
    await admin.put(f"{path}/caller-numbers", {"caller_number_ids": [number["id"] for number in numbers]})
    await admin.put(f"{path}/dispositions", {"dispositions": DISPOSITIONS})
    await admin.put(f"{path}/retry-rules", {"rules": RETRY_RULES})
    seats = await asyncio.gather(*(_seat(admin, place) for place in range(agents)))
    await admin.put(f"{path}/agents", {"agent_ids": [seat.agent_id for seat in seats]})
    return Staffed(project_id=UUID(made["id"]), trunk_id=UUID(trunk["id"]), seats=list(seats))


async def _seat(admin: ApiClient, place: int) -> Seat:
    number, password = f"{8001 + place}", secrets.token_urlsafe(12)
    name = f"{FAMILY_NAMES[place % len(FAMILY_NAMES)]}{place + 1}"
    user = await admin.post(
        "/users", {"login": f"agent{number}", "display_name": name, "role": "agent", "password": password}
    )
    agent = await admin.post("/agents", {"user_id": user["user"]["id"], "number": number, "display_name": name})
    device = await admin.post(f"/agents/{agent['id']}/devices", {"node": NODE, "kind": "softphone"})
    if not device["provisioned"]:
        raise LabError(f"Asterisk was not told of the device of agent {number}: see waihu.log")
    account = Account(username=device["device"]["username"], secret=device["secret"])
    return Seat(
        agent_id=UUID(agent["id"]),
        device_id=UUID(device["device"]["id"]),
        login=f"agent{number}",
        password=password,
        account=account,
    )


async def import_list(
    admin: ApiClient, floor: Floor, staffed: Staffed, people: Sequence[Person], random: Random
) -> None:
    """The population's list as a client sends it, by the import API; remembers who is behind which lead."""
    city = city_list(people, random)
    finished = await admin.upload(f"/projects/{staffed.project_id}/imports", city.content, file_name="city.csv")
    taken = (finished["accepted"], finished["rejected"], finished["encoding"])
    if taken != (len(people), city.rejected, "gb18030"):
        raise ListNotImported(
            f"accepted, rejected and encoding are {taken}, where {len(people)}, {city.rejected} and gb18030 were sent: see .run/*/work for the reject file"
        )
    behaviours = {person.number: person.behaviour for person in people}
    connection = await floor.connect()
    try:
        rows = await connection.fetch("select id, number from leads where project_id = $1", staffed.project_id)
    finally:
        await connection.close()
    staffed.behaviour_of_lead.update(
        {row["id"]: behaviours[row["number"]] for row in rows if row["number"] in behaviours}
    )


def seat_robots(floor: Floor, staffed: Staffed, manners: Manners, *, seed: int) -> list[Robot]:
    """A robot for each seat, each with a seed of its own."""
    staffed.robots = [
        Robot(
            floor.url,
            login=seat.login,
            password=seat.password,
            agent_id=seat.agent_id,
            device_id=seat.device_id,
            manners=manners,
            random=Random(f"{seed}/{seat.login}"),
            hears=lambda lead_id: staffed.behaviour_of_lead.get(lead_id) if lead_id is not None else None,
        )
        for seat in staffed.seats
    ]
    return staffed.robots

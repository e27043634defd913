"""Goes through a call's script as an agent does: reads what must be read, asks what comes, ticks what belongs there; answers are made up, with a seed."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any, Final

from lab.api_client import ApiClient, ApiRefused

WAITS: Final = frozenset({"question_required", "selection_required", "clause_required"})
"""What a result is refused with while the script is not done."""


async def go_through(api: ApiClient, attempt_id: str, random: Random, chosen: Mapping[str, Any] | None = None) -> Any:
    """All of the script of this call, to its end, as far as it can still be read; gives what the desk shows then. `chosen`: answers that are not left to chance."""
    at = "/desk/me/script"
    shown = await api.get(at)
    while (question := shown["question"]) is not None:
        name = question["name"]
        given = chosen[name] if chosen and name in chosen else made_up(question, random)
        shown = await api.put(f"{at}/answers/{name}", {"attempt_id": attempt_id, "answer": given})
    for section in shown["sections"]:
        if section["must_read_before"] and section["read_at_ms"] is None:
            try:
                shown = await api.post(f"{at}/sections/{section['name']}/read", {"attempt_id": attempt_id})
            except ApiRefused as error:
                if error.error_id != "call_over":
                    raise
    for selection in shown["selections"]:
        if selection["required_before"] and selection["answer"] is None:
            one = random.choice([option["code"] for option in selection["options"]])
            answer = [one] if selection["several"] else one
            shown = await api.put(f"{at}/answers/{selection['name']}", {"attempt_id": attempt_id, "answer": answer})
    return shown


def made_up(question: Mapping[str, Any], random: Random) -> Any:
    """An answer that the question takes."""
    codes = [one["code"] for one in question["options"] if not one["exclusive"]] or [
        one["code"] for one in question["options"]
    ]
    match question["kind"]:
        case "choice" | "yes_no":
            return random.choice(codes)
        case "choices":
            return random.sample(codes, min(len(codes), question["at_least"]))
        case "number" | "scale":
            return random.randint(int(float(question["lowest"])), min(100, int(float(question["highest"]))))
        case "date":
            return question["highest"]
        case "matrix":
            return {row["code"]: random.choice(codes) for row in question["rows"]}
        case _:
            return "没有"[: question["at_most"]]

"""Dispositions (电话结果): what an agent can say a call has come to, and what that does to the lead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import asyncpg

from campaigns.errors import BadInput, Missing
from campaigns.sql import Connection
from campaigns.states import Effect, Meaning


@dataclass(frozen=True, slots=True, kw_only=True)
class Disposition:
    """A result of the project's list. `retry_after` is there when, and only when, the effect is a retry; `growth_percent`: see `retry.RetryRule`."""

    code: str
    label_zh: str
    label_en: str
    effect: Effect
    retry_after: timedelta | None = None
    growth_percent: int = 100
    meaning: Meaning | None = None


DEFAULT_DISPOSITIONS: Final = (
    Disposition(code="agreed", label_zh="成功", label_en="Agreed", effect=Effect.FINAL, meaning=Meaning.CONVERSION),
    Disposition(code="refused", label_zh="拒绝", label_en="Refused", effect=Effect.FINAL),
    Disposition(code="not_the_person", label_zh="非本人", label_en="Not the person", effect=Effect.FINAL),
    Disposition(code="call_back", label_zh="预约回访", label_en="Call back", effect=Effect.CALLBACK),
    Disposition(
        code="busy_now", label_zh="不方便接听", label_en="Not now", effect=Effect.RETRY, retry_after=timedelta(hours=4)
    ),
    Disposition(code="do_not_call", label_zh="拒绝来电", label_en="Do not call", effect=Effect.DO_NOT_CALL),
    Disposition(
        code="complaint", label_zh="投诉", label_en="Complaint", effect=Effect.DO_NOT_CALL, meaning=Meaning.COMPLAINT
    ),
)
"""What a new project starts with."""

_SAVE = """
with given as (
    select * from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::interval[], $7::integer[], $8::text[]) with ordinality
        i (code, label_zh, label_en, effect, retry_after, growth_percent, meaning, position)
), gone as (
    delete from dispositions where project_id = $1 and code <> all ($2::text[])
)
insert into dispositions (project_id, code, label_zh, label_en, effect, retry_after, growth_percent, meaning, position)
select $1, code, label_zh, label_en, effect, retry_after, growth_percent, meaning, position from given
on conflict (project_id, code) do update
set label_zh = excluded.label_zh, label_en = excluded.label_en, effect = excluded.effect, retry_after = excluded.retry_after, growth_percent = excluded.growth_percent,
    meaning = excluded.meaning, position = excluded.position
"""


async def save(conn: Connection, project_id: UUID, dispositions: Sequence[Disposition]) -> None:
    """Make these, in this order, the dispositions of a project. Calls keep the code they were given.

    Errors: BadInput `disposition_malformed`; Missing `project_unknown`.
    """
    if len({one.code for one in dispositions}) != len(dispositions):
        raise BadInput("disposition_malformed", "A code occurs twice.")
    try:
        await conn.execute(
            _SAVE,
            project_id,
            [one.code for one in dispositions],
            [one.label_zh for one in dispositions],
            [one.label_en for one in dispositions],
            [one.effect.value for one in dispositions],
            [one.retry_after for one in dispositions],
            [one.growth_percent for one in dispositions],
            [None if one.meaning is None else one.meaning.value for one in dispositions],
        )
    except asyncpg.CheckViolationError as error:
        raise BadInput(
            "disposition_malformed",
            "A code is 1 to 40 of a-z, 0-9 and _; a retry, and only a retry, says after how long.",
        ) from error
    except asyncpg.ForeignKeyViolationError as error:
        raise Missing("project_unknown", "There is no such project.") from error

"""Scripts as the API shows and takes them; a script's document itself is `campaigns.scripts.document`."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from dialer.web.fields import BigId, In, Name, Out
from dialer.web.leads.export import ExportFormat
from dialer.web.projects.types import Share

VersionNumber = Annotated[int, Field(ge=1, le=2**31 - 1, description="A version's number.")]


class Finding(Out):
    """Something that is wrong with a script."""

    code: str = Field(description="Stable; docs/scripts.md lists them.")
    place: str = Field(description="Where in the document.")
    sentence: str
    remark: bool = Field(description="Only said; anything else must be mended before the script can be published.")


class Checked(Out):
    """What a look at a script found."""

    findings: list[Finding]


class NewScript(In):
    """A script, still without a version."""

    name: Name


class Script(Out):
    """A script."""

    id: UUID
    name: str
    created_at: datetime
    published: int | None = Field(description="Its last published version.")
    draft: int | None = Field(description="The version that its draft will be.")


class ScriptVersion(Out):
    """A version; one that is not published is the draft."""

    version: int
    changed_at: datetime
    published_at: datetime | None


class ScriptWithVersions(Script):
    """A script with all its versions, the last first."""

    versions: list[ScriptVersion]


class WrittenVersion(Out):
    """A version as it was written; what has its usual value is left out."""

    version: int
    document: dict[str, Any] = Field(description="As `PUT .../draft` takes it.")


class DraftSaved(Out):
    """A draft, with what is wrong with it."""

    version: int
    findings: list[Finding]


class CompareQuery(In):
    """Two versions of the script."""

    before: int = Field(ge=1, le=2**31 - 1)
    after: int = Field(ge=1, le=2**31 - 1)


class ScriptDifference(Out):
    """A part that is not the same."""

    place: str
    change: Literal["added", "removed", "changed", "moved"]
    before: Any = Field(description="Null: it was not there. Of a move: its place among its like, from 1 on.")
    after: Any


class Comparison(Out):
    """What is different between two versions."""

    differences: list[ScriptDifference]


class VersionOf(In):
    """A published version of a script."""

    script_id: UUID
    version: VersionNumber


class TrialOf(VersionOf):
    """A version on trial, and the share of calls that it gets."""

    percent: Annotated[int, Field(ge=1, le=99, description="Of the calls, drawn by their ids.")]


class NewAssignment(VersionOf):
    """What a project uses from the next call on."""

    trial: TrialOf | None = None


class UsedVersion(Out):
    """A published version."""

    script_id: UUID
    name: str
    version: int
    published_at: datetime


class ScriptAssignment(Out):
    """What a project uses, or used."""

    id: int
    used: UsedVersion
    trial: UsedVersion | None
    trial_percent: int
    began_at: datetime
    ended_at: datetime | None


class ProjectScripts(Out):
    """What a project uses, and what it used before (the last first)."""

    current: ScriptAssignment | None
    assignments: list[ScriptAssignment]
    quotas: dict[str, int] = Field(description="Places taken of the quotas of the script in use.")


class ResultsQuery(In):
    """Which time."""

    assignment: BigId | None = Field(default=None, description="The id of an assignment; none: the last.")


class ScriptArm(Out):
    """What came of the calls of one version."""

    used: UsedVersion
    attempts: int
    answered: Share = Field(description="Of the attempts.")
    connected: Share = Field(description="An agent was there; of the attempts.")
    complete: Share = Field(description="The questionnaire came to its end; of the connected, as are the following.")
    converted: Share = Field(description="A disposition that means a conversion.")
    dispositions: dict[str, Share]


class ShareDifference(Out):
    """The trial's share less that of the version in use, with its 95 % interval (Newcombe's method 10)."""

    value: Decimal | None = Field(description="Null: one of them is of nothing.")
    low: Decimal
    high: Decimal
    certain: bool = Field(description="The interval leaves out zero: more than chance.")


class ScriptResults(Out):
    """A version in use and the one on trial, side by side."""

    assignment: ScriptAssignment
    used: ScriptArm
    trial: ScriptArm | None
    differences: dict[str, ShareDifference] = Field(description="answered, connected, complete, converted, disposition.<code>")  # fmt: skip


class AnswersOfQuery(In):
    """Which version (none: the one in use), as what file, with labels or codes."""

    script_id: UUID | None = None
    version: int | None = Field(default=None, ge=1, le=2**31 - 1)
    format: ExportFormat = ExportFormat.CSV
    codes: bool = Field(default=False, description="Codes in place of labels.")

"""Scripts: written as a draft, looked at, published for good, compared."""

from __future__ import annotations

import asyncio

from campaigns.scripts.checking import problems_of
from campaigns.scripts.document import ScriptDocument
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.roles import SCRIPT_WRITERS
from dialer.web.scripts.types import Checked, Finding

DOCUMENT_LIMIT = 1 << 20


@operation("POST", "/scripts/check", roles=SCRIPT_WRITERS, summary="Look at a script, change nothing", body_limit=DOCUMENT_LIMIT)  # fmt: skip
async def check_script(call: Call, body: ScriptDocument) -> Checked:  # noqa: ARG001 -- nothing is read but the body
    """Questions nobody can come to, ways round in a circle, branches and quotas that cannot be, names that nothing has."""
    found = await asyncio.to_thread(problems_of, body)
    return Checked(findings=[Finding.model_validate(one) for one in found])

"""Consent: written down with its evidence, withdrawn, looked up. A withdrawal holds from the next claim on, on every node."""

from __future__ import annotations

from dataclasses import asdict
from uuid import UUID

from pydantic import SecretStr

from campaigns import consents as campaign_consents
from campaigns.errors import BadInput
from campaigns.importing import consents as consent_files
from campaigns.importing.consents import ConsentOptions
from campaigns.masking import mask
from campaigns.numbers import normalise
from dialer.domain.errors import BadRequest
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.consents.types import (
    Consent,
    Consents,
    Ended,
    Loaded,
    LoadQuery,
    NewConsent,
    OneNumber,
    UndoLoad,
    Withdrawal,
)
from dialer.web.imports.apart import consents_apart
from dialer.web.imports.job import ConsentJob
from dialer.web.imports.routes import TABLES, received
from dialer.web.masking import scrubbed
from dialer.web.roles import DO_NOT_CALL, PLANNERS


@operation("POST", "/consents", roles=PLANNERS, summary="Write a consent down", status=201)
async def add_consent(call: Call, body: NewConsent) -> Consent:
    """Leads of the number that waited for it may be called at once."""
    number = _number(call, body.number)
    async with call.transaction() as conn:
        made = await campaign_consents.grant(
            conn, number, scope=body.scope, evidence=body.evidence, granted_at=body.granted_at, now=call.now, client=body.client,
            expires_at=body.expires_at, user_id=call.identity.user_id,
        )  # fmt: skip
        await call.audit(conn, "consent_granted", "consent", made.id, scope=made.scope, client=made.client)
    return _shown(made)


@operation(
    "POST",
    "/consents/load",
    roles=PLANNERS,
    summary="Write the consents of a file down",
    status=201,
    accepts=TABLES,
    timeout_s=0,
)
async def load_consents(call: Call, query: LoadQuery) -> Loaded:
    """The body is the file, with the columns number, scope, evidence and given at (also client and expires at). Good rows are taken, the others named."""
    path = await received(call)
    try:
        options = ConsentOptions(
            region=call.deps.settings.region, scope=query.scope or "", client=query.client, zone=query.zone, encoding=query.encoding, sheet=query.sheet,
        )  # fmt: skip
        job = ConsentJob(
            database_url=SecretStr(call.deps.database_url), path=path, file_name=query.file_name, options=options, now=call.now,
            user_id=call.identity.user_id,
        )  # fmt: skip
        said = await consents_apart(job)
    finally:
        path.unlink(missing_ok=True)  # one system call, also when cancelled
        call.parts.uploads.release()
    done = Loaded(**{name: said[name] for name in Loaded.model_fields})
    async with call.transaction() as conn:
        detail = {"accepted": done.accepted, "known": done.known, "rejected": done.rejected}
        await call.audit(conn, "consents_loaded", "consent_load", done.id, file_name=query.file_name, **detail)
    return done


@operation("POST", "/consents/loads/{load_id}/undo", roles=PLANNERS, summary="Take a file of consents back")
async def undo_load(call: Call, load_id: UUID, body: UndoLoad) -> Ended:
    """Its consents are ended, and stay as records."""
    async with call.transaction() as conn:
        ended = await consent_files.undo_load(conn, load_id, now=call.now)
        await call.audit(conn, "consents_load_undone", "consent_load", load_id, ended=ended, reason=body.reason)
    return Ended(ended=ended)


@operation("POST", "/consents/withdraw", roles=DO_NOT_CALL, summary="End the consents of a number")
async def withdraw_consents(call: Call, body: Withdrawal) -> Ended:
    """The records stay, with their end."""
    number = _number(call, body.number)
    async with call.transaction() as conn:
        ended = await campaign_consents.withdraw(conn, number, now=call.now, scope=body.scope)
        await call.audit(
            conn, "consent_withdrawn", "consent", mask(number), scope=body.scope, ended=ended, reason=body.reason
        )
    return Ended(ended=ended)


@operation("POST", "/consents/find", roles=DO_NOT_CALL, summary="The consents of a number")
async def find_consents(call: Call, body: OneNumber) -> Consents:
    """Oldest first, the ended ones too."""
    number = _number(call, body.number)
    async with call.connection() as conn:
        return Consents(consents=[_shown(one) for one in await campaign_consents.consents_of(conn, number)])


def _number(call: Call, text: str) -> str:
    try:
        return normalise(text, call.deps.settings.region).e164
    except BadInput as error:
        raise BadRequest(error.error_id, str(error)) from None


def _shown(one: campaign_consents.Consent) -> Consent:
    evidence = scrubbed(one.evidence, one.number, masked=True)
    return Consent.model_validate(asdict(one) | {"number": mask(one.number), "evidence": evidence})

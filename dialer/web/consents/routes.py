"""Consent: written down with its evidence, withdrawn, looked up. A withdrawal holds from the next claim on, on every node."""

from __future__ import annotations

from dataclasses import asdict

from campaigns import consents as campaign_consents
from campaigns.errors import BadInput
from campaigns.masking import mask
from campaigns.numbers import normalise
from dialer.domain.errors import BadRequest
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.consents.types import Consent, Consents, Ended, NewConsent, OneNumber, Withdrawal
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

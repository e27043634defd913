"""Certificates of caller numbers: kept, read, withdrawn. A number that ever had one is shown only on days that one covers."""

from __future__ import annotations

from uuid import UUID

from aiohttp import web

from campaigns.caller_numbers import certificates
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.caller_numbers.routes import told
from dialer.web.caller_numbers.types import Certificate, Certificates, NewCertificate, Withdrawal
from dialer.web.roles import TELEPHONY, TELEPHONY_READERS

MOST_BYTES = certificates.MOST_BYTES
_BODY_LIMIT = MOST_BYTES * 4 // 3 + 64 * 1024


@operation(
    "GET",
    "/caller-numbers/{caller_number_id}/certificates",
    roles=TELEPHONY_READERS,
    summary="The certificates of a caller number",
)
async def list_certificates(call: Call, caller_number_id: UUID) -> Certificates:
    """Withdrawn ones too."""
    async with call.connection() as conn:
        found = await certificates.list_certificates(conn, caller_number_id)
    return Certificates(items=[Certificate.model_validate(one) for one in found])


@operation(
    "POST",
    "/caller-numbers/{caller_number_id}/certificates",
    roles=TELEPHONY,
    summary="Keep a certificate of a caller number",
    status=201,
    body_limit=_BODY_LIMIT,
)
async def add_certificate(call: Call, caller_number_id: UUID, body: NewCertificate) -> Certificate:
    """From now on the number is shown only on days that one of its certificates covers."""
    async with call.transaction() as conn:
        made = await certificates.add(
            conn, caller_number_id, file_name=body.file_name, content=body.content, valid_from=body.valid_from, valid_until=body.valid_until,
            user_id=call.identity.user_id, now=call.now,
        )  # fmt: skip
        await call.audit(
            conn, "certificate_added", "caller_number", caller_number_id, certificate_id=made.id, file_name=made.file_name, sha256=made.sha256,
            valid_from=made.valid_from, valid_until=made.valid_until,
        )  # fmt: skip
    await told(call, caller_number_id)
    return Certificate.model_validate(made)


@operation(
    "GET",
    "/caller-numbers/{caller_number_id}/certificates/{certificate_id}/file",
    roles=TELEPHONY_READERS,
    summary="The file of a certificate",
    media="application/octet-stream",
)
async def get_certificate_file(call: Call, caller_number_id: UUID, certificate_id: UUID) -> web.StreamResponse:
    """As it was sent; its name is in the list."""
    async with call.connection() as conn:
        _, content = await certificates.file_of(conn, caller_number_id, certificate_id)
    headers = {
        "Content-Disposition": f'attachment; filename="certificate-{certificate_id}"',
        "Cache-Control": "private, no-store",
    }
    return web.Response(body=content, content_type="application/octet-stream", headers=headers)


@operation(
    "POST",
    "/caller-numbers/{caller_number_id}/certificates/{certificate_id}/withdraw",
    roles=TELEPHONY,
    summary="Say that a certificate counts no more",
)
async def withdraw_certificate(
    call: Call, caller_number_id: UUID, certificate_id: UUID, body: Withdrawal
) -> Certificate:
    """It stays in the list with the reason; the next call is asked without it."""
    async with call.transaction() as conn:
        gone = await certificates.withdraw(conn, caller_number_id, certificate_id, why=body.why, now=call.now)
        await call.audit(
            conn,
            "certificate_withdrawn",
            "caller_number",
            caller_number_id,
            certificate_id=certificate_id,
            why=body.why,
        )
    await told(call, caller_number_id)
    return Certificate.model_validate(gone)

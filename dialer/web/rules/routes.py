"""Calling rules: the packs that can be chosen, and the choice of a project. A change holds from the next claim on, on every node."""

from __future__ import annotations

from uuid import UUID

from campaigns import rule_packs
from campaigns.rules.schema import Pack as CampaignPack
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.commands import reload_project
from dialer.web.projects.routes import there
from dialer.web.roles import EXPLAIN_READERS, PLANNERS
from dialer.web.rules.types import ChosenPacks, Document, NewPack, Pack, PackRef, Packs, RuleLine, Word

_BODY_LIMIT = 600 * 1024  # a document may be mostly characters that JSON escapes


@operation("GET", "/rule-packs", roles=EXPLAIN_READERS, summary="List the rule packs that can be chosen")
async def list_packs(call: Call) -> Packs:
    """Those that ship with the program and those that were added, with every line and its source."""
    async with call.connection() as conn:
        known = await rule_packs.list_packs(conn)
    return Packs(packs=[_shown(one.pack, shipped=one.shipped) for one in known])


@operation("GET", "/rule-packs/{pack}/{version}", roles=EXPLAIN_READERS, summary="A rule pack as it was written")
async def get_pack(call: Call, pack: Word, version: Word) -> Document:
    """The TOML document: a beginning for a pack of your own."""
    async with call.connection() as conn:
        return Document(
            document=(await rule_packs.find_pack(conn, rule_packs.PackRef(pack=pack, version=version))).document
        )


@operation(
    "POST", "/rule-packs", roles=PLANNERS, summary="Add a rule pack of your own", status=201, body_limit=_BODY_LIMIT
)
async def add_pack(call: Call, body: NewPack) -> Pack:
    """Every line is held against its own tests first. A version never changes: a correction is a new version."""
    async with call.transaction() as conn:
        pack = await rule_packs.add_pack(conn, body.document, now=call.now, user_id=call.identity.user_id)
        await call.audit(conn, "rule_pack_added", "rule_pack", f"{pack.pack}@{pack.version}", lines=len(pack.rule))
    return _shown(pack, shipped=False)


@operation("GET", "/projects/{project_id}/rule-packs", roles=EXPLAIN_READERS, summary="The rule packs of a project")
async def get_chosen(call: Call, project_id: UUID) -> ChosenPacks:
    """By name."""
    async with call.connection() as conn:
        await there(conn, project_id)
        return _refs(await rule_packs.chosen(conn, project_id))


@operation(
    "PUT", "/projects/{project_id}/rule-packs", roles=PLANNERS, summary="Say which rule packs hold for a project"
)
async def put_chosen(call: Call, project_id: UUID, body: ChosenPacks) -> ChosenPacks:
    """These and no others; every line of every pack must allow a call, so the strictest wins."""
    wanted = [rule_packs.PackRef(pack=one.pack, version=one.version) for one in body.packs]
    async with call.transaction() as conn:
        await rule_packs.choose(conn, project_id, wanted, now=call.now, user_id=call.identity.user_id)
        await call.audit(conn, "project_rules_set", "project", project_id, packs=[one.name for one in wanted])
        kept = _refs(await rule_packs.chosen(conn, project_id))
    await reload_project(call, project_id)
    return kept


def _refs(refs: list[rule_packs.PackRef]) -> ChosenPacks:
    return ChosenPacks(packs=[PackRef(pack=one.pack, version=one.version) for one in refs])


def _shown(pack: CampaignPack, *, shipped: bool) -> Pack:
    head = {name: getattr(pack, name) for name in Pack.model_fields if name not in {"shipped", "rules"}}
    lines = [
        RuleLine(
            **{name: getattr(line, name) for name in RuleLine.model_fields if name != "modes"}, modes=list(line.modes)
        )
        for line in pack.rule
    ]
    return Pack(**head, shipped=shipped, rules=lines)

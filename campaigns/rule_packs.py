"""Rule packs in the database: versions that never change, and which of them a project has chosen, now or at a past moment."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from campaigns.errors import BadInput, Conflict, Missing
from campaigns.rules.loading import read_pack, shipped
from campaigns.rules.ruleset import NO_RULES, Rule, RuleSet, combine
from campaigns.rules.schema import Attempts, Blind, Consent, Frequency, Pack
from campaigns.sql import Connection, OneConnection

_KEPT: Final = 256
_read: dict[bytes, Pack | None] = {}
"""Packs by the hash of their document: a version never changes. None: this program cannot read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackRef:
    """A version of a pack, by name."""

    pack: str
    version: str

    @property
    def name(self) -> str:
        """`pack@version`."""
        return f"{self.pack}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPack:
    """A pack that can be chosen: shipped with the program or added by people."""

    ref: PackRef
    pack: Pack
    document: str
    shipped: bool


_DOCUMENT = "select document from rule_packs where pack = $1 and version = $2"


async def find_pack(conn: Connection, ref: PackRef) -> KnownPack:
    """A version of a pack. Errors: Missing `rule_pack_unknown`; BadInput as `read_pack`, when this program cannot read it any more."""
    ours = shipped().get((ref.pack, ref.version))
    document = await conn.fetchval(_DOCUMENT, ref.pack, ref.version) or ours
    if document is None:
        raise Missing("rule_pack_unknown", f"There is no rule pack {ref.name}: see the list of packs.", pack=ref.name)
    return KnownPack(ref=ref, pack=read_pack(document), document=document, shipped=ours is not None)


_ALL = "select pack, version, document, sha256 from rule_packs order by pack, version"


async def list_packs(conn: Connection) -> list[KnownPack]:
    """All packs that can be chosen, by name and version; those this program cannot read are left out."""
    documents = dict(shipped())
    documents.update({(row["pack"], row["version"]): row["document"] for row in await conn.fetch(_ALL)})
    found = []
    for (name, version), document in sorted(documents.items()):
        pack = _parsed(hashlib.sha256(document.encode()).digest(), document)
        if pack is not None:
            ref = PackRef(pack=name, version=version)
            found.append(KnownPack(ref=ref, pack=pack, document=document, shipped=(name, version) in shipped()))
    return found


_STORE = """
insert into rule_packs (pack, version, document, sha256, user_id, created_at) values ($1, $2, $3, $4, $5, $6)
on conflict (pack, version) do nothing
returning pack
"""
_HASH = "select sha256 from rule_packs where pack = $1 and version = $2"


async def add_pack(conn: Connection, document: str, *, now: datetime, user_id: UUID | None = None) -> Pack:
    """Keep a pack for good, proved by its own vectors; the same document again changes nothing.

    Errors: BadInput as `read_pack`; Conflict `rule_pack_exists`: this version is there with other words, give yours another version.
    """
    pack = read_pack(document)
    digest = hashlib.sha256(document.encode()).digest()
    ours = shipped().get((pack.pack, pack.version))
    if ours is not None and ours != document:
        raise _exists(pack)
    if await conn.fetchval(_STORE, pack.pack, pack.version, document, digest, user_id, now) is None:
        known = await conn.fetchval(_HASH, pack.pack, pack.version)
        if known != digest:
            raise _exists(pack)
    return pack


def _exists(pack: Pack) -> Conflict:
    return Conflict(
        "rule_pack_exists",
        f"{pack.pack}@{pack.version} is there with other words, and a version never changes: give yours another version.",
        pack=f"{pack.pack}@{pack.version}",
    )


_DROP = """
update project_rule_packs r set dropped_at = greatest($2::timestamptz, r.chosen_at)
where r.project_id = $1 and r.dropped_at is null and (r.pack, r.version) not in (select * from unnest($3::text[], $4::text[]))
"""
_TAKE = """
insert into project_rule_packs (project_id, pack, version, user_id, chosen_at)
select $1, i.pack, i.version, $2,
       greatest($3::timestamptz, (select max(r.chosen_at) + interval '1 microsecond' from project_rule_packs r
                                  where r.project_id = $1 and r.pack = i.pack))
from unnest($4::text[], $5::text[]) i (pack, version)
where not exists (select from project_rule_packs r where r.project_id = $1 and r.pack = i.pack and r.dropped_at is null)
"""


_IN_CLAIM: Final = ("frequency", "attempts", "consent", "blind_region")
_ENFORCE = """
insert into project_rules (project_id, rule, kind, modes, from_day, until_day, most, period_s, counts, reach, scope, prefixes, regions)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""


def _columns(rules: RuleSet, rule: Rule) -> tuple[object, ...]:
    """A line as the claim asks it: what `campaigns.rules` says in Python, in columns."""
    line = rule.line
    (since,) = (since for pack, version, since, _ in rules.packs if (pack, version) == (rule.pack, rule.version))
    frequency = line if isinstance(line, Frequency) else None
    blind = line if isinstance(line, Blind) else None
    return (
        rule.name,
        line.kind,
        list(line.modes),
        max(since or date.min, line.effective_from or date.min),
        line.effective_until or date.max,
        line.most if isinstance(line, Frequency | Attempts) else None,
        int(frequency.period.total_seconds()) if frequency else None,
        frequency.counts.value if frequency else None,
        frequency.of.value if frequency else None,
        line.scope if isinstance(line, Consent) else None,
        list(blind.prefixes) if blind else None,
        list(blind.regions) if blind else None,
    )


async def choose(
    conn: OneConnection, project_id: UUID, refs: Sequence[PackRef], *, now: datetime, user_id: UUID | None = None
) -> None:
    """Put these packs, and no others, in force for a project from `now` on.

    Errors: Missing `rule_pack_unknown`, `project_unknown`; BadInput `rule_pack_twice`, or as `read_pack`.
    """
    if len({ref.pack for ref in refs}) != len(refs):
        raise BadInput("rule_pack_twice", "A project has one version of a pack: name each pack once.")
    async with conn.transaction():
        if await conn.fetchval("select id from projects where id = $1 for no key update", project_id) is None:
            raise Missing("project_unknown", "There is no such project.", project_id=str(project_id))
        for ref in refs:
            known = await find_pack(conn, ref)
            await add_pack(conn, known.document, now=now, user_id=user_id)
        packs, versions = [ref.pack for ref in refs], [ref.version for ref in refs]
        # Two statements: the second must see that the first has dropped a version.
        await conn.execute(_DROP, project_id, now, packs, versions)
        await conn.execute(_TAKE, project_id, user_id, now, packs, versions)
        rules = (await rules_of(conn, [project_id])).get(project_id, NO_RULES)
        await conn.execute("delete from project_rules where project_id = $1", project_id)
        await conn.executemany(
            _ENFORCE, [(project_id, *_columns(rules, rule)) for rule in rules.rules if rule.line.kind in _IN_CLAIM]
        )


_CHOSEN = """
select r.project_id, r.pack, r.version, p.sha256
from project_rule_packs r join rule_packs p using (pack, version)
where r.project_id = any ($1::uuid[]) and r.chosen_at <= coalesce($2::timestamptz, r.chosen_at)
  and case when $2::timestamptz is null then r.dropped_at is null else coalesce(r.dropped_at, 'infinity') > $2 end
order by r.project_id, r.pack
"""
_DOCUMENTS = "select sha256, document from rule_packs where sha256 = any ($1::bytea[])"


async def chosen(conn: Connection, project_id: UUID, *, at: datetime | None = None) -> list[PackRef]:
    """The packs a project has chosen, now or as they were at a past moment."""
    rows = await conn.fetch(_CHOSEN, [project_id], at)
    return [PackRef(pack=row["pack"], version=row["version"]) for row in rows]


async def rules_of(
    conn: Connection, project_ids: Iterable[UUID], *, at: datetime | None = None
) -> Mapping[UUID, RuleSet]:
    """The combined rules of projects, now or at a past moment; a project without packs is not in the answer.

    A pack this program cannot read makes its project's rule set `unreadable`: nothing is dialled.
    """
    rows = await conn.fetch(_CHOSEN, list(project_ids), at)
    unknown = [row["sha256"] for row in rows if row["sha256"] not in _read]
    if unknown:
        for row in await conn.fetch(_DOCUMENTS, unknown):
            _parsed(row["sha256"], row["document"])
    found: dict[UUID, list[Any]] = {}
    for row in rows:
        found.setdefault(row["project_id"], []).append(row)
    return {project_id: _combined(of_project) for project_id, of_project in found.items()}


def _combined(rows: Sequence[Any]) -> RuleSet:
    packs = [(f"{row['pack']}@{row['version']}", _read.get(row["sha256"])) for row in rows]
    return combine(
        [pack for _, pack in packs if pack is not None], unreadable=[name for name, pack in packs if pack is None]
    )


def _parsed(digest: bytes, document: str) -> Pack | None:
    if digest not in _read:
        if len(_read) >= _KEPT:
            _read.clear()
        try:
            _read[digest] = read_pack(document)
        except BadInput:
            _read[digest] = None
    return _read[digest]

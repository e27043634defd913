"""Promises of combining: adding a pack never allows a call, the order never matters, and caps agree with an oracle that counts by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.rules.facts import PastCall, Subject
from campaigns.rules.judge import Refusal
from campaigns.rules.ruleset import Finding, abandonment_lines, combine, findings, first_refusal, limits
from campaigns.rules.schema import Pack
from tests.campaigns.rules.packs import NOON, PROJECT, a_line, a_pack, a_subject, a_window

_SPANS = st.sampled_from(["00:00-24:00", "09:00-20:00", "08:00-21:00", "12:00-13:00", "03:00-04:00"])
_DAYS = st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"])
_WINDOWS = st.builds(
    lambda spans, days, unknown: a_window(*spans, days=tuple(days), unknown_zone=unknown),
    st.lists(_SPANS, max_size=2),
    st.sets(_DAYS, min_size=1),
    st.sampled_from(["refuse", "project", ("Asia/Shanghai", "Europe/London")]),
)
_CAPS = st.builds(
    lambda most, seconds, counts, of: a_line("frequency", most=most, period=timedelta(seconds=seconds), counts=counts, of=of),
    st.integers(1, 4),
    st.sampled_from([300, 3600, 86400, 7 * 86400]),
    st.sampled_from(["attempts", "answered", "abandoned"]),
    st.sampled_from(["everybody", "client", "project"]),
)  # fmt: skip
_OTHERS = st.sampled_from([
    a_line("attempts", most=2),
    a_line("consent", scope="marketing"),
    a_line("blind_region", prefixes=["+86138"]),
    a_line("blind_region", regions=["西藏"]),
    a_line("registry", category="list", max_age=timedelta(days=1)),
    a_line("ring_time", least_s=20),
    a_line("abandonment", limit="0.03", period="day", message_en="x", message_zh="x"),
])  # fmt: skip
_NAMES = iter(range(10**9))
PACKS = st.lists(st.one_of(_WINDOWS, _CAPS, _OTHERS), min_size=1, max_size=4).map(
    lambda lines: a_pack(*lines, pack=f"p{next(_NAMES)}")
)
_CALLS = st.builds(
    lambda ago, client, project, answered, abandoned: PastCall(
        at=NOON - timedelta(seconds=ago), client=client, project_id=UUID(int=project),
        answered_at=NOON - timedelta(seconds=max(0, ago - 10)) if answered else None,
        abandoned_at=NOON - timedelta(seconds=max(0, ago - 12)) if answered and abandoned else None,
    ),
    st.one_of(st.integers(0, 900_000), st.sampled_from([300, 299, 3600, 86400, 86399, 604800])),
    st.sampled_from(["acme", "other"]),
    st.sampled_from([7, 8]),
    st.booleans(),
    st.booleans(),
)  # fmt: skip
SUBJECTS = st.builds(
    lambda zone, region, attempts, past, consents, age, ring, abandoned: a_subject(
        zone=zone, region=region, attempts=attempts, past=tuple(past), consents=frozenset(consents), ring_s=ring, abandoned=abandoned, answered=100,
        lists={} if age is None else {"list": NOON - timedelta(hours=age)},
    ),
    st.sampled_from([None, "Asia/Shanghai", "America/New_York"]),
    st.sampled_from([None, "西藏", "广东"]),
    st.integers(0, 4),
    st.lists(_CALLS, max_size=8),
    st.sets(st.just("marketing")),
    st.sampled_from([None, 1, 48]),
    st.sampled_from([10, 30]),
    st.integers(0, 6),
)  # fmt: skip


def allowed(packs: list[Pack], subject: Subject) -> bool:
    return first_refusal(combine(packs), subject) is None


@given(st.lists(PACKS, max_size=4), PACKS, SUBJECTS, st.randoms())
def test_another_pack_only_ever_forbids_and_the_order_never_matters(
    packs: list[Pack], another: Pack, subject: Subject, rng: Any
) -> None:
    alone = all(allowed([pack], subject) for pack in packs)
    assert allowed(packs, subject) == alone
    assert allowed([*packs, another], subject) == (alone and allowed([another], subject))
    shuffled = [*packs, another]
    rng.shuffle(shuffled)
    assert allowed(shuffled, subject) == allowed([*packs, another], subject)


@given(st.lists(PACKS, max_size=3), SUBJECTS)
def test_the_explanation_agrees_with_the_decision(packs: list[Pack], subject: Subject) -> None:
    rules = combine(packs)
    told: list[Finding] = findings(rules, subject)
    assert len(told) == len(rules.rules)
    refused = [finding for finding in told if finding.refusal is not None]
    first = first_refusal(rules, subject)
    assert first == (refused[0] if refused else None)


@settings(max_examples=300)
@given(_CAPS, st.lists(_CALLS, max_size=12))
def test_a_sliding_cap_agrees_with_counting_by_hand_and_ends_when_it_says(
    cap: dict[str, Any], past: list[PastCall]
) -> None:
    def counted_by_hand(now: Any) -> int:
        total = 0
        for call in past:
            at = {"attempts": call.at, "answered": call.answered_at, "abandoned": call.abandoned_at}[cap["counts"]]
            ours = {
                "everybody": True,
                "client": call.client == "acme" or call.project_id == PROJECT,
                "project": call.project_id == PROJECT,
            }[cap["of"]]
            if at is not None and ours and (now - at) < cap["period"]:
                total += 1
        return total  # fmt: skip

    rules = combine([a_pack(cap)])
    subject = a_subject(past=tuple(past))
    found = first_refusal(rules, subject)
    assert (found is None) == (counted_by_hand(NOON) < cap["most"])
    if found is None:
        return
    assert isinstance(found.refusal, Refusal)
    until = found.refusal.until
    assert until is not None
    assert counted_by_hand(until) < cap["most"]
    assert counted_by_hand(until - timedelta(microseconds=1)) >= cap["most"]
    assert first_refusal(rules, replace(subject, now=until)) is None


def test_the_strictest_values_of_all_packs_are_taken() -> None:
    def shares(limit: str, message: str) -> dict[str, Any]:
        return a_line("abandonment", limit=limit, period="day", message_en=message, message_zh=message)

    rules = combine(
        [
            a_pack(shares("0.03", "lax"), a_line("ring_time", least_s=15, most_s=60), pack="one"),
            a_pack(shares("0.01", "strict"), a_line("ring_time", least_s=20, most_s=90), pack="two"),
        ]
    )
    found = limits(rules, date(2026, 6, 1), "predictive")
    strictest, _lax = abandonment_lines(rules, date(2026, 6, 1), "predictive")
    assert (strictest.line.limit, strictest.line.message_en) == (Decimal("0.01"), "strict")
    assert (found.ring_least_s, found.ring_most_s) == (20, 60)


def test_what_goes_wrong_while_judging_forbids_the_call() -> None:
    rules = combine([a_pack(a_line("registry", category="list", max_age=timedelta(days=1)))])
    broken = a_subject(lists={"list": "yesterday"})
    found = first_refusal(rules, broken)
    assert found is not None
    assert found.refusal is not None
    assert not found.refusal.evaluable


def test_a_pack_that_has_run_out_or_cannot_be_read_forbids_everything() -> None:
    ended = combine([a_pack(a_window("00:00-24:00"), effective_until=date(2026, 6, 1))])
    assert ended.pack_refusal(date(2026, 5, 31)) is None
    assert "run out" in (ended.pack_refusal(date(2026, 6, 1)) or "")
    assert "cannot be read" in (combine([], ["old@1"]).pack_refusal(date(2026, 6, 1)) or "")


def test_a_pack_that_is_not_yet_in_force_says_nothing() -> None:
    rules = combine([a_pack(a_window(), effective_from=date(2026, 6, 2))])
    assert first_refusal(rules, a_subject()) is None
    assert first_refusal(rules, a_subject(now=NOON + timedelta(days=1))) is not None

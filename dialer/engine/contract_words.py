"""An abandonment contract in words for people: English and Chinese."""

from __future__ import annotations

from decimal import Decimal

from dialer.domain.pacing.contract import AbandonmentContract, AtLimit, Period
from dialer.engine.words import Words

_OVER = {
    Period.DAY: Words("in a day of the project's zone", "按项目时区的自然日"),
    Period.HOURS_24: Words("in the last 24 hours (by the quarter of an hour)", "按最近 24 小时(以一刻钟为单位)"),
    Period.DAYS_30: Words(
        "in 30 days of the project's zone, one period after the other", "按项目时区的连续 30 天,逐期计算"
    ),
}
_THEN = {
    AtLimit.ONE_TO_ONE: Words("then one call for each ready agent", "达到上限后按每个空闲坐席一路呼叫拨号"),
    AtLimit.STOP: Words("then nothing is dialled", "超过上限后停止拨号"),
}


def contract_in_words(contract: AbandonmentContract, safe_harbour: str) -> Words:
    """Who is counted, over what, and what happens at the limit."""
    cap, within = _percent(contract.cap), f"{Decimal(contract.agent_within_ds) / 10:f}"
    over, then = _OVER[contract.period], _THEN[contract.at_limit]
    late = contract.late_counts_as_abandoned
    wrong = contract.false_machine_rate
    en = [
        f"At most {cap} of the calls answered {over.en} may be abandoned, {then.en}.",
        f"Abandoned is who got no agent and heard {safe_harbour}"
        + (f", or got one later than {within} s." if late else "."),
        "Machines count as answered." if contract.machines_count_as_answered else "Machines do not count.",
    ]
    zh = [
        f"{over.zh}统计,接通呼叫中放弃的不超过 {cap},{then.zh}。",
        f"没有坐席接听而听到 {safe_harbour} 的计为放弃"
        + (f";接通后超过 {within} 秒才有坐席的也计为放弃。" if late else "。"),
        "答录机计入接通。" if contract.machines_count_as_answered else "答录机不计入接通。",
    ]
    if wrong:
        en.append(f"Of those taken for machines {_percent(wrong)} count as abandoned people.")
        zh.append(f"被判为答录机的呼叫中,{_percent(wrong)} 计为被放弃的真人。")
    if contract.rules:
        en.append(f"By {', '.join(contract.rules)}.")
        zh.append(f"依据:{'、'.join(contract.rules)}。")
    return Words(" ".join(en), "".join(zh))


def _percent(share: Decimal) -> str:
    return f"{(100 * share).normalize():f} %"

"""What keeps something from being dialled, in words for people: English and Chinese, by the word that programs use."""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    """One sentence in each language."""

    en: str
    zh: str


LIMITS: dict[str, Words] = {
    "nothing": Words("Nothing limits it.", "没有限制。"),
    "mode": Words("The agents of this project dial by themselves.", "本项目由坐席自行拨号。"),
    "paused": Words("The project is not running.", "项目未运行。"),
    "window": Words("It is outside the project's hours.", "不在项目的外呼时段内。"),
    "no_agents": Words("No agent of the project is logged in.", "本项目没有坐席签入。"),
    "agents": Words("Every agent is at work or has a call under way.", "所有坐席都在忙,或已有呼叫在途。"),
    "abandonment": Words(
        "The abandonment budget allows no more calls; when it is used up, one is placed for each ready agent.",
        "呼损预算不允许更多呼叫;用尽时按每个空闲坐席一路呼叫拨号。",
    ),
    "abandonment_stop": Words(
        "The abandonment cap is exceeded and the project's contract says to stop: nothing is dialled until the share or the contract allows it again.",
        "呼损率超过上限,按项目约定停止拨号,直至呼损率回落或约定变更。",
    ),
    "trunk": Words("The project has no enabled trunk on this node.", "项目在本节点没有可用的中继。"),
    "trunk_channels": Words("All channels of the trunk are in use.", "中继并发已占满。"),
    "trunk_failing": Words(
        "The trunk fails one call after the other; it is tried now and then until one gets through.",
        "中继连续失败,隔一段时间试呼一次,直到接通为止。",
    ),
    "cps": Words("The trunk's rate of new calls is reached.", "中继的每秒新呼叫数已达上限。"),
    "caller_number": Words(
        "No caller number of the project may be shown on its trunk now.", "项目在其中继上目前没有可以显示的透传号码。"
    ),
    "caller_number_limit": Words(
        "Every caller number of the project carries as many calls as it may.",
        "本项目的透传号码均已达到各自的呼叫上限。",
    ),
    "node": Words("The node carries as many calls as it may.", "本节点的并发或每秒呼叫数已达上限。"),
    "node_load": Words(
        "The node is too busy: it places fewer new calls until its event loop is in time again.",
        "本节点负载过高,暂时减少新呼叫,待处理恢复及时后自动恢复。",
    ),
    "leads": Words("No lead can be called now.", "目前没有可拨打的名单。"),
    "sample": Words("The sample of the trial is full.", "试呼样本已满。"),
    "recording": Words("There is no room for recordings.", "录音空间不足。"),
    "database": Words("PostgreSQL cannot be reached.", "无法连接 PostgreSQL。"),
    "asterisk": Words("Asterisk cannot be reached.", "无法连接 Asterisk。"),
    "lease": Words("This engine does not hold its node for certain.", "本引擎不能确定持有该节点。"),
    "journal": Words("Too much is waiting to be written to PostgreSQL.", "待写入 PostgreSQL 的记录过多。"),
    "gate": Words("A rule forbids it, or could not be evaluated.", "有规则禁止拨打,或规则无法判定。"),
}

GATES: dict[str, Words] = {
    "open": Words("No gate objects.", "没有规则阻止。"),
    "project_not_running": LIMITS["paused"],
    "no_trunk": Words("The project has no trunk.", "项目没有中继。"),
    "trunk_disabled": Words("The project's trunk is switched off.", "项目的中继已停用。"),
    "no_caller_number": LIMITS["caller_number"],
    "no_survey": Words("The agentless project has no survey.", "无座席项目没有语音问卷。"),
    "zone_unknown": Words("The project's time zone is not known.", "项目的时区未知。"),
    "window_invalid": Words("The project's hours are not valid.", "项目的外呼时段设置无效。"),
    "outside_window": LIMITS["window"],
    "rule_pack": Words("A rule pack of the project cannot be used any more.", "项目所用的规则包已失效或无法读取。"),
    "ring_time": Words(
        "The project lets calls ring longer or shorter than its rules allow.", "项目的振铃时长不符合所用规则。"
    ),
    "registry": Words(
        "A list that the rules ask for was not loaded, or is too old.", "规则要求比对的名单未载入或已过期。"
    ),
    "abandonment": Words(
        "The rules ask for a message to whoever gets no agent, and the project names none of its own.",
        "规则要求向无座席接听的客户播放提示音,而项目未指定自己的提示音。",
    ),
    "not_evaluable": Words("The rules cannot be evaluated, so nothing is dialled.", "规则无法判定,因此不拨打。"),
}

AGENTS: dict[str, Words] = {
    "logged_out": Words("The agent is not logged in on this node.", "坐席未在本节点签入。"),
    "seating": Words("The agent's softphone is being called.", "正在呼叫坐席话机。"),
    "break": Words("The agent is on a break.", "坐席示忙。"),
    "ready": Words("The agent is ready.", "坐席空闲。"),
    "reserved": Words("A call was promised to the agent.", "已为坐席预留一路呼叫。"),
    "talking": Words("The agent is in a conversation.", "坐席正在通话。"),
    "wrap_up": Words("The agent is wrapping up the last call.", "坐席正在话后整理。"),
    "preview": Words("The agent is looking at a lead.", "坐席正在预览名单。"),
    "no_seat": Words("The agent's softphone is not connected.", "坐席话机未接通。"),
    "no_project": Words(
        "The agent gets the calls of no project: none is assigned to them, or it asks for other skills or, in a trial, for a senior team.",
        "坐席不接任何项目的来话:未分配项目,或技能、班组(试呼须资深组)不符。",
    ),
    "waiting": Words(
        "The agent waits for an answered call; see why each project places none.",
        "坐席正在等待接通的呼叫;各项目未拨号的原因见明细。",
    ),
}

LEADS: dict[str, Words] = {
    "new": Words("The lead waits for its turn.", "名单正在排队等待拨打。"),
    "retry": Words("The lead waits for its turn to be called again.", "名单正在排队等待重呼。"),
    "in_flight": Words("The lead is being called now.", "名单正在拨打中。"),
    "callback": Words(
        "A callback was promised; it is made when it is due and its agent is ready.",
        "已约定回呼,到时且坐席空闲时拨打。",
    ),
    "done": Words("The lead is finished.", "名单已完成。"),
    "do_not_call": Words("The number is on the do-not-call list.", "号码在免打扰名单中。"),
    "exhausted": Words("The lead was called as often as the project allows.", "名单已达到项目允许的最多拨打次数。"),
    "not_due": Words("The lead may not be called again yet.", "名单尚未到再次拨打的时间。"),
}

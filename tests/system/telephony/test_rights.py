"""What is refused: calls that nobody ordered, AMI actions that nobody needs, and text that would like to be a command."""

from __future__ import annotations

from uuid import uuid4

import pytest

from dialer.asterisk.ami import actions
from dialer.asterisk.ami.actions import Action
from dialer.asterisk.ami.errors import ActionFailed
from dialer.asterisk.provisioning import DeviceConfig, ha1, new_secret, put_device, remove_device
from lab.asterisk_node import AsteriskNode
from lab.carrier import Behaviour, Carrier, number_for
from lab.sip_client import SipClient
from lab.softphone_bank import SoftphoneBank
from lab.waiting import wait_until
from tests.system.telephony.scene import HANG_UP, SAFE_HARBOUR, Scene, bridge_with

NOT_ALLOWED = {
    "Command": {"Command": "core show version"},
    "ModuleLoad": {"Module": "chan_pjsip.so", "LoadType": "unload"},
    "Reload": {},
    "DBPut": {"Family": "waihu/auth", "Key": "x", "Val": "y"},
    "DBDel": {"Family": "waihu/auth", "Key": "x"},
    "DBDelTree": {"Family": "waihu"},
    "GetConfig": {"Filename": "manager.conf"},
    "UpdateConfig": {"SrcFilename": "manager.conf", "DstFilename": "manager.conf"},
    "MixMonitor": {"Channel": "x", "File": "/tmp/x.wav"},
    "DialplanExtensionAdd": {"Context": "waihu-customer", "Extension": "x", "Priority": "1", "Application": "System"},
    "AGI": {"Channel": "x", "Command": "EXEC System id"},
    "PJSIPNotify": {"Endpoint": "carrier", "Variable": "x=y"},
}
HOSTILE = (
    "${SHELL(touch /tmp/waihu-was-here)}",
    "$[1/0]",
    '"; rm -rf / ;"',
    "a,b,c)(&|",
    "x'y`z$(id)",
    "张三,李四",
    "../../etc/passwd",
)


@pytest.mark.parametrize("name", NOT_ALLOWED)
async def test_ami_account_may_not(scene: Scene, name: str) -> None:
    with pytest.raises(ActionFailed, match=r"(?i)permission denied|invalid/unknown command"):
        await scene.ami.send(Action(name=name, headers=tuple(NOT_ALLOWED[name].items())))


@pytest.mark.parametrize(
    "function", ["SHELL(id)", "DB(waihu/auth/agent-1)", "FILE(/etc/passwd)", "ENV(PATH)", "EVAL(${SHELL(id)})"]
)
async def test_ami_account_reads_nothing_through_dangerous_functions(scene: Scene, function: str) -> None:
    try:
        answer = await scene.ami.send(
            actions.get_variable(None, function) if "(" not in function else variable(function)
        )
    except ActionFailed:
        return
    assert answer.get("Value") in {"", "(null)"}


@pytest.mark.parametrize("application", ["System", "TrySystem", "AGI", "EAGI", "MixMonitor", "Originate"])
async def test_ami_account_originates_into_no_application(scene: Scene, application: str) -> None:
    headers = (
        ("Channel", "Local/s@waihu-seat"),
        ("Application", application),
        ("Data", "touch /tmp/x"),
        ("Async", "true"),
    )
    with pytest.raises(ActionFailed):
        await scene.ami.send(Action(name="Originate", headers=headers))


async def test_only_events_on_the_list_arrive(scene: Scene, softphones: SoftphoneBank) -> None:
    seat = await scene.seat("agent-1")
    scene.answered = bridge_with(seat)
    attempt = await scene.place(number_for(Behaviour.HUMAN, talk_code=4))
    await scene.result_of(attempt)
    await scene.idle(seat, times=2)
    allowed = {
        "FullyBooted", "OriginateResponse", "Newstate", "Hangup", "BridgeEnter", "BridgeLeave", "UserEvent", "ContactStatus",
    }  # fmt: skip
    assert {event.name for event in scene.events} <= allowed
    assert sum(f"call-{attempt}" in (event.get("Uniqueid") or "") for event in scene.events) <= 8


async def test_agents_device_may_call_nobody(scene: Scene, node: AsteriskNode) -> None:
    secret = new_secret()
    await put_device(scene.ami, DeviceConfig(username="curious", digest=ha1("curious", secret)))
    async with SipClient("curious", secret, (node.sip_host, node.sip_port)) as phone:
        for number in (number_for(Behaviour.HUMAN), "s", "put", "999", "agent-1", "+441234"):
            assert await phone.invite(number) in {403, 404}
    await scene.no_channels()
    await remove_device(scene.ami, "curious")


async def test_trunk_may_call_nobody(scene: Scene, carrier: Carrier) -> None:
    known = len(carrier.cdr())
    await carrier.call_node("02168001234")
    await scene.no_channels()
    assert scene.routes() == []
    assert len(carrier.cdr()) >= known


async def test_stranger_is_not_let_in(node: AsteriskNode) -> None:
    async with SipClient("nobody", "nothing", (node.sip_host, node.sip_port)) as phone:
        assert await phone.register() == 401
        assert await phone.invite("s") == 401
        assert await phone.invite("13800000000", from_line="<sip:carrier@127.0.0.1>") == 401


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_text_in_names_and_variables_is_text(scene: Scene, text: str) -> None:
    scene.answered = SAFE_HARBOUR
    attempt = await scene.place(
        number_for(Behaviour.HUMAN, talk_code=3),
        name=text,
        variables={"WAIHU_PROJECT": text},
        safe_harbour=text,
        wait_ms=text,
    )
    results = await scene.result_of(attempt)
    assert results[-1].startswith("safe_harbour")
    assert scene.routes() == ["/call/answered"]


@pytest.mark.parametrize("base", [*HOSTILE, "abc", "A" * 32, "0" * 33, "0123456789abcdef0123456789abcde/"])
async def test_recording_is_refused_to_a_name_that_is_not_ours(scene: Scene, node: AsteriskNode, base: str) -> None:
    before = set(node.spool_dir.iterdir())
    scene.answered = HANG_UP
    attempt = await scene.place(number_for(Behaviour.HUMAN), record=base)
    await scene.result_of(attempt)
    refused = [said.headers for said in scene.said("WaihuRecording")]
    assert [(headers["Call"], headers["State"]) for headers in refused] == [(f"call-{attempt}", "refused")]
    assert set(node.spool_dir.iterdir()) == before


async def test_call_without_recording_leaves_no_file(scene: Scene, node: AsteriskNode) -> None:
    before = set(node.spool_dir.iterdir())
    scene.answered = HANG_UP
    attempt = await scene.place(number_for(Behaviour.HUMAN), record="")
    await scene.result_of(attempt)
    assert scene.said("WaihuRecording") == []
    assert set(node.spool_dir.iterdir()) == before


@pytest.mark.parametrize("seat", ["x,F(waihu-customer,s,1)", "${SHELL(id)}", "", "seat with blanks"])
async def test_seat_that_is_no_channel_name_is_as_good_as_gone(scene: Scene, seat: str) -> None:
    scene.answered, scene.redirected = bridge_with(seat), HANG_UP
    attempt = await scene.place(number_for(Behaviour.HUMAN, talk_code=9))
    assert await scene.result_of(attempt) == ["seat_gone", "hangup"]


async def test_second_originate_with_the_same_id_places_no_second_call(scene: Scene, carrier: Carrier) -> None:
    number = number_for(
        Behaviour.NO_ANSWER, serial=77
    )  # rings on: the first answer to an Originate is the second one's refusal
    attempt = uuid4().hex
    await scene.place(number, attempt=attempt)

    def rings() -> bool:
        return any(event.name == "Newstate" and event.get("ChannelStateDesc") == "Ringing" for event in scene.events)

    await wait_until(
        rings, timeout_s=10, what="the first call rings"
    )  # of two in the same instant Asterisk may take both
    await scene.place(number, attempt=attempt)
    # Asterisk places in a thread of its own: hung up earlier, the first call would give its id to the second.
    assert not (await scene.response_to(f"call-{attempt}", timeout_s=10)).answered
    await scene.hang_up(f"call-{attempt}")
    await scene.no_channels()
    assert sum(record.number == number for record in carrier.cdr()) == 1


def variable(expression: str) -> Action:
    return Action(name="Getvar", headers=(("Variable", expression),))

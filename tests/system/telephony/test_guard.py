"""When nobody decides: the safe harbour, in time, whatever the engine does; and never a conversation cut short."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from dialer.asterisk.ami import actions
from lab.asterisk_node import AsteriskNode
from lab.carrier import Behaviour, Carrier, number_for
from lab.process import ChildProcess
from lab.softphone_bank import SoftphoneBank
from lab.waiting import wait_until
from tests.system.telephony.scene import SAFE_HARBOUR, Scene, bridge_with
from tests.system.telephony.sound import leg, loudness

PATIENT = number_for(Behaviour.HUMAN, talk_code=9)  # talks 12 s
_SERVER = """
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
while True:
    server.accept()
"""


async def test_customer_without_an_agent_hears_the_message_and_is_hung_up(scene: Scene, node: AsteriskNode) -> None:
    scene.answered = SAFE_HARBOUR
    attempt = await scene.place(PATIENT)
    assert await scene.result_of(attempt) == ["safe_harbour_played"]
    assert (await scene.end_of(f"call-{attempt}")).cause == 16
    assert loudness(leg(node.spool_dir, attempt, "t")) > 300


async def test_project_has_its_own_message(scene: Scene, node: AsteriskNode) -> None:
    (node.prompts_dir / "beep-only.alaw").write_bytes(b"\x2a\xaa" * 2000)  # half a second
    attempt = await scene.place(PATIENT, safe_harbour="beep-only")
    assert await scene.result_of(attempt) == ["safe_harbour_played"]
    assert len(leg(node.spool_dir, attempt, "r")) < 8000 * 1.5  # the default takes four seconds


async def test_message_that_does_not_exist_is_replaced_by_the_default(scene: Scene, node: AsteriskNode) -> None:
    attempt = await scene.place(PATIENT, safe_harbour="no-such-message")
    assert await scene.result_of(attempt) == ["safe_harbour_played"]
    assert len(leg(node.spool_dir, attempt, "t")) > 8000 * 2


async def test_no_engine_at_all_leads_to_the_safe_harbour_at_once(node: AsteriskNode, carrier: Carrier) -> None:
    async with Scene(node, agi=False) as scene:
        attempt = await scene.place(PATIENT, safe_harbour="missing")
        await up(scene, attempt)
        assert await scene.result_of(attempt) == ["safe_harbour_played"]


async def test_engine_that_stops_in_the_middle_of_its_answer_costs_at_most_the_limit_and_a_second(
    node: AsteriskNode, carrier: Carrier, tmp_path: Path
) -> None:
    engine = ChildProcess([sys.executable, "-c", _SERVER, str(node.agi_port)], tmp_path / "stalled.log")
    await engine.start()
    await wait_until(lambda: "listening" in engine.log_tail(), timeout_s=10, what="a FastAGI server")
    os.kill(engine.pid, signal.SIGSTOP)
    try:
        async with Scene(node, agi=False) as scene:
            attempt = await scene.place(PATIENT, wait_ms="1000")
            await up(scene, attempt)
            loop = asyncio.get_running_loop()
            answered_at = loop.time()
            await in_context(scene, attempt, "waihu-safe-harbour")
            waited_s = loop.time() - answered_at
            assert 1.0 <= waited_s <= 2.6
            assert await scene.result_of(attempt) == ["safe_harbour_played"]
    finally:
        engine.kill()


async def test_engine_that_stalls_after_the_bridge_cuts_nothing(scene: Scene, softphones: SoftphoneBank) -> None:
    seat = await scene.seat("agent-1")
    scene.answered = bridge_with(seat)
    attempt = await scene.place(PATIENT, wait_ms="100")
    await scene.bridged(attempt, seat)
    await scene.agi.stop()
    await asyncio.sleep(2.5)  # longer than limit and guard
    assert not scene.ended(f"call-{attempt}")
    assert softphones.phone("agent-1").talking
    await scene.hang_up(f"call-{attempt}")


async def test_conversation_goes_on_when_ami_and_agi_are_gone(
    node: AsteriskNode, carrier: Carrier, softphones: SoftphoneBank
) -> None:
    async with Scene(node) as first:
        seat = await first.seat("agent-1")
        first.answered = bridge_with(seat)
        attempt = await first.place(number_for(Behaviour.HUMAN, talk_code=9))
        await first.bridged(attempt, seat)
        await first.ami.close()
    async with Scene(node) as second:
        assert set(await second.channels()) == {seat, f"call-{attempt}"}
        await asyncio.sleep(1.5)
        assert set(await second.channels()) == {seat, f"call-{attempt}"}
        await second.hang_up(f"call-{attempt}")
        await second.idle(seat, times=1)
        await second.hang_up(seat)


async def test_waiting_customer_who_hangs_up_is_told_as_such(scene: Scene) -> None:
    async def never(_: object) -> dict[str, str]:
        await asyncio.sleep(20)
        return {}

    scene.answered = never
    attempt = await scene.place(number_for(Behaviour.HUMAN, talk_code=3), wait_ms="9000")
    assert await scene.result_of(attempt) == ["hangup"]


async def test_held_customer_is_not_left_to_a_dead_engine(scene: Scene, softphones: SoftphoneBank) -> None:
    await scene.ami.send(actions.set_variable(None, "WAIHU_HOLD_LIMIT_S", "1"))
    try:
        seat = await scene.seat("agent-1")
        scene.answered = bridge_with(seat)
        attempt = await scene.place(PATIENT)
        await scene.bridged(attempt, seat)
        await scene.hold(attempt)
        assert await scene.result_of(attempt) == ["safe_harbour_played"]
    finally:
        await scene.ami.send(actions.set_variable(None, "WAIHU_HOLD_LIMIT_S", "900"))


async def up(scene: Scene, attempt: str) -> None:
    await wait_until(
        lambda: any(
            event.name == "Newstate" and event.get("Uniqueid") == f"call-{attempt}" and event.get("ChannelState") == "6"
            for event in scene.events
        ),
        timeout_s=10,
        what="answer",
    )


async def in_context(scene: Scene, attempt: str, context: str) -> None:
    async def there() -> bool:
        rows = await scene.ami.fetch(actions.core_show_channels())
        return any(row.get("Uniqueid") == f"call-{attempt}" and row.get("Context") == context for row in rows)

    await wait_until(there, timeout_s=10, what=f"{attempt} in {context}")

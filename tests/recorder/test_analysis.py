"""What is heard in a call: who spoke when, how loud, and the picture of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder import ledger
from recorder.activity import BLOCK_S, Activity, waveform
from recorder.analysis import Analysis
from recorder.faults import Fault
from recorder.master import make_master
from recorder.talk import Voiced, figures
from tests.builders import an_agent
from tests.recorder.builders import (
    ANSWERED,
    RATE_HZ,
    Running,
    Sound,
    a_project,
    an_attempt,
    put_legs,
    row_of,
    settings,
    speech,
    wav,
)

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]

FRAME_MS = 30


def voiced(*stretches: tuple[float, float], until_s: float = 60.0) -> Voiced:
    """Frames that are voiced between these seconds."""
    frames = np.zeros(round(until_s * 1000 / FRAME_MS), np.bool_)
    for start, stop in stretches:
        frames[round(start * 1000 / FRAME_MS) : round(stop * 1000 / FRAME_MS)] = True
    return frames


def near(seconds: float) -> object:
    """Within two frames."""
    return pytest.approx(seconds * 1000, abs=2 * FRAME_MS)


def test_turns_are_added_up_and_the_first_words_are_found() -> None:
    talk = figures(voiced((4, 6), (20, 25)), voiced((1, 3), (7, 19)), frame_ms=FRAME_MS)
    assert (talk.customer_ms, talk.agent_ms) == (near(7), near(14))
    assert (talk.customer_first_word_ms, talk.agent_first_word_ms) == (near(4), near(1))
    assert talk.talk_over_ms == 0


def test_dead_air_is_silence_of_both_from_three_seconds_on() -> None:
    talk = figures(voiced((0, 10), (14, 20)), voiced((22, 50), (58, 60)), frame_ms=FRAME_MS)
    assert talk.dead_air_ms == near(4 + 8)  # the two seconds from 20 to 22 are no dead air
    assert talk.longest_silence_ms == near(8)


def test_talking_over_is_both_at_once_and_not_the_edge_of_a_turn() -> None:
    talk = figures(voiced((0, 10), (30, 40)), voiced((9.8, 20), (38, 42)), frame_ms=FRAME_MS)
    assert (talk.talk_overs, talk.talk_over_ms) == (1, near(2))


def test_a_monologue_goes_on_over_pauses_that_the_other_does_not_use() -> None:
    agent = voiced((0, 10), (11, 20), (21.5, 30), (40, 55))
    assert figures(voiced(), agent, frame_ms=FRAME_MS).longest_monologue_ms == near(30)
    assert figures(voiced((20.2, 21.2)), agent, frame_ms=FRAME_MS).longest_monologue_ms == near(20.2)


def test_a_customer_who_only_clicks_and_breathes_never_spoke() -> None:
    talk = figures(voiced((3, 3.06), (9, 9.09)), voiced((0, 5)), frame_ms=FRAME_MS)
    assert (talk.customer_ms, talk.customer_first_word_ms) == (0, None)


def test_a_call_without_a_frame_has_figures_of_nothing() -> None:
    talk = figures(voiced(until_s=0), voiced(until_s=0), frame_ms=FRAME_MS)
    assert (talk.customer_ms, talk.longest_silence_ms, talk.longest_monologue_ms) == (0, 0, 0)


def test_a_pause_of_the_recording_is_no_silence() -> None:
    legs = voiced((0, 10), (50, 60)), voiced((12, 18), (52, 58))
    talk = figures(*legs, frame_ms=FRAME_MS, unknown=[(20_000, 45_000)])
    assert (talk.dead_air_ms, talk.longest_silence_ms) == (near(5), near(5))  # from 45 to 50; 18 to 20 is too short
    assert (talk.customer_ms, talk.agent_ms) == (near(20), near(12))
    assert figures(*legs, frame_ms=FRAME_MS).dead_air_ms == near(32)


def test_a_side_that_is_not_heard_in_a_call_that_was_paused_may_have_spoken() -> None:
    talk = figures(voiced(), voiced((0, 5), (50, 55)), frame_ms=FRAME_MS, unknown=[(10_000, 40_000)])
    assert (talk.customer_ms, talk.customer_first_word_ms, talk.agent_ms) == (None, None, near(10))


def test_a_first_word_after_a_pause_may_not_have_been_the_first() -> None:
    talk = figures(voiced((50, 55)), voiced((2, 5)), frame_ms=FRAME_MS, unknown=[(10_000, 40_000)])
    assert (talk.customer_first_word_ms, talk.agent_first_word_ms) == (None, near(2))


def test_a_monologue_does_not_go_on_through_a_pause() -> None:
    talk = figures(voiced(), voiced((0, 10), (11.5, 20)), frame_ms=FRAME_MS, unknown=[(10_020, 11_400)])
    assert talk.longest_monologue_ms == near(10)


@given(st.lists(st.booleans(), max_size=400), st.lists(st.booleans(), max_size=400))
def test_whatever_was_voiced_no_figure_is_longer_than_the_call(one: list[bool], other: list[bool]) -> None:
    talk = figures(np.array(one, np.bool_), np.array(other, np.bool_), frame_ms=FRAME_MS)
    length_ms = max(len(one), len(other)) * FRAME_MS
    assert talk.customer_ms is not None
    assert talk.agent_ms is not None
    for figure in (talk.customer_ms, talk.agent_ms, talk.dead_air_ms, talk.talk_over_ms, talk.longest_monologue_ms):
        assert 0 <= figure <= length_ms
    assert talk.talk_over_ms <= min(talk.customer_ms, talk.agent_ms)
    assert talk.dead_air_ms + max(talk.customer_ms, talk.agent_ms) <= length_ms


def heard(sound: Sound, rate_hz: int = RATE_HZ) -> Activity:
    """A leg that was listened to in blocks, as the encoder does."""
    activity, block = Activity(), BLOCK_S * rate_hz
    for start in range(0, len(sound), block):
        activity.hear(sound[start : start + block], rate_hz)
    return activity


def test_speech_is_voice_and_line_noise_is_none() -> None:
    noise = np.random.default_rng(3).normal(0, 20, 20 * RATE_HZ).astype("<i2")
    assert heard(speech(20.0)).voiced.mean() > 0.3
    assert heard(noise).voiced.mean() < 0.01
    assert heard(noise).speech_db is None


@pytest.mark.parametrize("rate_hz", [8000, 12000, 16000, 24000, 48000])
def test_voice_is_found_at_every_rate_that_a_leg_may_have(rate_hz: int) -> None:
    sound = speech(15.0, first_silence_s=5.0)
    at = np.arange(0, len(sound), RATE_HZ / rate_hz)
    voice = heard(np.interp(at, np.arange(len(sound)), sound).astype("<i2"), rate_hz).voiced
    assert len(voice) == 500
    assert 4.9 <= voice.argmax() * FRAME_MS / 1000 <= 6.5


def test_the_level_is_that_of_the_voice_whatever_pauses_there_are() -> None:
    talk, pause = speech(10.0), np.zeros(30 * RATE_HZ, "<i2")
    alone, among = heard(talk).speech_db, heard(np.concatenate([talk, pause])).speech_db
    assert alone is not None
    assert among == pytest.approx(alone, abs=0.5)
    assert heard((talk // 4).astype("<i2")).speech_db == pytest.approx(alone - 12, abs=1.5)


def test_a_waveform_has_the_highest_peak_of_each_stretch() -> None:
    peaks = np.zeros(2500, np.uint16)
    peaks[[7, 2499]] = [32768, 12800]
    each_ms, points = waveform(peaks, 1000)
    assert (each_ms, len(points)) == (300, 834)
    assert (points[2], points[833], max(points[3:833])) == (255, 100, 0)


def test_a_voice_that_is_cut_off_or_hardly_heard_is_a_fault(tmp_path: Path) -> None:
    loud = np.clip(speech(10.0).astype(np.int32) * 8, -32124, 32124).astype("<i2")
    (tmp_path / "r.wav").write_bytes(wav(loud))
    (tmp_path / "t.wav").write_bytes(wav((speech(10.0) // 12).astype("<i2")))
    made = make_master(tmp_path / "r.wav", tmp_path / "t.wav", tmp_path / "m", expected_ms=None)
    assert {"fault": Fault.CLIPPED, "side": "customer"} in made.faults
    assert {"fault": Fault.FAINT, "side": "agent"} in made.faults


def with_pause(seconds: float, start_s: float, stop_s: float) -> Sound:
    """Speech that was muted for a while."""
    sound = speech(seconds)
    sound[round(start_s * RATE_HZ) : round(stop_s * RATE_HZ)] = 0
    return sound


def test_sound_where_the_recording_was_paused_is_a_fault_and_its_edges_are_not(tmp_path: Path) -> None:
    (tmp_path / "r.wav").write_bytes(wav(with_pause(20.0, 5.15, 9.85)))
    (tmp_path / "t.wav").write_bytes(wav(with_pause(20.0, 5.0, 8.0)))

    def made(*pauses: tuple[int, int]) -> list[dict[str, object]]:
        return make_master(
            tmp_path / "r.wav", tmp_path / "t.wav", tmp_path / "m", expected_ms=20_000, pauses=pauses
        ).faults

    [fault] = made((5000, 10_000))
    assert (fault["fault"], fault["side"]) == (Fault.HEARD_IN_PAUSE, "agent")
    assert fault["ms"] == pytest.approx(1800, abs=100)
    assert made((5000, 8000), (8100, 8200)) == []
    assert made((17_000, 90_000))[0]["fault"] == Fault.HEARD_IN_PAUSE  # longer than the sound


def test_an_analysis_comes_out_of_the_pipe_as_it_went_in(tmp_path: Path) -> None:
    (tmp_path / "r.wav").write_bytes(wav(speech(10.0)))
    made = make_master(tmp_path / "r.wav", tmp_path / "none.wav", tmp_path / "m", expected_ms=None)
    assert made.analysis is not None
    assert Analysis.of_json(made.analysis.as_json()) == made.analysis
    assert len(made.analysis.waveform.customer) == len(made.analysis.waveform.agent) == 100


@pytest.mark.services
async def test_a_stored_recording_says_where_it_was_paused_and_the_chain_has_it(pool: Pool, tmp_path: Path) -> None:
    of = settings(tmp_path)
    await a_project(pool)
    call, agent = await an_attempt(pool, talk_s=20.0), await an_agent(pool)
    await pool.executemany(
        "insert into recording_pauses (id, attempt_id, agent_id, reason, started_at, ended_at, ended_by, from_ms, to_ms) "
        "values (gen_random_uuid(), $1, $2, 'card_number', $3, $4, $5, $6, $7)",
        [
            (call, agent, ANSWERED + timedelta(seconds=3), ANSWERED + timedelta(seconds=9), "agent", 3000, 9000),
            (call, agent, ANSWERED + timedelta(seconds=15), None, None, 15_000, None),
        ],
    )
    customer = np.concatenate([np.zeros(9 * RATE_HZ, "<i2"), speech(6.0), np.zeros(5 * RATE_HZ, "<i2")])
    put_legs(of.spool_dir, call, wav(np.zeros(20 * RATE_HZ, "<i2")), wav(customer))
    async with Running(pool, of) as recorder:
        await recorder.settled(20)
    row = await pool.fetchrow("select * from recordings where attempt_id = $1", call)
    assert row is not None
    assert (row["faults"], row["paused_ms"], row["customer_ms"]) == ([], 11_000, None)
    assert [(one["from_ms"], one["to_ms"], one["reason"]) for one in row["pauses"]] == [
        (3000, 9000, "card_number"),
        (15_000, None, "card_number"),
    ]
    assert row["dead_air_ms"] <= 3000
    line = await pool.fetchval("select line from recording_events order by id desc limit 1")
    assert '"from_ms": 3000' in line


@pytest.mark.services
async def test_a_stored_recording_has_its_figures_and_its_picture(pool: Pool, tmp_path: Path) -> None:
    of = settings(tmp_path)
    await a_project(pool)
    call = await an_attempt(pool, talk_s=20.0)
    put_legs(of.spool_dir, call, wav(speech(20.0) * 0), wav(speech(20.0, first_silence_s=8.0)))
    async with Running(pool, of) as recorder:
        await recorder.settled(20)
    row = await pool.fetchrow("select * from recordings where attempt_id = $1", call)
    assert row is not None
    assert (row["customer_ms"], row["customer_first_word_ms"], row["customer_db"]) == (0, None, None)
    assert row["agent_ms"] > 2000
    assert 7_500 <= row["agent_first_word_ms"] <= 9_500
    assert row["dead_air_ms"] >= row["longest_silence_ms"] >= 7_500
    stored = await row_of(pool, call)
    assert stored is not None
    async with pool.acquire() as conn:
        wave = await ledger.waveform(conn, stored.id)
    assert wave is not None
    assert (wave.each_ms, set(wave.customer), len(wave.agent)) == (100, {0}, 200)
    assert max(wave.agent) > 60

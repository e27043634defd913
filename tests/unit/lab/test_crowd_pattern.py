"""A recording is followed sample by sample: what is missing, said twice or foreign is found, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from lab.crowd.pattern import PACKET_SAMPLES, PACKETS, Gap, Samples, decode_alaw, follow, sound_of

SOUND = sound_of(0)
WHOLE = decode_alaw(SOUND).ravel()
QUIET = np.zeros(PACKET_SAMPLES, dtype=np.int16)


def a_leg(*packets: int) -> Samples:
    """The sound of these packets, one after another; -1 is a packet of silence."""
    return np.concatenate([QUIET if number < 0 else decode_alaw(SOUND[number % PACKETS]) for number in packets])


def test_a_sound_that_goes_round_three_times_has_no_gap() -> None:
    leg = np.concatenate([QUIET[:37], np.tile(WHOLE, 3)])
    found = follow(leg, SOUND)
    assert (found.start, found.stop, found.gaps) == (37, len(leg), ())


@pytest.mark.parametrize(
    ("packets", "gap"),
    [
        ((5, 6, 9, 10), Gap(at=320, foreign=0, missing=320)),
        ((5, 6, -1, 8, 9), Gap(at=320, foreign=160, missing=160)),
        ((5, 6, -1, -1, 7), Gap(at=320, foreign=320, missing=0)),
        ((5, 6, 6, 7), Gap(at=320, foreign=0, missing=-160)),
        ((1022, 1023, 1, 2), Gap(at=320, foreign=0, missing=160)),
    ],
    ids=["lost", "lost and filled with silence", "silence put in", "said twice", "lost where it begins anew"],
)
def test_every_kind_of_gap_is_found_where_it_is(packets: tuple[int, ...], gap: Gap) -> None:
    leg = a_leg(*packets)
    found = follow(leg, SOUND)
    assert found.stop == len(leg)
    assert found.gaps == (gap,)


def test_a_single_wrong_sample_is_a_gap() -> None:
    leg = np.tile(WHOLE, 2).copy()
    leg[12_345] += 1
    assert [gap.at for gap in follow(leg, SOUND).gaps] == [12_345]


def test_a_leg_with_another_voice_holds_nothing_of_this_one() -> None:
    found = follow(decode_alaw(sound_of(1)).ravel(), SOUND)
    assert found.stop == 0


def test_no_two_packets_of_the_two_voices_have_the_same_number() -> None:
    numbers = {bytes(packet[:2]) for voice in (0, 1) for packet in sound_of(voice)}
    assert len(numbers) == 2 * PACKETS


def test_decoding_is_that_of_g711() -> None:
    codes = np.array([0x55, 0xD5, 0x2A, 0xAA, 0x80], dtype=np.uint8)
    assert decode_alaw(codes).tolist() == [-8, 8, -32256, 32256, 5504]

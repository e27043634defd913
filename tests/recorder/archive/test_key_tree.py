"""The archive's key tree: what was taken away follows from nothing that is left, and nothing else is lost."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.archive.key_tree import LEAF_BITS, KeyTree, Place, of_recording, of_volume

VOLUMES = [UUID(int=number) for number in (0, 1, 2, (1 << 48) - 1, 0x018F_0000_0000_4000_8000_1234_5678_9ABC)]
places = st.tuples(st.sampled_from(VOLUMES), st.integers(0, 9)).map(lambda one: of_recording(*one))
WHOLE = KeyTree.grown(bytes(range(32)))


@settings(deadline=None, max_examples=60)
@given(st.sets(places, max_size=12), st.sets(places, max_size=12))
def test_what_is_taken_away_is_gone_and_every_other_key_is_as_it_was(first: set[Place], then: set[Place]) -> None:
    tree = WHOLE.without(first).without(then)
    for volume in VOLUMES:
        for number in range(10):
            place = of_recording(volume, number)
            assert tree.secret(place) == (None if place in first | then else WHOLE.secret(place))
        assert list(tree.leaves(volume, 10)) == [tree.secret(of_recording(volume, number)) for number in range(10)]


@settings(deadline=None, max_examples=60)
@given(st.sets(places, max_size=12))
def test_no_node_that_is_left_lies_above_what_was_taken_away_or_above_another(gone: set[Place]) -> None:
    tree = WHOLE.without(gone)
    for place in [*gone, *tree.nodes]:
        above = [Place(depth, place.path >> place.depth - depth) for depth in range(place.depth)]
        assert not [one for one in above if one in tree.nodes]
    assert not gone & set(tree.nodes)


@settings(deadline=None, max_examples=60)
@given(st.sets(places, max_size=12), st.permutations(range(4)))
def test_the_order_in_which_keys_go_does_not_matter(gone: set[Place], order: list[int]) -> None:
    parts = [sorted(gone)[number::4] for number in order]
    one_by_one = WHOLE
    for part in parts:
        one_by_one = one_by_one.without(part)
    assert one_by_one.nodes == WHOLE.without(gone).nodes


@settings(deadline=None, max_examples=60)
@given(st.sets(places, max_size=12))
def test_a_tree_is_kept_and_read_again(gone: set[Place]) -> None:
    tree = WHOLE.without(gone)
    assert KeyTree.from_bytes(tree.to_bytes()) == tree


def test_a_volume_goes_as_a_whole_and_its_neighbours_stay() -> None:
    tree = WHOLE.without([of_recording(VOLUMES[1], 7), of_volume(VOLUMES[1]), of_volume(VOLUMES[1])])
    assert list(tree.leaves(VOLUMES[1], 1000)) == [None] * 1000
    assert list(tree.leaves(VOLUMES[2], 10)) == list(WHOLE.leaves(VOLUMES[2], 10))


def test_every_recording_has_a_key_of_its_own() -> None:
    keys = [key for volume in VOLUMES for key in WHOLE.leaves(volume, 500)]
    assert len(set(keys)) == 500 * len(VOLUMES)


def test_what_ends_in_order_costs_few_nodes() -> None:
    tree = WHOLE.without(of_recording(VOLUMES[4], number) for number in range(10_000))
    assert len(tree.nodes) <= LEAF_BITS


@pytest.mark.parametrize("content", [b"x", bytes(42)[:-1], b"\xff" + bytes(41), b"\x01" + b"\xff" * 41])
def test_what_is_no_tree_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"cut off|no such place"):
        KeyTree.from_bytes(content)


def test_a_place_beyond_a_volume_is_refused() -> None:
    with pytest.raises(ValueError, match="no place"):
        of_recording(VOLUMES[0], 1 << 18)

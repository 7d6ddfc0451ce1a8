"""Journeys packed into blocks: each comes out of the spot where it was put in."""

import base64
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddxgraph.view.page import blocks
from ddxgraph.view.page.blocks import Blocks, Spot


def unpacked(text: str) -> list[str]:
    """As the page's script unpacks it."""
    return json.loads(zlib.decompress(base64.b64decode(text, validate=True)))


def packed(markups: list[str], most: int) -> tuple[list[Spot], dict[int, list[str]]]:
    written: dict[int, str] = {}

    def write(number: int, text: str) -> None:
        assert number not in written
        written[number] = text

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(blocks, "BLOCK_CHARS", most)
        made = Blocks(write)
        spots = [made.add(markup) for markup in markups]
        made.close()
        made.close()
    return spots, {number: unpacked(text) for number, text in written.items()}


@given(st.lists(st.text(st.characters(), max_size=60), max_size=30), st.integers(1, 100))
def test_each_journey_lies_where_it_was_said_to(markups, most):
    spots, written = packed(markups, most)
    assert [written[spot.block][spot.place] for spot in spots] == markups
    assert sum(map(len, written.values())) == len(markups)
    assert list(written) == list(range(len(written))), "numbered from 0, in their order"
    for held in written.values():
        assert sum(map(len, held[:-1])) < most, "closed as soon as it is full"


def test_a_block_is_closed_when_it_is_full_and_not_before():
    spots, written = packed(["aa", "bb", "cc", "d" * 50, "e"], 4)
    assert spots == [Spot(0, 0), Spot(0, 1), Spot(1, 0), Spot(1, 1), Spot(2, 0)]
    assert written == {0: ["aa", "bb"], 1: ["cc", "d" * 50], 2: ["e"]}


def test_without_a_journey_there_is_no_block():
    assert packed([], 4) == ([], {})


def test_the_same_journeys_give_the_same_text():
    told: list[list[str]] = [[], []]
    for texts in told:
        made = Blocks(lambda _, text, texts=texts: texts.append(text))
        for number in range(40):
            made.add(f"<p>{number}病 \ud83d</p>" * 40)
        made.close()
    assert told[0] == told[1]
    assert len(told[0]) == 1


def test_a_block_is_safe_in_a_script_and_in_a_string():
    texts: list[str] = []
    made = Blocks(lambda _, text: texts.append(text))
    made.add('</script><!--"\\\n')
    made.close()
    assert not set(texts[0]) - set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")

import json

import pytest
from adapterfolder import write_adapter
from canaries import ADAPTED, BASE, LENGTH, canaries_of, shifted
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from ddxgraph.common.errors import AdapterError
from ddxgraph.serving.adapters.canary import (
    CANARY_FILE,
    ENOUGH,
    PROMPTS,
    TOLERANCE,
    Agreement,
    Canary,
    CanarySet,
    Continuation,
    agreement,
    read_canaries,
    write_canaries,
)
from ddxgraph.serving.adapters.files import read_adapter

LOGPROBS = st.floats(-20, 0)


@st.composite
def known_continuations(draw):
    length = draw(st.integers(1, 24))
    return [
        Continuation(
            tokens=draw(st.lists(st.integers(0, 50_000), min_size=length, max_size=length)),
            logprobs=draw(st.lists(LOGPROBS, min_size=length, max_size=length)),
            margins=draw(st.lists(st.floats(0, 10), min_size=length, max_size=length)),
        )
        for _ in range(draw(st.integers(1, 6)))
    ]


@pytest.fixture
def adapter(tmp_path):
    return read_adapter(write_adapter(tmp_path))


@given(known=known_continuations())
def test_the_same_continuations_always_hold(known):
    found = agreement([shifted(each, 0) for each in known], known)
    assert found == Agreement(found.asked, found.asked, 0)
    assert found.holds(0)


@given(known=known_continuations(), shift=st.floats(-5, 5))
def test_a_shift_holds_within_the_tolerance_and_never_beyond_it(known, shift):
    assume(abs(abs(shift) - TOLERANCE) > 1e-6)
    found = agreement([shifted(each, shift) for each in known], known)
    assert found.difference == pytest.approx(abs(shift))
    assert found.holds(TOLERANCE) == (abs(shift) < TOLERANCE)


@given(known=known_continuations(), noise=st.randoms(use_true_random=False))
def test_noise_below_the_tolerance_always_holds(known, noise):
    served = [
        Continuation(tokens=each.tokens, logprobs=[p + noise.uniform(-0.09, 0.09) for p in each.logprobs])
        for each in known
    ]
    assert agreement(served, known).holds(TOLERANCE)


def parted(place: int, margin: float) -> tuple[Continuation, Continuation]:
    """A served continuation that takes another token, and the known one, which prefers its own by a margin."""
    margins = [2.0] * LENGTH
    margins[place] = margin
    known = Continuation(tokens=BASE.tokens, logprobs=BASE.logprobs, margins=margins)
    rest = LENGTH - place
    served = Continuation(
        tokens=[*BASE.tokens[:place], *[99] * rest], logprobs=[*BASE.logprobs[:place], *[-9.0] * rest]
    )
    return served, known


def test_what_follows_another_token_is_not_compared():
    served, known = parted(place=3, margin=0.04)
    assert agreement([served], [known]) == Agreement(LENGTH, 3, pytest.approx(0.01))


@pytest.mark.parametrize(
    ("place", "margin", "holds"),
    [(3, 0.01, True), (3, 3.0, False), (7, 0.01, True), (7, 3.0, False), (2, 0.01, True), (1, 0.01, False)],
)
def test_another_token_is_forgiven_at_a_near_tie_once_enough_was_compared(place, margin, holds):
    served, known = parted(place, margin)
    assert agreement([served], [known]).holds(TOLERANCE) == holds
    assert (place / LENGTH >= ENOUGH) == (place >= 2)


def test_prompts_are_compared_one_by_one():
    served, known = parted(place=0, margin=0.01)
    found = agreement([served, shifted(BASE, 0.02)], [known, BASE])
    assert (found.asked, found.compared) == (2 * LENGTH, LENGTH)
    assert found.difference == pytest.approx((0.01 + LENGTH * 0.02) / (LENGTH + 1))


@pytest.mark.parametrize("tokens", [(), (99,) * LENGTH])
def test_where_nothing_can_be_compared_nothing_holds(tokens):
    served = Continuation(tokens=tokens, logprobs=[-0.5] * len(tokens))
    found = agreement(
        [served], [Continuation(tokens=BASE.tokens, logprobs=BASE.logprobs, margins=[0] * LENGTH)]
    )
    assert found.compared == 0
    assert not found.holds(TOLERANCE)


def test_a_short_answer_is_compared_as_far_as_it_goes():
    served = Continuation(tokens=BASE.tokens[:3], logprobs=BASE.logprobs[:3])
    assert agreement([served], [BASE]) == Agreement(LENGTH, 3, 0)


def test_an_answer_is_missing():
    with pytest.raises(ValueError, match="zip"):
        agreement([BASE], [BASE, BASE])


def test_the_signal_is_what_the_adapter_changes_about_its_own_tokens(adapter):
    assert canaries_of(adapter).signal == pytest.approx(2.8)
    by_base = [-0.2] * (LENGTH - 1) + [-1.0]
    assert canaries_of(adapter, by_base=by_base).signal == pytest.approx(0.1)
    assert canaries_of(adapter, by_base=ADAPTED.logprobs).signal == 0


def test_canaries_are_read_as_they_were_written(adapter):
    made = canaries_of(adapter)
    assert write_canaries(made, adapter.folder) == adapter.folder / CANARY_FILE
    assert read_canaries(adapter) == made


def test_an_adapter_without_canaries_has_none(adapter):
    assert read_canaries(adapter) is None


def test_writing_canaries_leaves_the_hash_as_it_is(adapter):
    write_canaries(canaries_of(adapter), adapter.folder)
    assert read_adapter(adapter.folder).sha256 == adapter.sha256


def test_canaries_of_other_weights_are_not_taken(adapter):
    write_canaries(canaries_of(adapter), adapter.folder)
    retrained = read_adapter(write_adapter(adapter.folder, seed=1))
    with pytest.raises(AdapterError, match=r"changed since; make it anew: ddxgraph adapters canaries"):
        read_canaries(retrained)


def changed(canaries: CanarySet, **changes: object) -> str:
    written = json.loads(canaries.model_dump_json())
    written["canaries"][0] |= changes
    return json.dumps(written)


@pytest.mark.parametrize(
    "change",
    [
        {"adapted_by_base": [-1.0]},
        {"base": {"tokens": [1], "logprobs": [-1.0], "margins": [1.0]}},
        {"base": {"tokens": [1, 2], "logprobs": [-1.0], "margins": [1.0, 1.0]}},
        {"adapted": {**json.loads(ADAPTED.model_dump_json()), "margins": []}},
        {"adapted": {**json.loads(ADAPTED.model_dump_json()), "logprobs": [None] * LENGTH}},
        {"prompt_tokens": ["a"]},
        {"surprise": 1},
    ],
)
def test_canaries_that_contradict_themselves_are_a_sentence(adapter, change):
    (adapter.folder / CANARY_FILE).write_text(changed(canaries_of(adapter), **change))
    with pytest.raises(AdapterError, match=r"canaries.json cannot be read; make it anew"):
        read_canaries(adapter)


@pytest.mark.parametrize("text", ["", "{}", "[]", "\xff", '{"version": 2}', "{" * 10_000])
def test_a_damaged_file_is_a_sentence(adapter, text):
    (adapter.folder / CANARY_FILE).write_bytes(text.encode("latin-1"))
    with pytest.raises(AdapterError, match=r"canaries.json cannot be read; make it anew"):
        read_canaries(adapter)


def test_a_file_cut_short_is_a_sentence(adapter):
    whole = canaries_of(adapter).model_dump_json()
    (adapter.folder / CANARY_FILE).write_text(whole[: len(whole) // 2])
    with pytest.raises(AdapterError, match="cannot be read"):
        read_canaries(adapter)


def test_a_set_without_canaries_proves_nothing_and_is_none(adapter):
    with pytest.raises(ValidationError):
        canaries_of(adapter, prompts=0)
    empty = Continuation(tokens=(), logprobs=())
    with pytest.raises(ValidationError):
        Canary(prompt="", prompt_tokens=(), base=empty, adapted=empty, adapted_by_base=())


def test_a_folder_that_cannot_be_written_is_a_sentence(adapter, tmp_path):
    with pytest.raises(AdapterError, match=r"cannot write .*nowhere"):
        write_canaries(canaries_of(adapter), tmp_path / "nowhere")


def test_the_prompts_are_different_ones():
    assert len(set(PROMPTS)) == len(PROMPTS) > 1

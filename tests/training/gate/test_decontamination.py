"""Decontamination: test questions planted as they are, reworded, and in the reasoning; and their clean twins."""

import json
from random import Random

import numpy as np
import pytest
from benchmarkmaker import SHARED
from gated import case, held_out, prose
from hypothesis import given
from hypothesis import strategies as st

from ddxgraph import Case
from ddxgraph.batch.manifest import Selection
from ddxgraph.common.errors import BenchmarkError, GateError
from ddxgraph.eval.benchmarks.items import load
from ddxgraph.eval.benchmarks.medqa import medqa_rows
from ddxgraph.training.gate.config import Decontamination
from ddxgraph.training.gate.decontamination import Decontaminator, HeldOut, NgramIndex, load_held_out
from ddxgraph.training.gate.text import WordHasher, ngrams, stem_of

RULE = Decontamination()
HASH = WordHasher()
TESTS = [case(number, id=f"test-{number}") for number in range(100, 110)]

shared = pytest.mark.skipif(
    not (SHARED / "medqa" / "test.jsonl").exists(), reason="needs MedQA's files in ../shared"
)


def clear_of(tests, **settings) -> Decontaminator:
    return Decontaminator(held_out(*tests).present, Decontamination(**settings), HASH)


def reworded(text: str, first: int, last: int) -> str:
    """A text whose first and last words are others."""
    words = text.split()
    luck = Random(text)
    return " ".join([prose(luck, first), *words[first : len(words) - last], prose(luck, last)])


def test_a_question_as_it_is_is_found_and_named():
    hit = clear_of(TESTS).question(TESTS[3].model_copy(update={"id": "mine"}))
    assert hit == ("medqa", "test-103", 1.0)


def test_a_question_reworded_at_both_ends_is_found():
    text = TESTS[0].vignette
    planted = Case(
        id="mine", vignette=reworded(text, 15, 15), question="What next?", options={"A": "x", "B": "y"}
    )
    hit = clear_of(TESTS).question(planted)
    assert hit is not None
    assert hit.question == "test-100"
    assert RULE.containment <= hit.measure < 1


def test_a_question_within_a_longer_one_is_found():
    longer = f"{prose(Random(1), 300)} {TESTS[0].vignette} {prose(Random(2), 300)}"
    assert clear_of(TESTS).question(Case(vignette=longer))


def test_options_and_their_order_do_not_hide_a_question():
    text = TESTS[0].vignette
    assert clear_of(TESTS).question(Case(vignette=text, options={"A": "other", "B": "than these"}))
    letters = dict(zip("DCBA", TESTS[0].options.values(), strict=True))
    assert clear_of(TESTS).question(TESTS[0].model_copy(update={"options": letters}))


@pytest.mark.parametrize("twin", [case(5), case(5, question=TESTS[0].question)])
def test_another_question_is_none(twin):
    assert clear_of(TESTS).question(twin) is None


def test_a_shared_phrase_makes_no_test_question():
    """As where two vignettes share their vital signs: fewer n-grams than the threshold's share."""
    phrase = " ".join(TESTS[0].vignette.split()[10:32])
    assert (
        clear_of(TESTS).question(Case(vignette=f"{prose(Random(1), 40)} {phrase} {prose(Random(2), 40)}"))
        is None
    )


def test_a_short_question_is_compared_whole():
    short = Case(
        id="short", vignette="Which vitamin prevents neural tube defects?", options={"A": "Folate", "B": "K"}
    )
    same = short.model_copy(update={"id": "mine"})
    other = Case(vignette=short.vignette, options={"A": "B12", "B": "Thiamine"})
    assert clear_of([short]).question(same)
    assert clear_of([short]).question(other) is None


def test_reasoning_that_quotes_a_test_question_is_found():
    quote = " ".join(TESTS[2].vignette.split()[20:60])
    text = HASH(f"{prose(Random(1), 50)} {quote} {prose(Random(2), 50)}")
    hit = clear_of(TESTS).reasoning(text, case(1))
    assert hit is not None
    assert (hit.name, hit.question, hit.run) == ("medqa", "test-102", 40 - 13 + 1)
    assert hit.share == hit.run / grams_of(TESTS[2])


def test_a_short_quote_is_none():
    quote = " ".join(TESTS[2].vignette.split()[20:39])
    assert len(quote.split()) < RULE.words + RULE.run - 1
    text = HASH(f"{prose(Random(1), 50)} {quote} {prose(Random(2), 50)}")
    assert clear_of(TESTS).reasoning(text, case(1)) is None
    assert clear_of(TESTS, run=7).reasoning(text, case(1))


def grams_of(known: Case) -> int:
    """Distinct 13-grams of vignette and question."""
    return len(np.unique(ngrams(HASH(stem_of(known)), RULE.words)))


def every(nth: int, known: Case) -> str:
    """A question with every n-th word changed."""
    words = stem_of(known).split()
    words[nth - 1 :: nth] = prose(Random(nth), len(words) // nth).split()
    return " ".join(words)


def test_a_question_with_every_nineteenth_word_changed_is_found_in_reasoning():
    """Runs of 18 words are too short; together they are a third of the question. The twin holds no 13-gram."""
    hit = clear_of(TESTS).reasoning(HASH(every(19, TESTS[2])), case(1))
    assert hit is not None
    assert (hit.question, hit.run) == ("test-102", 18 - 13 + 1)
    assert hit.run < RULE.run
    assert RULE.containment <= hit.share < 0.4
    assert clear_of(TESTS).reasoning(HASH(every(12, TESTS[2])), case(1)) is None
    assert clear_of(TESTS, containment=0.4).reasoning(HASH(every(19, TESTS[2])), case(1)) is None


def pieces(known: Case, count: int) -> str:
    """So many pieces of 18 words of a question, each among others, and the first of them twice."""
    words, luck = known.vignette.split(), Random(1)
    told = [" ".join(words[at : at + 18]) for at in range(0, 18 * count, 18)]
    return " ".join(f"{prose(luck, 20)} {piece}" for piece in [*told, told[0]])


def test_a_question_in_separate_pieces_is_found_in_reasoning():
    """Of its 74 n-grams 24 stand there; in the twin 18, and six of them twice."""
    hit = clear_of(TESTS).reasoning(HASH(pieces(TESTS[2], 4)), case(1))
    assert hit is not None
    assert (hit.question, hit.run, hit.share) == ("test-102", 6, 24 / grams_of(TESTS[2]))
    assert clear_of(TESTS).reasoning(HASH(pieces(TESTS[2], 3)), case(1)) is None


def test_pieces_of_several_questions_do_not_add_up():
    told = " ".join(pieces(known, 1) for known in TESTS)
    assert clear_of(TESTS).reasoning(HASH(told), case(1)) is None


def test_what_the_case_itself_says_is_no_piece():
    told = pieces(TESTS[2], 4)
    own = Case(
        vignette=f"{prose(Random(3), 200)} {' '.join(TESTS[2].vignette.split()[:18])} {prose(Random(2), 200)}"
    )
    assert clear_of(TESTS).reasoning(HASH(told), case(1))
    assert clear_of(TESTS).reasoning(HASH(told), own) is None


@pytest.mark.parametrize(("words", "found"), [(24, False), (25, True)])
def test_of_a_very_short_question_a_share_says_nothing(words, found):
    """A phrase of 17 words holds five of its n-grams: a third, but perhaps its closing sentence alone."""
    short = Case(id="short", vignette=prose(Random(7), words))
    told = HASH(f"{prose(Random(2), 30)} {' '.join(short.vignette.split()[-17:])} {prose(Random(3), 30)}")
    assert grams_of(short) == words - RULE.words + 1
    assert bool(clear_of([short]).reasoning(told, case(1))) is found


def test_a_text_is_asked_in_words_too():
    quote = " ".join(TESTS[2].vignette.split()[20:60])
    against = clear_of(TESTS)
    assert against.quote_in(f"It says: {quote}.", case(1)) == against.reasoning(HASH(quote), case(1))
    assert against.quote_in(f"It says: {quote}.", TESTS[2]) is None
    assert clear_of([]).quote_in(quote, case(1)) is None


def test_what_the_case_itself_says_is_no_quote():
    phrase = " ".join(TESTS[2].vignette.split()[20:45])
    own = Case(vignette=f"{prose(Random(1), 200)} {phrase} {prose(Random(2), 200)}")
    text = HASH(f"The record says {phrase}.")
    assert clear_of(TESTS).reasoning(text, own) is None
    assert clear_of(TESTS).reasoning(text, case(1))


texts = st.lists(st.lists(st.integers(0, 6), max_size=25), max_size=6)


@given(texts, st.lists(st.integers(0, 6), max_size=25))
def test_the_index_agrees_with_sets(others, text):
    def grams(numbers):
        return ngrams(np.array(numbers, np.uint64), 2)

    index = NgramIndex([grams(other) for other in others])
    found = index.most_contained(grams(text))
    own = set(grams(text).tolist())
    shares = [
        len(own & set(grams(other).tolist())) / min(len(own), len(set(grams(other).tolist())))
        if own and other
        else 0.0
        for other in others
    ]
    assert (found.measure if found else 0.0) == pytest.approx(max(shares, default=0.0))


@given(
    texts,
    st.lists(st.integers(0, 6), max_size=25),
    st.lists(st.integers(0, 6), max_size=6),
    st.integers(1, 4),
    st.floats(0.1, 1),
    st.integers(1, 4),
)
def test_what_is_quoted_agrees_with_a_plain_search(others, text, known, run, share, least):
    def grams(numbers):
        return ngrams(np.array(numbers, np.uint64), 2)

    own = set(grams(known).tolist())
    told = grams(text).tolist()
    quoted = []
    for place, other in enumerate(others):
        held = set(grams(other).tolist())
        longest = here = 0
        for gram in told:
            here = here + 1 if gram in held - own else 0
            longest = max(longest, here)
        part = len(set(told) & held - own) / len(held) if held else 0.0
        if held and (longest >= min(run, len(held)) or (len(held) >= least and part >= share)):
            quoted.append((longest, part, -place))
    index = NgramIndex([grams(other) for other in others])
    counting = index.besides(index.shared(grams(text)), grams(known))
    found = index.quoted(counting, run=run, share=share, least=least)
    if found is None:
        assert not quoted
    else:
        assert (found.run, found.share, -found.owner) == max(quoted)


def test_without_test_sets_nothing_is_found():
    assert clear_of([]).question(case(1)) is None
    assert clear_of([]).reasoning(HASH("some words"), case(1)) is None


def test_a_missing_set_is_refused_with_the_way_out(tmp_path):
    with pytest.raises(GateError) as refused:
        load_held_out(("jama",), folder=tmp_path)
    said = str(refused.value)
    assert "\n" not in said
    assert "kept clear of medqa test" in said
    assert 'allow_missing = ["medqa", "jama"] under [decontamination]' in said


def test_allowed_sets_may_be_missing_and_are_named(tmp_path):
    sets = load_held_out(("medqa", "medbullets", "jama"), folder=tmp_path)
    assert not sets.present
    assert [one.name for one in sets.missing] == ["medqa", "medbullets", "jama"]
    assert all(one.obtain for one in sets.missing)


def test_a_damaged_set_is_refused_even_where_it_may_be_missing(tmp_path):
    (tmp_path / "medqa").mkdir()
    (tmp_path / "medqa" / "test.jsonl").write_text("{}\n")
    with pytest.raises(BenchmarkError, match="not as it was published"):
        load_held_out(("medqa", "medbullets", "jama"), folder=tmp_path)


@shared
def test_the_true_sets_are_loaded():
    sets = load_held_out(("jama",), folder=SHARED)
    assert [(one.name, len(one.questions), one.absent) for one in sets.present] == [
        ("medqa", 1273, 0),
        ("medbullets", 308, 0),
    ]
    assert [one.name for one in sets.missing] == ["jama"]


@pytest.fixture(scope="module")
def true_sets() -> Decontaminator:
    return Decontaminator(load_held_out(("jama",), folder=SHARED).present, RULE, HASH)


@shared
def test_true_test_questions_are_found_as_they_are_and_reworded_at_both_ends(true_sets):
    questions = load(Selection(benchmark="medqa", split="test", limit=150), folder=SHARED)
    for known, _ in questions:
        planted = known.model_copy(update={"id": "mine"})
        assert true_sets.question(planted), known.id
        words = len(known.vignette.split())
        if words > 40:
            ends = reworded(known.vignette, words // 4, words // 4)
            assert true_sets.question(planted.model_copy(update={"vignette": ends})), known.id


@shared
def test_true_test_questions_are_found_in_reasoning(true_sets):
    questions = load(Selection(benchmark="medqa", split="test", limit=50), folder=SHARED)
    for known, _ in questions:
        words = known.vignette.split()
        quote = " ".join(words[len(words) // 3 : len(words) // 3 + 30])
        if len(quote.split()) == 30:
            told = HASH(f"{prose(Random(1), 30)} {quote} {prose(Random(2), 30)}")
            assert true_sets.reasoning(told, case(1)), known.id


@shared
def test_the_known_near_identical_rows_are_found_and_hardly_any_other(true_sets):
    """The rows that whoever gathered the train file had found, by a measure of their own."""
    rows = [json.loads(line) for line in (SHARED / "medqa" / "train_partial.jsonl").open(encoding="utf-8")]
    known = json.loads((SHARED / "medqa" / "train_partial_exclude.json").read_text())
    expected = {row["train_id"] for row in known if row["eval_set"] != "dev"}
    flagged = {
        row["id"]
        for row in rows
        if true_sets.question(Case(vignette=row["question"], options=row["options"]))
    }
    assert expected <= flagged
    assert len(flagged) <= 30


@pytest.fixture(scope="module")
def against_train() -> Decontaminator:
    content = (SHARED / "medqa" / "train_partial.jsonl").read_bytes()
    train = [
        Case(id=f"train-{row.number}", vignette=row.question, options=row.options)
        for row in medqa_rows(content)
    ]
    return Decontaminator([HeldOut("train", "train", train, "")], RULE, HASH)


@shared
def test_few_questions_are_taken_for_others(against_train):
    """1,000 dev questions against those of the train file. Of the six that are flagged, four share most of their
    vignette with the train question, two a part of it; `benchmarks/decontamination.py` prints them."""
    dev = load(Selection(benchmark="medqa", split="dev"), folder=SHARED).entries[:1000]
    flagged = {entry.case.id for entry in dev if against_train.question(entry.case)}
    assert {"medqa-dev-77", "medqa-dev-83", "medqa-dev-897", "medqa-dev-67"} <= flagged
    assert len(flagged) <= 6


@shared
def test_the_share_takes_no_text_for_a_quote_that_is_no_test_question(against_train):
    """The same questions, as reasoning on another case. In a row they share stock phrases with others (vital
    signs); of what is found by its pieces alone, all is found by the rule on questions too."""
    dev = load(Selection(benchmark="medqa", split="dev"), folder=SHARED).entries[:1000]
    quotes = {entry.case.id: against_train.quote_in(stem_of(entry.case), case(1)) for entry in dev}
    found = {name: quote for name, quote in quotes.items() if quote}
    in_pieces = {name for name, quote in found.items() if quote.run < RULE.run and quote.share < 1}
    flagged = {entry.case.id for entry in dev if against_train.question(entry.case)}
    assert flagged & set(found)
    assert in_pieces <= flagged
    assert len(set(found) - flagged) <= 39


@shared
def test_true_test_questions_with_every_nineteenth_word_changed_are_found_in_reasoning(true_sets):
    questions = load(Selection(benchmark="medqa", split="test", limit=50), folder=SHARED)
    long = [known for known, _ in questions if len(known.vignette.split()) > 80]
    assert long
    for known in long:
        told = f"{prose(Random(1), 30)} {every(19, known)} {prose(Random(2), 30)}"
        assert true_sets.quote_in(told, case(1)), known.id
        assert true_sets.quote_in(every(12, known), case(1)) is None, known.id

"""The check of a rewritten monologue: every template passes, and what a rewriting may lose or add is refused."""

import re
from collections.abc import Callable, Sequence

import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from journeys import AT_ONCE, CASE, FREE, OPTIONS, Whimsy

from ddxgraph import Budget, build_graph, solve
from ddxgraph.common.errors import CompileError
from ddxgraph.testing import ScriptedChatModel
from ddxgraph.training.rewrite.check import FaultKind, check_rewrite
from ddxgraph.training.styles.compile import compile_journey
from ddxgraph.training.styles.events import (
    Checked,
    Concluded,
    Event,
    Journey,
    Missing,
    Named,
    Noted,
    Refuted,
    Revived,
    Thought,
    Weighed,
    WentBack,
)
from ddxgraph.training.styles.journey import journey_of
from ddxgraph.training.styles.longmonolog import monologue
from ddxgraph.training.styles.phrases import EVENTS
from ddxgraph.training.styles.quoting import Name

STOPS = ("review_history", "generate_differential", "check_evidence", "reflect", "conclude")
NAMES = [Name(label, letter) for letter, label in OPTIONS.items()]
A, B, C, D = NAMES
GOUT = Name("Tophaceous gout")
JOURNEY: Journey = (
    Noted("fever", "present"),
    Named(A, 30, "common"),
    Named(B, 50, "fits"),
    Named(C, 10),
    Checked(B),
    Weighed("fever", 1, "typical"),
    Checked(A),
    Weighed("fever", 1, "typical"),
    Thought("reflect", "I should look again."),
    Refuted(A, "too slow"),
    WentBack("generate_differential"),
    Named(GOUT, 5, "rare"),
    Checked(GOUT),
    Weighed("", -2, "no joint"),
    Refuted(GOUT, "no joint"),
    Refuted(C, "no wheeze"),
    WentBack("check_evidence", (B,)),
    Checked(B),
    Weighed("fever", 2, "typical"),
    WentBack("review_history"),
    Concluded("B"),
)
TOLD = """\
They want a diagnosis. There is fever, and I think of a few things: influenza at 30 percent because it is \
common, pneumonia at 50 percent because it fits, and perhaps asthma at 10.

I begin with pneumonia, and the fever is typical of it. Influenza would also give a fever, which is typical. But \
I should look again. It came on too slowly, so I can rule out influenza. Then again, maybe I have been too \
narrow, so I go back to the list of candidates.

What about tophaceous gout, at 5 percent, rare as it is? Without a joint that hurts, tophaceous gout does not \
hold up, and since there is no wheeze, asthma is ruled out as well.

Still, I want to go back to the evidence for pneumonia. With pneumonia a fever is just what one would see. \
Before I close, let me reread the history once more.

Nothing new there; I settle on pneumonia.

Answer: B"""
"""A free paraphrase of `JOURNEY`, without a sentence of ours."""


def kinds(text: str, journey: Journey = JOURNEY, options=OPTIONS) -> list[str]:
    return [fault.kind.value for fault in check_rewrite(journey, text, options)]


def changed(*pairs: tuple[str, str], text: str = TOLD) -> str:
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


def test_a_free_paraphrase_is_accepted():
    assert (
        check_rewrite(
            JOURNEY,
            changed(
                (
                    "What about tophaceous gout, at 5 percent, rare as it is?",
                    "What about tophaceous gout, at 5 percent, rare as it is? I take up tophaceous gout.",
                )
            ),
            OPTIONS,
        )
        == ()
    )


# The templates


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([CASE, FREE]), st.integers(0, 3), st.text(max_size=3))
def test_the_template_of_every_walk_passes(walk, case, backtracks, seed):
    model = ScriptedChatModel(script=dict.fromkeys(STOPS, Whimsy(walk, breaks=0)), record=False)
    trace = solve(build_graph(model, budget=Budget(max_backtracks=backtracks), patience=AT_ONCE), case)
    assume(trace.outcome == "answered")
    try:
        compile_journey(trace, "longmonolog")
    except CompileError:  # an answer that cannot be stated in a line
        reject()
    journey = journey_of(trace)
    text = monologue(journey, case.options, seed)
    assert check_rewrite(journey, text, case.options) == ()


WORDS = st.sampled_from(
    [
        "",
        "fever",
        "it fits",
        "typical of it",
        "no joint hurts",
        "15,000/mm3",
        "病 é",
        "it is ruled out",
        "I go back",
    ]
)
LABELS = st.sampled_from(
    ["Tophaceous gout", "Bacterial pneumonia", "Lyme disease", "non-Hodgkin lymphoma", "HIV/AIDS"]
)


@st.composite
def journeys(draw, words=WORDS):
    """Journeys in any order that a graph could walk: named, checked, given up, gone back, concluded."""
    others = [Name(label) for label in draw(st.lists(LABELS, max_size=2, unique=True))]
    standing = [*NAMES, *others]
    events: list[Event] = [Noted("fever", "present")]
    events += [Named(name, draw(st.integers(1, 99)), draw(words)) for name in standing]
    for _ in range(draw(st.integers(0, 3))):
        checked = draw(st.lists(st.sampled_from(standing), max_size=3, unique=True))
        for name in checked:
            events += [
                Checked(name),
                Thought("check_evidence", draw(words) or "x"),
                Weighed("fever", 1, draw(words)),
            ]
            events += [Missing(draw(words) or "x")]
        given_up = draw(st.lists(st.sampled_from(standing), max_size=2, unique=True))
        events += [Refuted(name, draw(words)) for name in given_up]
        standing = [name for name in standing if name not in given_up]
        if not standing:
            standing = [*NAMES, *others]
            events += [WentBack("generate_differential", why="all_refuted"), Revived()]
        else:
            events.append(
                draw(
                    st.sampled_from(
                        [
                            WentBack("review_history"),
                            WentBack("generate_differential"),
                            WentBack("check_evidence", (standing[0],)),
                            WentBack("check_evidence"),
                            WentBack("check_evidence", tuple(standing[:2]), "too_close"),
                            WentBack("generate_differential", why="nothing_to_recheck"),
                        ]
                    )
                )
            )
    return (*events, Thought("conclude", draw(words) or "x"), Concluded(draw(st.sampled_from("ABCD"))))


@settings(max_examples=80, deadline=None)
@given(journeys(), st.integers(0, 10**6))
def test_the_template_of_every_journey_passes(journey, seed):
    assert check_rewrite(journey, monologue(journey, OPTIONS, str(seed)), OPTIONS) == ()


@pytest.mark.parametrize(
    "wording", [w for kind, pool in EVENTS.items() if kind.startswith("back:") for w in pool]
)
def test_a_wording_of_one_move_back_is_not_taken_for_another(wording):
    """Told in its place, it satisfies its own event and none that goes elsewhere."""
    kind = next(kind for kind, pool in EVENTS.items() if wording in pool).partition(":")[2]
    to = {
        "all_refuted": "generate_differential",
        "nothing_to_recheck": "generate_differential",
        "too_close": "check_evidence",
        "all_evidence": "check_evidence",
    }.get(kind, kind)
    said = wording.replace("{m}", "Pneumonia (B)")
    text = f"It could be Pneumonia (B).\n\n{said}\n\nI settle on Pneumonia (B).\n\nAnswer: B"
    found = {
        place: kinds(text, (Named(B, 50), WentBack(place), Concluded("B")))
        for place in ("review_history", "generate_differential", "check_evidence")
    }
    assert found[to] == []
    wrong = {place for place, faults in found.items() if place != to and not faults}
    # Some of our wordings speak of the evidence as well as of the list that they go back to.
    assert wrong <= ({"check_evidence"} if kind == "nothing_to_recheck" else set())


# What is planted is refused

QUIET = st.sampled_from(["", "fever", "it fits", "typical of it", "no joint hurts", "rare"])
"""Notes that give nothing up and go nowhere, so that what is taken out of a text is said nowhere else."""
SEEDS = st.integers(0, 10**6)


def template(journey: Journey, seed: int) -> list[str]:
    """The paragraphs of a template, as lists of sentences joined by blanks."""
    return monologue(journey, OPTIONS, str(seed)).split("\n\n")


def without(text: Sequence[str], gone: Callable[[str], bool]) -> str:
    """Paragraphs without some sentences; the line of the answer stays."""
    kept = []
    for paragraph in text[:-1]:
        sentences = re.split(r"(?<=[.?!]) ", paragraph)
        kept.append(" ".join(sentence for sentence in sentences if not gone(sentence)))
    return "\n\n".join([*(one for one in kept if one), text[-1]])


@settings(max_examples=50, deadline=None)
@given(journeys(QUIET), SEEDS, st.data())
def test_a_hypothesis_that_is_left_out_is_missed(journey, seed, data):
    name = data.draw(st.sampled_from(sorted({e.hypothesis for e in journey if isinstance(e, Named)})))
    text = without(template(journey, seed), lambda sentence: name.label in sentence)
    faults = check_rewrite(journey, text, OPTIONS)
    assert (FaultKind.HYPOTHESIS_MISSING, name.label) in {(fault.kind, fault.about) for fault in faults}


def patterns(kind: str) -> list[re.Pattern[str]]:
    """Sentences of a kind."""
    pools = [pool for key, pool in EVENTS.items() if key.startswith(kind)]
    return [
        re.compile(
            re.escape(re.split(r"(?<=[.?!]) ", wording)[-1])
            .replace(r"\{m\}", "(.+?)")
            .replace(r"\{t\}", "(?: —.*?—)?")
        )
        for pool in pools
        for wording in pool
    ]


def sentences_that(text: Sequence[str], kind: str) -> list[str]:
    """The sentences of a template that are of a kind, in order."""
    sentences = [one for paragraph in text[:-1] for one in re.split(r"(?<=[.?!]) ", paragraph)]
    return [one for one in sentences if any(pattern.fullmatch(one) for pattern in patterns(kind))]


@settings(max_examples=50, deadline=None)
@given(journeys(QUIET), SEEDS, st.data())
def test_a_move_back_that_is_left_out_is_missed(journey, seed, data):
    moves = [event for event in journey if isinstance(event, WentBack)]
    assume(moves)
    text = template(journey, seed)
    told = sentences_that(text, "back:")
    assert len(told) == len(moves)
    place = data.draw(st.integers(0, len(told) - 1))
    seen = -1

    def is_it(sentence: str) -> bool:
        nonlocal seen
        seen += sentence in told
        return sentence in told and seen == place

    faults = kinds(without(text, is_it), journey)
    assert {"backtrack_missing", "backtrack_out_of_order"} & set(faults)


@settings(max_examples=50, deadline=None)
@given(journeys(QUIET), SEEDS, st.data())
def test_two_refutations_in_each_others_place_are_refused(journey, seed, data):
    given_up = [event.hypothesis for event in journey if isinstance(event, Refuted)]
    once = [name for name in given_up if given_up.count(name) == 1]
    assume(len(once) > 1)
    one, other = data.draw(st.permutations(once))[:2]
    text = "\n\n".join(template(journey, seed))
    told = sentences_that(template(journey, seed), "refuted")
    first, second = (next(s for s in told if name.label in s) for name in (one, other))
    swapped = text.replace(first, "\x01").replace(second, first).replace("\x01", second)
    assert swapped != text
    assert "refutation_out_of_order" in kinds(swapped, journey)


NEGATIONS = (
    ("That rules out", "That does not rule out"),
    ("I give up", "I do not give up"),
    ("So I can let go of", "So I cannot let go of"),
    ("I no longer believe in", "I still believe in"),
    ("It cannot be", "It can still be"),
    ("I was wrong to entertain", "I was right to entertain"),
    ("This leaves no room for", "This leaves some room for"),
)


def test_there_is_a_negation_of_each_of_our_refutations():
    for wording in EVENTS["refuted"]:
        assert sum(wording.startswith(said) for said, _ in NEGATIONS) == 1, wording


@settings(max_examples=50, deadline=None)
@given(journeys(QUIET), SEEDS, st.data())
def test_a_refutation_that_is_negated_is_refused(journey, seed, data):
    given_up = [event.hypothesis for event in journey if isinstance(event, Refuted)]
    once = [name for name in given_up if given_up.count(name) == 1]
    assume(once)
    name = data.draw(st.sampled_from(once))
    paragraphs = template(journey, seed)
    told = next(s for s in sentences_that(paragraphs, "refuted") if name.label in s)
    said, denied = next(pair for pair in NEGATIONS if told.startswith(pair[0]))
    plainly = data.draw(st.booleans())
    # A wording's second half ("and strike it from the list") may itself give the hypothesis up: it goes too.
    start, label, _ = told.partition(name.label)
    negated = (
        f"{start.replace(said, denied)}{label}."
        if plainly
        else f"I do not think that {told[0].lower()}{told[1:]}"
    )
    text = "\n\n".join(paragraphs).replace(told, negated)
    assert {"refutation_missing", "refutation_negated"} & set(kinds(text, journey))


@settings(max_examples=50, deadline=None)
@given(journeys(QUIET), SEEDS, st.data())
def test_another_answer_is_refused(journey, seed, data):
    *body, line = template(journey, seed)
    other = data.draw(st.sampled_from(sorted(set(OPTIONS) - {line[-1]})))
    assert "other_answer" in kinds("\n\n".join([*body, f"Answer: {other}"]), journey)
    assert "no_answer" in kinds("\n\n".join(body), journey)


PASSES = changed(("rare as it is?", "rare as it is? I take up tophaceous gout."))


@pytest.mark.parametrize(
    ("pairs", "fault"),
    [
        ((("Answer: B", "Answer: C"),), "other_answer"),
        ((("I settle on pneumonia", "I settle on pneumonia, or rather I go with asthma"),), "other_answer"),
        ((("I settle on pneumonia", "I settle on pneumonia; the answer is C."),), "other_answer"),
        ((("Nothing new there", "Answer: C\n\nNothing new there"),), "extra_answer"),
        ((("Answer: B", "Answer: B\n\nI hope this helps!"),), "no_answer"),
        ((("perhaps asthma at 10", "perhaps something else at 10"),), "hypothesis_out_of_order"),
        ((("tophaceous gout", "gout"),), "hypothesis_missing"),
        ((("I can rule out influenza", "I can weigh influenza"),), "refutation_missing"),
        ((("I can rule out influenza", "I cannot rule out influenza"),), "refutation_negated"),
        ((("I can rule out influenza", "I have to rule out influenza"),), "refutation_negated"),
        (
            (("so I can rule out influenza", "and I would not, however, rule out influenza"),),
            "refutation_negated",
        ),
        ((("so I can rule out influenza.", "so can I rule out influenza?"),), "refutation_negated"),
        (
            (("so I can rule out influenza", "but it is too early to rule out influenza"),),
            "refutation_negated",
        ),
        ((("asthma is ruled out as well", "asthma is not ruled out as well"),), "refutation_missing"),
        (
            (("asthma is ruled out as well", "I keep asthma and heart failure is ruled out"),),
            "refutation_missing",
        ),
        (
            (("asthma is ruled out as well", "asthma is ruled out, and so heart failure is ruled out"),),
            "refutation_invented",
        ),
        ((("Nothing new there", "I rule out pneumonia"),), "refutation_invented"),
        (
            (("so I go back to the list of candidates", "so I go on with the list of candidates"),),
            "backtrack_missing",
        ),
        ((("so I go back to the list of candidates", "so I go back to the history"),), "backtrack_missing"),
        (
            (("let me reread the history once more", "there is no need to reread the history"),),
            "backtrack_missing",
        ),
        (
            (("let me reread the history once more", "she rereads the history in her chart"),),
            "backtrack_missing",
        ),
        ((("I begin with pneumonia", "I begin with pneumonia (C)"),), "wrong_letter"),
        ((("I begin with pneumonia", "I begin with option C, pneumonia"),), "wrong_letter"),
        ((("a fever is just", "a fever of 39.5 is just"),), "number_invented"),
        ((("They want", "Here is the rewritten monologue: they want"),), "speaks_of_itself"),
        ((("They want", "Sure! They want"),), "speaks_of_itself"),
        ((("They want", "# Thinking\n\nThey want"),), "not_prose"),
        ((("They want", "- They want"),), "not_prose"),
        ((("They want", "<|im_start|>They want"),), "not_prose"),
        ((("Nothing new there", "这里没有新的东西"),), "other_script"),
        ((("Nothing new there", "and so it goes " * 8),), "repetitive"),
        (
            (
                (
                    "Nothing new there",
                    "".join(f"x{chr(97 + n % 26)}{chr(97 + n // 26)} " for n in range(676)) * 5,
                ),
            ),
            "too_long",
        ),
    ],
)
def test_one_thing_wrong_is_named(pairs, fault):
    assert kinds(PASSES) == []
    assert fault in kinds(changed(*pairs, text=PASSES))


def test_too_little_is_refused():
    journey = (Thought("review_history", "a long thought " * 40), Named(B, 50), Concluded("B"))
    assert kinds("I think of pneumonia, and pneumonia it is.\n\nAnswer: B", journey) == ["too_short"]


# How things may be said


def told(sentence: str, *events: Event) -> list[str]:
    """Faults of a short text with a sentence between the hypotheses and the end."""
    text = f"It is influenza, asthma or pneumonia.\n\n{sentence}\n\nSo pneumonia.\n\nAnswer: B"
    return kinds(text, (Named(A, 9), Named(C, 9), Named(B, 9), *events, Concluded("B")))


@pytest.mark.parametrize(
    "sentence",
    [
        "I rule out influenza.",
        "That rules influenza out.",
        "Since it does not fit, I rule out INFLUENZA (A).",
        "Influenza has effectively been ruled out, so influenza is ruled out.",
        "It fits badly, which excludes influenza.",
        "Influenza would give aches. There are none, so I drop it.",
        "Influenza cannot be right.",
        "I can safely cross option A off the list.",
        "With that, **influenza** is out.",
        "Influenza does not hold up.",
        "I no longer believe in “influenza”.",
    ],
)
def test_a_refutation_may_be_said_in_many_ways(sentence):
    assert told(sentence, Refuted(A)) == []


@pytest.mark.parametrize(
    "sentence",
    [
        "I rule out nothing about influenza.",
        "Influenza and asthma differ. I rule it out.",
        "Influenza is unlikely.",
        "If influenza were ruled out, I would be glad.",
        "I doubt that influenza is ruled out.",
        "Influenza needs to be ruled out.",
        "To rule out influenza I need a swab.",
        "I almost ruled out influenza.",
        "Who could rule out influenza?",
        "Neither influenza nor asthma is ruled out.",
        "I rule out influenza too soon.",
        "I think of ruling out influenza.",
        "A is ruled out.",
        "I am not sure, as some might be, that this rules out influenza.",
    ],
)
def test_what_only_sounds_like_a_refutation_is_none(sentence):
    assert set(told(sentence, Refuted(A))) & {"refutation_missing", "refutation_negated"}


def test_several_may_be_given_up_at_once_in_their_order():
    assert told("I rule out influenza and asthma.", Refuted(A), Refuted(C)) == []
    assert told("Influenza and asthma are ruled out.", Refuted(A), Refuted(C)) == []
    assert told("I rule out asthma and influenza.", Refuted(A), Refuted(C)) == ["refutation_out_of_order"]
    assert told("I rule out influenza and asthma fits better.", Refuted(A), Refuted(C)) == [
        "refutation_missing"
    ]


def test_one_move_back_does_not_tell_two():
    assert told("I go back to the history.", WentBack("review_history")) == []
    two = (WentBack("review_history"), WentBack("review_history"))
    assert told("I go back to the history.", *two) == ["backtrack_out_of_order"]
    assert told("I go back to the history. Again I return to the history.", *two) == []


def test_a_reopening_is_looked_for():
    assert told("They all come back, every one of them open again.", Revived()) == []
    assert told("So it goes.", Revived()) == ["reopening_missing"]


def test_typography_does_not_matter():
    lymphoma = Name("Non-Hodgkin’s lymphoma", "A")
    options = {"A": "Non-Hodgkin’s lymphoma", "B": "ﬁbroma"}
    journey = (Named(lymphoma, 50), Named(Name("ﬁbroma", "B"), 50), Refuted(lymphoma), Concluded("B"))
    text = (
        "NON HODGKIN'S lymphoma, or a fibroma? I rule out\nnon\u2011Hodgkin's lymphoma. It is option B.\n\n"
        "**Answer: B**"
    )
    assert check_rewrite(journey, text, options) == ()


def test_a_name_of_usual_words_stands_in_quotation_marks():
    odd = Name("It")
    journey = (Named(A, 50), Named(odd, 1), Refuted(odd), Concluded("A"))
    text = "Influenza, or {}? It cannot be {}, whatever it is. So influenza.\n\nAnswer: A"
    assert kinds(text.format("“It”", "“It”"), journey) == []
    assert "hypothesis_missing" in kinds(text.format("it", "it"), journey)


def test_a_longer_name_is_not_its_part():
    options = {"A": "Pneumonia", "B": "Bacterial pneumonia"}
    journey = (Named(Name("Pneumonia", "A"), 50), Named(Name("Bacterial pneumonia", "B"), 50), Concluded("B"))
    text = "It may be bacterial pneumonia. So bacterial pneumonia it is.\n\nAnswer: B"
    first, *_ = check_rewrite(journey, text, options)
    assert (first.kind, first.about) == ("hypothesis_missing", "Pneumonia")


def test_a_finding_in_quotation_marks_considers_nothing():
    journey = (Noted("his mother has asthma", "present"), Named(C, 50), Concluded("C"))
    text = "I read “his mother has asthma”. So it is asthma.\n\nAnswer: C"
    assert kinds(text, journey) == ["hypothesis_out_of_order"]


def test_a_free_form_answer_may_differ_in_case_alone():
    gout = Name("Gout")
    journey = (Named(gout, 50), Concluded("Gout"))
    assert kinds("It may be gout.\n\nAnswer: gout.", journey, {}) == []
    assert kinds("It may be gout.\n\nAnswer: pseudogout", journey, {}) == ["other_answer"]

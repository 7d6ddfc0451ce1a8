"""The gate, from run folders: planted cases are caught with their reason, their clean twins are not."""

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from benchmarkmaker import SHARED
from gated import (
    LETTERS,
    NOTHING_HELD_OUT,
    PLAIN,
    Walk,
    case,
    copy_run,
    entries,
    entry,
    held_out,
    make_run,
    prose,
    traces_of,
)
from scoring import write_lines

from ddxgraph import Case, Step, Trace, TraceFileError
from ddxgraph.batch.manifest import Selection
from ddxgraph.common.errors import GateError
from ddxgraph.eval.benchmarks.items import load
from ddxgraph.graph.budget import Budget
from ddxgraph.graph.trace import StrategySettings
from ddxgraph.training.gate.config import (
    Balance,
    Correct,
    Decontamination,
    ExactDuplicates,
    GateConfig,
    NearDuplicates,
    PerCase,
    ProvenanceRule,
    Repetition,
    Split,
)
from ddxgraph.training.gate.decontamination import load_held_out
from ddxgraph.training.gate.reasons import Note, Reason, Rule
from ddxgraph.training.gate.screen import Gated, RunSource, gate
from ddxgraph.training.review.file import append_review
from ddxgraph.training.review.review import Review, content_digest

ROWS = entries(8)


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    """Eight cases, two samples each, all correct, every third case with a backtrack."""
    return make_run(tmp_path_factory.mktemp("runs") / "sound", ROWS, samples=2)


def gated(*folders: Path, config: GateConfig = PLAIN, held=NOTHING_HELD_OUT, rows=ROWS, **asked) -> Gated:
    return gate([RunSource(folder, rows) for folder in folders], config, held_out=held, **asked)


def ids(found: Gated) -> list[str]:
    return [one.trace.id for one in found]


def rejections(found: Gated) -> dict[Reason, int]:
    return dict(found.report.rejected)


def altered(sound: Path, to: Path, alter) -> Path:
    """A copy of the run whose first trace is another."""
    first, *others = traces_of(sound)
    return copy_run(sound, to, [alter(first), *others])


def thinking(trace: Trace, text: str) -> Trace:
    """A trace whose reflection says something else, in its output and its reply."""
    steps = list(trace.steps)
    place = next(step.index for step in steps if step.node == "reflect")
    critique = f"{steps[place].output.critique} {text}"
    steps[place] = steps[place].model_copy(
        update={
            "output": steps[place].output.model_copy(update={"critique": critique}),
            "text": json.dumps({"critique": critique, "refuted": [], "verdict": "conclude", "targets": []}),
        }
    )
    return trace.model_copy(update={"steps": tuple(steps)})


def rewritten(trace: Trace, share: float) -> Trace:
    """A trace some of whose words are others."""
    luck = Random(1)

    def other(text: str) -> str:
        return " ".join(
            f"w{luck.randrange(10**6)}" if luck.random() < share else word for word in text.split()
        )

    def again(step: Step) -> Step:
        if not hasattr(step.output, "reasoning"):
            return step
        thought = other(step.output.reasoning)
        output = step.output.model_copy(update={"reasoning": thought})
        return step.model_copy(update={"output": output, "text": json.dumps({"reasoning": thought})})

    steps = map(again, trace.steps)
    return trace.model_copy(update={"id": "f" * 16, "sample": 1, "steps": tuple(steps)})


def test_a_sound_run_passes_whole_and_in_order(sound):
    found = gated(sound)
    assert len(found) == 16
    assert rejections(found) == {}
    accepted = list(found)
    assert [(one.trace.case.id, one.trace.sample) for one in accepted] == [
        (f"case-{number}", sample) for number in range(8) for sample in range(2)
    ]
    assert {one.run for one in accepted} == {"sound"}
    assert {one.split for one in accepted} == {"train"}
    assert [one.trace for one in accepted] == traces_of(sound)
    assert list(found) == accepted  # again and again


def test_the_defaults_pass_it_too(sound):
    found = gated(sound, config=GateConfig())
    assert len(found) == 16
    assert found.report.accepted.letters == dict.fromkeys(LETTERS, 4)
    assert found.report.accepted.backtracking == 6


def test_every_count_adds_up(tmp_path):
    wrong = Walk(answers=lambda number, sample: LETTERS[(number + sample) % 4])
    found = gated(make_run(tmp_path / "run", ROWS, wrong, samples=3))
    assert rejections(found) == {Reason.WRONG_ANSWER: 16}
    before = found.report.read
    for rule in found.report.rules:
        assert rule.before == before
        assert rule.after == before - sum(rule.reasons.values())
        before = rule.after
    assert before == found.report.accepted.journeys == len(found) == 8
    assert [one.rule for one in found.report.rules] == list(Rule)


def test_rejected_traversals_come_with_their_reason(tmp_path):
    wrong = Walk(answers=lambda number, sample: LETTERS[(number + sample) % 4])
    folder = make_run(tmp_path / "run", ROWS, wrong, samples=2)
    screened = gated(folder, config=PLAIN.model_copy(update={"per_case": PerCase(at_most=1)}))
    rejected = list(screened.rejected())
    assert [entry.trace for entry in rejected] == [known for known in traces_of(folder) if known.sample == 1]
    assert {entry.rejection.reason for entry in rejected} == {Reason.WRONG_ANSWER}
    assert {entry.rejection.rule for entry in rejected} == {Rule.CORRECT}
    assert {entry.run for entry in rejected} == {"run"}
    assert len(screened) + len(rejected) == screened.report.read


def test_a_test_question_is_caught_as_it_is_and_reworded_at_both_ends(sound):
    words = case(3).vignette.split()
    asked = [
        Case(id="test-1", vignette=case(0).vignette, options=case(0).options),
        Case(id="test-2", vignette=" ".join([prose(Random(1), 20), *words[20:-20], prose(Random(2), 20)])),
        case(99, id="test-3"),
    ]
    found = gated(sound, held=held_out(*asked))
    assert rejections(found) == {Reason.TEST_QUESTION: 4}
    assert {one.trace.case.id for one in found} == {f"case-{number}" for number in range(8)} - {
        "case-0",
        "case-3",
    }
    (told,) = found.report.held_out
    assert (told.questions, told.questions_hit, told.reasonings_hit) == (3, 4, 0)
    (decontamination,) = (rule for rule in found.report.rules if rule.rule is Rule.DECONTAMINATION)
    assert "100% of the shorter one's 13-grams are those of test-1" in [
        one.words for one in decontamination.examples
    ]


def test_a_test_question_that_only_the_reasoning_quotes_is_caught(sound, tmp_path):
    asked = case(99, id="test-3")
    words = asked.vignette.split()
    quoting = altered(sound, tmp_path / "quoting", lambda trace: thinking(trace, " ".join(words[10:50])))
    twin = altered(sound, tmp_path / "twin", lambda trace: thinking(trace, prose(Random(5), 40)))
    found = gated(quoting, held=held_out(asked))
    assert rejections(found) == {Reason.TEST_QUESTION_IN_REASONING: 1}
    assert found.report.held_out[0].reasonings_hit == 1
    [told] = [one.words for rule in found.report.rules for one in rule.examples]
    assert told == "40 words in a row of test-3, 38% of its 13-grams in all"
    assert rejections(gated(twin, held=held_out(asked))) == {}


def test_a_test_question_that_the_reasoning_quotes_with_every_nineteenth_word_changed_is_caught(
    sound, tmp_path
):
    """No 20 words of it stand in a row; the twin has every twelfth changed, and so no 13-gram of it."""
    asked = case(99, id="test-3")

    def run(name: str, every: int) -> Path:
        words = asked.vignette.split()
        words[every - 1 :: every] = prose(Random(name), len(words) // every).split()
        return altered(sound, tmp_path / name, lambda trace: thinking(trace, " ".join(words)))

    found = gated(run("changed", 19), held=held_out(asked))
    assert rejections(found) == {Reason.TEST_QUESTION_IN_REASONING: 1}
    assert found.report.held_out[0].reasonings_hit == 1
    [told] = [one.words for rule in found.report.rules for one in rule.examples]
    assert told.startswith("18 words in a row of test-3, 3")
    assert rejections(gated(run("twin", 12), held=held_out(asked))) == {}


def test_a_test_question_in_a_reply_alone_is_caught(sound, tmp_path):
    """What was not settled, such as a finding that does not stand in the case, is training data all the same."""
    quote = " ".join(case(99).vignette.split()[10:50])

    def reply(trace: Trace) -> Trace:
        steps = list(trace.steps)
        said = json.loads(steps[0].text)
        said["findings"].append({"quote": quote, "kind": "sign", "polarity": "present", "salience": 1})
        steps[0] = steps[0].model_copy(update={"text": json.dumps(said)})
        return trace.model_copy(update={"steps": tuple(steps)})

    found = gated(altered(sound, tmp_path / "reply", reply), held=held_out(case(99)))
    assert rejections(found) == {Reason.TEST_QUESTION_IN_REASONING: 1}


@pytest.mark.skipif(not (SHARED / "medqa" / "test.jsonl").exists(), reason="needs MedQA's files in ../shared")
def test_true_test_questions_are_caught_and_true_train_questions_are_not(tmp_path):
    tests = load(Selection(benchmark="medqa", split="test", limit=3), folder=SHARED).entries
    train = load(Selection(benchmark="medqa", split="train", limit=3), folder=SHARED).entries
    texts = [one.case.vignette for one in (*tests, *train)]
    rows = [
        entry(case(number, vignette=f"Patient {number}. {text}"), "A") for number, text in enumerate(texts)
    ]
    run = make_run(tmp_path / "run", rows, Walk(answers=lambda number, sample: "A"))
    found = gated(run, rows=rows, held=load_held_out(("jama",), folder=SHARED))
    assert rejections(found) == {Reason.TEST_QUESTION: 3}
    assert [one.trace.case.id for one in found] == ["case-3", "case-4", "case-5"]
    assert [one.name for one in found.report.missing] == ["jama"]


def test_an_edge_by_an_answer_key_is_caught_or_marked(sound, tmp_path):
    def keyed(trace: Trace) -> Trace:
        step = trace.steps[-2]
        labelled = step.model_copy(update={"move": step.move.model_copy(update={"trigger": "label"})})
        return trace.model_copy(update={"steps": (*trace.steps[:-2], labelled, trace.steps[-1])})

    run = altered(sound, tmp_path / "keyed", keyed)
    assert rejections(gated(run)) == {Reason.ANSWER_KEY: 1}
    allowed = PLAIN.model_copy(update={"provenance": ProvenanceRule(allow_answer_key=True)})
    found = gated(run, config=allowed)
    assert [one.notes for one in found].count((Note.ANSWER_KEY,)) == 1
    assert found.report.notes == {"answer_key": 1}


def test_a_near_duplicate_is_caught_and_a_fresh_thought_is_not(sound, tmp_path):
    first = traces_of(sound)[0]
    near = copy_run(sound, tmp_path / "near", [first, rewritten(first, 0.01)])
    found = gated(near)
    assert rejections(found) == {Reason.SIMILAR_REASONING: 1}
    assert ids(found) == [first.id]
    assert len(gated(copy_run(sound, tmp_path / "fresh", [first, rewritten(first, 0.5)]))) == 2
    off = PLAIN.model_copy(update={"near_duplicates": NearDuplicates(enabled=False)})
    assert len(gated(near, config=off)) == 2


def test_the_same_course_twice_is_caught_whoever_walked_it(sound, tmp_path):
    first = traces_of(sound)[0]
    again = first.model_copy(update={"id": "0" * 16, "sample": 1, "elapsed_s": 99.0})
    run = copy_run(sound, tmp_path / "again", [first, again])
    found = gated(run)
    assert rejections(found) == {Reason.SAME_COURSE: 1}
    assert ids(found) == [first.id]


def test_one_id_never_comes_out_twice(sound, tmp_path):
    """Two folders with other traversals of one id, and all the rules on duplicates off."""
    first = traces_of(sound)[0]
    other = copy_run(sound, tmp_path / "other", [thinking(first, "something else")])
    off = PLAIN.model_copy(
        update={
            "exact_duplicates": ExactDuplicates(enabled=False),
            "near_duplicates": NearDuplicates(enabled=False),
        }
    )
    found = gated(sound, other, config=off)
    assert rejections(found) == {Reason.SAME_ID: 1}
    assert len(set(ids(found))) == len(found) == 16


def test_reasoning_that_repeats_itself_is_caught(sound, tmp_path):
    run = altered(sound, tmp_path / "loop", lambda trace: thinking(trace, "and so it is again " * 200))
    assert rejections(gated(run)) == {Reason.REPETITIVE: 1}
    off = PLAIN.model_copy(update={"repetition": Repetition(enabled=False)})
    assert rejections(gated(run, config=off)) == {}


def test_at_most_so_many_of_one_case(sound):
    one = PLAIN.model_copy(update={"per_case": PerCase(at_most=1)})
    found = gated(sound, config=one)
    assert Counter(accepted.trace.case.id for accepted in found) == {
        f"case-{number}": 1 for number in range(8)
    }
    assert rejections(found) == {Reason.CASE_IS_FULL: 8}
    seeds = {tuple(ids(gated(sound, config=one.model_copy(update={"seed": seed})))) for seed in range(4)}
    assert len(seeds) > 1


def test_a_case_with_its_options_shuffled_is_the_same_case(sound, tmp_path):
    known = ROWS[0].case
    turned = known.model_copy(
        update={"id": "case-0", "options": dict(zip("ABCD", reversed(known.options.values()), strict=True))}
    )
    rows = [entry(turned, "D")]
    run = make_run(tmp_path / "turned", rows, Walk(answers=lambda number, sample: "D"), samples=2)
    config = PLAIN.model_copy(update={"per_case": PerCase(at_most=2)})
    found = gate([RunSource(sound, ROWS), RunSource(run, rows)], config, held_out=NOTHING_HELD_OUT)
    assert Counter(accepted.trace.case.id for accepted in found)["case-0"] == 2


def test_letters_and_backtracks_are_balanced(tmp_path):
    rows = entries(12, "AAB")
    walk = Walk(
        answers=lambda number, sample: "AAB"[number % 3], goes_back=lambda number, sample: number % 4 == 0
    )
    run = make_run(tmp_path / "run", rows, walk)
    config = PLAIN.model_copy(update={"balance": Balance(max_letter_share=0.5)})
    found = gated(run, rows=rows, config=config)
    assert found.report.before_balance.letters == {"A": 8, "B": 4}
    assert found.report.accepted.letters == {"A": 4, "B": 4}
    assert rejections(found) == {Reason.LETTER_SHARE: 4}
    config = PLAIN.model_copy(update={"balance": Balance(max_letter_share=1, backtracking_share=0.5)})
    found = gated(run, rows=rows, config=config)
    assert (found.report.accepted.journeys, found.report.accepted.backtracking) == (6, 3)
    assert rejections(found) == {Reason.BACKTRACKING_SHARE: 6}


def test_a_case_and_its_near_twin_go_to_one_side(tmp_path):
    twins = [
        case(
            number + 20,
            vignette=f"Patient {number + 20}. {case(number).vignette} {prose(Random(number), 10)}",
        )
        for number in range(20)
    ]
    rows = [*entries(20), *[entry(twin, LETTERS[number % 4]) for number, twin in enumerate(twins)]]
    run = make_run(tmp_path / "run", rows)
    config = PLAIN.model_copy(update={"split": Split(validation_share=0.4)})
    found = gated(run, rows=rows, config=config)
    sides = {one.trace.case.id: one.split for one in found}
    assert len(sides) == 40
    assert all(sides[f"case-{number}"] == sides[f"case-{number + 20}"] for number in range(20))
    assert set(sides.values()) == {"train", "validation"}
    report = found.report
    assert report.question_groups == 20
    assert report.train.cases + report.validation.cases == 40


def test_nothing_depends_on_the_order_of_folders_and_lines(sound, tmp_path):
    traces = traces_of(sound)
    parts = [copy_run(sound, tmp_path / name, traces[place::3]) for place, name in enumerate("abc")]
    again = copy_run(sound, tmp_path / "z", [rewritten(traces[0], 0.01), traces[4]])
    config = GateConfig(
        per_case=PerCase(at_most=1), balance=Balance(max_letter_share=0.3, backtracking_share=0.5)
    )
    folders = [*parts, again]
    found = gated(*folders, config=config)
    for seed in range(3):
        turned = Random(seed).sample(folders, len(folders))
        other = gated(*turned, config=config)
        assert [one.trace for one in other] == [one.trace for one in found]
        assert [one.run for one in other] == [one.run for one in found]
        assert other.report.to_json() == found.report.to_json()
        assert other.report.to_markdown() == found.report.to_markdown()
    shuffled = copy_run(sound, tmp_path / "shuffled" / "sound", Random(9).sample(traces, len(traces)))
    plain, turned = gated(sound, config=config), gated(shuffled, config=config)
    assert [(one.trace, one.split) for one in turned] == [(one.trace, one.split) for one in plain]
    assert turned.report.rules == plain.report.rules


def test_another_process_with_another_hash_seed_comes_to_the_same(sound):
    config = GateConfig(per_case=PerCase(at_most=1), balance=Balance(max_letter_share=0.3))
    script = (
        "import sys; from gated import *; from ddxgraph.training.gate.screen import *; "
        "from ddxgraph.training.gate.config import *; "
        f"config = GateConfig.model_validate_json({config.model_dump_json()!r}); "
        "found = gate([RunSource(sys.argv[1], entries(8))], config, held_out=held_out(case(99))); "
        "print(found.report.to_json(), [(one.trace.id, one.split) for one in found])"
    )
    root = Path(__file__).parents[3]
    path = os.pathsep.join([str(root / "src"), str(root / "tests")])
    done = subprocess.run(
        [sys.executable, "-c", script, str(sound)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONHASHSEED": "5", "PYTHONPATH": path},
    )
    here = gated(sound, config=config, held=held_out(case(99)))
    assert done.stdout == f"{here.report.to_json()} {[(one.trace.id, one.split) for one in here]}\n", (
        done.stderr
    )


def test_runs_of_other_models_and_prompts_may_be_mixed_and_are_shown(sound, tmp_path):
    other = make_run(tmp_path / "other", entries(4), model="another-model")
    sources = [RunSource(sound, ROWS), RunSource(other, entries(4))]
    found = gate(sources, PLAIN, held_out=NOTHING_HELD_OUT)
    assert [(one.name, one.model) for one in found.report.inputs] == [
        ("other", "another-model"),
        ("sound", "a-model"),
    ]
    assert found.report.mixed == {"models": 2}
    assert "> The runs are of 2 different models." in found.report.to_markdown()


class TestReviews:
    """What an expert said counts, as far as it is of this very traversal."""

    @staticmethod
    def review(trace: Trace, verdict: str = "accept", **fields) -> Review:
        return Review(
            **{
                "trace": trace.id,
                "content": content_digest(trace),
                "verdict": verdict,
                "reason": "misread_case" if verdict == "reject" else None,
                "reviewer": "Dr A",
                "time": datetime(2026, 1, 2, tzinfo=UTC),
                **fields,
            }
        )

    def test_those_beside_the_run_are_heeded(self, sound, tmp_path):
        run = copy_run(sound, tmp_path / "run")
        first, second, third, *_ = traces_of(run)
        append_review(run, self.review(first, "reject"))
        append_review(run, self.review(second, answer="D"))
        append_review(run, self.review(third))
        found = gated(run)
        assert rejections(found) == {Reason.EXPERT_REJECTED: 1, Reason.EXPERT_CORRECTED: 1}
        assert [one.notes for one in found].count((Note.EXPERT_APPROVED,)) == 1
        assert found.report.inputs[0].reviewed == 3

    def test_given_ones_replace_them(self, sound, tmp_path):
        run = copy_run(sound, tmp_path / "run")
        first, second, *_ = traces_of(run)
        append_review(run, self.review(first, "reject"))
        assert rejections(gated(run, reviews={})) == {}
        given = {second.id: self.review(second, "reject")}
        assert second.id not in ids(gated(run, reviews=given))

    def test_any_rejection_rejects(self, sound, tmp_path):
        run = copy_run(sound, tmp_path / "run")
        first = traces_of(run)[0]
        append_review(run, self.review(first, "reject"))
        append_review(run, self.review(first, reviewer="Dr B"))
        assert rejections(gated(run)) == {Reason.EXPERT_REJECTED: 1}

    def test_one_of_a_trace_that_has_changed_is_ignored_and_counted(self, sound, tmp_path):
        run = copy_run(sound, tmp_path / "run")
        first = traces_of(run)[0]
        append_review(run, self.review(thinking(first, "other words"), "reject"))
        found = gated(run)
        assert rejections(found) == {}
        assert (found.report.inputs[0].reviewed, found.report.inputs[0].outdated_reviews) == (0, 1)
        assert "0 (1 outdated)" in found.report.to_markdown()

    def test_approval_goes_before_the_gold_answer_and_can_be_all_there_is(self, tmp_path):
        rows = [row._replace(gold=None) for row in entries(4)]
        run = make_run(tmp_path / "run", rows)
        with pytest.raises(GateError, match=r"has no gold answer.*require_review"):
            gated(run, rows=rows)
        first = traces_of(run)[0]
        config = PLAIN.model_copy(update={"correct": Correct(require_review=True)})
        found = gated(run, rows=rows, config=config, reviews={first.id: self.review(first)})
        assert ids(found) == [first.id]
        assert rejections(found) == {Reason.NOT_REVIEWED: 3}


class TestRefusals:
    """What cannot be gated is refused by name, in one sentence."""

    @staticmethod
    def refusal(*folders, rows=ROWS, error=GateError, **asked) -> str:
        with pytest.raises(error) as refused:
            gated(*folders, rows=rows, **asked)
        assert "\n" not in str(refused.value)
        return str(refused.value)

    def test_nothing_to_gate(self):
        assert self.refusal() == "there is nothing to gate: name at least one run folder"

    def test_no_run(self, tmp_path):
        assert "not a run folder" in self.refusal(tmp_path)

    def test_a_run_without_a_trace(self, sound, tmp_path):
        empty = copy_run(sound, tmp_path / "empty", [])
        assert "holds no trace yet" in self.refusal(empty)
        (empty / "traces.jsonl").unlink()
        assert "holds no trace yet" in self.refusal(empty, sound)

    def test_a_folder_twice(self, sound):
        said = self.refusal(sound, sound.parent / "." / sound.name)
        assert said == f"{sound.resolve()} is named 2 times: name each run folder once"

    def test_a_run_of_a_case_file_without_its_cases(self, sound):
        said = self.refusal(sound, rows=None)
        assert "case file, which holds the gold answers" in said

    def test_a_run_without_gold(self, sound):
        rows = [ROWS[0]._replace(gold=None), *ROWS[1:]]
        assert "'case-0' has no gold answer" in self.refusal(sound, rows=rows)

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("{broken", "key must be a string"),
            ('{"version": 0, "id": "x"}', "its fields are not a trace's"),
            (
                '{"version": 2, "id": "x", "case": {"id": "y"}, "answer": null, "outcome": "answered"}',
                "not a trace's",
            ),
            ('{"messages": [{"role": "user", "content": "hello"}]}', "its fields are not a trace's"),
            ('{"version":1,"id":"x","case":{"id":"case-0"},"answer":"A","outcome":"answered"}', "(trace x)"),
        ],
    )
    def test_a_line_that_is_no_trace(self, sound, tmp_path, line, said):
        run = copy_run(sound, tmp_path / "run")
        path = run / "traces.jsonl"
        lines = path.read_text().splitlines()
        path.write_text("\n".join([*lines[:4], line, *lines[4:]]) + "\n")
        told = self.refusal(run, error=ValueError)
        assert f"{path}, line 5" in told
        assert said in told

    def test_a_trace_with_a_field_of_another_version(self, sound, tmp_path):
        """Right enough to be scored, and no trace all the same."""
        run = copy_run(sound, tmp_path / "run")
        records = [json.loads(line) for line in (run / "traces.jsonl").read_text().splitlines()]
        records[2]["steps"][0]["mood"] = "good"
        write_lines(run / "traces.jsonl", records)
        said = self.refusal(run, error=TraceFileError)
        assert f"{run / 'traces.jsonl'}, line 3: not a trace of version 1 (steps.0.mood" in said

    @pytest.mark.parametrize(
        "correct",
        [Correct(), Correct(enabled=False), Correct(require_review=True)],
        ids=["gold", "off", "review"],
    )
    def test_a_trace_of_another_run(self, sound, tmp_path, correct):
        """Of a case of this run that has no trace yet, so that its pair is free."""
        config = PLAIN.model_copy(update={"correct": correct})
        foreign = make_run(tmp_path / "foreign", ROWS, samples=2, model="another-model")
        own, [*_, other] = traces_of(sound)[:-1], traces_of(foreign)
        mixed = copy_run(sound, tmp_path / "mixed", [*own, other])
        said = self.refusal(mixed, config=config)
        assert f"{mixed / 'traces.jsonl'}, line 16 (trace {other.id}) belongs to another run: " in said
        assert "its provenance.model is 'another-model', the run's 'a-model'; take the line out" in said
        twin = gated(copy_run(sound, tmp_path / "twin", own), config=config)
        assert twin.report.read == 15

    @pytest.mark.parametrize("correct", [Correct(enabled=False), Correct(require_review=True)])
    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"sample": 2}, "it is sample 2, and the run has 2 of each case, from 0"),
            ({"sample": -1}, "it is sample -1"),
            (
                {"strategy": StrategySettings(name="cot", reply_tokens=9)},
                "its strategy.name is 'cot', the run's 'graph'",
            ),
            (
                {"strategy": StrategySettings(budget=Budget(max_calls=7))},
                "its strategy.budget.max_calls is 7",
            ),
        ],
    )
    def test_a_trace_that_the_run_cannot_have(self, sound, tmp_path, correct, change, why):
        """Where no answer is scored, too."""
        *own, last = traces_of(sound)
        run = copy_run(sound, tmp_path / "run", [*own, last.model_copy(update=change)])
        said = self.refusal(run, config=PLAIN.model_copy(update={"correct": correct}))
        assert f"{run / 'traces.jsonl'}, line 16 (trace {last.id}) belongs to another run: " in said
        assert why in said

    def test_another_version_of_code_and_engine_is_the_same_run(self, sound, tmp_path):
        """As a fork carries traces over."""
        first, *others = traces_of(sound)
        made = first.provenance.model_copy(
            update={"engine": "newer", "code_version": "9", "started_at": "now"}
        )
        run = copy_run(sound, tmp_path / "run", [first.model_copy(update={"provenance": made}), *others])
        assert len(gated(run)) == 16

    def test_a_missing_test_set(self, sound, tmp_path, monkeypatch):
        monkeypatch.setenv("DDXGRAPH_CACHE", str(tmp_path))
        said = self.refusal(sound, held=None)
        assert "kept clear of medqa test" in said
        assert 'allow_missing = ["medqa", "jama"]' in said

    def test_a_file_that_changes_after_the_gate(self, sound, tmp_path):
        run = copy_run(sound, tmp_path / "run")
        found = gated(run)
        write_lines(
            run / "traces.jsonl",
            [json.loads(line) for line in (run / "traces.jsonl").read_text().splitlines()][1:],
        )
        with pytest.raises(GateError, match=r"was changed while it was being gated"):
            list(found)


def test_a_run_that_is_being_written_is_gated_as_far_as_it_is(sound, tmp_path):
    run = copy_run(sound, tmp_path / "run")
    path = run / "traces.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:5]) + lines[5][:100])
    found = gated(run)
    assert len(found) == 5
    assert found.report.inputs[0].expected == 16
    assert "| 5 of 16 |" in found.report.to_markdown()
    assert found.report.inputs[0].sha256 == hashlib.sha256(b"".join(lines[:5])).hexdigest()
    with path.open("ab") as file:  # the writer goes on
        file.write(lines[5][100:] + lines[6])
    assert len(list(found)) == 5
    assert len(gated(run)) == 7


def test_of_an_id_that_stands_twice_the_later_line_counts(sound, tmp_path):
    first, *others = traces_of(sound)
    later = thinking(first, "on second thoughts")
    found = gated(copy_run(sound, tmp_path / "run", [first, *others, later]))
    assert next(iter(found)).trace == later
    assert found.report.read == 16


def test_the_rule_on_test_sets_can_be_off(sound):
    off = PLAIN.model_copy(update={"decontamination": Decontamination(enabled=False)})
    found = gated(sound, config=off, held=None)
    assert len(found) == 16
    assert "NOT DECONTAMINATED" in found.report.to_markdown()


def test_the_progress_comes_to_its_end(sound):
    told = []
    gated(sound, progress=lambda done, total: told.append((done, total)))
    size = (sound / "traces.jsonl").stat().st_size
    assert told[-1] == (size, size)

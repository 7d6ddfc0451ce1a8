"""A form of training data of one's own, preference pairs, registered here and nowhere else."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
from commandline import ddxgraph
from gated import LETTERS, NOTHING_HELD_OUT, PLAIN, Walk, case, entry, make_run
from pydantic import BaseModel

from ddxgraph import RunSource, gate, inspect_set, make_journeys
from ddxgraph.common.errors import SampleFileError
from ddxgraph.training.gate.config import Side
from ddxgraph.training.gate.gated import Gated
from ddxgraph.training.gate.reasons import Reason
from ddxgraph.training.sets.forms import UnknownForm, form_names, form_of, registered
from ddxgraph.training.sets.manifest import read_set
from ddxgraph.training.sets.samples import Form, Record, RecordsOf, SampleMeta, read_samples
from ddxgraph.training.styles.compile import Message

ROWS = [entry(case(number), LETTERS[number % 4]) for number in range(6)]
WALK = Walk(answers=lambda number, sample: LETTERS[(number + sample) % 4])
"""The first sample of each case is right, the second one wrong."""


@dataclass(frozen=True)
class Pair(Record):
    """A sample, and a reply that is worse."""

    rejected: Sequence[Message] = ()


class Line(BaseModel):
    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]
    meta: SampleMeta


def pairs(gated: Gated, records_of: RecordsOf) -> Iterator[tuple[Side, Record]]:
    """Each accepted traversal beside each wrong one of its case."""
    wrong = defaultdict(list)
    for rejected in gated.rejected():
        if rejected.rejection.reason is Reason.WRONG_ANSWER:
            wrong[rejected.trace.case.digest] += records_of(rejected)
    for accepted in gated:
        for better in records_of(accepted):
            for worse in wrong[accepted.trace.case.digest]:
                yield accepted.split, Pair(better.messages, better.meta, worse.messages[-1:])


def line_of(pair: Pair) -> str:
    *prompt, reply = pair.messages
    return Line(prompt=prompt, chosen=[reply], rejected=pair.rejected, meta=pair.meta).model_dump_json()


def parsed(line: bytes) -> Pair:
    known = Line.model_validate_json(line)
    return Pair((*known.prompt, *known.chosen), known.meta, known.rejected)


PREFERENCE = Form(
    field="chosen",
    loading='`DPOTrainer` takes `data["train"]` as it is.',
    export=pairs,
    line=line_of,
    parse=parsed,
)


@pytest.fixture(scope="module", autouse=True)
def _known() -> Iterator[None]:
    with registered("preference", PREFERENCE):
        assert form_of("preference") is PREFERENCE
        yield
    assert form_names() == ("messages", "sharegpt")
    with pytest.raises(UnknownForm, match="choose one of messages, sharegpt"):
        form_of("preference")


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> RunSource:
    return RunSource(make_run(tmp_path_factory.mktemp("form") / "run", ROWS, WALK, samples=2), ROWS)


def test_pairs_of_what_the_gate_took_and_refused(source, tmp_path):
    gated = gate([source], PLAIN, held_out=NOTHING_HELD_OUT)
    assert (len(gated), len([*gated.rejected()])) == (6, 6)
    assert {rejected.split for rejected in gated.rejected()} == {"train"}
    made = make_journeys(
        [source],
        "longstep",
        tmp_path / "set",
        config=PLAIN,
        format="preference",
        held_out=NOTHING_HELD_OUT,
    )
    assert (made.manifest.settings.format, made.manifest.samples) == ("preference", 6)
    assert read_set(tmp_path / "set") == made.manifest
    found = [*read_samples(tmp_path / "set" / "train.jsonl", "preference")]
    for number, pair in enumerate(found):
        assert pair.messages[-1].content.endswith(f"Answer: {LETTERS[number % 4]}")
        assert pair.rejected[0].content.endswith(f"Answer: {LETTERS[(number + 1) % 4]}")
    card = (tmp_path / "set" / "README.md").read_text(encoding="utf-8")
    assert PREFERENCE.loading in card
    assert "A line holds `chosen`" in card
    assert inspect_set(tmp_path / "set").all.samples == 6
    with pytest.raises(SampleFileError, match="line 1: no sample in the format 'messages'"):
        next(read_samples(tmp_path / "set" / "train.jsonl", "messages"))


def test_the_command_line_knows_it(source, tmp_path):
    cases, settings, out = tmp_path / "cases.jsonl", tmp_path / "gate.toml", tmp_path / "set"
    lines = [{**row.case.model_dump(mode="json"), "answer": row.gold.answer} for row in ROWS]
    cases.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    settings.write_text("[decontamination]\nenabled = false\n[balance]\nenabled = false\n", encoding="utf-8")
    settled = ("--cases", cases, "--config", settings, "--style", "cot", "--out", out)
    done = ddxgraph("journeys", source.folder, *settled, "--format", "preference")
    assert done.returncode == 0, done.stderr
    assert read_set(out).samples == 6
    unknown = ddxgraph("journeys", source.folder, *settled, "--format", "pairs")
    assert unknown.returncode == 2
    assert "no form 'pairs': choose one of messages, sharegpt, preference" in unknown.stderr

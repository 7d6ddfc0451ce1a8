"""A benchmark of one's own, registered here and nowhere else, through everything that takes benchmarks."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from commandline import ddxgraph
from gated import LETTERS, PLAIN, Walk, case, make_run

from ddxgraph import Case, GateError, RunSource, gate
from ddxgraph.batch.manifest import Manifest, Selection
from ddxgraph.cli.cases import CaseOptions, OptionOrder, case_source
from ddxgraph.common.errors import BenchmarkError
from ddxgraph.common.files import CACHE_VARIABLE
from ddxgraph.eval.benchmarks.benchmark import Benchmark, Importer, Split
from ddxgraph.eval.benchmarks.items import load
from ddxgraph.eval.benchmarks.medqa import BENCHMARK as MEDQA
from ddxgraph.eval.benchmarks.rawfile import Problem, RawFile, Row, sha256_of
from ddxgraph.eval.benchmarks.registry import BENCHMARKS, find, register
from ddxgraph.eval.report.evaluation import evaluate
from ddxgraph.eval.report.write import write_report
from ddxgraph.eval.scoring.run import score_run
from ddxgraph.training.gate.config import Decontamination
from ddxgraph.training.gate.decontamination import load_held_out
from ddxgraph.training.gate.reasons import Reason

SHIPPED = ("medqa", "medbullets", "jama")
TESTS = [case(number) for number in range(4)]
TRAIN = [case(4), TESTS[1].model_copy(update={"id": "twin"}), case(6)]
"""The second question is one of the test split."""


def file_of(cases: list[Case]) -> bytes:
    """Rows in a format of our own; the gold letters take turns."""
    rows = (
        {"stem": item.vignette, "ask": item.question, "choices": list(item.options.values()), "right": n % 4}
        for n, item in enumerate(cases)
    )
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def rows_of(content: bytes) -> Iterator[Row]:
    for number, line in enumerate(content.splitlines()):
        row = json.loads(line)
        options = dict(zip(LETTERS, row["choices"], strict=True))
        yield Row(number, str(number), row["stem"], options, LETTERS[row["right"]], asked=row["ask"])


class Brought(NamedTuple):
    """What an import of the `own` split found."""

    source: str
    present: int
    missing: int = 0

    def cases(self, split: str) -> int:
        return self.present

    def problems(self, split: str, raw: RawFile, content: bytes) -> list[Problem]:
        return [] if len(list(rows_of(content))) == self.present else [Problem(None, "", "", "rows are lost")]

    def lines(self) -> Iterator[str]:
        yield f"{self.present} cases of {self.source}"

    def to_json(self) -> str:
        return json.dumps(self._asdict())


def bring(source: Path, folder: Path, listed: Path | None) -> Brought:
    (folder / "ward").mkdir(parents=True, exist_ok=True)
    (folder / "ward" / "own.jsonl").write_bytes(source.read_bytes())
    found = Brought(source.name, len(list(rows_of(source.read_bytes()))))
    (folder / "ward" / "import.json").write_text(found.to_json())
    return found


def last(folder: Path) -> Brought | None:
    record = folder / "ward" / "import.json"
    return Brought(**json.loads(record.read_text())) if record.exists() else None


def public(split: str, cases: list[Case]) -> Split:
    content = file_of(cases)
    raw = RawFile(f"ward/{split}.jsonl", len(cases), sha256_of(content), rows_of, f"ward-{split}-")
    return Split(len(cases), raw)


WARD = Benchmark(
    name="ward",
    label="Ward rounds",
    title="Ward rounds, made up",
    splits={
        "test": public("test", TESTS),
        "train": public("train", TRAIN),
        "own": Split(0, RawFile("ward/own.jsonl", 0, "", rows_of, "ward-own-")),
    },
    held_out=True,
    licence="ours",
    home="https://example.org/ward",
    obtain="write it",
    importer=Importer(bring, last),
)


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Iterator[Path]:
    """A cache folder of the test's own; Ward is registered, and not any more afterwards."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    undo = register(WARD)
    yield tmp_path / "cache"
    undo()
    assert "ward" not in BENCHMARKS


@pytest.fixture
def source(tmp_path) -> Path:
    """A folder of the raw files, as a user has them."""
    folder = tmp_path / "ward"
    folder.mkdir()
    for name, cases in (("test", TESTS), ("train", TRAIN)):
        (folder / f"{name}.jsonl").write_bytes(file_of(cases))
    return folder


@pytest.fixture
def here(cache, source) -> Path:
    """The same with the raw files in their place."""
    done = ddxgraph("data", "fetch", "ward", "--from", source, env={CACHE_VARIABLE: str(cache)})
    assert done.returncode == 0, done.stderr
    return cache


def test_it_is_listed_fetched_imported_and_verified(cache, source, tmp_path):
    env = {CACHE_VARIABLE: str(cache)}
    listed = ddxgraph("data", "list", env=env).stdout
    assert "ward: Ward rounds, made up\n  test, 4 cases: not here" in listed
    assert "licence: ours; from https://example.org/ward" in listed
    fetched = ddxgraph("data", "fetch", "ward", "--from", source, env=env)
    assert (fetched.returncode, fetched.stdout.count("as published")) == (0, 2)
    brought = ddxgraph("data", "import", "ward", source / "train.jsonl", env=env)
    assert (brought.returncode, brought.stdout) == (0, "3 cases of train.jsonl\n")
    verified = ddxgraph("data", "verify", "ward", env=env)
    assert verified.returncode == 0
    assert verified.stdout == (
        "ward test, 4 cases: ok\nward train, 3 cases: ok\nward own, 3 cases: ok (from train.jsonl)\n"
    )
    (cache / "data" / "ward" / "test.jsonl").write_bytes(file_of(TESTS[:3]))
    (cache / "data" / "ward" / "own.jsonl").write_bytes(file_of(TESTS))
    bad = ddxgraph("data", "verify", "ward", env=env)
    assert (bad.returncode, bad.stdout.count("is not as published")) == (1, 2)
    with pytest.raises(BenchmarkError, match=r"own\.jsonl is not as it was imported: rows are lost"):
        load(Selection(benchmark="ward", split="own"))


def test_a_command_takes_its_cases_as_they_are_asked_for(here):
    taken = case_source("ward", CaseOptions(limit=3, options=OptionOrder.SHUFFLE))
    assert len(list(taken)) == 3
    assert (taken.selection.size, taken.selection.sha256) == (4, sha256_of(file_of(TESTS)))
    assert {item.id for item in taken} <= {f"ward-test-{number}" for number in range(4)}


def test_a_run_of_it_is_scored_and_reported(here, tmp_path):
    items = load(Selection(benchmark="ward"))
    folder = make_run(tmp_path / "run", items.entries, Walk(answers=lambda number, sample: "A"))
    record = Manifest.model_validate_json((folder / "run.json").read_bytes())
    (folder / "run.json").write_text(
        record.model_copy(update={"selection": items.selection}).model_dump_json()
    )
    scored = score_run(folder)
    assert (scored.pairs, scored.accuracy) == (4, 0.25)
    report = write_report(evaluate([scored]), tmp_path / "report")
    assert "Ward rounds test" in report.read_text()


def test_inspect_takes_it(here, tmp_path):
    pytest.importorskip("inspect_ai")
    from inspected import evaluate as inspect

    from ddxgraph.eval.inspect.tasks import benchmark_task

    log, _ = inspect(benchmark_task("ward")(max_backtracks=0), tmp_path / "logs")
    assert (log.status, log.eval.task, len(log.samples)) == ("success", "ward", 4)


def test_the_gate_keeps_training_data_clear_of_its_test_split(here, tmp_path):
    rows = load(Selection(benchmark="ward", split="train")).entries
    folder = make_run(tmp_path / "run", rows, Walk(answers=lambda number, sample: LETTERS[number % 4]))
    config = PLAIN.model_copy(update={"decontamination": Decontamination(allow_missing=SHIPPED)})
    kept = gate([RunSource(str(folder), rows)], config)
    assert kept.report.rejected == {Reason.TEST_QUESTION: 1}
    assert [one.trace.case.id for one in kept] == ["ward-train-0", "ward-train-2"]
    assert [known.name for known in kept.report.held_out] == ["ward"]


def test_where_it_is_not_here_the_gate_is_refused_unless_it_may_be_missing(cache):
    with pytest.raises(GateError, match=r"kept clear of ward test, but .*not on this machine.*: write it"):
        load_held_out(SHIPPED)
    assert [absent.name for absent in load_held_out((*SHIPPED, "ward")).missing] == [*SHIPPED, "ward"]
    assert Decontamination(allow_missing=("ward",)).allow_missing == ("ward",)


def test_a_name_that_is_taken_or_unknown_is_refused_with_the_known_ones(cache):
    with pytest.raises(BenchmarkError, match="a benchmark 'ward' is registered"):
        register(WARD)
    with pytest.raises(BenchmarkError, match=r"no benchmark 'wards'; there are medqa, .*, ward"):
        find("wards")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_shipped_name_has_its_benchmark(name):
    assert find(name).name == name


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"licence": ""}, "lacks its licence"),
        ({"splits": {}}, "lacks its splits"),
        ({"splits": {"dev": WARD.splits["test"]}}, "is held out and needs a split 'test'"),
        ({"importer": None}, "has a file without SHA-256 and needs an importer"),
    ],
)
def test_a_half_filled_entry_is_an_error_where_it_is_made(change, fault):
    fields = {name: getattr(WARD, name) for name in MEDQA.__dataclass_fields__}
    with pytest.raises(ValueError, match=fault):
        Benchmark(**{**fields, **change})
    with pytest.raises(TypeError):
        Benchmark(**{name: value for name, value in fields.items() if name != "held_out"})

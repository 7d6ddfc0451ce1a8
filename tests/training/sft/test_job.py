"""A training's place: nobody else's checkpoints, no half of one, no adapter overwritten."""

import json
import multiprocessing

import pytest

from ddxgraph.common.errors import TrainingError
from ddxgraph.training.sft.checkpoints import newest, seal
from ddxgraph.training.sft.config import TrainConfig
from ddxgraph.training.sft.job import (
    CARD,
    TrainingJob,
    base_digest,
    claimed,
    done_already,
    forget,
    job_digest,
    work_folder,
)

JOB = TrainingJob(
    config=TrainConfig(),
    base_sha256="b" * 64,
    data={"train.jsonl": "d" * 64},
    style="longstep",
    prompt_hashes=("p",),
)
OTHER = JOB.model_copy(update={"config": TrainConfig(seed=7)})


def test_the_work_folder_lies_beside_the_adapter(tmp_path):
    assert work_folder(tmp_path / "adapter") == tmp_path / "adapter.training"


def test_the_same_job_finds_its_checkpoints_again(tmp_path):
    with claimed(tmp_path / "a", JOB) as work:
        write_checkpoint(work, 3)
    with claimed(tmp_path / "a", JOB) as again:
        assert again == work
        assert newest(again) == again / "checkpoint-3"


def write_checkpoint(work, number: int) -> None:
    """Write a checkpoint as transformers does, with the state of one more process; and seal it."""
    folder = work / f"checkpoint-{number}"
    (folder / "global_step").mkdir(parents=True)
    for name in ("adapter_model.safetensors", "optimizer.pt", "rng_state.pth", "global_step/rng_state_1.pth"):
        (folder / name).write_bytes(f"{name} after step {number}".encode() * 50)
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": number}))
    seal(folder, job_digest(work))


def test_another_job_is_refused_and_told_what_differs(tmp_path):
    with claimed(tmp_path / "a", JOB) as work:
        write_checkpoint(work, 3)
    with pytest.raises(TrainingError, match=r"config\.seed was 0, now 7"), claimed(tmp_path / "a", OTHER):
        pass


def fail_in(out, prepared) -> None:
    """A training that prepares something in its work folder, and fails."""
    with claimed(out, JOB) as work:
        prepared(work)
        raise TrainingError("a sample is too long")


def begin_in_vain(work) -> None:
    (work / "adapter").mkdir()
    (work / "checkpoint-1").mkdir()  # half a checkpoint


def test_a_job_that_fails_before_its_first_checkpoint_leaves_nothing(tmp_path):
    with pytest.raises(TrainingError, match="too long"):
        fail_in(tmp_path / "a", begin_in_vain)
    assert list(tmp_path.iterdir()) == []
    with claimed(tmp_path / "a", OTHER):
        pass


@pytest.mark.parametrize(
    ("prepared", "kept"),
    [
        (lambda work: write_checkpoint(work, 3), "checkpoint-3"),
        (lambda work: (work / "thesis.txt").write_text("mine"), "thesis.txt"),
    ],
)
def test_a_job_that_fails_keeps_what_is_worth_something(prepared, kept, tmp_path):
    with pytest.raises(TrainingError):
        fail_in(tmp_path / "a", prepared)
    assert (work_folder(tmp_path / "a") / kept).exists()


def test_a_job_without_a_checkpoint_hinders_no_other(tmp_path):
    with claimed(tmp_path / "a", JOB):  # a kill left it
        pass
    with claimed(tmp_path / "a", OTHER) as work:
        write_checkpoint(work, 1)
    with pytest.raises(TrainingError, match=r"config\.seed was 7, now 0"), claimed(tmp_path / "a", JOB):
        pass


def _hold(out, held, done) -> None:
    with claimed(out, JOB):
        held.set()
        done.wait(60)


def test_one_process_at_a_time(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    held, done = spawn.Event(), spawn.Event()
    other = spawn.Process(target=_hold, args=(tmp_path / "a", held, done))
    other.start()
    try:
        assert held.wait(60)
        with pytest.raises(TrainingError, match="a training is running in"), claimed(tmp_path / "a", JOB):
            pass
    finally:
        done.set()
        other.join()
    with claimed(tmp_path / "a", JOB):
        pass


def test_foreign_files_are_not_built_upon(tmp_path):
    (tmp_path / "a.training").mkdir()
    (tmp_path / "a.training" / "thesis.txt").write_text("mine")
    with pytest.raises(TrainingError, match="holds other files"), claimed(tmp_path / "a", JOB):
        pass
    assert (tmp_path / "a.training" / "thesis.txt").read_text() == "mine"


def resumed(out, damage) -> tuple[str | None, list[str], set[str]]:
    """What a training that was damaged after steps 2 and 10 goes on from, is told, and keeps."""
    with claimed(out, JOB) as work:
        write_checkpoint(work, 2)
        write_checkpoint(work, 10)
    damage(work)
    told: list[str] = []
    with claimed(out, JOB, told.append):
        whole = newest(work)
        return (
            whole and whole.name,
            told,
            {path.name for path in work.iterdir()} - {"job.json", "training.lock"},
        )


def test_a_whole_checkpoint_is_resumed_without_a_word(tmp_path):
    assert resumed(tmp_path / "a", lambda work: None) == (
        "checkpoint-10",
        [],
        {"checkpoint-2", "checkpoint-10"},
    )


def test_a_checkpoint_that_was_not_finished_is_deleted(tmp_path):
    def kill(work) -> None:
        (work / "checkpoint-12").mkdir()
        (work / "checkpoint-12" / "trainer_state.json").write_text('{"global_st')
        (work / "checkpoint-14").write_text("a file")
        (work / "adapter").mkdir()

    whole, told, left = resumed(tmp_path / "a", kill)
    assert whole == "checkpoint-10"
    assert left == {"checkpoint-2", "checkpoint-10"}
    assert told == [
        f"checkpoint-{step} is not resumed, and is deleted: it was not finished; the training goes on from "
        "checkpoint-10"
        for step in (14, 12)
    ]


def _cut(path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def _flip(path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _swap(path) -> None:
    """As another step left it: such a part loads without an error."""
    path.write_bytes((path.parents[1] / "checkpoint-2" / path.name).read_bytes())


def _link(path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("adapter_model.safetensors", "is not what was saved"),
        ("optimizer.pt", "is not what was saved"),
        ("rng_state.pth", "is not what was saved"),
        ("trainer_state.json", "is not what was saved"),
        ("ddxgraph-seal.json", "cannot be read"),
    ],
)
@pytest.mark.parametrize("damage", [_cut, _flip, _swap, _link])
def test_a_part_that_has_changed_is_noticed_and_the_checkpoint_before_it_is_resumed(
    name, why, damage, tmp_path
):
    if (name, damage) == ("ddxgraph-seal.json", _swap):
        why = "another training or step"
    elif (name, damage) == ("ddxgraph-seal.json", _flip):
        why = ""  # a changed digest or name, or no JSON any more
    elif damage is _link:
        why = "cannot be read"
    whole, told, left = resumed(tmp_path / "a", lambda work: damage(work / "checkpoint-10" / name))
    assert whole == "checkpoint-2"
    assert left == {"checkpoint-2", "damaged-checkpoint-10"}
    [sentence] = told
    assert sentence.startswith("checkpoint-10 is not resumed, and is set aside as damaged-checkpoint-10: ")
    assert why in sentence
    assert sentence.endswith("; the training goes on from checkpoint-2")


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda work: (work / "checkpoint-10" / "optimizer.pt").unlink(), "optimizer.pt is missing"),
        (
            lambda work: (work / "checkpoint-10" / "global_step" / "rng_state_1.pth").unlink(),
            "global_step/rng_state_1.pth is missing",
        ),
        (
            lambda work: (work / "checkpoint-10" / "scaler.pt").write_text("x"),
            "scaler.pt was not saved with it",
        ),
        (
            lambda work: seal(work / "checkpoint-10", "f" * 64),
            "it belongs to another training or step",
        ),
    ],
)
def test_missing_and_foreign_parts_are_noticed(damage, why, tmp_path):
    whole, told, left = resumed(tmp_path / "a", damage)
    assert (whole, left) == ("checkpoint-2", {"checkpoint-2", "damaged-checkpoint-10"})
    assert why in told[0]


def test_a_training_without_a_whole_checkpoint_says_that_it_begins_again(tmp_path):
    def ruin(work) -> None:
        for step in (2, 10):
            _cut(work / f"checkpoint-{step}" / "optimizer.pt")

    whole, told, left = resumed(tmp_path / "a", ruin)
    assert whole is None
    assert left == {"damaged-checkpoint-2", "damaged-checkpoint-10"}
    assert [sentence.split()[0] for sentence in told[:2]] == ["checkpoint-10", "checkpoint-2"]
    assert told[2] == "no whole checkpoint is left: the training begins again"


def test_an_adapter_that_is_there_is_the_same_jobs_or_in_the_way(tmp_path):
    out = tmp_path / "adapter"
    assert not done_already(out, JOB)
    out.mkdir()
    assert not done_already(out, JOB)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(TrainingError, match="is not an adapter of `ddxgraph train`"):
        done_already(out, JOB)
    (out / CARD).write_text(json.dumps({"job": JOB.model_dump(mode="json")}))
    assert done_already(out, JOB)
    with pytest.raises(TrainingError, match=r"holds another adapter: config\.seed was 0, now 7"):
        done_already(out, OTHER)
    (out / CARD).write_text("{")
    with pytest.raises(TrainingError, match="cannot be read"):
        done_already(out, JOB)


def test_a_base_model_is_known_by_its_files(tmp_path):
    with pytest.raises(TrainingError, match="holds no weights in safetensors"):
        base_digest(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "config.json").write_text("{}")
    known = base_digest(tmp_path)
    (tmp_path / "README.md").write_text("words")
    assert base_digest(tmp_path) == known
    (tmp_path / "model.safetensors").write_bytes(b"others")
    assert base_digest(tmp_path) != known


def test_a_work_folder_is_forgotten(tmp_path):
    with claimed(tmp_path / "a", JOB) as work:
        pass
    forget(work)
    assert not work.exists()
    forget(work)

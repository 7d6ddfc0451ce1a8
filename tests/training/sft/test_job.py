"""A training's place: nobody else's checkpoints, no half of one, no adapter overwritten."""

import json
import multiprocessing

import pytest

from ddxgraph.common.errors import TrainingError
from ddxgraph.training.sft.config import TrainConfig
from ddxgraph.training.sft.job import (
    CARD,
    TrainingJob,
    base_digest,
    claimed,
    done_already,
    forget,
    last_checkpoint,
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
        (work / "checkpoint-3").mkdir()
        (work / "checkpoint-3" / "trainer_state.json").write_text("{}")
    with claimed(tmp_path / "a", JOB) as again:
        assert again == work
        assert (again / "checkpoint-3").is_dir()


def write_checkpoint(work, number: int) -> None:
    (work / f"checkpoint-{number}").mkdir()
    (work / f"checkpoint-{number}" / "trainer_state.json").write_text("{}")


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


def test_the_newest_whole_checkpoint_counts_and_halves_are_deleted(tmp_path):
    with claimed(tmp_path / "a", JOB) as work:
        pass
    for number, state in ((2, "{}"), (10, "{}"), (12, '{"global_st'), (14, None)):
        folder = work / f"checkpoint-{number}"
        folder.mkdir()
        if state is not None:
            (folder / "trainer_state.json").write_text(state)
    (work / "adapter").mkdir()
    assert last_checkpoint(work) == work / "checkpoint-10"
    with claimed(tmp_path / "a", JOB):
        left = {path.name for path in work.iterdir()}
        assert left == {"checkpoint-2", "checkpoint-10", "job.json", "training.lock"}
    assert last_checkpoint(work / "checkpoint-2") is None


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

"""A base model is anyone's folder: what it brings is weights, never code that runs."""

import ast
import json
import shutil
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from bytellama import byte_llama
from mutations import mutated

from ddxgraph.common.errors import TrainConfigError, TrainingDataError, TrainingError
from ddxgraph.training.sft.base import Base, adapted_model, tokenizer_of
from ddxgraph.training.sft.config import train_config
from ddxgraph.training.sft.job import base_digest

ROOT = Path(__file__).parents[3]
CODE = """
from pathlib import Path
Path({mark!r}).write_text("it ran")
from transformers import LlamaForCausalLM as Model, LlamaConfig as Config, PreTrainedTokenizerFast as Tokenizer
"""


@pytest.fixture
def hostile(tmp_path):
    """A base model whose configuration names code of its own, and the mark that this code would leave."""
    folder, mark = byte_llama(tmp_path / "base"), tmp_path / "mark"
    (folder / "evil.py").write_text(CODE.format(mark=str(mark)))
    for name, classes in {
        "config.json": {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"},
        "tokenizer_config.json": {"AutoTokenizer": [None, "evil.Tokenizer"]},
    }.items():
        told = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**told, "auto_map": classes, "model_type": "own"}))
    return folder, mark


def test_code_of_a_base_model_is_never_run(hostile):
    folder, mark = hostile
    base = Base(str(folder), base_digest(folder))
    config = train_config({"preset": "tiny-test"}, "here")
    for load in (tokenizer_of, lambda base: adapted_model(config, base, None)):
        with suppress(TrainingError):  # or loaded by the library's own class, without that code
            load(base)
        assert not mark.exists()


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"]
)
def test_a_damaged_base_model_is_refused_in_a_sentence(tmp_path, name):
    config = train_config({"preset": "tiny-test"}, "here")
    sound = byte_llama(tmp_path / "sound")
    refused = 0
    for number in range(12):
        folder = Path(shutil.copytree(sound, tmp_path / str(number)))
        (folder / name).write_bytes(mutated((folder / name).read_bytes(), Random(f"{name}|{number}")))
        for load in (tokenizer_of, lambda base: adapted_model(config, base, None)):
            try:
                load(Base(str(folder), "sha"))
            except (TrainingError, TrainingDataError, TrainConfigError):
                refused += 1
    assert refused


def test_the_digest_of_a_base_model_covers_code_that_lies_in_it(tmp_path):
    folder = byte_llama(tmp_path / "base")
    before = base_digest(folder)
    (folder / "modeling.py").write_text("x = 1")
    assert base_digest(folder) != before


def product() -> list[Path]:
    rooms = [path.parent for path in ROOT.glob("*/__init__.py")]
    return [path for room in (*rooms, ROOT / "src") for path in room.rglob("*.py")]


def test_every_loading_of_a_model_says_that_no_code_may_come_with_it():
    loads = [
        call
        for path in product()
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(".from_pretrained")
    ]
    of_transformers = [call for call in loads if not ast.unparse(call.func).startswith("PeftModel.")]
    assert len(of_transformers) >= 8
    for call in of_transformers:
        assert "trust_remote_code=False" in ast.unparse(call)
    assert not any("AutoPeft" in ast.unparse(call.func) for call in loads)

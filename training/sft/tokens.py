"""A set of journeys as tokens: what is too long or unreadable is refused, dropped or cut, and counted."""

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

_TOLD_EVERY: Final = 50
_MOST_NAMED: Final = 3


class SideCounts(BaseModel):
    """What became of the samples of a side."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    read: int = 0
    """Samples in the file."""
    used: int = 0
    """Samples that are trained on, or evaluated."""
    too_long: int = 0
    """Samples beyond the limit of tokens: dropped, or cut where `cut` counts them too."""
    cut: int = 0
    """Samples whose end was cut off; they are used."""
    unreadable: int = 0
    """Samples dropped since their replies could not be told in the rendered text."""
    tokens: int = 0
    """Tokens of the used samples."""
    supervised_tokens: int = 0
    """Of these, the ones that the loss is taken over."""
    longest: int = 0
    """Tokens of the longest sample that was read, before anything was cut."""


@dataclass
class TokenSide:
    """A side as tokens."""

    samples: list[Supervised] = field(default_factory=list)
    prompts: list[str] = field(default_factory=list)
    """The first user message of each used sample, in the same order."""
    counts: SideCounts = SideCounts()  # noqa: RUF009 - frozen


def read_journeys(folder: Path) -> SetManifest:
    """The manifest of a set that can be trained on.

    Raises:
        JourneySetError: it is no set, or of another version.
        TrainingDataError: it holds nothing to train on, or its files are not those that were written.
    """
    manifest = read_set(folder)
    if changes := changed_files(folder, manifest):
        raise TrainingDataError(
            f"{folder} is not as it was made: {'; '.join(changes[:_MOST_NAMED])}; make the set again"
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
    """A side of a set as tokens; an empty one where the set has none.

    Args:
        folder: the set's.
        manifest: its own.
        side: which.
        tokenizer: the base model's.
        settings: what becomes of samples that are too long or unreadable.
        template: instead of the tokenizer's own chat template.
        progress: told how many samples of how many are done.

    Raises:
        SampleFileError: a line is no sample.
        TrainingDataError: a sample is too long or unreadable and that is to be refused, or nothing is left.
    """
    figures = manifest.sides.get(side)
    if figures is None:
        return TokenSide()
    path = folder / data_file(side)
    records = _told(read_samples(path, manifest.settings.format), figures.samples, progress)
    found = take(records, tokenizer, settings, template, str(path))
    if side == "train" and not found.samples:
        raise TrainingDataError(
            f"nothing of {path} is left to train on: of {found.counts.read} samples {found.counts.too_long} are "
            f"longer than {settings.max_tokens} tokens (the longest has {found.counts.longest}) and "
            f"{found.counts.unreadable} unreadable; raise data.max_tokens, or set data.too_long"
        )
    return found


def take(
    records: Iterable[Record],
    tokenizer: Any,
    settings: Data,
    template: str | None = None,
    where: str = "data",
) -> TokenSide:
    """Samples as tokens, with the settings' rules applied.

    Raises:
        TrainingDataError: a sample is too long or unreadable, and that is to be refused.
    """
    found = TokenSide()
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
                    f"{where}, {line}: {error}; take the sample out, or set data.unreadable to 'drop'"
                ) from None
            counts["unreadable"] += 1
            continue
        counts["longest"] = max(counts["longest"], len(tokens.input_ids))
        if len(tokens.input_ids) > settings.max_tokens:
            counts["too_long"] += 1
            long.append(line)
            tokens = _cut(tokens, settings.max_tokens)
            # What the cut leaves of a long case may hold nothing of the reply.
            if settings.too_long != "truncate" or not tokens.supervised_tokens:
                continue
            counts["cut"] += 1
        _use(found, counts, record, tokens)
    if long and settings.too_long == "refuse":
        raise TrainingDataError(
            f"{where}: {len(long)} of {counts['read']} samples are longer than {settings.max_tokens} tokens (the "
            f"longest has {counts['longest']}), the first in {', '.join(long[:_MOST_NAMED])}; raise "
            "data.max_tokens, or set data.too_long to 'drop' or 'truncate'"
        )
    found.counts = SideCounts.model_validate(counts)
    return found


def _use(found: TokenSide, counts: dict[str, int], record: Record, tokens: Supervised) -> None:
    found.samples.append(tokens)
    found.prompts.append(next((one.content for one in record.messages if one.role == "user"), ""))
    counts["used"] += 1
    counts["tokens"] += len(tokens.input_ids)
    counts["supervised_tokens"] += tokens.supervised_tokens


def _cut(tokens: Supervised, length: int) -> Supervised:
    return Supervised(tokens.input_ids[:length], tokens.labels[:length])


def _told(
    records: Iterable[Record], total: int, progress: Callable[[int, int], None] | None
) -> Iterator[Record]:
    for number, record in enumerate(records, 1):
        yield record
        if progress and (number % _TOLD_EVERY == 0 or number == total):
            progress(number, total)

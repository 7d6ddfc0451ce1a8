"""Files of training samples: one JSON object a line, in TRL's chat format or ShareGPT's.

Every line has the same fields with values of the same types, and no nulls: readers that infer a schema from the
first lines (`datasets`) then read all of them, and sets can be joined.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ddxgraph.common.errors import SampleFileError, fault_of
from ddxgraph.graph.routing import Trigger
from ddxgraph.nodes.usage import Usage
from ddxgraph.training.gate.reasons import Note
from ddxgraph.training.styles.compile import Message, Meta, Sample, StyleName

Format = Literal["messages", "sharegpt"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)

WordingBy = Literal["template", "rewritten"]

_TRIGGERS: Final[tuple[Trigger, ...]] = get_args(Trigger)
_SHAREGPT: Final = {"system": "system", "user": "human", "assistant": "gpt"}
_CHAT: Final = {name: role for role, name in _SHAREGPT.items()}
_ARROW: Final = {str: "string", bool: "bool", int: "int64"}
_FROZEN: Final = ConfigDict(extra="forbid", frozen=True)


class Tokens(BaseModel):
    """What the engine counted over the trace; for the sample's own length, tokenise it."""

    model_config = _FROZEN

    calls: int
    prompt: int
    completion: int
    estimated: bool
    """The engine did not count: estimated from the text's length."""


class SampleMeta(BaseModel):
    """Where a sample comes from, as a line holds it. The gold answer is no part of it."""

    model_config = _FROZEN

    trace: str
    """The trace's id."""
    case: str
    """The case's id."""
    sample: int
    """Which sample of the case the trace was, from 0."""
    source: str
    """Of the case; may be empty."""
    split: str
    """Of the case in its source, not of this set; may be empty."""
    style: StyleName
    seed: int
    """Of the wording."""
    tries: int
    """Most tries told of each on-path node; 0: all of them."""
    part: int
    """Which of the trace's conversations, from 0; always 0 but for `graph` after a compaction."""
    prompt_hash: str
    """Of the prompt set that the sample answers."""
    model: str
    """The model that made the journey."""
    adapter: str
    """Empty where there was none."""
    adapter_sha256: str
    """Empty where there was none."""
    triggers: Mapping[Trigger, int]
    """Who made the trace's moves, and how many; every trigger stands here. `gold` or `label` above 0: an answer
    key had a part in it."""
    backtracks: int
    """Backtracks of the trace."""
    told_backtracks: int
    """Backtracks that the text tells."""
    tokens: Tokens
    answer: str
    """The answer of the journey: an option's letter, or text in a free-form case."""
    wording: WordingBy
    """Whether the text is a template's or a model's rewriting that passed the check."""
    notes: Mapping[Note, bool]
    """What the gate says of the journey; every note stands here."""


class Record(NamedTuple):
    """A sample as a file holds it."""

    messages: Sequence[Message]
    meta: SampleMeta


class _ChatLine(BaseModel):
    model_config = _FROZEN

    messages: tuple[Message, ...] = Field(min_length=1)
    meta: SampleMeta


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    by: Literal["system", "human", "gpt"] = Field(alias="from")
    value: str


class _ShareGptLine(BaseModel):
    model_config = _FROZEN

    conversations: tuple[_Said, ...] = Field(min_length=1)
    meta: SampleMeta


def record_of(sample: Sample, notes: Sequence[Note] = (), wording: WordingBy = "template") -> Record:
    """A compiled sample as a file holds it.

    Args:
        sample: as the compiler gave it, or rewritten.
        notes: the gate's.
        wording: whose its text is.
    """
    return Record(sample.messages, _meta_of(sample.meta, notes, wording))


def _meta_of(meta: Meta, notes: Sequence[Note], wording: WordingBy) -> SampleMeta:
    told = {
        **meta.model_dump(),
        "tries": meta.tries or 0,
        "adapter": meta.adapter or "",
        "adapter_sha256": meta.adapter_sha256 or "",
        "triggers": {trigger: meta.triggers.get(trigger, 0) for trigger in _TRIGGERS},
        "tokens": _tokens_of(meta.tokens),
        "wording": wording,
        "notes": {note: note in notes for note in Note},
    }
    return SampleMeta.model_validate(told)


def _tokens_of(usage: Usage) -> Tokens:
    """Cached tokens are left out: they tell of the engine, and not every engine counts them."""
    return Tokens(
        calls=usage.calls,
        prompt=usage.prompt_tokens,
        completion=usage.completion_tokens,
        estimated=usage.estimated,
    )


def line_of(record: Record, form: Format) -> str:
    """A sample as its line, without the newline."""
    if form == "messages":
        return _ChatLine(messages=tuple(record.messages), meta=record.meta).model_dump_json()
    said = tuple(
        _Said.model_validate({"from": _SHAREGPT[message.role], "value": message.content})
        for message in record.messages
    )
    return _ShareGptLine(conversations=said, meta=record.meta).model_dump_json()


def features_of(line: str) -> list[dict[str, Any]]:
    """The fields of a line and their types, as a dataset card declares them."""
    return _fields(json.loads(line))


def _fields(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"name": name, **_type_of(value)} for name, value in record.items()]


def _type_of(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {"struct": _fields(value)}
    if isinstance(value, list):
        return {"list": _fields(value[0])}
    return {"dtype": _ARROW[type(value)]}


def read_samples(path: Path, form: Format) -> Iterator[Record]:
    """Samples of a file, in its order.

    Raises:
        SampleFileError: the file cannot be read, or a line of it is no sample in this format.
    """
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                yield _parse(line, form, f"{path}, line {number}")
    except OSError as error:
        raise SampleFileError(f"cannot read {path}: {error.strerror or error}") from None


def _parse(line: bytes, form: Format, where: str) -> Record:
    try:
        if form == "messages":
            chat = _ChatLine.model_validate_json(line)
            return Record(chat.messages, chat.meta)
        shared = _ShareGptLine.model_validate_json(line)
    except ValidationError as error:
        raise SampleFileError(
            f"{where}: no sample in the format {form!r} ({fault_of(error)}); make the set again, or take the "
            "line out"
        ) from None
    said = tuple(
        Message.model_validate({"role": _CHAT[one.by], "content": one.value}) for one in shared.conversations
    )
    return Record(said, shared.meta)

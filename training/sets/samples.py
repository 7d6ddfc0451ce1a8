"""Samples as lines of a file: what a form of training data is, with TRL's chat format and ShareGPT's.

Every line has the same fields with values of the same types, and no nulls: readers that infer a schema from the
first lines (`datasets`) can then read all of them, and sets can be joined.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_args

from pydantic import AfterValidator, ConfigDict, Field, ValidationError

from ddxgraph.common.errors import SampleFileError, fault_of
from ddxgraph.common.files import open_regular
from ddxgraph.common.frozen import Frozen, Int64
from ddxgraph.graph.routing import Trigger
from ddxgraph.nodes.call.usage import Usage
from ddxgraph.training.gate.reasons import Note
from ddxgraph.training.sets.forms import form_of
from ddxgraph.training.styles.compile import Message, Meta, Origin, Sample

if TYPE_CHECKING:  # these need the extra `journeys`; samples are read without it
    from ddxgraph.training.gate.config import Side
    from ddxgraph.training.gate.gated import Accepted, Gated, Rejected


def _known_form(name: str) -> str:
    form_of(name)
    return name


FormName = Annotated[str, AfterValidator(_known_form)]
"""Name of a registered form."""
WordingBy = Literal["template", "rewritten"]

_TRIGGERS: Final[tuple[Trigger, ...]] = get_args(Trigger)
_SHAREGPT: Final = {"system": "system", "user": "human", "assistant": "gpt"}
_CHAT: Final = {name: role for role, name in _SHAREGPT.items()}
_ARROW: Final = {str: "string", bool: "bool", int: "int64"}


class Tokens(Frozen):
    """What the engine counted over a trace."""

    calls: Int64
    prompt: Int64
    completion: Int64
    estimated: bool
    """Estimated from the text's length, because the engine did not count."""


class SampleMeta(Origin[Tokens]):
    """Where a sample comes from, as a line holds it: without nulls."""

    tries: int
    """Most tries of each on-path node that the text tells; 0: all of them."""
    adapter: str
    """Empty if there was none."""
    adapter_sha256: str
    """Empty if there was none."""
    wording: WordingBy
    """Whether the text is the template's, or a model's rewriting that passed the check."""
    notes: Mapping[Note, bool]
    """Which of the gate's notes the journey has; every note is listed, as is every trigger."""


@dataclass(frozen=True)
class Record:
    """A sample as a file holds it. A form whose lines hold more has a subclass of its own."""

    messages: Sequence[Message]
    """The conversation that is trained on."""
    meta: SampleMeta


RecordsOf = Callable[["Accepted | Rejected"], Sequence[Record]]
"""The samples of a traversal in the style of the set; none if it cannot be told so."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form of training data: which records are made of the gate's decisions, and how a line holds a record."""

    field: str
    """The field of a line that holds the conversation."""
    loading: str
    """How to train on the data set `data`: a sentence for the dataset card, in Markdown."""
    export: Callable[["Gated", RecordsOf], Iterator[tuple["Side", Record]]]
    """The records in the order of the set, each with its side."""
    line: Callable[[Any], str]
    """A record as its line, without the newline."""
    parse: Callable[[bytes], Record]
    """Reads a line. Raises `pydantic.ValidationError` if it is no line of this form."""


class _ChatLine(Frozen):
    messages: tuple[Message, ...] = Field(min_length=1)
    meta: SampleMeta


class _Turn(Frozen):
    model_config = ConfigDict(serialize_by_alias=True)

    by: Literal["system", "human", "gpt"] = Field(alias="from")
    value: str


class _ShareGptLine(Frozen):
    conversations: tuple[_Turn, ...] = Field(min_length=1)
    meta: SampleMeta


def record_of(sample: Sample, notes: Sequence[Note] = (), wording: WordingBy = "template") -> Record:
    """A compiled sample as a file holds it.

    Args:
        sample: as the compiler made it, or rewritten.
        notes: the gate's.
        wording: whose words its reply is in.

    Returns:
        The sample without nulls, with every trigger and note.
    """
    return Record(sample.messages, _meta_of(sample.meta, notes, wording))


def _meta_of(meta: Meta, notes: Sequence[Note], wording: WordingBy) -> SampleMeta:
    facts = {
        **meta.model_dump(),
        "tries": meta.tries or 0,
        "adapter": meta.adapter or "",
        "adapter_sha256": meta.adapter_sha256 or "",
        "triggers": {trigger: meta.triggers.get(trigger, 0) for trigger in _TRIGGERS},
        "tokens": _tokens_of(meta.tokens),
        "wording": wording,
        "notes": {note: note in notes for note in Note},
    }
    return SampleMeta.model_validate(facts)


def _tokens_of(usage: Usage) -> Tokens:
    """Cached tokens are left out: they are about the engine, and not every engine counts them."""
    return Tokens(
        calls=usage.calls,
        prompt=usage.prompt_tokens,
        completion=usage.completion_tokens,
        estimated=usage.estimated,
    )


def each_sample(gated: "Gated", records_of: RecordsOf) -> Iterator[tuple["Side", Record]]:
    """Every sample of every accepted traversal."""
    for accepted in gated:
        for record in records_of(accepted):
            yield accepted.split, record


def _chat_line(record: Record) -> str:
    return _ChatLine(messages=tuple(record.messages), meta=record.meta).model_dump_json()


def _parsed_chat(line: bytes) -> Record:
    chat = _ChatLine.model_validate_json(line)
    return Record(chat.messages, chat.meta)


def _sharegpt_line(record: Record) -> str:
    turns = [{"from": _SHAREGPT[message.role], "value": message.content} for message in record.messages]
    return _ShareGptLine.model_validate({"conversations": turns, "meta": record.meta}).model_dump_json()


def _parsed_sharegpt(line: bytes) -> Record:
    shared = _ShareGptLine.model_validate_json(line)
    messages = [{"role": _CHAT[turn.by], "content": turn.value} for turn in shared.conversations]
    return Record(tuple(map(Message.model_validate, messages)), shared.meta)


MESSAGES: Final = Form(
    field="messages",
    loading='`messages` is the chat format of TRL: `SFTTrainer` takes `data["train"].remove_columns("meta")` as '
    "it is.",
    export=each_sample,
    line=_chat_line,
    parse=_parsed_chat,
)
SHAREGPT: Final = Form(
    field="conversations",
    loading="`conversations` is the ShareGPT format, with the speakers `system`, `human` and `gpt`.",
    export=each_sample,
    line=_sharegpt_line,
    parse=_parsed_sharegpt,
)


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


def read_samples(path: Path, form: str) -> Iterator[Record]:
    """Read the samples of a file, in its order.

    Args:
        path: the file.
        form: name of the form of its lines.

    Raises:
        SampleFileError: the file cannot be read, or a line is no sample in this form.
        UnknownForm: there is no such form.
    """
    parse = form_of(form).parse
    try:
        with open_regular(path) as lines:
            for number, line in enumerate(lines, 1):
                try:
                    yield parse(line)
                except ValidationError as error:
                    raise SampleFileError(
                        f"{path}, line {number}: no sample in the format {form!r} ({fault_of(error)}); make the "
                        "set again, or take the line out"
                    ) from None
    except OSError as error:
        raise SampleFileError(f"cannot read {path}: {error.strerror or error}") from None

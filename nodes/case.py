"""A clinical case as every node and every prompt sees it."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ddxgraph.common.errors import BadInput, fault_of

MAX_VIGNETTE_CHARS: Final = 100_000
"""About 30,000 tokens, far more than any published case (MedQA's longest has 3,600 characters)."""
MAX_OPTIONS: Final = 26

_LETTER: Final = re.compile(r"[A-Z]")
_HIDES: Final = frozenset(
    map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xE0000, 0xE0080)))
)
"""Bidirectional overrides and tag characters, with which a reader would see something other than the model."""
_ASCII_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_SPACE: Final = re.compile(r"[^\S\n]+")
_AS_JSON: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True).encode


def _clean(text: str) -> str:
    """Drop control characters, which hide text from a reader and break terminals; keep lines and scripts."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii():  # most cases are; 10 times as fast
        return _SPACE.sub(" ", _ASCII_CONTROL.sub(" ", text)).strip()
    kept = (
        c
        if c in "\n\t" or (unicodedata.category(c) not in {"Cc", "Cs", "Co", "Cn"} and c not in _HIDES)
        else " "
        for c in unicodedata.normalize("NFC", text)
    )
    return _SPACE.sub(" ", "".join(kept)).strip()


class Case(BaseModel):
    """A case as the model sees it. The gold answer is kept apart (`ddxgraph.eval.cases`).

    Raises:
        pydantic.ValidationError: a field is unknown, empty, too long, or the options are not lettered.

    Example:
        >>> case = Case(vignette="Fever and cough.", options={"A": "Influenza", "B": "Pneumonia"})
        >>> case.options["B"]
        'Pneumonia'
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(default="", max_length=200)
    """Name of the case in its source; by default derived from the content."""
    vignette: str = Field(max_length=MAX_VIGNETTE_CHARS)
    """The case presentation; includes the question if `question` is empty."""
    question: str = Field(default="", max_length=MAX_VIGNETTE_CHARS)
    options: Mapping[Annotated[str, Field(max_length=1)], Annotated[str, Field(max_length=2_000)]] = Field(
        default_factory=dict
    )
    """Letter (A to Z) to text, 2 to 26 options; empty for a free-form case."""
    source: str = Field(default="", max_length=2_000)
    """Origin of the case, such as the name of a benchmark or an address."""
    split: str = Field(default="", max_length=200)

    @field_validator("id", "vignette", "question", "source", "split", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        return _clean(value) if isinstance(value, str) else value

    @field_validator("vignette")
    @classmethod
    def _not_empty(cls, value: str) -> str:
        if not value:
            raise ValueError("the vignette is empty: give the text of the case")
        return value

    @field_validator("options", mode="before")
    @classmethod
    def _lettered(cls, value: Any) -> Any:
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise ValueError(
                'options must map letters to texts, such as {"A": "Influenza", "B": "Pneumonia"}'
            )
        options = {key: _clean(text) if isinstance(text, str) else text for key, text in value.items()}
        if len(options) == 1:
            raise ValueError("one option is no choice: give at least two, or none for a free-form answer")
        if len(options) > MAX_OPTIONS:
            raise ValueError(f"{len(options)} options: at most {MAX_OPTIONS}, one a letter")
        for letter, text in options.items():
            if not isinstance(letter, str) or not _LETTER.fullmatch(letter):
                raise ValueError(f"option letter {letter!r}: use single capital letters, A to Z")
            if not text:
                raise ValueError(f"option {letter} is empty")
        return dict(sorted(options.items()))

    @model_validator(mode="after")
    def _named(self) -> "Case":
        if not self.id:
            object.__setattr__(self, "id", f"case-{self.digest[:8]}")
        return self

    @property
    def letters(self) -> tuple[str, ...]:
        """Option letters in order; empty for a free-form case."""
        return tuple(self.options)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of what the model sees: vignette, question and options."""
        seen = {"vignette": self.vignette, "question": self.question, "options": dict(self.options)}
        return hashlib.sha256(_AS_JSON(seen).encode()).hexdigest()


CaseLike = Case | tuple[Case, object] | Mapping[str, Any]
"""A case, a case with its gold answer, or a mapping of its fields."""


def as_case(given: object) -> Case:
    """A case, in any of the forms in which callers hold one.

    Args:
        given: a `Case`; a mapping of its fields; or a case with its gold answer, as `read_cases` yields them. The
            gold answer, also one under `answer` in a mapping, goes no further.

    Returns:
        The case.

    Raises:
        BadInput: it is something else, or a field is wrong.
    """
    match given:
        case Case():
            return given
        case [Case() as found, _]:
            return found
        case Mapping():
            fields = {key: value for key, value in given.items() if key != "answer"}
            try:
                return Case.model_validate(fields)
            except ValidationError as error:
                raise BadInput(f"this mapping is no case: {fault_of(error, 'case')}") from None
        case _:
            raise BadInput(
                f"{type(given).__name__} is no case: give a `Case`, a mapping of its fields, or what "
                "`read_cases` yields"
            )

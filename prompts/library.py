"""Reads and renders the prompt set: one Jinja file a prompt, undefined variables refused, data disarmed."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, Template, Undefined, meta

from ddxgraph.common.errors import PromptError
from ddxgraph.common.templates import text_environment

_BEFORE, _BEHIND = ("system", "case"), ("repair", "compaction")
"""The graph's prompts around those of its stops."""

_HIDDEN: Final = "[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]*"
"""Characters that take no room: a model may read a tag that holds them as the tag."""
_OWN_TAGS: Final = re.compile(
    rf"<(?={_HIDDEN}(?:/[\s{_HIDDEN[1:-1]}*)?"
    rf"(?:{'|'.join(map(_HIDDEN.join, ('case', 'question', 'options', 'data')))})(?!{_HIDDEN}\w))",
    re.IGNORECASE,
)
_TEMPLATE_TOKENS: Final = re.compile(
    r"<(?=\||｜|/?(?:s|think|mask|cls|sep|bos|eos|pad|unk|image|video|audio)>|/?SYS>|/?\w*_\w+>)"
    r"|(?<=\|)>|\[(?=\||/?(?:[A-Z]+_[A-Z_]+|INST|IMG|THINK|ARGS|PREFIX|SUFFIX|MIDDLE|AUDIO|CLS|SEP|MASK|PAD|UNK)\])",
    re.IGNORECASE,
)
"""By their form, since a server may serve any model: a name with a bar or an underscore in angle brackets, one
with an underscore in square ones, and the names without either that tokenizers use."""


def disarm(text: str) -> str:
    """Make data harmless inside a prompt, changing as little as can be.

    A chat template's own tokens (`<|im_end|>`, `[INST]`, `<start_of_turn>`) would end the message that
    carries them, since servers tokenise the rendered template as a whole; our own tags would end the
    block that marks data as data, even where characters that take no room are hidden in them. Both get a space
    after their first sign. Text such as "WBC <4000" stays.
    """
    if "<" not in text and "[" not in text and ">" not in text:
        return text
    return _TEMPLATE_TOKENS.sub(_spaced, _OWN_TAGS.sub("< ", text))


def _spaced(match: re.Match[str]) -> str:
    return " >" if match.group() == ">" else f"{match.group()} "


def _finalize(value: Any) -> Any:
    return value if isinstance(value, Undefined) else disarm(str(value))


class PromptSet:
    """Prompts of one purpose, out of a folder. Every variable that a template writes out is data and is disarmed.

    Args:
        folder: holds one `NAME.jinja` for each name, and what these include; the shipped folder by default.
        names: the prompts of the set; the graph's by default. What else lies in the folder is no part of it.

    Raises:
        PromptError: a prompt is missing from the folder.
        jinja2.UndefinedError: (when rendering) a template names a variable that it was not given.
    """

    def __init__(self, folder: Path | None = None, names: Sequence[str] | None = None) -> None:
        names = graph_prompts() if names is None else names
        self.folder = folder or Path(__file__).parent
        missing = [name for name in names if not (self.folder / f"{name}.jinja").is_file()]
        if missing:
            raise PromptError(f"no {', '.join(f'{name}.jinja' for name in missing)} in {self.folder}")
        environment = text_environment(self.folder, _finalize)
        self._templates: Mapping[str, Template] = {
            name: environment.get_template(f"{name}.jinja") for name in names
        }
        for template in self._templates.values():
            template.globals = {}  # the prompts use none, and merging Jinja's own costs more than rendering
        sources = {name: (self.folder / f"{name}.jinja").read_bytes() for name in names}
        self.hashes: Mapping[str, str] = {name: _short(source) for name, source in sources.items()}
        """Content hash of each prompt, 12 hex digits."""
        parts = {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in sorted(_files(environment, self.folder, names))
        }
        self.hash = _short(b"\0".join(name.encode() + b"\0" + part for name, part in parts.items()))
        """Content hash of the set and of what its prompts include, 12 hex digits; part of every trace's id."""

    def render(self, name: str, /, **variables: Any) -> str:
        """The text of one prompt."""
        return self._templates[name].render(variables).strip()


def _files(environment: Environment, folder: Path, names: Sequence[str]) -> set[Path]:
    """The files that the prompts are made of: their own, and those that they name, however far down.

    A template that computes a name may name any other: then all that the folder holds counts.
    """
    found: set[Path] = set()
    waiting = [folder / f"{name}.jinja" for name in names]
    while waiting:
        path = waiting.pop()
        if path in found or not path.is_file():
            continue
        found.add(path)
        for named in meta.find_referenced_templates(environment.parse(path.read_text(encoding="utf-8"))):
            if named is None:
                return found | set(folder.rglob("*.jinja"))
            waiting.append(folder / named)
    return found


def _short(source: bytes) -> str:
    return hashlib.sha256(source).hexdigest()[:12]


def graph_prompts() -> tuple[str, ...]:
    """Names of the graph's prompts: those of the registered stops, and those around them.

    The registry of stops stands above this room and imports it, so it is looked up when a name is wanted.
    """
    stops = import_module("ddxgraph.nodes.registry").STOPS
    return (*_BEFORE, *(stop.prompt for stop in stops), *_BEHIND)


def shipped_prompts() -> PromptSet:
    """The graph's prompt set, as it comes with the package."""
    return _shipped(graph_prompts())


@lru_cache(maxsize=2)
def _shipped(names: tuple[str, ...]) -> PromptSet:
    return PromptSet(names=names)

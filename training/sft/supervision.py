"""Which tokens of a sample are supervised. Pure.

The loss covers exactly what the model has to write: each reply, from the first token after the template's
generation prompt to the special token that ends the turn, inclusive. Both ends are found by rendering. The
messages before a reply, rendered with the generation prompt, are what a server gives to the model, and the
rendered conversation must begin with them. So templates need no `generation` markers.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from ddxgraph.common.errors import BadInput, TrainingDataError, first_line
from ddxgraph.nodes.call.systemturn import joined
from ddxgraph.training.styles.compile import Message

IGNORED: Final = -100
"""Label of a token outside the loss, as in torch's cross entropy."""


class Supervised(NamedTuple):
    """A sample as tokens."""

    input_ids: list[int]
    labels: list[int]
    """As long as `input_ids`: the token itself where it is supervised, else `IGNORED`."""

    @property
    def supervised_tokens(self) -> int:
        """Number of tokens in the loss."""
        return sum(label != IGNORED for label in self.labels)


_PROBE: Final = "Answer briefly"


class Unreadable(BadInput):
    """The replies of a sample cannot be located in its rendered text; the message says why."""


def check_template(tokenizer: Any, template: str | None = None) -> None:
    """Check with a conversation of two turns that a chat template can be trained on.

    Args:
        tokenizer: the base model's, from transformers.
        template: chat template to use instead of the tokenizer's.

    Raises:
        TrainingDataError: there is no template, it is broken, or replies cannot be located in its output.
    """
    if not (template or tokenizer.chat_template):
        raise TrainingDataError(
            "the base model has no chat template, so it is unknown how a server would present a case to "
            "it; train an instruction-tuned model, or name a Jinja file with data.chat_template"
        )
    turns = [("system", _PROBE), ("user", "One?"), ("assistant", "1"), ("user", "Two?"), ("assistant", "2")]
    messages = [Message.model_validate({"role": role, "content": content}) for role, content in turns]
    try:
        supervise(messages, tokenizer, template)
    except Unreadable as error:
        raise TrainingDataError(
            f"the chat template cannot be trained on: {error}; name another Jinja file with data.chat_template"
        ) from None
    except Exception as error:  # whatever Jinja raises
        raise TrainingDataError(
            f"the chat template fails on an ordinary conversation ({first_line(error)}); name another "
            "Jinja file with data.chat_template"
        ) from None


def supervise(messages: Sequence[Message], tokenizer: Any, template: str | None = None) -> Supervised:
    """Tokenize a conversation and label its replies.

    Args:
        messages: with at least one reply of the assistant.
        tokenizer: the base model's, a fast tokenizer from transformers.
        template: chat template to use instead of the tokenizer's.

    Returns:
        Tokens and labels, equally long.

    Raises:
        Unreadable: a reply cannot be located.
    """
    plain = _told(tokenizer, template, messages)
    special = _special(tokenizer)
    for message in messages:
        if special and (match := special.search(message.content)):
            raise Unreadable(f"a message holds the tokenizer's special token {match[0]!r} as text")
    text = _render(tokenizer, template, plain)
    spans = [
        _reply(tokenizer, template, plain[: place + 1], text, special)
        for place, message in enumerate(plain)
        if message["role"] == "assistant"
    ]
    if not spans:
        raise Unreadable("there is no reply of the assistant")
    return _labelled(tokenizer(text, add_special_tokens=False, return_offsets_mapping=True), spans)


def _told(tokenizer: Any, template: str | None, messages: Sequence[Message]) -> list[dict[str, str]]:
    """The messages as the template takes them: where it has no system turn, its text begins the first turn."""
    plain = [message.model_dump() for message in messages]
    opened = [message["role"] for message in plain[:2]] == ["system", "user"]
    if not opened or takes_system(tokenizer, template or tokenizer.chat_template):
        return plain
    system, first, *rest = plain
    return [{**first, "content": joined(system["content"], first["content"])}, *rest]


@lru_cache(maxsize=8)
def takes_system(tokenizer: Any, template: str) -> bool:
    """Whether a chat template has a system turn: it neither refuses one nor drops it without a word."""
    try:
        text = _render(
            tokenizer, template, [{"role": "system", "content": _PROBE}, {"role": "user", "content": "One?"}]
        )
    except Exception:  # whatever Jinja raises
        return False
    return _PROBE in text


def _render(
    tokenizer: Any, template: str | None, messages: Sequence[Mapping[str, str]], ask: bool = False
) -> str:
    return str(
        tokenizer.apply_chat_template(
            messages, chat_template=template, tokenize=False, add_generation_prompt=ask
        )
    )


def _special(tokenizer: Any) -> re.Pattern[str] | None:
    """Matches the special tokens, which must not occur in a message's text."""
    tokens = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    tokens |= set(tokenizer.all_special_tokens)
    longest_first = sorted(tokens, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if longest_first else None


def _reply(
    tokenizer: Any,
    template: str | None,
    upto: Sequence[Mapping[str, str]],
    text: str,
    special: re.Pattern[str] | None,
) -> tuple[int, int]:
    """Span of the last message in the rendered text: first character, and one past the last."""
    prompt = _render(tokenizer, template, upto[:-1], ask=True)
    if not text.startswith(prompt):
        raise Unreadable(
            "what the template renders before a reply, with the generation prompt, is not what the whole "
            "conversation begins with (it renders earlier turns otherwise once later ones follow, or has no "
            "generation prompt)"
        )
    end = special.search(text, len(prompt)) if special else None
    if end is None:
        raise Unreadable("no special token ends a reply, so that a model would not learn to stop")
    if upto[-1]["content"].strip() not in text[len(prompt) : end.start()]:
        raise Unreadable("the template does not render a reply as it is written")
    return len(prompt), end.end()


def _labelled(encoded: Mapping[str, Any], spans: Sequence[tuple[int, int]]) -> Supervised:
    ids: list[int] = list(encoded["input_ids"])
    labels = [IGNORED] * len(ids)
    waiting = iter(spans)
    start, end = next(waiting)
    for place, (first, past) in enumerate(encoded["offset_mapping"]):
        while first >= end and (following := next(waiting, None)):
            start, end = following
        if first < start < past:
            raise Unreadable("a token holds the end of the generation prompt and the start of the reply")
        if start <= first < end:
            labels[place] = ids[place]
    return Supervised(ids, labels)

"""What a sample teaches: its tokens, and which of them the loss is taken over. Pure.

The loss covers what the model itself has to write and nothing else: each reply from the first token after the
template's generation prompt up to and including the special token that ends the turn. Both ends are found by
rendering: what the template gives for the messages before a reply, with the generation prompt, is what a server
puts to the model, and the conversation as a whole must begin with it. So templates need no `generation` markers.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from ddxgraph.common.errors import BadInput, TrainingDataError
from ddxgraph.training.styles.compile import Message

IGNORED: Final = -100
"""Label of a token that the loss leaves out, as torch's cross entropy has it."""


class Supervised(NamedTuple):
    """A sample as tokens."""

    input_ids: list[int]
    labels: list[int]
    """As long as `input_ids`: the token where the loss is taken over it, else `IGNORED`."""

    @property
    def supervised_tokens(self) -> int:
        """Tokens that the loss is taken over."""
        return sum(label != IGNORED for label in self.labels)


class Unreadable(BadInput):
    """The replies of a sample cannot be told in its rendered text; the message says why."""


def check_template(tokenizer: Any, template: str | None = None) -> None:
    """See that a chat template can be trained on, by a conversation of two turns.

    Args:
        tokenizer: the base model's, of transformers.
        template: instead of the tokenizer's own.

    Raises:
        TrainingDataError: there is none, it is broken, or replies cannot be told in what it renders.
    """
    if not (template or tokenizer.chat_template):
        raise TrainingDataError(
            "the base model has no chat template, so that there is no telling how a server will put a case to "
            "it; train an instruction-tuned model, or name a Jinja file with data.chat_template"
        )
    turns = [("user", "One?"), ("assistant", "1"), ("user", "Two?"), ("assistant", "2")]
    messages = [Message.model_validate({"role": role, "content": content}) for role, content in turns]
    try:
        supervise(messages, tokenizer, template)
    except Unreadable as error:
        raise TrainingDataError(
            f"the chat template cannot be trained on: {error}; name another Jinja file with data.chat_template"
        ) from None
    except Exception as error:  # Jinja's, whatever the template does
        raise TrainingDataError(
            f"the chat template fails on an ordinary conversation ({str(error).splitlines()[0]}); name another "
            "Jinja file with data.chat_template"
        ) from None


def supervise(messages: Sequence[Message], tokenizer: Any, template: str | None = None) -> Supervised:
    """A conversation as tokens with labels.

    Args:
        messages: with one reply of the assistant at least.
        tokenizer: the base model's, a fast one of transformers.
        template: instead of the tokenizer's own.

    Raises:
        Unreadable: see there.
    """
    plain = [message.model_dump() for message in messages]
    special = _special(tokenizer)
    for message in messages:
        if special and (found := special.search(message.content)):
            raise Unreadable(f"a message holds the tokenizer's special token {found[0]!r} as text")
    text = _render(tokenizer, template, plain)
    spans = [
        _reply(tokenizer, template, plain[: place + 1], text, special)
        for place, message in enumerate(messages)
        if message.role == "assistant"
    ]
    if not spans:
        raise Unreadable("there is no reply of the assistant")
    return _labelled(tokenizer(text, add_special_tokens=False, return_offsets_mapping=True), spans)


def _render(
    tokenizer: Any, template: str | None, messages: Sequence[Mapping[str, str]], ask: bool = False
) -> str:
    return str(
        tokenizer.apply_chat_template(
            messages, chat_template=template, tokenize=False, add_generation_prompt=ask
        )
    )


def _special(tokenizer: Any) -> re.Pattern[str] | None:
    """The tokens that no text of a message may be read as."""
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
    """Where in the text the model writes the last of these messages: its first character, and past its last."""
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

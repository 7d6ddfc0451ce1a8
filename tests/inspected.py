"""Evaluations of Inspect AI in this process, on a scripted model, for the tests of what runs there."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from inspect_ai import Task
from inspect_ai import eval as inspect_eval
from inspect_ai.log import EvalLog
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessageAssistant,
    GenerateConfig,
    Logprob,
    Logprobs,
    ModelOutput,
    ModelUsage,
    TopLogprob,
    get_model,
)

from ddxgraph.batch.manifest import Selection
from ddxgraph.eval.cases import CaseEntry, Gold
from ddxgraph.eval.inspect.tasks import journey, task_of
from ddxgraph.nodes.case import Case
from ddxgraph.testing import smallest

OPTIONS = {"A": "Influenza", "B": "Pneumonia", "C": "Asthma"}
GOLD_TEXT = "Takotsubo cardiomyopathy"
"""A gold answer that stands nowhere in its case."""


class Asked(NamedTuple):
    """What reached the model of Inspect's."""

    node: str
    """Name of the form that was asked for; empty for free text."""
    prompt: str
    config: GenerateConfig


class Items(NamedTuple):
    """Cases as `ddxgraph.eval.benchmarks.load` gives them."""

    selection: Selection | None
    entries: Sequence[CaseEntry]


def entry(name: str, gold: str, options: Mapping[str, str] = OPTIONS) -> CaseEntry:
    """A case whose vignette names it."""
    case = Case(id=name, vignette=f"A patient with a fever, called {name}.", options=options)
    return CaseEntry(case, Gold(case=name, answer=gold))


def said(text: str, *, model: str = "mockllm/model") -> ModelOutput:
    """A reply, with usage: Inspect would fetch a tokenizer to count."""
    usage = ModelUsage(input_tokens=20, output_tokens=5, total_tokens=25)
    return ModelOutput.from_content(model, text).model_copy(update={"usage": usage})


def with_logprobs(output: ModelOutput, probable: Mapping[str, float]) -> ModelOutput:
    """A reply that ends in `A"}`, with log-probabilities at the letter."""
    text = output.completion
    tokens = [text[:-3], text[-3], text[-2:]]
    content = [
        Logprob(
            token=token,
            logprob=probable["A"] if place == 1 else 0.0,
            top_logprobs=[TopLogprob(token=key, logprob=value) for key, value in probable.items()]
            if place == 1
            else [],
        )
        for place, token in enumerate(tokens)
    ]
    choice = ChatCompletionChoice(
        message=ChatMessageAssistant(content=text), stop_reason="stop", logprobs=Logprobs(content=content)
    )
    return output.model_copy(update={"choices": [choice]})


Line = Callable[[Asked], ModelOutput | None]
"""A reply; None: the smallest one that fits the form."""


def evaluate(
    items: Items | Task, logs: Path, line: Line = lambda asked: None, **settings: Any
) -> tuple[EvalLog, list[Asked]]:
    """Run a task; its log, and what the model was asked."""
    asked: list[Asked] = []

    def reply(messages: Any, tools: Any, choice: Any, config: GenerateConfig) -> ModelOutput:
        form = config.response_schema
        turn = Asked(form.name if form else "", "\n".join(m.text for m in messages), config)
        asked.append(turn)
        told = line(turn)
        if told is not None:
            return told
        schema = config.extra_body["response_format"]["json_schema"]["schema"] if config.extra_body else {}
        return said(json.dumps(smallest(schema)))

    way = settings.pop("way", None) or journey()
    task = items if isinstance(items, Task) else task_of(items, way)
    model = get_model("mockllm/model", custom_outputs=reply)
    (log,) = inspect_eval(task, model=model, display="none", log_dir=str(logs), **settings)
    return log, asked

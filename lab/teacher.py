"""The teacher: a chat model that answers the graph's prompts about laboratory cases from the exact solver."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any, Final

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field

from ddxgraph.common.errors import BadInput
from ddxgraph.lab import replies
from ddxgraph.lab.replies import Lesson, Reply
from ddxgraph.lab.slip import Rates, slip_of
from ddxgraph.lab.tally import steps_of
from ddxgraph.lab.wording import read_question, read_vignette
from ddxgraph.nodes.call.consultation import BRANCH_KEY, NODE_KEY

_CASE: Final = re.compile(
    r"<case>\n(?P<vignette>.*)\n</case>\n<question>(?P<question>.*)</question>\n"
    r"<options>\n(?P<options>.*?)\n</options>",
    re.DOTALL,
)


class Teacher(BaseChatModel):
    """Answers node prompts from their own text: the case and the conversation so far.

    It reads findings and cards out of the case, weighs them, and names the candidate that the exact solver finds
    likeliest. It never sees the gold answer. With the probabilities below it takes a wrong turn (`lab.slip`): it
    misreads or skips a finding, so that a wrong candidate leads. Its reflection then names the finding that
    refutes this, and goes back. Seed and case alone decide what goes wrong.

    Example:
        >>> from ddxgraph import build_graph
        >>> from ddxgraph.lab.wording import options, question, vignette
        >>> from ddxgraph.lab.level import LEVELS
        >>> from ddxgraph import Case
        >>> cards = {"Influenza": ("fever", "chills", "cough"), "Asthma": ("wheezing", "stridor", "fatigue")}
        >>> told = vignette(cards, {"fever": True, "chills": True, "wheezing": False, "stridor": True})
        >>> case = Case(vignette=told, question=question(LEVELS[1]), options=options(cards))
        >>> build_graph(Teacher()).invoke({"case": case})["conclusion"].answer
        'A'
    """

    misread: float = Field(default=0.0, ge=0, le=1)
    """Probability that it misreads a finding for one candidate, if that can put a wrong one in the lead."""
    overlooked: float = Field(default=0.0, ge=0, le=1)
    """Probability that its first reading skips a finding, if that can put a wrong candidate in the lead."""
    seed: int = 0
    """Decides which cases it goes wrong in, and how."""

    @property
    def model_name(self) -> str:
        """The model's name in traces: all that decides a reply but the seed."""
        return f"ddxlab-teacher, misread {self.misread:g}, overlooked {self.overlooked:g}"

    @property
    def _llm_type(self) -> str:
        return "ddxgraph-teacher"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        return {"model_name": self.model_name, "seed": self.seed}

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,  # noqa: ARG002
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        metadata = run_manager.metadata if run_manager else {}
        lesson = self._lesson(messages)
        asked = kwargs.get("response_format", {}).get("json_schema", {}).get("schema", {}).get("properties")
        reply = _reply(lesson, metadata)
        fields = {name: value for name, value in reply.items() if asked is None or name in asked}
        message = AIMessage(json.dumps(fields, ensure_ascii=False))
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _lesson(self, messages: Sequence[BaseMessage]) -> Lesson:
        """The case in the messages.

        Raises:
            BadInput: it is no laboratory case.
        """
        match = _CASE.search(str(messages[1].text))
        if match is None:
            raise BadInput("the teacher answers the graph's prompts about laboratory cases alone")
        vignette, noise = read_vignette(match["vignette"]), read_question(match["question"])
        rng = Random(f"{self.seed}/{match.group()}")  # noqa: S311 - to be repeated, not secret
        rates = Rates(self.misread, self.overlooked)
        earlier = list(_earlier(messages))
        return Lesson(
            options=dict(line.split(". ", 1) for line in match["options"].split("\n")),
            cards=vignette.cards,
            findings=vignette.findings,
            noise=noise,
            slip=slip_of(vignette.cards, vignette.findings, steps_of(noise), rates, rng),
            again=any("verdict" in reply for reply in earlier),
            listed=[finding["quote"] for reply in earlier for finding in reply.get("findings", ())],
        )


def _earlier(messages: Sequence[BaseMessage]) -> Iterator[Reply]:
    """The teacher's earlier replies."""
    for message in messages:
        if isinstance(message, AIMessage):
            yield json.loads(str(message.text))


def _reply(lesson: Lesson, metadata: Mapping[str, Any] | None) -> Reply:
    node, branch = (metadata or {}).get(NODE_KEY), (metadata or {}).get(BRANCH_KEY)
    match node:
        case "review_history":
            return replies.review_history(lesson)
        case "generate_differential":
            return replies.generate_differential(lesson)
        case "check_evidence":
            return replies.check_evidence(lesson, str(branch))
        case "reflect":
            return replies.reflect(lesson)
        case "conclude":
            return replies.conclude(lesson)
        case _:
            raise BadInput(f"the teacher knows the stops of the graph alone, and not {node!r}")

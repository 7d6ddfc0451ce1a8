"""Strategies of one generation: the bare answer, or a free text that ends in it."""

import time
from dataclasses import dataclass, field
from functools import cache
from typing import Final, NamedTuple

from langchain_core.language_models import BaseChatModel

from ddxgraph.common.errors import BadInput
from ddxgraph.graph.budget import Budget
from ddxgraph.graph.conversation import Repeated
from ddxgraph.graph.cutprompts import cut_prompts, warned
from ddxgraph.graph.plan import Plan
from ddxgraph.graph.routing import Limit, Move, over_budget
from ddxgraph.graph.state import Setting
from ddxgraph.graph.trace import (
    EndReason,
    Outcome,
    Step,
    StrategySettings,
    Trace,
    plan_digest,
    provenance_of,
)
from ddxgraph.graph.visits.visit import Entry, broken_by, open_line, step_of
from ddxgraph.nodes.call.consultation import BRIEF_KEY, MIN_REPLY_TOKENS, Consultation, Wording, as_chat_model
from ddxgraph.nodes.call.patience import Patience
from ddxgraph.nodes.call.usage import Usage, estimate_tokens
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.failure import EngineFailed
from ddxgraph.nodes.generate import (
    GENERATE,
    SYSTEM,
    Generation,
    asking,
    generate,
    prompts_of,
)
from ddxgraph.nodes.registry import END
from ddxgraph.nodes.settings import Sampling
from ddxgraph.nodes.strategies import generating
from ddxgraph.prompts.library import PromptSet

_NOTHING: Final = Repeated((), "")


@cache
def generation_prompts(strategy: str) -> PromptSet:
    """The shipped prompt set of a strategy with one generation.

    Raises:
        UnknownStrategy: there is no such strategy.
    """
    return PromptSet(names=prompts_of(strategy))


@dataclass(frozen=True, kw_only=True)
class GenerationStrategy:
    """One generation per case.

    `vanilla` asks for the bare answer as JSON, which the engine enforces. `cot` asks for brief reasoning,
    `longstep` for titled steps, `straight` and `shortcut` for such steps without detours, `longmonolog` for a
    monologue; each ends in the line that states the answer.

    If the window or the budget has less room than `reply_tokens`, the reply gets what there is. If the budget
    cannot pay for the call, the traversal ends without one.

    Raises:
        UnknownStrategy: there is no strategy named `style`.
        BadInput: `reply_tokens` is less than one.

    Example:
        >>> import asyncio
        >>> from ddxgraph.testing import ScriptedChatModel
        >>> case = Case(vignette="Fever and cough.", options={"A": "Influenza", "B": "Pneumonia"})
        >>> model = ScriptedChatModel(script={"generate": "Crackles speak for it.\\nAnswer: B"})
        >>> asyncio.run(GenerationStrategy(style="cot")(case, model)).answer
        'B'
    """

    style: str
    """Name of the strategy: one of `ddxgraph.nodes.strategies.generation_names()`."""
    sampling: Sampling | None = None
    reply_tokens: int | None = None
    """Token limit of the reply; None: that of the strategy, which is less for a very small model
    (`ddxgraph.nodes.strategies`)."""
    budget: Budget | None = None
    """Limits on tokens and calls. One call is enough, and a second one for the repair of `vanilla`."""
    prompts: PromptSet | None = None
    """The prompts that `ddxgraph.nodes.generate.prompts_of` names; by default the shipped ones."""
    context_window: int | None = None
    patience: Patience | None = None

    _settled: list[tuple[BaseChatModel, Plan]] = field(
        default_factory=list, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        generating(self.style)
        if self.reply_tokens is not None and self.reply_tokens < 1:
            raise BadInput(f"reply_tokens is {self.reply_tokens}: a reply needs one token at least")

    def settle(self, model: BaseChatModel) -> Plan:
        """The plan on a model."""
        for known, settled in self._settled:
            if known is model:
                return settled
        settled = self._plan(model)
        self._settled.append((model, settled))
        return settled

    async def __call__(self, case: Case, model: BaseChatModel, sample: int = 0) -> Trace:
        """Answer a case.

        Args:
            case: the case.
            model: the chat model.
            sample: number of the sample, from 0; changes the seed.

        Returns:
            The trace, of one step.

        Raises:
            CaseTooLong: the case does not fit the model's context window.
        """
        return warned(await _Attempt.at(self.settle(model), self.style, case, sample).run())

    def _plan(self, model: BaseChatModel) -> Plan:
        prompts = self.prompts or generation_prompts(self.style)
        sampling = self.sampling or Sampling()
        known = as_chat_model(model).metadata or {}
        strategy = StrategySettings(
            name=self.style,
            budget=_narrowed(self.budget or Budget(), self.style),
            context_window=self.context_window or (model.profile or {}).get("max_input_tokens"),
            reply_tokens=self.reply_tokens
            or generating(self.style).most_tokens(brief=bool(known.get(BRIEF_KEY))),
        )
        provenance = provenance_of(model, sampling, prompts.hash)
        return Plan(
            wording=Wording(model, prompts, sampling, self.patience or Patience()),
            strategy=strategy,
            provenance=provenance,
            system=prompts.render(SYSTEM),
            digest=plan_digest(strategy, provenance),
        )


def _narrowed(budget: Budget, strategy: str) -> Budget:
    """The part of a budget that one generation can spend; budgets that share it give the same trace ids."""
    calls = 2 if generating(strategy).form else 1
    return Budget(max_tokens=budget.max_tokens, max_calls=min(budget.max_calls, calls), max_backtracks=0)


class _Attempt(NamedTuple):
    """One case in one generation."""

    plan: Plan
    style: str
    case: Case
    sample: int
    setting: Setting
    line: Consultation

    @classmethod
    def at(cls, plan: Plan, style: str, case: Case, sample: int) -> "_Attempt":
        """Open the line to the model."""
        setting = plan.setting(case, sample)
        purse = setting.strategy.budget.left(Usage())
        line = open_line(plan, setting, sample, _NOTHING, purse, Entry({}, blocking=False))
        return cls(plan, style, case, sample, setting, line)

    async def run(self) -> Trace:
        """Make the call if the budget can pay for it, and the trace."""
        start = time.perf_counter()
        cap = self._cap()
        if isinstance(cap, str):
            move = over_budget(cap, "no room left for the call").model_copy(update={"to": END})
            return self._trace(self._step(move=move), start)
        try:
            output = await generate(self.case, self.style, cap, self.line)
        except EngineFailed as error:
            return self._trace(self._step(move=broken_by(error.failure)), start)
        return self._trace(self._step(output=output, move=Move(to=END)), start)

    def _cap(self) -> int | Limit:
        """Token limit of the reply, or the spent limit that forbids the call."""
        wanted = self.setting.strategy.reply_tokens or MIN_REPLY_TOKENS
        words = (self.setting.system, self.setting.opening, asking(self.case, self.style, self.line))
        left = self.line.allowance.tokens - estimate_tokens(words)
        if self.line.allowance.calls < 1:
            return "calls"
        return "tokens" if left < min(wanted, MIN_REPLY_TOKENS) else min(wanted, left)

    def _step(self, **facts: object) -> Step:
        return step_of(self.plan, GENERATE, self.style, self.line, index=0, **facts)

    def _trace(self, step: Step, start: float) -> Trace:
        output = step.output if isinstance(step.output, Generation) else Generation()
        return Trace(
            id=self.setting.trace_id,
            case=self.case,
            sample=self.sample,
            strategy=self.setting.strategy,
            provenance=self.setting.provenance,
            system=self.setting.system,
            opening=self.setting.opening,
            steps=(step,),
            answer=output.answer,
            distribution=output.distribution,
            distribution_from=output.distribution_from,
            outcome=_outcome(step, output),
            ended=_ended(step, output),
            failure=step.failure,
            cut_prompts=cut_prompts(self.setting.system, self.setting.opening, [step], []),
            usage=step.usage,
            elapsed_s=time.perf_counter() - start,
        )


def _outcome(step: Step, output: Generation) -> Outcome:
    if step.move.trigger == "engine":
        return "error"
    if step.move.trigger == "budget":
        return "abstained"
    return "unparsed" if output.answer is None else "answered"


def _ended(step: Step, output: Generation) -> EndReason:
    if step.move.trigger == "engine":
        return "failure"
    if step.move.limit == "calls":
        return "budget_calls"
    return "budget_tokens" if step.move.limit == "tokens" or output.truncated else "concluded"

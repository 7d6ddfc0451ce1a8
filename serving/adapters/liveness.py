"""Proves that a served adapter is in force: the server's answers to the canaries against those of its weights."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from ddxgraph.common.errors import AdapterError
from ddxgraph.serving.adapters.canary import TOLERANCE, Agreement, CanarySet, Continuation, agreement
from ddxgraph.serving.adapters.files import Adapter
from ddxgraph.serving.api import ServerApi
from ddxgraph.serving.models import ServedModel, served_models

CANARY_TIMEOUT_S: Final = 600.0
"""The first request with an adapter compiles its kernels, which takes a while on a CPU."""


class Verdict(StrEnum):
    """What the canaries show."""

    LIVE = "live"
    NOT_LOADED = "not loaded"
    IGNORED = "ignored"
    OTHER_BASE = "other base"
    OTHER_WEIGHTS = "other weights"
    TOO_ALIKE = "too alike"


_MERGED: Final = {
    Verdict.LIVE: "{name} is live: the server computes with the adapter's update in its weights",
    Verdict.TOO_ALIKE: "the adapter changes the canaries by only {signal:.3f} nats a token, too little to tell "
    "it from its base model within a tolerance of {tolerance}; train it for longer",
    Verdict.IGNORED: "{name} answers as its base model does: the adapter was not merged into it",
    Verdict.OTHER_WEIGHTS: "{name} answers neither as its base model nor as these weights: serve the model that "
    "this adapter was merged into",
}
"""Verdict on a merged model to its sentence."""


class Liveness(NamedTuple):
    """The verdict on one served adapter, and the figures behind it."""

    name: str
    verdict: Verdict
    message: str
    """The verdict in a sentence, and how to mend it."""
    tolerance: float
    signal: float
    """Nats by which the adapter's files change the log-probabilities of its own tokens."""
    base: Agreement | None = None
    """The served base model against the base model's canaries."""
    adapted: Agreement | None = None
    """The served adapter against the adapter's canaries."""
    unadapted: Agreement | None = None
    """The served adapter against the base model's canaries."""

    @property
    def live(self) -> bool:
        """Whether the adapter was proven to be in force."""
        return self.verdict is Verdict.LIVE


def verify(
    api: ServerApi, name: str, adapter: Adapter, canaries: CanarySet, tolerance: float = TOLERANCE
) -> Liveness:
    """Prove that a served adapter is exactly these files, on the base model that they were trained on.

    Args:
        api: the server.
        name: the adapter's name on the server.
        adapter: the files that it should be.
        canaries: the adapter's, from `read_canaries` or `make_canaries`.
        tolerance: mean difference in nats that log-probabilities may have.

    Returns:
        The verdict and its figures.

    Raises:
        ServerError: the server does not answer.
        AdapterError: it does not send what the comparison needs.
    """
    served = _listed(api, name)
    if served is None or served.base is None:
        return Liveness(
            name, Verdict.NOT_LOADED, _unloaded(served, name, adapter), tolerance, canaries.signal
        )
    base_answers = _continuations(api, served.base, canaries)
    answers = _continuations(api, name, canaries)
    return judge(served, adapter, canaries, base_answers, answers, tolerance)


def verify_merged(api: ServerApi, name: str, canaries: CanarySet, tolerance: float = TOLERANCE) -> Liveness:
    """Prove that a served model is a base model with an adapter's update in its weights.

    Args:
        api: the server.
        name: the model's name on the server.
        canaries: the adapter's.
        tolerance: mean difference in nats that log-probabilities may have.

    Returns:
        The verdict and its figures.

    Raises:
        ServerError: the server does not answer.
        AdapterError: it does not send what the comparison needs.
    """
    answers = _continuations(api, name, canaries)
    adapted = agreement(answers, [canary.adapted for canary in canaries.canaries])
    unadapted = agreement(answers, [canary.base for canary in canaries.canaries])
    verdict = _verdict_of_adapted(canaries, adapted, unadapted, tolerance)
    message = _MERGED[verdict].format(name=repr(name), signal=canaries.signal, tolerance=tolerance)
    return Liveness(name, verdict, message, tolerance, canaries.signal, None, adapted, unadapted)


def check_loaded(api: ServerApi, name: str, adapter: Adapter) -> None:
    """Check that the server has an adapter of that name, before canaries are computed.

    Args:
        api: the server.
        name: the adapter's name on the server.
        adapter: its files, for the error.

    Raises:
        AdapterError: the server has no adapter of that name.
        ServerError: the server does not answer.
    """
    served = _listed(api, name)
    if served is None or served.base is None:
        raise AdapterError(_unloaded(served, name, adapter))


def _listed(api: ServerApi, name: str) -> ServedModel | None:
    return next((model for model in served_models(api) if model.name == name), None)


def _unloaded(served: ServedModel | None, name: str, adapter: Adapter) -> str:
    why = "is the base model's name, not an adapter's" if served else "is not loaded"
    return f"{name!r} {why}; load it: ddxgraph adapters load {name}={adapter.folder}"


def judge(
    served: ServedModel,
    adapter: Adapter,
    canaries: CanarySet,
    base_answers: Sequence[Continuation],
    answers: Sequence[Continuation],
    tolerance: float = TOLERANCE,
) -> Liveness:
    """The verdict on the answers to the canaries. Pure.

    Args:
        served: the adapter on the server.
        adapter: the files that it should be.
        canaries: the adapter's.
        base_answers: the served base model's continuations.
        answers: the served adapter's continuations.
        tolerance: mean difference in nats that log-probabilities may have.

    Returns:
        The verdict and its figures.
    """
    of_base = [canary.base for canary in canaries.canaries]
    base = agreement(base_answers, of_base)
    adapted = agreement(answers, [canary.adapted for canary in canaries.canaries])
    unadapted = agreement(answers, of_base)
    verdict = _verdict(served, adapter, canaries, base, adapted, unadapted, tolerance)
    message = _sentence(verdict, served, adapter, canaries, tolerance)
    return Liveness(served.name, verdict, message, tolerance, canaries.signal, base, adapted, unadapted)


def _verdict(
    served: ServedModel,
    adapter: Adapter,
    canaries: CanarySet,
    base: Agreement,
    adapted: Agreement,
    unadapted: Agreement,
    tolerance: float,
) -> Verdict:
    if not base.holds(tolerance):
        return Verdict.OTHER_BASE
    verdict = _verdict_of_adapted(canaries, adapted, unadapted, tolerance)
    other = served.stored_sha256 not in {None, adapter.sha256}
    return Verdict.OTHER_WEIGHTS if verdict is Verdict.LIVE and other else verdict


def _verdict_of_adapted(
    canaries: CanarySet, adapted: Agreement, unadapted: Agreement, tolerance: float
) -> Verdict:
    if canaries.signal <= 2 * tolerance:
        return Verdict.TOO_ALIKE
    if unadapted.holds(tolerance) and not (
        adapted.holds(tolerance) and adapted.compared > unadapted.compared
    ):  # both hold if the two models begin alike; then the one that agrees for longer counts
        return Verdict.IGNORED
    return Verdict.LIVE if adapted.holds(tolerance) else Verdict.OTHER_WEIGHTS


def _sentence(
    verdict: Verdict, served: ServedModel, adapter: Adapter, canaries: CanarySet, tolerance: float
) -> str:
    name, base = served.name, served.base
    reload = f"ddxgraph adapters unload {name}; ddxgraph adapters load {name}={adapter.folder}"
    match verdict:
        case Verdict.LIVE:
            return f"{name!r} is live: the server computes with exactly these weights on the right base model"
        case Verdict.OTHER_BASE:
            return (
                f"the served base model {base!r} does not answer as {canaries.base_model!r} does, on which the "
                "adapter was trained; serve that model"
            )
        case Verdict.TOO_ALIKE:
            return (
                f"the adapter changes the canaries by only {canaries.signal:.3f} nats a token, too little to "
                f"tell it from its base model within a tolerance of {tolerance}; make canaries from prompts that "
                "it was trained on: ddxgraph adapters canaries --prompts FILE"
            )
        case Verdict.IGNORED:
            return (
                f"{name!r} answers as its base model {base!r} does: the server lists the adapter but does not "
                f"apply it; load it again ({reload}) and see the server's log"
            )
        case _ if served.stored_sha256 not in {None, adapter.sha256}:
            return (
                f"{name!r} was loaded from other files (SHA-256 {served.stored_sha256}) than those in "
                f"{adapter.folder} ({adapter.sha256}); load these: {reload}"
            )
        case _:
            return (
                f"{name!r} answers neither as its base model nor as these weights: another adapter, another "
                f"scaling or only part of it is in force; load this one: {reload}"
            )


def _continuations(api: ServerApi, model: str, canaries: CanarySet) -> list[Continuation]:
    """A served model's greedy continuations of the canaries' prompts, without penalties."""
    answer = api.post(
        "/completions",
        {
            "model": model,
            "prompt": [list(canary.prompt_tokens) for canary in canaries.canaries],
            "max_tokens": max(len(canary.adapted.tokens) for canary in canaries.canaries),
            "temperature": 0,
            "logprobs": 1,
            "ignore_eos": True,
            "repetition_penalty": 1.0,
            "return_token_ids": True,
        },
    )
    try:
        choices = sorted(answer["choices"], key=lambda choice: int(choice["index"]))
        continuations = [_continuation(choice) for choice in choices]
    except (LookupError, TypeError, ValueError) as error:
        raise AdapterError(
            f"{api.shown} gives no token ids with log-probabilities, so nothing can be proven; serve with "
            "vLLM 0.11 or newer"
        ) from error
    if len(continuations) != len(canaries.canaries):
        raise AdapterError(
            f"{api.shown} answered {len(continuations)} of {len(canaries.canaries)} canaries; try again"
        )
    return continuations


def _continuation(choice: Any) -> Continuation:
    return Continuation(
        tokens=tuple(choice["token_ids"]), logprobs=tuple(choice["logprobs"]["token_logprobs"])
    )

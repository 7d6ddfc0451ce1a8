"""Canaries of an adapter, with what a server answers to them."""

from collections.abc import Sequence

from adapter_server import Written

from ddxgraph.serving.adapters.canary import Canary, CanarySet, Continuation
from ddxgraph.serving.adapters.files import Adapter

LENGTH = 8
BASE = Continuation(tokens=range(10, 18), logprobs=[-0.5] * LENGTH, margins=[1.0] * LENGTH)
ADAPTED = Continuation(tokens=range(20, 28), logprobs=[-0.2] * LENGTH, margins=[2.0] * LENGTH)
BY_BASE = (-3.0,) * LENGTH
"""Log-probabilities that the base gives to what the adapter writes."""


def canaries_of(
    adapter: Adapter,
    *,
    base: Continuation = BASE,
    adapted: Continuation = ADAPTED,
    by_base: Sequence[float] = BY_BASE,
    prompts: int = 3,
) -> CanarySet:
    """As many prompts, all with the same continuations."""
    known = {"base": base, "adapted": adapted, "adapted_by_base": tuple(by_base)}
    canaries = [Canary(prompt=f"Case {n}", prompt_tokens=(1, n), **known) for n in range(prompts)]
    return CanarySet(adapter_sha256=adapter.sha256, base_model="smol", dtype="float32", canaries=canaries)


def shifted(continuation: Continuation, nats: float) -> Continuation:
    """The same tokens with other log-probabilities, as a server gives them."""
    return Continuation(
        tokens=continuation.tokens, logprobs=[logprob - nats for logprob in continuation.logprobs]
    )


def written(continuation: Continuation) -> Written:
    """The same, for the server to answer."""
    return Written(continuation.tokens, continuation.logprobs)

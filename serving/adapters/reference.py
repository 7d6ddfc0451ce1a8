"""Computes canaries from the files of a base model and an adapter, with transformers and PEFT."""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ddxgraph.common.errors import AdapterError, first_line
from ddxgraph.common.extras import install
from ddxgraph.common.offline import need_hub
from ddxgraph.serving.adapters.canary import PROMPTS, TOKENS, Canary, CanarySet, Continuation
from ddxgraph.serving.adapters.files import Adapter, put
from ddxgraph.serving.weights import model_folder


def make_canaries(
    adapter: Adapter,
    base_model: str | Path | None = None,
    *,
    prompts: Sequence[str] = PROMPTS,
    tokens: int = TOKENS,
    progress: Callable[[int, int], None] | None = None,
) -> CanarySet:
    """Compute an adapter's canaries; needs the extra `adapters` and room for the base model.

    Args:
        adapter: the adapter.
        base_model: folder or hub's id of the model that it was trained on; by default the one that the adapter
            names.
        prompts: user turns; those of the training data show a small adapter best.
        tokens: length of each continuation.
        progress: called with the number of prompts done and of all.

    Returns:
        The canaries.

    Raises:
        AdapterError: the libraries or the base model are missing, or base and adapter do not fit.
    """
    base = model_folder(str(base_model or adapter.base_model))
    if not base:
        raise AdapterError(f"{adapter.folder} does not say what it was trained on; name it with --base")
    try:
        import peft  # noqa: F401, PLC0415 - an extra
        import transformers  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        raise AdapterError(
            f"canaries are computed with transformers and PEFT ({error}); run `{install('adapters')}`"
        ) from error
    model, tokenizer = _load(adapter, base)
    canaries = []
    for done, prompt in enumerate(prompts):
        if progress:
            progress(done, len(prompts))
        canaries.append(_canary(model, prompt, _encode(tokenizer, prompt), tokens))
    return CanarySet(
        adapter_sha256=adapter.sha256,
        base_model=base,
        dtype=str(model.dtype).removeprefix("torch."),
        made_with={name: version(name) for name in ("torch", "transformers", "peft")},
        canaries=tuple(canaries),
    )


def _load(adapter: Adapter, base_model: str) -> tuple[Any, Any]:
    import torch  # noqa: PLC0415 - an extra
    from peft import PeftModel  # noqa: PLC0415 - an extra
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig  # noqa: PLC0415 - an extra

    need_hub(base_model)
    on_gpu = torch.cuda.is_available()
    placement: dict[str, Any] = (
        {"dtype": torch.bfloat16, "device_map": "auto"} if on_gpu else {"dtype": torch.float32}
    )
    try:
        base = AutoModelForCausalLM.from_pretrained(
            base_model, use_safetensors=True, trust_remote_code=False, **placement
        )
        # A call takes from here what it leaves open: an end-of-text token would cut continuations short.
        base.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
        tokenizer = AutoTokenizer.from_pretrained(base_model, trust_remote_code=False)
    except Exception as error:  # transformers raises what its parts do
        raise AdapterError(
            f"cannot load the base model {base_model!r}: {first_line(error)}; name a folder or a hub's id with "
            "--base"
        ) from error
    stored = put(adapter)  # the store holds no pickle that PEFT could load instead
    try:
        return PeftModel.from_pretrained(base, stored).eval(), tokenizer
    except Exception as error:  # PEFT too
        raise AdapterError(
            f"the adapter in {adapter.folder} does not fit {base_model!r}: {first_line(error)}; name the model "
            "that it was trained on with --base"
        ) from error


def _encode(tokenizer: Any, prompt: str) -> list[int]:
    """The prompt's token ids, in the model's chat template if it has one."""
    if not tokenizer.chat_template:
        return list(tokenizer(prompt)["input_ids"])
    turn = [{"role": "user", "content": prompt}]
    return list(
        tokenizer.apply_chat_template(turn, add_generation_prompt=True, return_dict=True)["input_ids"]
    )


def _canary(model: Any, prompt: str, prompt_tokens: list[int], tokens: int) -> Canary:
    adapted = _continue(model, prompt_tokens, tokens)
    with model.disable_adapter():
        base = _continue(model, prompt_tokens, tokens)
        by_base = _score(model, prompt_tokens, adapted.tokens)
    return Canary(
        prompt=prompt,
        prompt_tokens=tuple(prompt_tokens),
        base=base,
        adapted=adapted,
        adapted_by_base=by_base,
    )


def _continue(model: Any, prompt: list[int], tokens: int) -> Continuation:
    """The greedy continuation, past any end-of-text token, without penalties."""
    import torch  # noqa: PLC0415 - an extra
    from transformers import GenerationConfig  # noqa: PLC0415 - an extra

    inputs = torch.tensor([prompt], device=model.device)
    greedy = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=False,
        max_new_tokens=tokens,
        pad_token_id=0,
        output_logits=True,
        return_dict_in_generate=True,
    )
    with torch.inference_mode():
        output = model.generate(
            input_ids=inputs, attention_mask=torch.ones_like(inputs), generation_config=greedy
        )
    logprobs = torch.stack(output.logits)[:, 0].float().log_softmax(-1)
    best = logprobs.topk(2).values
    return Continuation(
        tokens=tuple(output.sequences[0, len(prompt) :].tolist()),
        logprobs=tuple(best[:, 0].tolist()),
        margins=tuple((best[:, 0] - best[:, 1]).tolist()),
    )


def _score(model: Any, prompt: list[int], continuation: Sequence[int]) -> tuple[float, ...]:
    """Log-probabilities of a given continuation."""
    import torch  # noqa: PLC0415 - an extra

    inputs = torch.tensor([[*prompt, *continuation]], device=model.device)
    with torch.inference_mode():
        logprobs = model(input_ids=inputs).logits[0, len(prompt) - 1 : -1].float().log_softmax(-1)
    return tuple(logprobs.gather(-1, inputs[0, len(prompt) :, None])[:, 0].tolist())

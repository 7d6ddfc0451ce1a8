import pytest
from adapter_server import Written, adapter_server
from adapterfolder import write_adapter
from canaries import ADAPTED, BASE, LENGTH, canaries_of, shifted, written

from ddxgraph.common.errors import AdapterError, ServerError
from ddxgraph.serving.adapters.canary import TOLERANCE, Continuation
from ddxgraph.serving.adapters.files import put, read_adapter
from ddxgraph.serving.adapters.liveness import Verdict, judge, verify, verify_merged
from ddxgraph.serving.api import ServerApi
from ddxgraph.serving.models import ServedModel
from ddxgraph.serving.weights import CACHE_VARIABLE

OTHER = Continuation(tokens=range(30, 38), logprobs=[-0.4] * LENGTH)
"""What another model writes."""


@pytest.fixture(autouse=True)
def _surroundings(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))


@pytest.fixture
def adapter(tmp_path):
    return read_adapter(write_adapter(tmp_path / "adapter"))


@pytest.fixture
def server(adapter):
    """A server with the adapter loaded from the store, live."""
    with adapter_server() as running:
        running.adapters["journey"] = str(put(adapter))
        answers(running, journey=ADAPTED, smol=BASE)
        yield running


def answers(server, **by_model):
    server.writes = lambda model, prompt: written(by_model[model])


def proof(server, adapter, name="journey", **known):
    api = ServerApi(server.base_url, None, "DDXGRAPH_API_KEY")
    return verify(api, name, adapter, canaries_of(adapter, **known))


def test_an_adapter_that_answers_as_its_files_must_is_live(server, adapter):
    found = proof(server, adapter)
    assert found.live
    assert found.verdict is Verdict.LIVE
    assert found.message.startswith("'journey' is live")
    assert (found.base.compared, found.adapted.compared, found.unadapted.compared) == (24, 24, 0)
    assert found.signal == pytest.approx(2.8)


def test_what_is_asked_is_greedy_with_token_ids_and_without_penalties(server, adapter):
    proof(server, adapter)
    asked = [body for path, _, body in server.seen if path == "/v1/completions"]
    assert [body["model"] for body in asked] == ["smol", "journey"]
    for body in asked:
        assert body["prompt"] == [[1, 0], [1, 1], [1, 2]]
        assert (body["temperature"], body["repetition_penalty"], body["logprobs"]) == (0, 1.0, 1)
        assert (body["max_tokens"], body["ignore_eos"], body["return_token_ids"]) == (LENGTH, True, True)


@pytest.mark.parametrize("nats", [-0.05, 0.03, 0.09])
def test_another_number_format_does_not_matter(server, adapter, nats):
    answers(server, journey=shifted(ADAPTED, nats), smol=shifted(BASE, -nats))
    assert proof(server, adapter).verdict is Verdict.LIVE


def test_an_adapter_that_is_listed_and_not_applied_is_ignored(server, adapter):
    answers(server, journey=shifted(BASE, 0.01), smol=BASE)
    found = proof(server, adapter)
    assert found.verdict is Verdict.IGNORED
    assert not found.live
    assert found.message.startswith("'journey' answers as its base model 'smol' does")
    assert "ddxgraph adapters unload journey; ddxgraph adapters load journey=" in found.message


@pytest.mark.parametrize("said", [OTHER, shifted(ADAPTED, 0.3), shifted(ADAPTED, -0.15)])
def test_other_weights_half_of_them_or_another_scaling_are_told_apart(server, adapter, said):
    answers(server, journey=said, smol=BASE)
    found = proof(server, adapter)
    assert found.verdict is Verdict.OTHER_WEIGHTS
    assert "answers neither as its base model nor as these weights" in found.message


def test_another_adapters_hash_is_told_though_the_answers_agree(server, adapter, tmp_path):
    other = read_adapter(write_adapter(tmp_path / "other", seed=1))
    server.adapters["journey"] = str(put(other))
    found = proof(server, adapter)
    assert found.verdict is Verdict.OTHER_WEIGHTS
    assert other.sha256 in found.message
    assert adapter.sha256 in found.message
    assert "answers" not in found.message


def test_an_adapter_from_outside_a_store_is_judged_by_its_answers_alone(server, adapter):
    server.adapters["journey"] = "/adapters/journey"
    assert proof(server, adapter).verdict is Verdict.LIVE


@pytest.mark.parametrize("said", [OTHER, shifted(BASE, 0.3)])
def test_another_base_model_is_told_before_anything_else(server, adapter, said):
    answers(server, journey=ADAPTED, smol=said)
    found = proof(server, adapter)
    assert found.verdict is Verdict.OTHER_BASE
    assert "the served base model 'smol' does not answer as 'smol' does" in found.message


def test_an_adapter_that_changes_next_to_nothing_cannot_be_proven(server, adapter):
    by_base = [logprob - 1.9 * TOLERANCE for logprob in ADAPTED.logprobs]
    found = proof(server, adapter, by_base=by_base)
    assert found.verdict is Verdict.TOO_ALIKE
    assert "make canaries from prompts that it was trained on" in found.message


@pytest.mark.parametrize("name", ["jorney", "smol"])
def test_an_adapter_that_is_not_there_is_not_asked(server, adapter, name):
    found = proof(server, adapter, name)
    assert found.verdict is Verdict.NOT_LOADED
    assert f"ddxgraph adapters load {name}={adapter.folder}" in found.message
    assert (found.base, found.adapted, found.unadapted) == (None, None, None)
    assert not [path for path, _, _ in server.seen if path == "/v1/completions"]


def test_the_base_model_under_the_adapters_name_is_said_to_be_one(server, adapter):
    assert "'smol' is the base model's name" in proof(server, adapter, "smol").message


SLOW_TO_PART = Continuation(
    tokens=(*BASE.tokens[:4], *range(20, 24)), logprobs=[-0.5] * 4 + [-0.2] * 4, margins=[0.05] * LENGTH
)
"""An adapter that begins as its base does and goes its own way at a near tie."""
UNDECIDED = Continuation(tokens=BASE.tokens, logprobs=BASE.logprobs, margins=[0.05] * LENGTH)


@pytest.mark.parametrize(("said", "verdict"), [(SLOW_TO_PART, Verdict.LIVE), (UNDECIDED, Verdict.IGNORED)])
def test_where_both_begin_alike_the_longer_agreement_decides(adapter, said, verdict):
    known = canaries_of(adapter, base=UNDECIDED, adapted=SLOW_TO_PART, by_base=[-0.5] * 4 + [-3.0] * 4)
    served = ServedModel("journey", "vllm", None, "smol")
    found = judge(served, adapter, known, [UNDECIDED] * 3, [said] * 3)
    assert found.adapted.holds(TOLERANCE)
    assert found.unadapted.holds(TOLERANCE)
    assert found.verdict is verdict


def test_the_tolerance_is_the_callers(server, adapter):
    answers(server, journey=shifted(ADAPTED, 0.3), smol=BASE)
    api = ServerApi(server.base_url, None, "DDXGRAPH_API_KEY")
    assert verify(api, "journey", adapter, canaries_of(adapter), 0.5).verdict is Verdict.LIVE


def without_token_ids(completion):
    for choice in completion["choices"]:
        del choice["token_ids"]
    return completion


def without_logprobs(completion):
    for choice in completion["choices"]:
        choice["logprobs"] = None
    return completion


@pytest.mark.parametrize(
    "altered",
    [
        without_token_ids,
        without_logprobs,
        lambda completion: {**completion, "choices": None},
        lambda completion: {**completion, "choices": [{}]},
        lambda completion: "<html>not JSON</html>",
        lambda completion: [],
        lambda completion: {},
    ],
)
def test_an_engine_without_token_ids_proves_nothing(server, adapter, altered):
    server.altered = altered
    with pytest.raises(AdapterError, match="gives no token ids with log-probabilities"):
        proof(server, adapter)


@pytest.mark.parametrize(
    "said", [Written(BASE.tokens, BASE.logprobs[:-1]), Written(BASE.tokens, [None] * LENGTH)]
)
def test_log_probabilities_that_are_missing_prove_nothing(server, adapter, said):
    server.writes = lambda model, prompt: said
    with pytest.raises(AdapterError, match="gives no token ids with log-probabilities"):
        proof(server, adapter)


def test_answers_that_are_missing_are_counted(server, adapter):
    server.altered = lambda completion: {**completion, "choices": completion["choices"][:2]}
    with pytest.raises(AdapterError, match="answered 2 of 3 canaries"):
        proof(server, adapter)


def test_answers_may_come_in_any_order(server, adapter):
    known = canaries_of(adapter)
    other = Continuation(tokens=OTHER.tokens, logprobs=OTHER.logprobs, margins=BASE.margins)
    first = known.canaries[0].model_copy(update={"base": other})
    known = known.model_copy(update={"canaries": (first, *known.canaries[1:])})

    def writes(model, prompt):
        base = OTHER if prompt[1] == 0 else BASE
        return written(base if model == "smol" else ADAPTED)

    server.writes = writes
    server.altered = lambda completion: {**completion, "choices": completion["choices"][::-1]}
    api = ServerApi(server.base_url, None, "DDXGRAPH_API_KEY")
    assert verify(api, "journey", adapter, known).verdict is Verdict.LIVE


def test_an_empty_answer_is_no_agreement(server, adapter):
    server.writes = lambda model, prompt: Written((), ())
    assert proof(server, adapter).verdict is Verdict.OTHER_BASE


def test_a_server_that_is_gone_is_a_sentence(adapter):
    with adapter_server() as gone:
        pass
    with pytest.raises(ServerError, match="no server answers"):
        proof(gone, adapter)


@pytest.mark.parametrize(
    ("served", "verdict", "said"),
    [
        (ADAPTED, Verdict.LIVE, "update in its weights"),
        (BASE, Verdict.IGNORED, "was not merged into it"),
        (OTHER, Verdict.OTHER_WEIGHTS, "neither as its base model nor as these weights"),
        (shifted(ADAPTED, 2 * TOLERANCE), Verdict.OTHER_WEIGHTS, "neither as its base model"),
    ],
)
def test_a_merged_model_must_answer_as_the_adapters_files_say(server, adapter, served, verdict, said):
    answers(server, smol=served)
    api = ServerApi(server.base_url, None, "DDXGRAPH_API_KEY")
    found = verify_merged(api, "smol", canaries_of(adapter))
    assert (found.verdict, found.live) == (verdict, verdict is Verdict.LIVE)
    assert said in found.message
    assert found.base is None, "there is no base model to ask on such a server"


def test_a_merged_model_too_like_its_base_proves_nothing(server, adapter):
    answers(server, smol=BASE)
    api = ServerApi(server.base_url, None, "DDXGRAPH_API_KEY")
    alike = canaries_of(adapter, adapted=BASE, by_base=BASE.logprobs)
    assert verify_merged(api, "smol", alike).verdict is Verdict.TOO_ALIKE

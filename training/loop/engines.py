"""Workshops: train adapters in this process, and serve them from a vLLM that runs already or is started."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from langchain_core.language_models import BaseChatModel
from typing_extensions import override

from ddxgraph.common.errors import EndpointError
from ddxgraph.common.files import real
from ddxgraph.serving.adapters.canary import CanarySet, read_canaries
from ddxgraph.serving.adapters.files import Adapter, read_adapter
from ddxgraph.serving.adapters.liveness import CANARY_TIMEOUT_S, Liveness, verify_merged
from ddxgraph.serving.adapters.liveness import verify as verify_served
from ddxgraph.serving.adapters.loaded import load_adapter, loaded_adapters
from ddxgraph.serving.api import ServerApi
from ddxgraph.serving.connect import KEY_VARIABLE, URL_VARIABLE, connect, resolve
from ddxgraph.serving.models import served_models
from ddxgraph.serving.server import Progress as EngineProgress
from ddxgraph.serving.server import serve
from ddxgraph.training.loop.config import EngineSettings, placed
from ddxgraph.training.loop.stages import Proof, Watch, Workshop
from ddxgraph.training.sft.config import TrainConfig

if TYPE_CHECKING:
    from ddxgraph.training.sft.train import Hooks

_HASH_CHARS: Final = 8


@dataclass(frozen=True)
class Company:
    """What reports on a loop, and may stop a training."""

    watch: Watch
    training: "Callable[[], AbstractContextManager[Hooks | None]]" = nullcontext
    """Entered for each training."""
    starting: Callable[[], AbstractContextManager[EngineProgress | None]] = nullcontext
    """Entered while an engine starts."""


@contextmanager
def workshops(
    settings: EngineSettings, train: TrainConfig, path: Path, log: Path, company: Company
) -> Iterator[Callable[[TrainConfig], Workshop]]:
    """Make workshops that share one engine; an engine that was started here is stopped at the end.

    Args:
        settings: of the engine.
        train: how the adapters are trained that the engine will serve; holds the base model.
        path: the configuration file; paths in it are relative to its folder.
        log: file for the engine's log.
        company: reports on the loop.

    Yields:
        A function from a trainer's settings to a workshop.
    """
    if settings.engine is None:
        running = RunningServer(settings)
        yield lambda train: ServedWorkshop(running, train, company)
        return
    named = settings.python
    # A bare name is looked up on the PATH.
    python = str(placed(path, named)) if named and Path(named).name != named else named
    with ExitStack() as held:
        if settings.merge:
            merging = MergingServer(settings, train, python, log, company.starting)
            held.callback(merging.close)
            yield lambda train: MergedWorkshop(merging, train, company)
        else:
            own = OwnServer(settings, train, python, log, company.starting)
            held.callback(own.close)
            yield lambda train: ServedWorkshop(own, train, company)


@dataclass
class RunningServer:
    """A server that the loop neither starts nor stops."""

    settings: EngineSettings

    def url(self) -> str:
        """The server's address.

        Raises:
            EndpointError: none is named.
        """
        url = resolve(self.settings.base_url, None, None, os.environ).base_url
        if url is None:
            raise EndpointError(
                f'no server is named: set base_url under [engine], or {URL_VARIABLE}; or add engine = "vllm" '
                "there, and the loop starts one"
            )
        return url

    def rest(self) -> None:
        """Do nothing: whether the machine has room for it beside a training is up to its owner."""


@dataclass
class OwnServer:
    """A vLLM that the loop starts when it is needed."""

    settings: EngineSettings
    train: TrainConfig
    python: str | None
    log: Path
    starting: Callable[[], AbstractContextManager[EngineProgress | None]]
    _held: ExitStack = field(default_factory=ExitStack)
    _url: str | None = None

    def url(self) -> str:
        """The server's address; the server is started if it does not run.

        Raises:
            ServeError, WeightsError: it cannot be started.
        """
        if self._url is None:
            with self.starting() as progress:
                endpoint = self._held.enter_context(
                    serve(
                        self.train.base_model,
                        lora_rank=self.settings.lora_rank or self.train.lora.rank,
                        port=self.settings.port,
                        python=self.python,
                        extra=flags(self.settings, self.train),
                        log=self.log,
                        progress=progress,
                    )
                )
            self._url = endpoint.base_url
        return self._url

    def rest(self) -> None:
        """Stop, to make room for a training."""
        self.close()

    def close(self) -> None:
        """Stop the server if it runs."""
        self._url = None
        self._held.close()


def flags(settings: EngineSettings, train: TrainConfig) -> Sequence[str]:
    """More flags for vLLM: the user's, and the chat template with which the adapters are trained."""
    template = train.data.chat_template
    ours = [] if template is None else ["--chat-template", str(real(template))]
    return [*ours, *settings.extra]


@dataclass
class MergingServer:
    """A vLLM that the loop starts on one merged model at a time; the merged weights are deleted when it stops."""

    settings: EngineSettings
    train: TrainConfig
    python: str | None
    log: Path
    starting: Callable[[], AbstractContextManager[EngineProgress | None]]
    _held: ExitStack = field(default_factory=ExitStack)
    _running: tuple[Path | None, str] | None = None
    """The adapter in use, and the address."""

    def url(self, adapter: Path | None) -> str:
        """The address of a server of the base model, with the adapter merged into it unless that is None.

        Raises:
            AdapterError, TrainingError: the adapter cannot be read or merged.
            ServeError, WeightsError: it cannot be started.
        """
        if self._running is None or self._running[0] != adapter:
            self.close()
            self._running = adapter, self._started(adapter)
        return self._running[1]

    def close(self) -> None:
        """Stop the server if it runs."""
        self._running = None
        self._held.close()

    def _started(self, adapter: Path | None) -> str:
        from ddxgraph.training.sft.finetune import merge_adapter  # noqa: PLC0415 - needs the extra

        model, name = self.train.base_model, None
        if adapter is not None:
            place = Path(self._held.enter_context(TemporaryDirectory(prefix="ddxgraph-merged-")))
            name = _name(read_adapter(adapter))
            model = str(merge_adapter(adapter, place / name, self.train.base_model))
        with self.starting() as progress:
            endpoint = self._held.enter_context(
                serve(
                    model,
                    name=name,
                    port=self.settings.port,
                    python=self.python,
                    extra=flags(self.settings, self.train),
                    log=self.log,
                    progress=progress,
                )
            )
        return endpoint.base_url


class ServedWorkshop(Workshop):
    """Serves adapters from one server that loads them while it runs; trains in this process.

    An adapter's name on the server is that of its round and the beginning of its hash, so that it is not mistaken
    for an adapter of another loop.
    """

    def __init__(self, server: RunningServer | OwnServer, train: TrainConfig, company: Company) -> None:
        self._server, self._train, self._company = server, train, company

    @contextmanager
    def served(self, adapter: Path | None) -> Iterator[BaseChatModel]:
        """The chat model on an adapter, which is loaded if it is not yet; on the base model if None.

        Raises:
            AdapterError: the adapter cannot be read or loaded.
            EndpointError, ServeError, ServerError, WeightsError: nothing can be served.
        """
        url, api = self._reached()
        name = self._base_name(api) if adapter is None else _loaded(api, adapter)
        yield connect(url, name, timeout_s=self._server.settings.timeout_s)

    def verify(self, adapter: Path) -> Proof:
        """Whether a served adapter is in force.

        Raises:
            AdapterError: it cannot be read, or the server's replies lack what the comparison needs.
            EndpointError, ServerError: the server does not answer.
        """
        _, api = self._reached()
        read = read_adapter(adapter)
        return _proof(verify_served(api, _name(read), read, _canaries(read, self._train)))

    @override
    def train(self, data: Path, out: Path, start: Path | None, *, learning_rate: float | None = None) -> None:
        """Train an adapter; an engine that the loop started is stopped meanwhile. See `_train`."""
        self._server.rest()
        _train(data, _at(self._train, learning_rate), out, start, self._company)

    def _reached(self) -> tuple[str, ServerApi]:
        url = self._server.url()
        key = resolve(url, None, None, os.environ).api_key
        return url, ServerApi(url, key, KEY_VARIABLE, CANARY_TIMEOUT_S)

    def _base_name(self, api: ServerApi) -> str:
        """The base model's name on the server. That it is the right model follows from each adapter's proof."""
        names = [model.name for model in served_models(api) if not model.base]
        wanted = self._server.settings.model
        if wanted in names:
            return str(wanted)
        if wanted is None and len(names) == 1:
            return names[0]
        wish = f"the base model {wanted!r} is not served" if wanted else "not one base model alone is served"
        raise EndpointError(
            f"{wish} at {api.shown}; set model under [engine] to one of: {', '.join(names) or 'none'}"
        )


class MergedWorkshop(Workshop):
    """Serves each adapter merged into its base model, from an engine of its own; trains in this process.

    The served model's name is that of the adapter's arm or round and the beginning of the adapter's hash.
    """

    def __init__(self, server: MergingServer, train: TrainConfig, company: Company) -> None:
        self._server, self._train, self._company = server, train, company

    @contextmanager
    def served(self, adapter: Path | None) -> Iterator[BaseChatModel]:
        """The chat model on an adapter, or on the base model if None.

        Raises:
            AdapterError, TrainingError: the adapter cannot be read or merged.
            EndpointError, ServeError, ServerError, WeightsError: nothing can be served.
        """
        yield connect(self._server.url(adapter), timeout_s=self._server.settings.timeout_s)

    def verify(self, adapter: Path) -> Proof:
        """Whether the served model answers as the adapter's files say.

        Raises:
            AdapterError: it cannot be read, or the server's replies lack what the comparison needs.
            EndpointError, ServerError: the server does not answer.
        """
        read, url = read_adapter(adapter), self._server.url(adapter)
        api = ServerApi(url, None, KEY_VARIABLE, CANARY_TIMEOUT_S)
        return _proof(verify_merged(api, _name(read), _canaries(read, self._train)))

    @override
    def train(self, data: Path, out: Path, start: Path | None, *, learning_rate: float | None = None) -> None:
        """Train an adapter; the engine is stopped meanwhile. See `_train`."""
        self._server.close()
        _train(data, _at(self._train, learning_rate), out, start, self._company)


def _train(data: Path, config: TrainConfig, out: Path, start: Path | None, company: Company) -> None:
    """Train an adapter and report on it.

    Raises:
        TrainConfigError, TrainingDataError, TrainingError, WeightsError: it cannot be trained.
        Stopped: the training was stopped, after a checkpoint.
    """
    from ddxgraph.training.sft.finetune import finetune  # noqa: PLC0415 - needs the extra

    with company.training() as hooks:
        finetune(data, config, out, start=start, hooks=hooks)


def _at(train: TrainConfig, learning_rate: float | None) -> TrainConfig:
    if learning_rate is None:
        return train
    optimization = train.optimization.model_copy(update={"learning_rate": learning_rate})
    return train.model_copy(update={"optimization": optimization})


def _canaries(adapter: Adapter, train: TrainConfig) -> CanarySet:
    canaries = read_canaries(adapter)
    if canaries is None:  # the trainer was told to make none
        from ddxgraph.serving.adapters.reference import make_canaries  # noqa: PLC0415 - an extra

        canaries = make_canaries(adapter, train.base_model)
    return canaries


def _loaded(api: ServerApi, adapter: Path) -> str:
    """Load an adapter into a server that does not have it yet; returns its name there."""
    read = read_adapter(adapter)
    name = _name(read)
    if not any(known.name == name and known.sha256 == read.sha256 for known in loaded_adapters(api)):
        load_adapter(api, name, read)
    return name


def _name(adapter: Adapter) -> str:
    """Such as `round-01-3fa94c12`."""
    return f"{adapter.folder.parent.name}-{adapter.sha256[:_HASH_CHARS]}"


def _proof(liveness: Liveness) -> Proof:
    figures: dict[str, Any] = {
        "name": liveness.name,
        "tolerance": liveness.tolerance,
        "signal": liveness.signal,
    }
    for name in ("base", "adapted", "unadapted"):
        agreement = getattr(liveness, name)
        if agreement:
            figures[name] = agreement._asdict()
    return Proof(
        live=liveness.live, verdict=liveness.verdict.value, message=liveness.message, figures=figures
    )

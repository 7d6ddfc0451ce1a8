"""Workshops: adapters are trained in this process, and served by a vLLM that runs or is started."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from langchain_core.language_models import BaseChatModel

from ddxgraph.common.errors import EndpointError
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
from ddxgraph.training.loop.workshop import Proof, Watch, Workshop
from ddxgraph.training.sft.config import TrainConfig

if TYPE_CHECKING:
    from ddxgraph.training.sft.train import Hooks

_HASH_CHARS: Final = 8


@dataclass(frozen=True)
class Company:
    """Who is told how a loop is going, and may stop it."""

    watch: Watch
    training: "Callable[[], AbstractContextManager[Hooks | None]]" = nullcontext
    """Entered for each training."""
    starting: Callable[[], AbstractContextManager[EngineProgress | None]] = nullcontext
    """Entered while an engine starts."""


@contextmanager
def workshops(
    settings: EngineSettings, train: TrainConfig, path: Path, log: Path, company: Company
) -> Iterator[Callable[[TrainConfig], Workshop]]:
    """What makes a workshop of a trainer's settings; all share one engine, which is stopped at the end if
    it is ours.

    Args:
        settings: of the engine.
        train: how the adapters are trained that it will serve; holds the base model.
        path: the configuration file, from which its paths begin.
        log: for the engine's log.
        company: is told how it is going.
    """
    if settings.engine is None:
        yield partial(_served, RunningServer(settings), company)
        return
    named = settings.python
    # A bare name is looked for as the shell would.
    python = str(placed(path, named)) if named and Path(named).name != named else named
    with ExitStack() as held:
        if settings.merge:
            merging = MergingServer(settings, train, python, log, company.starting)
            held.callback(merging.close)
            yield partial(_merged, merging, company)
        else:
            own = OwnServer(settings, train, python, log, company.starting)
            held.callback(own.close)
            yield partial(_served, own, company)


def _served(server: "RunningServer | OwnServer", company: Company, train: TrainConfig) -> Workshop:
    return ServedWorkshop(server, train, company)


def _merged(server: "MergingServer", company: Company, train: TrainConfig) -> Workshop:
    return MergedWorkshop(server, train, company)


@dataclass
class RunningServer:
    """A server that somebody else started, and will stop."""

    settings: EngineSettings

    def url(self) -> str:
        """Its address.

        Raises:
            EndpointError: none is named.
        """
        found = resolve(self.settings.base_url, None, None, os.environ).base_url
        if found is None:
            raise EndpointError(
                f'no server is named: set base_url under [engine], or {URL_VARIABLE}; or add engine = "vllm" '
                "there, and the loop starts one"
            )
        return found

    def rest(self) -> None:
        """It goes on while there is a training: whether both have room is its owner's affair."""

    def close(self) -> None:
        """Leave it."""


@dataclass
class OwnServer:
    """A vLLM of the loop's own, started when it is needed."""

    settings: EngineSettings
    train: TrainConfig
    python: str | None
    log: Path
    starting: Callable[[], AbstractContextManager[EngineProgress | None]]
    _held: ExitStack = field(default_factory=ExitStack)
    _url: str | None = None

    def url(self) -> str:
        """Its address; it is started first where it does not run.

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
        """Make room for a training."""
        self.close()

    def close(self) -> None:
        """Stop it, where it runs."""
        self._url = None
        self._held.close()


def flags(settings: EngineSettings, train: TrainConfig) -> Sequence[str]:
    """Further flags of vLLM's: the user's, and the template that the adapters are trained with."""
    template = train.data.chat_template
    ours = [] if template is None else ["--chat-template", str(template.resolve())]
    return [*ours, *settings.extra]


@dataclass
class MergingServer:
    """A vLLM of the loop's own on one merged model at a time, whose weights are kept no longer than it runs."""

    settings: EngineSettings
    train: TrainConfig
    python: str | None
    log: Path
    starting: Callable[[], AbstractContextManager[EngineProgress | None]]
    _held: ExitStack = field(default_factory=ExitStack)
    _running: tuple[Path | None, str] | None = None
    """The adapter that is served, and the address."""

    def url(self, adapter: Path | None) -> str:
        """The address of the base model with an adapter merged into it, or of the base model where None.

        Raises:
            AdapterError, TrainingError: the adapter cannot be read or merged.
            ServeError, WeightsError: it cannot be started.
        """
        if self._running is None or self._running[0] != adapter:
            self.close()
            self._running = adapter, self._started(adapter)
        return self._running[1]

    def close(self) -> None:
        """Stop it, where it runs."""
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


class ServedWorkshop:
    """Serves from one server that adapters are loaded into while it runs; trains in this process.

    An adapter goes by the name of its round and the beginning of its hash, so that no other loop's on the same
    server is taken for it.
    """

    def __init__(self, server: RunningServer | OwnServer, train: TrainConfig, company: Company) -> None:
        self._server, self._train, self._company = server, train, company

    @contextmanager
    def served(self, adapter: Path | None) -> Iterator[BaseChatModel]:
        """The chat model on an adapter, which is loaded where it is not, or on the base model.

        Raises:
            AdapterError: the adapter cannot be read or loaded.
            EndpointError, ServeError, ServerError, WeightsError: nothing can be served.
        """
        url, api = self._reached()
        name = self._base_name(api) if adapter is None else _loaded(api, adapter)
        yield connect(url, name, timeout_s=self._server.settings.timeout_s)

    def verify(self, adapter: Path) -> Proof:
        """Whether an adapter that is served is in force.

        Raises:
            AdapterError: it cannot be read, or the server does not give what a comparison needs.
            EndpointError, ServerError: the server does not answer.
        """
        _, api = self._reached()
        read = read_adapter(adapter)
        found = verify_served(api, _name(read), read, _canaries(read, self._train))
        return Proof(
            live=found.live, verdict=found.verdict.value, message=found.message, figures=_figures(found)
        )

    def train(self, data: Path, out: Path, start: Path | None, *, learning_rate: float | None = None) -> None:
        """Train an adapter; the engine stands back meanwhile, where it is the loop's own: see `_trained`."""
        self._server.rest()
        _trained(data, _at(self._train, learning_rate), out, start, self._company)

    def _reached(self) -> tuple[str, ServerApi]:
        url = self._server.url()
        key = resolve(url, None, None, os.environ).api_key
        return url, ServerApi(url, key, KEY_VARIABLE, CANARY_TIMEOUT_S)

    def _base_name(self, api: ServerApi) -> str:
        """The base model's name on the server; that it is the right one, each adapter's proof shows."""
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


class MergedWorkshop:
    """Serves each adapter merged into its base model, on an engine of its own; trains in this process.

    A served model goes by the name of the adapter's arm or round and the beginning of the adapter's hash.
    """

    def __init__(self, server: "MergingServer", train: TrainConfig, company: Company) -> None:
        self._server, self._train, self._company = server, train, company

    @contextmanager
    def served(self, adapter: Path | None) -> Iterator[BaseChatModel]:
        """The chat model on an adapter, or on the base model where None.

        Raises:
            AdapterError, TrainingError: the adapter cannot be read or merged.
            EndpointError, ServeError, ServerError, WeightsError: nothing can be served.
        """
        yield connect(self._server.url(adapter), timeout_s=self._server.settings.timeout_s)

    def verify(self, adapter: Path) -> Proof:
        """Whether what is served answers as an adapter's files say.

        Raises:
            AdapterError: it cannot be read, or the server does not give what a comparison needs.
            EndpointError, ServerError: the server does not answer.
        """
        read, url = read_adapter(adapter), self._server.url(adapter)
        api = ServerApi(url, None, KEY_VARIABLE, CANARY_TIMEOUT_S)
        found = verify_merged(api, _name(read), _canaries(read, self._train))
        return Proof(
            live=found.live, verdict=found.verdict.value, message=found.message, figures=_figures(found)
        )

    def train(self, data: Path, out: Path, start: Path | None, *, learning_rate: float | None = None) -> None:
        """Train an adapter; the engine is stopped meanwhile: see `_trained`."""
        self._server.close()
        _trained(data, _at(self._train, learning_rate), out, start, self._company)


def _trained(data: Path, config: TrainConfig, out: Path, start: Path | None, company: Company) -> None:
    """Train an adapter, with somebody told.

    Raises:
        TrainConfigError, TrainingDataError, TrainingError, WeightsError: nothing can be trained.
        Stopped: it was stopped, with a checkpoint.
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
    found = read_canaries(adapter)
    if found is None:  # the trainer was told to make none
        from ddxgraph.serving.adapters.reference import make_canaries  # noqa: PLC0415 - an extra

        found = make_canaries(adapter, train.base_model)
    return found


def _loaded(api: ServerApi, adapter: Path) -> str:
    """The name of an adapter on a server, which has it afterwards."""
    read = read_adapter(adapter)
    name = _name(read)
    if not any(one.name == name and one.sha256 == read.sha256 for one in loaded_adapters(api)):
        load_adapter(api, name, read)
    return name


def _name(adapter: Adapter) -> str:
    """Such as `round-01-3fa94c12`."""
    return f"{adapter.folder.parent.name}-{adapter.sha256[:_HASH_CHARS]}"


def _figures(found: Liveness) -> dict[str, Any]:
    told = {"name": found.name, "tolerance": found.tolerance, "signal": found.signal}
    compared = {"base": found.base, "adapted": found.adapted, "unadapted": found.unadapted}
    return {**told, **{name: one._asdict() for name, one in compared.items() if one}}

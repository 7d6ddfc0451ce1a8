"""The improvement loop, wired: adapters are trained here, and served by a vLLM that runs or is started."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from langchain_core.language_models import BaseChatModel

from ddxgraph.serving.adapter import Adapter, read_adapter
from ddxgraph.serving.canary import CanarySet, read_canaries
from ddxgraph.serving.connect import KEY_VARIABLE, URL_VARIABLE, EndpointError, connect, resolve
from ddxgraph.serving.liveness import CANARY_TIMEOUT_S, Liveness
from ddxgraph.serving.liveness import verify as verify_served
from ddxgraph.serving.loadedadapter import load_adapter, loaded_adapters
from ddxgraph.serving.modellist import served_models
from ddxgraph.serving.server import Progress as EngineProgress
from ddxgraph.serving.server import serve
from ddxgraph.serving.serverapi import ServerApi
from ddxgraph.training.decontamination import load_held_out
from ddxgraph.training.loop import Ended, Loop
from ddxgraph.training.loopcases import cases_of, check_apart
from ddxgraph.training.loopconfig import EngineSettings, LoopFile, read_loop
from ddxgraph.training.loopstate import ENGINE_LOG, LoopManifest, open_loop
from ddxgraph.training.loopsummary import LoopSummary, summarise, write_summary
from ddxgraph.training.trainconfig import TrainConfig
from ddxgraph.training.workshop import Proof, Watch
from ddxgraph.view.notice import NOTICE

if TYPE_CHECKING:
    from ddxgraph.training.sft import Hooks

_HASH_CHARS: Final = 8


@dataclass(frozen=True)
class Company:
    """Who is told how a loop is going, and may stop it."""

    watch: Watch
    training: "Callable[[], AbstractContextManager[Hooks | None]]" = nullcontext
    """Entered for each training."""
    starting: Callable[[], AbstractContextManager[EngineProgress | None]] = nullcontext
    """Entered while an engine starts."""


def improve(loop: Path | str, out: Path | str | None = None, *, company: Company) -> LoopSummary:
    """Do what is left to do of an improvement loop; needs the extras `eval`, `journeys` and `train`.

    Args:
        loop: the configuration (TOML).
        out: the loop's folder; by default one of the file's name, without its ending, beside it.
        company: is told how it is going.

    Returns:
        The summary, which also lies in the folder; `state` is `done` or `stopped`.

    Raises:
        LoopError: the configuration or the folder cannot be used as asked.
        LoopUnfinished: a stage did not come to its end; mended, the same call goes on.
        BenchmarkError, CaseFileError, CaseConflict, GateError, RunFolderError, TraceFileError, ScoreError,
            JourneySetError: cases, gate or a product in the folder cannot be used.
        AdapterError, EndpointError, ServeError, ServerError, WeightsError: nothing can be served.
        TrainConfigError, TrainingDataError, TrainingError: nothing can be trained.
        Stopped: a training was stopped, with a checkpoint.
    """
    file, place = read_loop(loop), place_of(loop, out)
    config, base = file.config, file.base_model
    generate, evaluate = cases_of(config.generate, file), cases_of(config.evaluate, file)
    check_apart(generate, evaluate)
    # Now and not after hours of generation: the gate wants the test sets.
    rule = config.gate.decontamination
    held_out = load_held_out(rule.allow_missing) if rule.enabled else None
    wanted = LoopManifest.of(config, generate.digest, evaluate.digest)
    with open_loop(place, wanted) as folder, _workshop(file, base, place, company) as workshop:
        work = Loop(folder, generate, evaluate, workshop, company.watch, held_out)
        ended: Ended | None = None
        for ended in work.run():
            summary = summarise(folder, evaluate, ended)
            write_summary(summary, place, notice=NOTICE)
    return summary


def place_of(loop: Path | str, out: Path | str | None = None) -> Path:
    """The folder of a loop: the one that is asked for, or one of the file's name beside it."""
    return Path(out) if out else Path(loop).with_suffix("")


@contextmanager
def _workshop(file: LoopFile, base: str, place: Path, company: Company) -> Iterator["ServedWorkshop"]:
    train = file.config.train.model_copy(update={"base_model": base})
    with ExitStack() as held:
        server = _server(file, base, train, place / ENGINE_LOG, company)
        held.callback(server.close)
        yield ServedWorkshop(server, train, company)


def _server(
    file: LoopFile, base: str, train: TrainConfig, log: Path, company: Company
) -> "RunningServer | OwnServer":
    settings = file.config.engine
    if settings.engine is None:
        return RunningServer(settings)
    named = settings.python
    # A bare name is looked for as the shell would.
    python = str(file.place(named)) if named and Path(named).name != named else named
    return OwnServer(settings, base, train, python, log, company.starting)


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
    base: str
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
                        self.base,
                        lora_rank=self.settings.lora_rank or self.train.lora.rank,
                        port=self.settings.port,
                        python=self.python,
                        extra=self._flags(),
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

    def _flags(self) -> Sequence[str]:
        """The user's, and the template that the adapters are trained with."""
        template = self.train.data.chat_template
        ours = [] if template is None else ["--chat-template", str(template.resolve())]
        return [*ours, *self.settings.extra]


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
        found = verify_served(api, _name(read), read, self._canaries(read))
        return Proof(
            live=found.live, verdict=found.verdict.value, message=found.message, figures=_figures(found)
        )

    def train(self, data: Path, out: Path, start: Path | None) -> None:
        """Train an adapter; the engine stands back meanwhile, where it is the loop's own.

        Raises:
            TrainConfigError, TrainingDataError, TrainingError, WeightsError: nothing can be trained.
            Stopped: it was stopped, with a checkpoint.
        """
        from ddxgraph.finetuning import finetune  # noqa: PLC0415 - needs the extra

        self._server.rest()
        with self._company.training() as hooks:
            finetune(data, self._train, out, start=start, hooks=hooks)

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

    def _canaries(self, adapter: Adapter) -> CanarySet:
        found = read_canaries(adapter)
        if found is None:  # the trainer was told to make none
            from ddxgraph.serving.reference import make_canaries  # noqa: PLC0415 - an extra

            found = make_canaries(adapter, self._train.base_model)
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

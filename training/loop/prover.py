"""Adapters that are used only once they are proven to be in force."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from langchain_core.language_models import BaseChatModel

from ddxgraph.common.errors import NotDone
from ddxgraph.common.files import write_json
from ddxgraph.training.loop.workshop import Watch, Workshop


class NotInForce(NotDone):
    """A served adapter is not proven to be in force; the message says what was found."""


class Prover:
    """Serves adapters, each proven once in a process and after each start of an engine.

    A proof of an earlier process is none: the server may have been started again since.
    """

    def __init__(self, workshop: Workshop, watch: Watch) -> None:
        self._workshop, self._watch = workshop, watch
        self._proven: set[Path] = set()

    @contextmanager
    def live(
        self, where: str, adapter: Path | None, *, record: Path | None = None
    ) -> Iterator[BaseChatModel]:
        """A model on an adapter that is in force; on the base model where None.

        Args:
            where: as `Watch.stage` takes it.
            adapter: the adapter's folder.
            record: where the proof is to lie.

        Raises:
            NotInForce: it is not proven.
        """
        with self._workshop.served(adapter) as model:
            if adapter is not None and adapter not in self._proven:
                self._watch.stage(where, "verify")
                proof = self._workshop.verify(adapter)
                if record:
                    write_json(record, proof)
                if not proof.live:
                    raise NotInForce(
                        f"{where}: {adapter} is not proven to be in force ({proof.verdict}), so nothing was done "
                        f"with it: {proof.message}"
                    )
                self._proven.add(adapter)
            yield model

    def train(self, data: Path, out: Path, start: Path | None, *, learning_rate: float | None = None) -> None:
        """Train an adapter; what serves may be stopped meanwhile, so that all proofs are void."""
        self._proven.clear()
        self._workshop.train(data, out, start, learning_rate=learning_rate)

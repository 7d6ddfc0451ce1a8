"""The manifest of a run: everything that is needed to repeat it."""

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from ddxgraph.common.errors import CaseConflict
from ddxgraph.graph.strategy import Settled
from ddxgraph.graph.trace import Provenance, StrategySettings
from ddxgraph.nodes.case import Case

MANIFEST_VERSION: Final = 1

_FROZEN: Final = ConfigDict(extra="forbid", frozen=True)
_INFORMS: Final = frozenset({"created_at", "forked_from"})
"""Fields that may differ between two manifests of the same run."""
_DIGEST: Final = re.compile(r"[0-9a-f]{32,}")
_DIGEST_CHARS, _VALUE_CHARS = 16, 200
"""Characters shown of a digest, and of any other value."""


class CaseSet(BaseModel):
    """The cases of a run, by their content."""

    model_config = _FROZEN

    count: int
    """Cases, the same one counted once."""
    sha256: str
    """Over every case's id and digest, in their order; hex."""


def case_set(cases: Iterable[Case]) -> CaseSet:
    """Read through cases once and say which they are; holds some 200 bytes a case.

    Raises:
        CaseConflict: two cases of different content have the same id.
    """
    seen: dict[str, bytes] = {}
    whole = hashlib.sha256()
    for case in cases:
        digest = bytes.fromhex(case.digest)
        if case.id not in seen:
            seen[case.id] = digest
            whole.update(f"{case.id}\0".encode() + digest)
        elif seen[case.id] != digest:
            raise CaseConflict(f"two different cases have the id {case.id!r}; give each its own")
    return CaseSet(count=len(seen), sha256=whole.hexdigest())


class Selection(BaseModel):
    """Which cases of a benchmark, and how they are shown. A run of a case file has none.

    The cases of a selection are the same on every machine: see `ddxgraph.eval.benchmarks.load`.

    Example:
        >>> Selection(benchmark="medqa", split="dev", limit=40, shuffle=1).free_form
        False
    """

    model_config = _FROZEN

    benchmark: str
    """Its name in the registry, such as `medqa`."""
    split: str = "test"
    five_options: bool = False
    """From the source's file with five options a case."""
    free_form: bool = False
    """The options are withheld; the gold answer is the option's text."""
    shuffle: int | None = None
    """Seed by which the options of each case are shuffled; None: as published."""
    subset: str | None = None
    """A named group of the cases, such as `step1`."""
    limit: int | None = Field(default=None, ge=1)
    """At most so many cases: a sample drawn with `limit_seed`."""
    limit_seed: int = 0
    size: int = 0
    """Cases of the split as published, before `subset` and `limit`; filled in when it is loaded."""
    sha256: str = ""
    """Of the file that the cases were read from, hex; filled in when it is loaded."""


class Change(NamedTuple):
    """A field in which two manifests differ."""

    field: str
    """Dotted path, such as `provenance.sampling.seed`."""
    was: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.field} was {_short(self.was)}, now {_short(self.now)}"


class Manifest(BaseModel):
    """What a run is: which cases, how often, by which strategy, on which model."""

    model_config = _FROZEN

    version: Literal[1] = MANIFEST_VERSION
    cases: CaseSet
    samples: int = Field(ge=1)
    """Traversals of each case."""
    selection: Selection | None = None
    """Where the cases are a benchmark's: which of them."""
    strategy: StrategySettings
    provenance: Provenance
    """Model, adapter, engine, sampling, prompt set and code version; `started_at` is each trace's own."""
    forked_from: str | None = None
    """Name of the run folder whose traces were carried over."""
    created_at: str = ""
    """UTC, ISO 8601."""

    @property
    def total(self) -> int:
        """Traversals of the whole run."""
        return self.cases.count * self.samples

    def changes(self, now: "Manifest") -> list[Change]:
        """The fields in which another manifest describes another run."""
        return changes_between(self.model_dump(mode="json"), now.model_dump(mode="json"), but_for=_INFORMS)


def manifest(
    cases: Iterable[Case] | CaseSet, samples: int, settled: Settled, selection: Selection | None = None
) -> Manifest:
    """Describe a run.

    Args:
        cases: the cases, or their `case_set` where they were read through already.
        samples: traversals of each case.
        settled: the strategy's settings on its model.
        selection: which cases of which benchmark these are, if of one.

    Returns:
        The manifest.

    Raises:
        CaseConflict: two cases of different content have the same id.
    """
    return Manifest(
        cases=cases if isinstance(cases, CaseSet) else case_set(cases),
        samples=samples,
        selection=selection,
        strategy=settled.strategy,
        provenance=settled.provenance.model_copy(update={"started_at": ""}),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def changes_between(
    old: Mapping[str, Any], new: Mapping[str, Any], *, but_for: Collection[str] = ()
) -> list[Change]:
    """The fields in which two records differ, as JSON has them, by their dotted paths.

    Args:
        old: the one.
        new: the other.
        but_for: fields that do not count, with all that lies in them.

    Returns:
        The changes, by path.
    """
    was, now = dict(leaves(old)), dict(leaves(new))
    return [
        Change(field, was.get(field), now.get(field))
        for field in sorted(was.keys() | now.keys())
        if was.get(field) != now.get(field)
        and not any(field == one or field.startswith(f"{one}.") for one in but_for)
    ]


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted path and value of everything in a record that is no record itself."""
    if isinstance(tree, dict) and tree:
        for key, branch in tree.items():
            yield from leaves(branch, f"{path}.{key}" if path else key)
    else:
        yield path, tree


def _short(value: Any) -> str:
    said = "not there" if value is None else str(value)
    most = _DIGEST_CHARS if _DIGEST.fullmatch(said) else _VALUE_CHARS
    return said if len(said) <= most else f"{said[:most]}..."

"""Lazy public faces of packages: a name is imported when it is first asked for (PEP 562)."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from ddxgraph.common.errors import MissingExtra
from ddxgraph.common.extras import install


def face(
    package: str, names: Mapping[str, str], *, extras: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Make the `__getattr__`, `__dir__` and `__all__` of a package that imports its names lazily.

    Type checkers do not see these: import the names under `if TYPE_CHECKING` as well, and call this in `else`.

        if TYPE_CHECKING:
            from ddxgraph.graph.trace import Trace as Trace
        else:
            __getattr__, __dir__, __all__ = lazy.face(__name__, {"Trace": "ddxgraph.graph.trace"})

    Args:
        package: the package's `__name__`.
        names: public name to the module that defines it; as `module:attribute` where the attribute has another
            name there.
        extras: public name to the extra of ddxgraph that installs what its module needs.

    Returns:
        The three, in this order.

    Raises:
        ImportError: a name equals a submodule of the package, so that importing the submodule would hide it.
    """
    hidden = names.keys() & _submodules(package)
    if hidden:
        raise ImportError(
            f"{package} exports {', '.join(sorted(hidden))}, and has submodules of the same name: rename one"
        )

    def get(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, _, attribute = names[name].partition(":")
        try:
            value = getattr(import_module(module), attribute or name)
        except ModuleNotFoundError as error:
            extra = (extras or {}).get(name)
            if extra is None:
                raise
            raise MissingExtra(
                f"{package}.{name} needs {error.name}, which this Python lacks: {install(extra)}"
            ) from error
        setattr(sys.modules[package], name, value)  # the next look-up does not come here
        return value

    def listed() -> list[str]:
        dunders = [name for name in vars(sys.modules[package]) if name.startswith("__")]
        return sorted({*names, *dunders})

    return get, listed, sorted(names)


def _submodules(package: str) -> set[str]:
    """Names of a package's modules and sub-packages."""
    places = map(Path, getattr(sys.modules[package], "__path__", ()))
    entries = [entry for place in places if place.is_dir() for entry in place.iterdir()]
    return {entry.stem for entry in entries if entry.suffix == ".py" or (entry / "__init__.py").exists()}

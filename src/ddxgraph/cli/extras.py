"""What a command needs beyond the core."""

from collections.abc import Iterable
from importlib.util import find_spec

from ddxgraph.cli.speech import Exit, fail


def need(what: str, modules: Iterable[str], extra: str) -> None:
    """End with a sentence that says what to install, where modules are missing.

    Args:
        what: what needs them, such as `the gate`.
        modules: by the names under which they are imported.
        extra: what installs them.
    """
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        fail(
            f"{what} needs {', '.join(missing)}, which this Python lacks: pip install 'ddxgraph[{extra}]'",
            Exit.BAD_INPUT,
        )

"""The registry of forms: as which lines a set holds what the gate decided.

A form is a record of a module of its own, or of `samples`. The registry itself is light: `--help` reads the names
without importing what writes a line.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from ddxgraph.common.errors import BadInput

if TYPE_CHECKING:
    from ddxgraph.training.sets.samples import Form


class UnknownForm(BadInput):
    """No form has this name."""


def _messages() -> "Form":
    from ddxgraph.training.sets.samples import MESSAGES

    return MESSAGES


def _sharegpt() -> "Form":
    from ddxgraph.training.sets.samples import SHAREGPT

    return SHAREGPT


_FORMS: Final[dict[str, Callable[[], "Form"]]] = {
    "messages": _messages,
    "sharegpt": _sharegpt,
}


def form_names() -> tuple[str, ...]:
    """Names of all forms."""
    return tuple(_FORMS)


def form_of(name: str) -> "Form":
    """The form of a name.

    Raises:
        UnknownForm: there is none; the message names those that there are.
    """
    if name not in _FORMS:
        raise UnknownForm(f"there is no form {name!r}: choose one of {', '.join(_FORMS)}")
    return _FORMS[name]()


@contextmanager
def registered(name: str, form: "Form") -> Iterator[None]:
    """Have a form known for as long as a `with` block runs, such as in a test or a notebook.

    Raises:
        BadInput: the name is taken.
    """
    if name in _FORMS:
        raise BadInput(f"there is a form {name!r} already: give yours another name")
    _FORMS[name] = lambda: form
    try:
        yield
    finally:
        del _FORMS[name]

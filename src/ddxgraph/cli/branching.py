"""A command that takes an argument, beside commands of its own names: `journeys RUN`, `journeys inspect`."""

from typing import Any

import typer
from typer.core import TyperCommand


def branching(branches: typer.Typer) -> type[TyperCommand]:
    """A class of command that goes on with one of the branches where its first argument is the name of one."""

    class Branching(TyperCommand):
        """The command, and the commands whose names may stand where its first argument does."""

        def make_context(
            self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
        ) -> Any:
            """Go on with a command of its own where one is named."""
            own = typer.main.get_group(branches).commands
            if args and args[0] in own:
                return own[args[0]].make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
            return super().make_context(info_name, args, parent, **extra)

    return Branching

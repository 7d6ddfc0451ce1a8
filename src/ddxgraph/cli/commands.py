"""Kinds of command: one that is imported when it is named, one with subcommands beside arguments of its own."""

from functools import cached_property
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


def group(help_text: str | None = None, **settings: Any) -> typer.Typer:
    """A Typer application with the settings that all share; without a text, its help is its callback's."""
    if help_text:
        settings["help"] = help_text
    return typer.Typer(**{"cls": Direct, "rich_markup_mode": "markdown", "add_completion": False, **settings})


def branching() -> typer.Typer:
    """A command with subcommands: its callback is the command itself. See `Branching`."""
    return group(cls=Branching, invoke_without_command=True, subcommand_metavar="| COMMAND [ARGS]...")


class Direct(TyperGroup):
    """Goes straight to the subcommand that the first argument names, and does not process options of its own.

    Typer imports pydantic to process an option, even one that is not given: too slow for a subcommand's help.
    """

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Parse the arguments of the subcommand, or of the group."""
        if args and args[0] in self.commands:
            command = self.commands[args[0]]
            return command.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run the command whose arguments were parsed."""
        return super().invoke(ctx) if ctx.command is self else ctx.command.invoke(ctx)


class Branching(Direct):
    """Runs the subcommand that the first argument names, and otherwise its callback on all arguments.

    So `journeys inspect DIR` is a subcommand, and `journeys RUN --style STYLE` is the command itself.
    """

    allow_extra_args = False
    allow_interspersed_args = True


class Late(TyperCommand):
    """Stands for a command in the help of its group, and imports the command itself when it is run.

    Args:
        name: the command's name.
        place: `module:attribute` of a command's function or of a Typer application.
        summary: the first paragraph of the command's own help.
        panel: heading of the help under which it stands.
    """

    def __init__(self, name: str, place: str, summary: str, panel: str | None = None) -> None:
        super().__init__(name, help=summary, rich_markup_mode="markdown", rich_help_panel=panel)
        self._place = place

    @cached_property
    def command(self) -> Any:
        """The command itself, imported."""
        module, _, attribute = self._place.partition(":")
        command = getattr(import_module(module), attribute)
        if not isinstance(command, typer.Typer):
            function, command = command, group()
            command.command(self.name)(function)
        return typer.main.get_command(command)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Parse the arguments of the command itself."""
        return self.command.make_context(info_name, args, parent, **extra)

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of the command's subcommands."""
        return self.command.list_commands(ctx) if isinstance(self.command, TyperGroup) else []

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A subcommand by its name; None if there is none."""
        return self.command.get_command(ctx, cmd_name) if self.list_commands(ctx) else None

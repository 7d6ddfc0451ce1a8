"""The help of every command: what it shows, and that it is fast since it imports nothing that does the work."""

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from typing import get_args

import pytest
import typer
from commandline import ddxgraph

from ddxgraph import Budget
from ddxgraph.cli import COMMANDS, app, options

HEAVY = (
    "accelerate datasets datasketch gguf httpx huggingface_hub jinja2 langchain_core langchain_openai langgraph "
    "langsmith matplotlib networkx numpy openai peft PIL psycopg pydantic requests safetensors scipy starlette "
    "tokenizers torch transformers trl uvicorn xllamacpp"
)
SUMMARIES = {name: entry.summary for entries in COMMANDS.values() for name, entry in entries.items()}
LATE = typer.main.get_command(app).commands
"""Name to the command that stands for the real one in the help of the top level."""


def all_commands() -> Iterator[tuple[str, ...]]:
    """The words of every command and subcommand."""
    yield ()
    for name, late in LATE.items():
        yield (name,)
        yield from ((name, sub) for sub in late.list_commands(None))


def test_no_help_imports_what_does_the_work():
    script = (
        "import contextlib, io, json, sys\n"
        "from ddxgraph.cli import app\n"
        "commands, heavy = json.loads(sys.argv[1])\n"
        "for words in commands:\n"
        "    shown = io.StringIO()\n"
        "    with contextlib.redirect_stdout(shown):\n"
        "        try: app([*words, '--help'], prog_name='ddxgraph')\n"
        "        except SystemExit as ended: assert not ended.code, words\n"
        "    assert ' '.join(['Usage: ddxgraph', *words]) in shown.getvalue(), (words, shown.getvalue())\n"
        "    for name in sorted(set(heavy) & set(sys.modules)):\n"
        "        print(*words, 'imports', name)\n"
        "        heavy.remove(name)\n"
    )
    commands = list(all_commands())
    assert len(commands) > 30
    args = json.dumps([commands, HEAVY.split()])
    done = subprocess.run([sys.executable, "-c", script, args], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", SUMMARIES)
def test_the_summary_of_a_command_is_the_first_paragraph_of_its_own_help(name):
    paragraph = LATE[name].command.help.partition("\n\n")[0]
    assert " ".join(paragraph.split()) == SUMMARIES[name]


@pytest.mark.parametrize(
    ("name", "argument", "option", "subcommands"),
    [
        ("journeys", "RUN", "--style", ("inspect", "default-config")),
        ("train", "DATA", "--preset", ("presets", "default-config", "launch-config", "merge")),
        ("improve", "LOOP", "--out", ("default-config",)),
        ("experiment", "EXPERIMENT", "--out", ("default-config",)),
    ],
)
def test_help_shows_the_subcommands_of_a_command_beside_its_own_arguments(
    name, argument, option, subcommands
):
    shown = ddxgraph(name, "--help", env={"COLUMNS": "200"}).stdout
    assert f"Usage: ddxgraph {name} [OPTIONS] {{{argument}}}" in shown
    assert "| COMMAND [ARGS]..." in shown
    assert option in shown
    commands = shown.partition("─ Commands ─")[2]
    for subcommand in subcommands:
        assert f"│ {subcommand} " in commands
        own = ddxgraph(name, subcommand, "--help", env={"COLUMNS": "200"}).stdout
        assert f"Usage: ddxgraph {name} {subcommand} " in own


def test_every_parameter_has_a_help_text():
    for name, late in LATE.items():
        for command in (late.command, *map(partial(late.get_command, None), late.list_commands(None))):
            for parameter in command.params:
                assert parameter.help, (name, command.name, parameter.name)


def test_defaults_and_choices_are_those_of_the_modules_that_help_does_not_import():
    from ddxgraph.cli.review.review import Only, Order
    from ddxgraph.cli.serving.adapters import TOLERANCE
    from ddxgraph.cli.serving.serve import Engine
    from ddxgraph.serving import server
    from ddxgraph.serving.adapters import canary
    from ddxgraph.training.review import queue

    assert Budget() == Budget(
        max_tokens=options.MAX_TOKENS, max_calls=options.MAX_CALLS, max_backtracks=options.MAX_BACKTRACKS
    )
    assert list(Only) == list(queue.Only)
    assert get_args(Order) == tuple(queue.Order)
    assert canary.TOLERANCE == TOLERANCE
    assert get_args(Engine) == get_args(server.Engine)

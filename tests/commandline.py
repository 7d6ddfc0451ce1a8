"""The command line inside the test's own process: a process of its own takes seconds to start."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from typer.testing import CliRunner

from ddxgraph.cli import app


class Done(NamedTuple):
    """What became of a command."""

    returncode: int
    stdout: str
    stderr: str


def ddxgraph(*args: object, env: Mapping[str, str] | None = None) -> Done:
    """Run a command away from the user's settings; what would be a traceback is raised here."""
    users = dict.fromkeys(name for name in os.environ if name.startswith("DDXGRAPH_"))
    done = CliRunner().invoke(app, [str(arg) for arg in args], env={**users, **(env or {})})
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Done(done.exit_code, done.stdout, done.stderr)

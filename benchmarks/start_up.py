"""How long the command line and the package take to start, in two checkouts of this repository.

Times `ddxgraph --help`, the `--help` of each command of the second checkout, and `import ddxgraph` (the import
alone), each in its own process; the checkouts take turns. Prints a line of JSON per command: medians of wall time
and of CPU time, which other load distorts less; the median of the ratios first / second; the heavy modules that
each process imports: null where the checkout does not have the command, which is then not timed.

    python benchmarks/start_up.py BEFORE AFTER [--pairs 7] [--only "" "journeys inspect" import]
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HEAVY = "langgraph torch openai langchain_core pydantic transformers matplotlib scipy numpy rich"
IMPORT = "import"
"""Stands for `import ddxgraph` among the commands, as `""` does for `ddxgraph` itself."""
TREE = """
import json, typer
from ddxgraph.cli import app
def walk(command, context, path):
    yield path
    for name in getattr(command, "list_commands", lambda context: [])(context):
        child = command.get_command(context, name)
        yield from walk(child, child.context_class(child, parent=context, info_name=name), [*path, name])
root = typer.main.get_command(app)
print(json.dumps([" ".join(path) for path in walk(root, root.context_class(root), [])]))
"""
"""Prints all commands."""
TIMED_IMPORT = """
import time
wall, cpu = time.perf_counter(), time.process_time()
import ddxgraph
print(time.perf_counter() - wall, time.process_time() - cpu)
"""
LOADED = """
import atexit, io, json, runpy, sys
out, sys.stdout, heavy, sys.argv = sys.stdout, io.StringIO(), sys.argv[1].split(), ["ddxgraph", *sys.argv[2:]]
atexit.register(lambda: print(json.dumps([name for name in heavy if name in sys.modules]), file=out))
if sys.argv[1:]:
    runpy.run_module("ddxgraph", run_name="__main__")
else:
    import ddxgraph
"""
"""Runs a command, or imports the package where no command is given, and prints the heavy modules it loaded."""


class Checkout:
    """A checkout whose code is run."""

    def __init__(self, path: Path, folder: str) -> None:
        source = path.resolve() / "src"
        env = {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": ""}
        self._process: dict[str, Any] = {"cwd": folder, "env": env, "stdout": subprocess.PIPE, "text": True}
        if Path(self.python("-c", "import ddxgraph; print(ddxgraph.__file__)")).parents[1] != source:
            raise SystemExit(f"{path} is not a checkout of ddxgraph: src/ddxgraph is missing")

    def python(self, *args: str) -> str:
        """The output of a Python process."""
        return subprocess.run([sys.executable, *args], check=True, **self._process).stdout.strip()

    def imports(self, command: str) -> list[str] | None:
        """The heavy modules that a command's help loads; None if there is no such command."""
        args = () if command == IMPORT else (*command.split(), "--help")
        try:
            return json.loads(self.python("-c", LOADED, HEAVY, *args))
        except subprocess.CalledProcessError:
            return None

    def seconds(self, command: str) -> tuple[float, ...]:
        """Wall time and CPU time of a command's help, or of the import."""
        if command == IMPORT:
            return tuple(map(float, self.python("-c", TIMED_IMPORT).split()))
        wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        self.python("-m", "ddxgraph", *command.split(), "--help")
        wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_CHILDREN)
        return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare(command: str, checkouts: Sequence[Checkout], pairs: int) -> Mapping[str, Any]:
    """Time a command in both checkouts, in turn."""
    name = "import ddxgraph" if command == IMPORT else " ".join(["ddxgraph", *command.split(), "--help"])
    figures: dict[str, Any] = {"timed": name}
    imports = [checkout.imports(command) for checkout in checkouts]  # warms the caches up, too
    if None not in imports:
        timed = [[checkout.seconds(command) for checkout in checkouts] for _ in range(pairs)]
        for place, kind in enumerate(("wall", "cpu")):
            first, second = ([pair[side][place] for pair in timed] for side in (0, 1))
            figures[f"{kind}_s"] = [round(statistics.median(times), 3) for times in (first, second)]
            ratio = statistics.median(a / b for a, b in zip(first, second, strict=True))
            figures[f"{kind}_ratio"] = round(ratio, 2)
    return {**figures, "imports": imports}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("checkouts", nargs=2, type=Path, metavar="CHECKOUT")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--only", nargs="+", metavar="COMMAND")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        checkouts = [Checkout(path, folder) for path in args.checkouts]
        for command in args.only or [*json.loads(checkouts[1].python("-c", TREE)), IMPORT]:
            print(json.dumps(compare(command, checkouts, args.pairs)), flush=True)


if __name__ == "__main__":
    main()

"""Nothing that is printed can control the terminal, whoever wrote it."""

import io
import json
import subprocess
import sys
from random import Random

import pytest
import typer
from faultserver import Odd, fault_server, said
from journeys import CASE
from rich.console import Console
from rich.text import Text

from ddxgraph.cli import terminal
from ddxgraph.common.typography import harmless, harmless_json

PIECES = [
    "\x1b[31m",
    "\x1b[2J\x1b[H",
    "\x1b]0;owned\x07",
    "\x1b]8;;https://evil.example\x1b\\here\x1b]8;;\x1b\\",
    "\x1b]52;c;cm0gLXJmIH4=\x07",
    "\x1bP+q544e\x1b\\",
    "\x9b31m",
    "\x9d0;owned\x9c",
    "\x90q\x9c",
    "\x08\x08\x08",
    "\r",
    "\x0b\x0c",
    "\x00",
    "\x7f",
    "\u202egpj.exe",
    "\u2066x\u2069",
    "\u061c",
    "\u2028",
    "\ud800",
    "[red]",
    "[/]",
    "model",
    " ",
    "é",
    "病",
]
CONTROLS = {*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0))} - {"\n", "\t"}
TURNING = set("\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def hostile(count: int) -> list[str]:
    luck = Random(7)
    return PIECES + ["".join(luck.choices(PIECES, k=luck.randint(2, 6))) for _ in range(count - len(PIECES))]


@pytest.fixture
def shown(monkeypatch):
    """What the two consoles print."""
    out = io.StringIO()
    for console in (terminal.STDOUT, terminal.STDERR):
        monkeypatch.setattr(console, "_file", out)  # `file` would be put back as the stream of then
    return out.getvalue


@pytest.mark.parametrize("text", hostile(220), ids=lambda text: ascii(text)[:40])
def test_what_is_said_holds_nothing_that_controls_the_terminal(text, shown):
    terminal.say(text)
    terminal.STDOUT.print(text, markup=False)
    terminal.STDOUT.print(Text(text))
    with pytest.raises(typer.Exit):
        terminal.fail(text, terminal.Exit.BAD_INPUT)
    assert not (CONTROLS | TURNING) & set(shown())


@pytest.mark.parametrize("text", hostile(220), ids=lambda text: ascii(text)[:40])
def test_json_says_the_same_without_it(text):
    whole = json.dumps({"model": text}, ensure_ascii=False, indent=1)
    escaped = harmless_json(whole)
    assert not (CONTROLS | TURNING) & set(escaped)
    assert json.loads(escaped) == {"model": text}
    assert harmless(harmless(text)) == harmless(text)


def test_colours_of_our_own_stay():
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system="standard", highlight=False)
    console.push_render_hook(terminal._Harmless())
    console.print("[red]ddxgraph:[/red] n\x1b[2Jo")
    assert out.getvalue() == "\x1b[31mddxgraph:\x1b[0m n[2Jo\n"


NAME = "gpt\x1b]0;owned\x07\x9b31m\u202e-5"


@pytest.mark.parametrize("command", [["doctor"], ["solve"], ["solve", "--json"], ["run"]])
def test_a_server_that_calls_its_model_so_controls_nothing(command, tmp_path):
    case = tmp_path / "case.json"
    case.write_text(CASE.model_dump_json(), encoding="utf-8")
    more = {"run": ["--out", str(tmp_path / "run")], "doctor": []}
    arguments = [*command[:1], *([] if command == ["doctor"] else [str(case)]), *command[1:]]
    odd = Odd(said(), models={"object": "list", "data": [{"id": NAME, "object": "model", "owned_by": NAME}]})
    with fault_server(odd) as server:
        done = subprocess.run(
            [sys.executable, "-m", "ddxgraph", *arguments, *more.get(command[0], [])],
            env={"PATH": "", "HOME": str(tmp_path), "DDXGRAPH_BASE_URL": server.base_url},
            capture_output=True,
            text=True,
        )
    assert "gpt" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not (CONTROLS | TURNING) & set(done.stdout + done.stderr)

"""What the page of a large run costs: to build, to open in Chromium, to filter, to open a trace.

The run is that of `journey_sets.py`: real walks on a scripted model, each in words of its own. The pages are
built in a process of its own, whose peak memory is told beside. Chromium then opens the index from the disk,
without a network; opening is timed until the table has its rows and has been painted, filtering in the page,
from the input to the script's end and to the next painted frame. Figures are medians. Prints one line of JSON.
While it runs, run and pages take some 45 kB a trace.

    python benchmarks/run_pages.py [--traces 10000] [--samples 4] [--single]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from shutil import which
from typing import Any

from driver import MIB, peak_mib
from journey_sets import Cases, write_run

from ddxgraph.cli.cases import gold_answers
from ddxgraph.serving.engine import usable_cores
from ddxgraph.view.data.tracebook import TraceBook
from ddxgraph.view.page.run import write_run_page

TIMES = 5
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
PAINTED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
FILTER = """async ([name, value, event]) => {
  const field = document.getElementById("filters").elements[name];
  const start = performance.now();
  field.value = value;
  field.dispatchEvent(new Event(event, { bubbles: true }));
  const done = performance.now();
  await new Promise((seen) => requestAnimationFrame(() => requestAnimationFrame(seen)));
  return [done - start, performance.now() - start];
}"""
FILTERS = (
    ("Verdict", "correct", "change"),
    ("Backtracks from", "1", "input"),
    ("search", "case-7", "input"),
    ("search", "", "input"),
    ("Backtracks from", "", "input"),
    ("Verdict", "", "change"),
)


def built(run: Path, cases: Path, out: Path) -> dict[str, Any]:
    """Read the run and write its pages."""
    start = time.perf_counter()
    book = TraceBook(run, gold_answers(run, cases).judge)
    book.refresh()
    read = time.perf_counter()
    write_run_page(book, out, processes=usable_cores())
    end = time.perf_counter()
    return {
        "read_s": round(read - start, 1),
        "write_s": round(end - read, 1),
        "build_s": round(end - start, 1),
        "peak_mib": round(peak_mib()),
    }


def opened(page_at: Path) -> dict[str, Any]:
    """Open the page in Chromium, filter it, and open traces."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - a browser is wanted here alone

    path = which("chromium") or which("google-chrome")
    if path is None:
        raise SystemExit("there is no Chromium on this machine")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        open_ms, filter_ms, frame_ms, trace_ms = [], [], [], []
        for _ in range(TIMES):
            page = browser.new_context(offline=True).new_page()
            open_ms.append(_timed(lambda page=page: _shown(page, page_at)))
            for one in FILTERS:
                done, frame = page.evaluate(FILTER, list(one))
                filter_ms.append(done)
                frame_ms.append(frame)
            trace_ms.append(_timed(lambda page=page: _trace(page)))
            page.context.close()
        browser.close()
    return {
        "open_ms": round(statistics.median(open_ms)),
        "filter_ms": round(statistics.median(filter_ms)),
        "filter_to_frame_ms": round(statistics.median(frame_ms)),
        "slowest_filter_to_frame_ms": round(max(frame_ms)),
        "trace_ms": round(statistics.median(trace_ms)),
    }


def _timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


def _shown(page: Any, at: Path) -> None:
    page.goto(at.as_uri())
    page.locator("#rows tbody tr").first.wait_for()
    page.evaluate(PAINTED)


def _trace(page: Any) -> None:
    page.locator("#rows tbody a").nth(50).click()
    page.locator("#open .journey").wait_for()
    page.evaluate(PAINTED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--traces", type=int, default=10_000)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--single", action="store_true", help="one file instead of a folder")
    parser.add_argument("--room", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    place = "page.html" if args.single else "pages"
    if args.room:
        print(json.dumps(built(args.room / "run", args.room / "cases.jsonl", args.room / place)))
        return
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        write_run(room / "run", Cases(args.traces // args.samples), args.samples)
        single = ["--single"] if args.single else []
        child = subprocess.run(
            [sys.executable, __file__, "--room", name, *single], check=True, capture_output=True, text=True
        )
        index = room / place if args.single else room / place / "index.html"
        size = sum(path.stat().st_size for path in [*(room / "pages").rglob("*"), index] if path.is_file())
        told = {
            "traces": args.traces // args.samples * args.samples,
            "run_mib": round((room / "run" / "traces.jsonl").stat().st_size / MIB),
            "pages_mib": round((size if args.single else size - index.stat().st_size) / MIB),
            "index_kib": round(index.stat().st_size / 1024),
        }
        print(json.dumps({**told, **json.loads(child.stdout), **opened(index)}))


if __name__ == "__main__":
    main()

"""Make the golden files beside this script, with the code of commit 3c43d86 and no other.

    git worktree add --detach ../old 3c43d86
    PYTHONPATH=../old/src:../old/tests python tests/golden/make.py [PART ...]

Without a PART, all of them are made: runs, evaluations, sets, traces, compiled, rewrites, loop, checkpoints. Made
again, the files are the same, but for the checkpoint store, which holds times.
"""

import asyncio
import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

from benchmarkmaker import JAMA_TEST, jama_record
from langchain_core.messages import AIMessage
from scripted_server import HttpError, scripted_server
from typer.testing import CliRunner

import ddxgraph
from ddxgraph import Budget, Case, GenerationStrategy, GraphStrategy, Patience, Policy, RunSource, Sampling
from ddxgraph.cli import app
from ddxgraph.lab.knowledge import Condition, Knowledge
from ddxgraph.lab.labcase import Draw, lab_cases
from ddxgraph.lab.level import LEVELS
from ddxgraph.lab.teacher import Teacher
from ddxgraph.testing import Request, ScriptedChatModel

COMMIT = "3c43d86"
HERE = Path(__file__).parent
AT_ONCE = Patience(away_s=0, attempts=1)
SAMPLING = Sampling(temperature=0.7, seed=7)
GREEDY = Sampling(temperature=0.0, seed=0)
WINDOW = 3_600
"""Tokens of a context window in which a traversal with a backtrack is compacted."""
TIMES = {
    r'"latency_s":[0-9.e-]+': '"latency_s":0.25',
    r'"elapsed_s":[0-9.e-]+': '"elapsed_s":2.5',
    r'"started_at":"[^"]+"': '"started_at":"2026-01-02T12:00:00.000+00:00"',
    r'"created_at": "[^"]+"': '"created_at": "2026-01-02T12:00:00+00:00"',
    r'"time":"[^"]+"': '"time":"2026-01-02T12:00:00Z"',
}

# Cases

WARD = {
    "doubts": (
        ("Her hands tremble.", "She has lost 6 kg.", "Her pulse is 118/min."),
        ("Hyperthyroidism", "Panic disorder"),
    ),
    "all-refuted": (
        ("The knee swelled within an hour of a fall.", "The knee gives way.", "No bone is tender."),
        ("Cruciate ligament tear", "Meniscus tear"),
    ),
    "nothing-left": (
        ("The rash is a band on one side.", "It burned before it could be seen.", "There is no new soap."),
        ("Herpes zoster", "Contact dermatitis"),
    ),
    "wrong": (
        ("The ear hurts.", "Pulling the ear makes it worse.", "The drum looks normal."),
        ("Otitis media", "Otitis externa"),
    ),
    "broken": (
        ("The back hurts after lifting.", "The leg is numb.", "Reflexes are weak."),
        ("Disc herniation", "Muscle strain"),
    ),
    "toe": (
        ("The big toe has hurt since last night.", "The joint is red and hot.", "He has no fever."),
        ("Gout", "Septic arthritis"),
    ),
}
"""Case to findings and candidates. The first candidate is right, but in `wrong`."""
FREE_ANSWERS = {
    "doubts": "hyperthyroidism",
    "wrong": "Middle ear infection",
    "broken": "A strain",
    "toe": "A crystal arthropathy",
}
"""Equal to the gold answer, equivalent to it as the judge has it, neither, and one at which the judge fails."""


def ward_case(name: str, *, free: bool = False, called: str = "") -> Case:
    findings, names = WARD[name]
    options = {} if free else dict(zip("AB", names, strict=True))
    asked = "Which diagnosis is most likely?"
    return Case(
        id=called or name, vignette=" ".join(findings), question=asked, options=options, source="ward"
    )


def write_cases(name: str, cases: Iterable[Case], golds: Iterable[str]) -> Path:
    pairs = zip(cases, golds, strict=True)
    lines = [{**case.model_dump(mode="json"), "answer": gold} for case, gold in pairs]
    path = HERE / "cases" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def laboratory() -> list[tuple[Case, str]]:
    """A case of each of the first three levels with its gold answer, from knowledge of our own making."""
    rng = Random(0)
    places, kinds = ("jaw", "neck", "arm", "back", "hip", "knee"), ("pain", "rash", "swelling", "numbness")
    findings = [f"{place} {kind}" for place in places for kind in kinds]
    names = ("Alder", "Birch", "Cedar", "Elm", "Hazel", "Linden", "Maple", "Rowan")
    conditions = tuple(Condition(f"{name} syndrome", tuple(rng.sample(findings, 7))) for name in names)
    knowledge = Knowledge(conditions, "0" * 64)
    cases = [next(lab_cases(Draw(knowledge, LEVELS[level]))) for level in (1, 2, 3)]
    return [(drawn.case, drawn.gold) for drawn in cases]


# Replies


def reading(*quotes: str, thought: str) -> dict[str, Any]:
    findings = []
    for place, quote in enumerate(quotes):
        absent = "no " in quote.lower()
        kind, polarity = ("pertinent_negative", "absent") if absent else ("symptom", "present")
        findings.append({"quote": quote, "kind": kind, "polarity": polarity, "salience": 3 - place})
    return {"reasoning": thought, "asks": "diagnosis", "findings": findings}


def differential(thought: str, others: Mapping[str, int] | None = None, **priors: int) -> dict[str, Any]:
    options = {key: {"rationale": f"{key} is common.", "prior": prior} for key, prior in priors.items()}
    more = [{"label": label, "rationale": "rare", "prior": prior} for label, prior in (others or {}).items()]
    return {"reasoning": thought, **({"options": options} if options else {}), "others": more}


def check(about: str, missing: str = "", **strengths: int) -> dict[str, Any]:
    words = {2: "typical of it", 1: "fits", 0: "says nothing", -1: "is unusual", -2: "speaks against it"}
    weights = [
        {"finding": finding, "strength": strength, "reason": words[strength]}
        for finding, strength in strengths.items()
    ]
    return {"reasoning": f"What would {about} look like?", "weights": weights, "missing": missing}


def reflection(
    critique: str, verdict: str = "conclude", targets: Sequence[str] = (), **refuted: str
) -> dict[str, Any]:
    gone = [{"hypothesis": key, "because": because} for key, because in refuted.items()]
    return {"critique": critique, "refuted": gone, "verdict": verdict, "targets": list(targets)}


def answer(said: str, why: str = "It explains all of it.") -> dict[str, Any]:
    return {"justification": why, "answer": said}


ENOUGH = reflection("Now it is enough.")
DOUBT = reflection("I am not sure.", "recheck_evidence", ["A", "B"])
COMPACTED = "backtracks spent, compacted"


def straight(name: str, **own: Any) -> dict[str, Any]:
    """A script that leads straight to the first candidate, but for lines of its own."""
    findings, names = WARD[name]
    return {
        "review_history": reading(*findings[:2], thought=f"It began with this: {findings[0]}"),
        "generate_differential": differential("Common things first.", A=60, B=40),
        "check_evidence:A": check(names[0], f"a test for {names[0].lower()}", F1=1, F2=2),
        "check_evidence:B": check(names[1], F1=0, F2=-1),
        "reflect": reflection(f"{names[0]} leads, and nothing speaks against it."),
        "conclude": answer("A", f"{names[0]} explains all of it."),
        **own,
    }


def ward_scripts() -> dict[str, dict[str, Any]]:
    """Case to script: both ways back of one traversal, each rule of the graph, an engine that fails."""
    two = differential("Common things first.", A=50, B=50)
    return {
        "doubts": straight(
            "doubts",
            generate_differential=[two, differential("A rare one is missing.", {"Tumour": 5}, A=50, B=45)],
            reflect=[
                reflection("Is something rare missing?", "widen_differential"),
                reflection("Two of them are alike.", H1="too rare"),
                ENOUGH,
            ],
            **{
                "check_evidence:A": [check("A", F1=1), check("A", F1=1, F2=2)],
                "check_evidence:B": [check("B", "an ECG", F1=1), check("B", F1=0, F2=-1)],
                "check_evidence:H1": check("a tumour", F1=-1, F2=1),
            },
        ),
        "all-refuted": straight(
            "all-refuted",
            generate_differential=[two, differential("What else? Nothing.", A=80, B=20)],
            reflect=[reflection("Neither will do.", A="it was no sport", B="it would lock"), ENOUGH],
        ),
        "nothing-left": straight(
            "nothing-left",
            generate_differential=[two, differential("Let me begin again.", A=75, B=25)],
            reflect=[reflection("I am not sure.", "recheck_evidence", ["A"], A="young", B="no soap"), ENOUGH],
        ),
        "wrong": straight("wrong"),
        "broken": straight("broken", generate_differential=ConnectionError("refused")),
    }


def of_cases(
    scripts: Mapping[str, Mapping[str, Any]], cases: Iterable[Case], model: str
) -> ScriptedChatModel:
    """A model that answers about each case from the case's own script."""
    by_text = {case.vignette: scripts[case.id] for case in cases}
    taken: Counter[tuple[str, str]] = Counter()

    def reply(request: Request) -> Any:
        text = "\n".join(str(message.content) for message in request.messages)
        [(vignette, script)] = [(key, value) for key, value in by_text.items() if key in text]
        stop = f"{request.node}:{request.branch}" if request.branch else request.node
        lines = script[stop]
        if not isinstance(lines, list):
            return lines
        taken[vignette, stop] += 1
        return lines[min(taken[vignette, stop], len(lines)) - 1]

    stops = ("review_history", "generate_differential", "check_evidence", "reflect", "conclude", "generate")
    return ScriptedChatModel(script=dict.fromkeys(stops, reply), model_name=model)


# What is made


def settled(path: Path) -> None:
    """Put fixed times into a file, or into the files of a folder; take out what is empty there."""
    for file in path.iterdir() if path.is_dir() else (path,):
        text = file.read_text(encoding="utf-8")
        for found, instead in TIMES.items():
            text = re.sub(found, instead, text)
        file.write_text(text, encoding="utf-8")
        if not text:  # such as a lock
            file.unlink()


def command(*args: object, keys: str = "") -> str:
    """A command's stdout. It may end with 0 or 1."""
    env = {"DDXGRAPH_CACHE": str(HERE / "cache"), "COLUMNS": "100"}
    done = CliRunner().invoke(app, [str(arg) for arg in args], env=env, input=keys)
    if done.exit_code not in {0, 1}:
        raise RuntimeError(f"{args}: {done.stderr}") from done.exception
    return done.stdout


def make_run(name: str, cases: Sequence[Case], model: Any, strategy: Any) -> Path:
    folder = HERE / "runs" / name

    async def work() -> None:
        async for _ in ddxgraph.run(cases, model, strategy=strategy, concurrency=1, out=folder):
            pass

    asyncio.run(work())
    settled(folder)
    return folder


def runs() -> None:
    """Run folders: graph and single generations, reviews, judgements, a benchmark's cases."""
    lab, golds = map(list, zip(*laboratory(), strict=True))
    write_cases("lab.jsonl", lab, golds)
    teacher = Teacher(misread=0.5, overlooked=0.4, seed=1)
    folder = make_run("teacher", lab, teacher, GraphStrategy(sampling=GREEDY, patience=AT_ONCE))
    review(folder, {lab[1].id: "r 3 he was never asked"})

    texts = {"cot": "I count what each card holds.\nAnswer: {}", "vanilla": '{{"answer": "{}"}}'}
    for style, text in texts.items():
        letters = [golds[0], "B" if golds[1] == "A" else "A", golds[2]]
        scripts = {
            case.id: {"generate": text.format(letter)} for case, letter in zip(lab, letters, strict=True)
        }
        if style == "vanilla":
            scripts[lab[2].id] = {"generate": "I cannot say."}
        strategy = GenerationStrategy(style=style, sampling=GREEDY, patience=AT_ONCE)
        make_run(style, lab, of_cases(scripts, lab, "student-1B"), strategy)

    scripts = ward_scripts()
    ward = [ward_case(name) for name in scripts]
    write_cases("ward.jsonl", ward, ["B" if case.id == "wrong" else "A" for case in ward])
    strategy = GraphStrategy(policy=Policy(min_margin=0.1), sampling=SAMPLING, patience=AT_ONCE)
    review(make_run("ward", ward, of_cases(scripts, ward, "scripted"), strategy), {"wrong": "c A"})

    free = [ward_case(name, free=True) for name in FREE_ANSWERS]
    file = write_cases("free.jsonl", free, [WARD[case.id][1][0] for case in free])
    scripts = {name: {"generate": f"I think aloud.\nAnswer: {said}"} for name, said in FREE_ANSWERS.items()}
    strategy = GenerationStrategy(style="cot", sampling=SAMPLING)
    folder = make_run("free", free, of_cases(scripts, free, "student-1B"), strategy)

    def judged(request: Request) -> Any:
        asked = str(request.messages[-1].content)
        return HttpError(400) if "crystal" in asked else {"reason": "so", "equivalent": "Middle ear" in asked}

    with scripted_server({"judge": judged}) as served:
        where = ("--base-url", served.base_url, "--concurrency", 1)
        command("judge", folder, "--cases", file, *where)
    settled(folder)

    raw = HERE / "cases" / "jama_raw.json"
    raw.write_text(json.dumps([jama_record(url) for url in JAMA_TEST]) + "\n")
    command("data", "import", "jama", raw)
    with scripted_server({"generate": "A biopsy can wait.\nAnswer: C"}) as served:
        where = ("--base-url", served.base_url, "--concurrency", 1)
        command("run", "jama", "--strategy", "cot", "--out", HERE / "runs/jama", *where)
    settled(HERE / "runs/jama")


def review(folder: Path, keys: Mapping[str, str]) -> None:
    """An expert gives verdicts, by case, and skips the other traversals."""
    order = [trace.case.id for trace in ddxgraph.read_traces(folder / "traces.jsonl")]
    typed = "".join(keys.get(case, "s") + "\n" for case in order)
    command("review", folder, "--reviewer", "Dr Lee", keys=typed)
    settled(folder)


def evaluations() -> None:
    """Runs scored: side by side; with a judge who left one answer open; of a benchmark with few cases at hand."""
    runs, cases = HERE / "runs", HERE / "cases"
    (HERE / "evaluations").mkdir(exist_ok=True)
    command("data", "import", "jama", cases / "jama_raw.json")
    for name, args in {
        "lab": (runs / "teacher", runs / "cot", runs / "vanilla", "--cases", cases / "lab.jsonl"),
        "free": (runs / "free", "--cases", cases / "free.jsonl", "--judge", "only"),
        "jama": (runs / "jama",),
    }.items():
        told = json.loads(command("eval", *args, "--json"))
        path = HERE / "evaluations" / f"{name}.json"
        path.write_text(json.dumps(told, ensure_ascii=False) + "\n", encoding="utf-8")


def sets() -> None:
    """A set of journeys in each style."""
    sources = {
        name: RunSource(HERE / "runs" / name, list(ddxgraph.read_cases(HERE / "cases" / cases)))
        for name, cases in {"teacher": "lab.jsonl", "ward": "ward.jsonl"}.items()
    }
    config = ddxgraph.GateConfig.model_validate(tomllib.loads((HERE / "gate.toml").read_text()))
    os.environ["DDXGRAPH_CACHE"] = str(HERE / "cache/empty")  # no test set to compare with
    for style in ("longstep", "longmonolog", "shortcut", "cot", "graph"):
        given = [sources["teacher"]] if style == "graph" else list(sources.values())
        ddxgraph.make_journeys(given, style, HERE / "sets" / style, config=config)
        for name in ("gate.json", "gate.md"):
            told = HERE / "sets" / style / name
            if told.read_bytes() == (HERE / "sets" / "longstep" / name).read_bytes() and style != "longstep":
                told.unlink()  # the gate's report is the same for the same runs: it is kept once


def traces() -> None:
    """Single traversals, each with settings of its own; the case's id says what for."""

    def case(called: str, *, free: bool = False) -> Case:
        return ward_case("toe", free=free, called=called)

    def walked(called: str, told: Mapping[str, Any], *, free: bool = False, **own: Any) -> ddxgraph.Trace:
        strategy = GraphStrategy(sampling=SAMPLING, patience=AT_ONCE, **own)
        model = ScriptedChatModel(script=told, model_name="scripted")
        return asyncio.run(strategy(case(called, free=free), model))

    def generated(called: str, style: Any, text: Any, **own: Any) -> ddxgraph.Trace:
        strategy = GenerationStrategy(style=style, sampling=SAMPLING, **own)
        model = ScriptedChatModel(script={"generate": text}, model_name="scripted")
        return asyncio.run(strategy(case(called), model))

    def interrupted(called: str) -> ddxgraph.Trace:
        model = ScriptedChatModel(script=straight("toe"), model_name="scripted")
        walk = ddxgraph.Traversal(ddxgraph.build_graph(model, sampling=SAMPLING), case(called))
        next(iter(walk))
        return walk.trace()

    strategy, model = compacting()
    doubting = straight("toe", reflect=["Hm.", DOUBT])
    free = {
        "review_history": reading(*WARD["toe"][0], thought="An acute joint."),
        "generate_differential": differential("", {"Gout": 60, "Septic arthritis": 30}),
        "check_evidence:H1": check("gout", F1=2, F2=1),
        "check_evidence:H2": check("an infection", F1=1, F2=1),
        "reflect": reflection("Enough.", H2="no fever"),
        "conclude": answer("Gout"),
    }
    none = reflection("Neither.", A="too young", B="no fever")
    made = [
        walked("tokens spent, repaired", doubting, budget=Budget(max_tokens=14_000)),
        walked("calls spent", doubting, budget=Budget(max_calls=4)),
        asyncio.run(strategy(case(COMPACTED), model)),
        walked("engine failed", straight("toe", generate_differential=ConnectionError("refused"))),
        walked("free-form", free, free=True),
        walked("no differential", {**free, "generate_differential": "I cannot say."}, free=True),
        walked(
            "all refuted, no backtrack left, unparsed",
            straight("toe", reflect=none, conclude="I cannot say."),
            budget=Budget(max_backtracks=0),
        ),
        generated("probabilities", "vanilla", probable()),
        generated("longstep", "longstep", "## Reading\nA hot joint.\n\nAnswer: A"),
        generated("no room", "cot", "I go on and on", budget=Budget(max_tokens=10)),
        interrupted("interrupted"),
    ]
    path = HERE / "traces.jsonl"
    path.write_text("".join(f"{trace.to_json()}\n" for trace in made), encoding="utf-8")
    settled(path)


def compacting(**settings: Any) -> tuple[GraphStrategy, ScriptedChatModel]:
    """A strategy and a model whose traversal holds every type of a state: a check that cannot be read, a
    refutation, a recheck for which the conversation is compacted; its budget of backtracks is spent."""
    again = reflection("Was it weighed?", "recheck_evidence", ["A"], B="he has no fever")
    never = reflection("I am not sure.", "recheck_evidence", ["A"])
    script = straight("toe", reflect=[again, never], **{"check_evidence:B": "Hm."})
    budget = Budget(max_backtracks=1)
    strategy = GraphStrategy(
        sampling=SAMPLING, patience=AT_ONCE, context_window=WINDOW, budget=budget, **settings
    )
    return strategy, ScriptedChatModel(script=script, model_name="scripted")


def probable() -> AIMessage:
    """A reply with the log-probabilities of the answer's letter."""
    pieces = ['{"answer": "', "A", '"}']
    content: list[dict[str, Any]] = [
        {"token": piece, "logprob": -0.1, "top_logprobs": []} for piece in pieces
    ]
    content[1]["top_logprobs"] = [{"token": "A", "logprob": -0.5}, {"token": "B", "logprob": -1.5}]
    return AIMessage("".join(pieces), response_metadata={"logprobs": {"content": content}})


def compiled() -> None:
    """What the single traversals come to as journeys; null where they are none."""
    lines = []
    for trace in ddxgraph.read_traces(HERE / "traces.jsonl"):
        for style, tries in (("longstep", None), ("longmonolog", None), ("longmonolog", 2)):
            try:
                journey = ddxgraph.compile_journey(trace, style, seed=3, tries=tries)
                text: str | None = journey.messages[-1].content
            except ddxgraph.CompileError:
                text = None
            line = {"trace": trace.id, "style": style, "tries": tries, "text": text}
            if tries is None or (text is not None and trace.backtracks > 1):
                lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    (HERE / "compiled.jsonl").write_text("".join(lines), encoding="utf-8")


def rewrites() -> None:
    """What a model wrote of the teacher's monologues: a faithful text, or what the check refuses, twice."""

    def rewritten(request: Request) -> str:
        said = str(request.messages[-1].content)
        [draft] = re.findall(r"<data>\n(.*?)\n</data>", said, re.DOTALL)
        return f"Let me see.\n\n{draft}" if "Maple" not in draft else "So be it.\n\nAnswer: A"

    run, out = HERE / "runs/teacher", HERE / "cache/rewritten"
    with scripted_server({"generate": rewritten}) as served:
        command(
            *("journeys", run, "--cases", HERE / "cases/lab.jsonl", "--config", HERE / "gate.toml"),
            *("--style", "longmonolog", "--out", out, "--rewrite", "--rewrites", HERE / "rewrites"),
            *("--base-url", served.base_url, "--concurrency", 1),
        )


def loop() -> None:
    """The folder of an improvement loop that was broken off after the base model's evaluation."""
    loops = import_module("loops")
    folder = HERE / "loop"
    folder.mkdir()
    for name, rows in (("train", loops.TRAIN[:2]), ("validation", loops.VALIDATION[:2])):
        loops.write_cases(folder / f"{name}.jsonl", rows)
    (folder / "loop.toml").write_text(loops.CONFIG.replace("rounds = 2", "rounds = 1").lstrip())
    with suppress(KeyboardInterrupt):
        loops.go(folder / "loop.toml", loops.Bench(), loops.Told(break_at="round 1: generate"))
    made = folder / "loop"
    settled(made / "loop.json")
    stamp = hashlib.sha256((made / "loop.json").read_bytes()).hexdigest()
    (made / "base/stage.json").write_text(f'{{\n  "loop": "{stamp}"\n}}\n')
    settled(made / "base")


def checkpoints() -> None:
    """Two traversals kept step by step: one at its end, one whose command was killed in a round of checks."""
    store = HERE / "checkpoints.sqlite"
    # Put together, since this name is the old commit's, whatever the module is called now.
    open_checkpoints = import_module("ddxgraph.graph." + "checkpointstore").open_checkpoints

    async def walk() -> None:
        async with open_checkpoints(str(store)) as saver:
            strategy, model = compacting(checkpointer=saver)
            await strategy(ward_case("toe", called=COMPACTED), model)

    asyncio.run(walk())
    file = HERE / "cases" / "solve.json"
    file.write_text(ward_case("toe", called="solve").model_dump_json(indent=1) + "\n")
    command_line = (sys.executable, "-m", "ddxgraph", "solve", file, "--checkpoints", store, "--base-url")
    reached, over = threading.Event(), threading.Event()

    def silent(request: Request) -> Any:
        reached.set()
        over.wait()
        return {}

    with scripted_server(solve_script(silent)) as served:
        process = subprocess.Popen([*map(str, command_line), served.base_url], stderr=subprocess.DEVNULL)
        reached.wait()
        time.sleep(2)  # what had ended is written meanwhile
        process.kill()
        over.set()
        process.wait()
    with scripted_server(solve_script()) as served:
        said = command("solve", file, "--base-url", served.base_url, "--json")
    (HERE / "solved.json").write_text(said, encoding="utf-8")
    settled(HERE / "solved.json")
    with closing(sqlite3.connect(store)) as database:  # the checkpoints before the last are never read again
        database.execute(
            "DELETE FROM checkpoints WHERE checkpoint_id NOT IN (SELECT max(checkpoint_id) FROM checkpoints "
            "GROUP BY thread_id)"
        )
        database.execute(
            "DELETE FROM writes WHERE checkpoint_id NOT IN (SELECT checkpoint_id FROM checkpoints)"
        )
        database.commit()
        database.execute("VACUUM")


def solve_script(*last: Any) -> dict[str, Any]:
    """The server knows no branch of a check: all of them are answered alike, one after the other."""
    names = WARD["toe"][1]
    return straight("toe", check_evidence=[check(names[0], F1=1, F2=1), *last])


PARTS: Mapping[str, Callable[[], None]] = {
    part.__name__: part for part in (runs, evaluations, sets, traces, compiled, rewrites, loop, checkpoints)
}


def main() -> None:
    place = Path(ddxgraph.__file__).parents[2]
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=place, capture_output=True, text=True, check=True)
    if not head.stdout.startswith(COMMIT):
        raise SystemExit(f"ddxgraph is that of {place}, at {head.stdout[:7]}; it has to be at {COMMIT}")
    for name in sys.argv[1:] or PARTS:
        for old in (HERE / name, HERE / f"{name}.jsonl", *HERE.glob(f"{name}.sqlite*")):
            if old.is_dir():
                shutil.rmtree(old)
            old.unlink(missing_ok=True)
        PARTS[name]()
        shutil.rmtree(HERE / "cache", ignore_errors=True)
    for lock in HERE.rglob("*.lock"):
        lock.unlink()


if __name__ == "__main__":
    main()

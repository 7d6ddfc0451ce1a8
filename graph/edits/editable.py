"""What an expert may change of a paused journey, and the checks of what was given."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from re import fullmatch
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from ddxgraph.common.errors import EditError, faults_of
from ddxgraph.graph.state import Journey
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.check_evidence import WHOLE_CASE, Weight
from ddxgraph.nodes.expert_edit import EXPERT_EDIT, ExpertEdit
from ddxgraph.nodes.generate_differential import Hypothesis, Refutation
from ddxgraph.nodes.review_history import Asks, Finding
from ddxgraph.nodes.stop import Standpoint

EDITABLE: Final[Mapping[str, TypeAdapter[Any]]] = {
    "asks": TypeAdapter(Asks),
    "findings": TypeAdapter(list[Finding]),
    "hypotheses": TypeAdapter(list[Hypothesis]),
    "evidence": TypeAdapter(dict[str, dict[str, Weight]]),
    "refuted": TypeAdapter(list[Refutation]),
    "critique": TypeAdapter(str),
}
"""What an expert can change, and the type of each. The graph keeps the rest of the state."""


def edit_of(state: Journey, values: Mapping[str, Any], now: Standpoint) -> ExpertEdit:
    """Read and check an expert's new values.

    Args:
        state: the journey so far.
        values: the new values by the state's keys; see `ddxgraph.graph.edits.edit.edit`.
        now: the standpoint of the state.

    Returns:
        The edit, without its changes in words.

    Raises:
        EditError: a value cannot be changed or used.
    """
    known = {key: value for key, value in values.items() if key in EDITABLE}
    for key in values.keys() - known.keys():
        _refuse_unless_same(key, values[key], state)
    if "findings" in known:
        known["findings"] = _numbered(known["findings"], now.findings, "F")
    if "hypotheses" in known:
        known["hypotheses"] = _numbered(known["hypotheses"], now.hypotheses, "H")
    if isinstance(known.get("evidence"), Mapping):
        known["evidence"] = _weights(known["evidence"])
    given = ExpertEdit(**{key: _parsed(key, value) for key, value in known.items()})
    _check_findings(given)
    _check_hypotheses(given, now, state["case"])
    _check_references(given, now)
    return given


def _refuse_unless_same(key: str, value: Any, state: Journey) -> None:
    """Take what the state holds anyway: tools send back the whole state."""
    if key in Journey.__annotations__:
        if to_jsonable_python(value) == to_jsonable_python(state.get(key)):
            return
        raise EditError(
            f"{key!r} cannot be edited, since it records what happened or what the journey is about. An expert "
            f"can change {', '.join(EDITABLE)}. For another case, begin another journey"
        )
    near = get_close_matches(key, EDITABLE, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise EditError(f"a journey has no {key!r}: {hint}An expert can change {', '.join(EDITABLE)}")


def _parsed(key: str, value: Any) -> Any:
    try:
        return EDITABLE[key].validate_python(value)
    except ValidationError as error:
        raise EditError(f"the edit of {key} cannot be used: {'; '.join(faults_of(error, key))}") from None


def _numbered(given: Any, known: Mapping[str, Any], letter: str) -> Any:
    """Give new records the next free ids, as the stops do."""
    if not isinstance(given, Sequence) or isinstance(given, str):
        return given
    used = [int(key[1:]) for key in known if fullmatch(letter + r"\d+", key)]
    number = max(used, default=0)
    numbered = []
    for record in given:
        if isinstance(record, Mapping) and not record.get("id"):
            number += 1
            numbered.append({**record, "id": f"{letter}{number}"})
        else:
            numbered.append(record)
    return numbered


def _weights(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Evidence whose weights may be strengths alone, or lack the finding's id, which is their key."""

    def weight(finding: str, given: Any) -> Any:
        if isinstance(given, int):
            return {"finding": finding, "strength": given}
        return {"finding": finding, **given} if isinstance(given, Mapping) else given

    return {
        key: {finding: weight(finding, given) for finding, given in weights.items()}
        if isinstance(weights, Mapping)
        else weights
        for key, weights in evidence.items()
    }


def _check_findings(given: ExpertEdit) -> None:
    if given.findings is None:
        return
    _check_once([finding.id for finding in given.findings], "findings")
    wrong = next((f.id for f in given.findings if not fullmatch(r"F[1-9]\d*", f.id)), None)
    if wrong is not None:
        raise EditError(
            f"a finding has the id {wrong!r}: findings are numbered F1, F2, ...; leave the id of a new one out"
        )


def _check_hypotheses(given: ExpertEdit, now: Standpoint, case: Case) -> None:
    if given.hypotheses is None:
        return
    by_id = {hypothesis.id: hypothesis for hypothesis in given.hypotheses}
    _check_once([hypothesis.id for hypothesis in given.hypotheses], "hypotheses")
    missing = [key for key in now.hypotheses if key not in by_id]
    if missing:
        raise EditError(
            f"the hypotheses lack {', '.join(missing)}: no hypothesis is taken out of a differential. Rule it "
            "out with `refuted` instead"
        )
    options = case.options
    free = len([key for key in now.hypotheses if key not in options])
    allowed = {f"H{free + place}" for place in range(1, len(by_id) + 1)}
    for key, hypothesis in by_id.items():
        if key in options:
            if (hypothesis.letter, hypothesis.label) != (key, options[key]):
                raise EditError(f"hypothesis {key} is an option: its letter and label are the case's")
        elif hypothesis.letter is not None:
            raise EditError(f"hypothesis {key} is no option of the case: leave its letter out")
        elif key not in now.hypotheses and key not in allowed:
            raise EditError(f"a new hypothesis has the id {key!r}: leave the id out, and it gets H{free + 1}")


def _check_once(ids: Sequence[str], noun: str) -> None:
    twice = next((key for place, key in enumerate(ids) if key in ids[:place]), None)
    if twice is not None:
        raise EditError(f"the {noun} hold {twice} twice: give each once")


def _check_references(given: ExpertEdit, now: Standpoint) -> None:
    then = EXPERT_EDIT.learn(now, given)
    for key, weights in (given.evidence or {}).items():
        _check_known(key, then.hypotheses, "hypothesis", "evidence")
        for finding, weight in weights.items():
            _check_known(finding, (*then.findings, WHOLE_CASE), "finding", "evidence")
            if weight.finding != finding:
                raise EditError(f"the weight under {finding} on {key} is of {weight.finding}: use one id")
    _check_once([refutation.hypothesis for refutation in given.refuted or ()], "refutations")
    for refutation in given.refuted or ():
        _check_known(refutation.hypothesis, then.hypotheses, "hypothesis", "refuted")


def _check_known(key: str, known: Any, noun: str, field: str) -> None:
    if key not in known:
        have = ", ".join(known)
        raise EditError(f"`{field}` names the {noun} {key!r}, which the journey does not have; it has {have}")

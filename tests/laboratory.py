"""Made-up knowledge for the tests of the laboratory domain, which then need nobody's copy of DDXPlus."""

from random import Random

from ddxgraph.lab.knowledge import Knowledge, knowledge_of

FINDINGS = 30
CONDITIONS = 20


def made_up_files() -> tuple[dict, dict, dict[str, str]]:
    """Conditions and evidences as in the release, and names for all evidences but the last two."""
    rng = Random(0)
    codes = [f"E_{number}" for number in range(FINDINGS + 2)]
    conditions = {
        f"Condition {number}": {
            "cond-name-eng": f"Condition {number}",
            "symptoms": {code: {} for code in rng.sample(codes, 8)},
        }
        for number in range(CONDITIONS)
    }
    evidences = {code: {"data_type": "B"} for code in codes}
    return conditions, evidences, {code: f"finding {code[2:]}" for code in codes[:FINDINGS]}


def made_up() -> Knowledge:
    return knowledge_of(*made_up_files())

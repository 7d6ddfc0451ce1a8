"""Made-up knowledge for the tests of the laboratory domain, which then need nobody's copy of DDXPlus."""

import json
from random import Random

from ddxgraph.lab.knowledge import Knowledge, knowledge_of, phrases

FINDINGS = 30
CONDITIONS = 20


def made_up_files() -> tuple[dict, dict[str, str]]:
    """Conditions as in the release, and names for all their evidences but two."""
    rng = Random(0)
    codes = [f"E_{number}" for number in range(FINDINGS + 2)]
    conditions = {
        f"Condition {number}": {
            "cond-name-eng": f"Condition {number}",
            "symptoms": {code: {} for code in rng.sample(codes, 8)},
        }
        for number in range(CONDITIONS)
    }
    return conditions, {code: f"finding {code[2:]}" for code in codes[:FINDINGS]}


def made_up() -> Knowledge:
    return knowledge_of(*made_up_files())


def made_up_content() -> bytes:
    """Such conditions as a file, with codes that have a name in the package."""
    conditions, _ = made_up_files()
    codes = list(phrases())
    for entry in conditions.values():
        entry["symptoms"] = {codes[int(code[2:])]: {} for code in entry["symptoms"]}
    return json.dumps(conditions).encode()

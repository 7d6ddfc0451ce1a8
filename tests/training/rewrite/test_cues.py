"""The phrases of the check: no list of words is missing or unused, and the notation means what it says."""

import re
import tomllib
from pathlib import Path

import pytest

from ddxgraph.training.rewrite import cues
from ddxgraph.training.rewrite.cues import phrases

TABLES = tomllib.loads(Path(cues.__file__).with_name("cues.toml").read_text(encoding="utf-8"))
WORDS = TABLES.pop("words")
SLOTS = {"it", "name", "rest", "gap", "end", "first", "last", "alone", "to"}


def test_every_slot_is_known_and_every_list_of_words_is_used():
    texts = [*WORDS.values(), *(phrase for pool in TABLES.values() for phrase in pool)]
    slots = {slot for text in texts for slot in re.findall(r"{(\w+)}", text)}
    assert slots - SLOTS <= WORDS.keys()
    assert WORDS.keys() - slots <= {"pronoun"}  # `refuted` takes it for {it}


@pytest.mark.parametrize(
    ("key", "text", "told"),
    [
        ("refuted", "so i can finally cross it off.", True),
        ("refuted", "so i can crosscheck it off.", False),
        ("review_history", "i go right back to her very long chart.", True),
        ("review_history", "i go back to what is, in a way, her chart.", True),
        ("review_history", f"i go back to {'very ' * 9}long chart.", False),
        ("review_history", "i go back to it; her chart is long.", False),
        ("owed", "that is enough to", False),
        ("owed", "it is time to", False),
        ("owed", "it is early to", True),
        ("taken_back", ", yet", True),
        ("taken_back", ", and not yet", False),
        ("hedged", "i'd", True),
        ("hedged", "without a doubt i", False),
    ],
)
def test_the_notation_of_phrases(key, text, told):
    assert any(phrases(key, text, "pronoun")) == told

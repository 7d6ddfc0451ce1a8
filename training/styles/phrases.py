"""The sentences that a journey is told in: a pool of wordings for each kind of thing that happens.

`{m}` stands for one name or finding, or for a list of them; `{t}` for a note between dashes, which may be absent;
`{n}` for a percentage. A wording says its kind on its own, so no wording may stand in two pools, and no wording
may begin with `{m}` where a hypothesis is meant: its label may be any text.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Final

from ddxgraph.training.styles.quoting import WHOLE

Pool = tuple[str, ...]

ASKS: Final[Mapping[str, str]] = {
    "diagnosis": "a diagnosis",
    "next_step": "the next step",
    "treatment": "a treatment",
    "investigation": "an investigation",
    "mechanism": "a mechanism",
    "prognosis": "a prognosis",
}
_ASKED: Final[Pool] = (
    "First, what do they want from me? The question asks for {asks}.",
    "Before anything else: I am being asked for {asks}.",
    "All right, what is wanted here is {asks}.",
    "Let me be clear about the task, which is to come up with {asks}.",
    "So the question is about {asks}.",
    "I should keep in mind that I have to settle on {asks}.",
    "Okay, so in the end I need {asks}.",
)
_ASKED_OTHERWISE: Final[Pool] = (
    "First, what do they want from me? It is none of the usual questions, so the wording matters.",
    "Before anything else: this is not one of the usual questions, and I should answer just what is asked.",
    "All right, what is wanted here is out of the ordinary, so I stay close to the wording.",
    "Let me be clear about the task, since the question is of no usual kind.",
    "The question is an unusual one, and I keep its exact words in mind.",
)

EVENTS: Final[Mapping[str, Pool]] = {
    **{f"asked:{key}": tuple(t.replace("{asks}", text) for t in _ASKED) for key, text in ASKS.items()},
    "asked:other": _ASKED_OTHERWISE,
    "noted:present": (
        "I notice {m}.",
        "What stands out is {m}.",
        "Then I read of {m}.",
        "I should not overlook {m}.",
        "There is also {m}.",
        "The record mentions {m}.",
        "I underline {m}.",
        "Worth holding on to: {m}.",
        "Let me keep {m} in mind.",
        "And there is {m} to account for.",
        "{m} catches my eye.",
    ),
    "noted:absent": (
        "What is not there may matter as much: {m}.",
        "As pertinent negatives I keep {m}.",
        "On the negative side I read {m}.",
        "It is also worth something that this is denied or absent: {m}.",
        "Among the negatives there is {m}.",
        "Something is missing that I might have expected: {m}.",
        "I also take note of an absence, {m}.",
        "The negatives count too, and one reads {m}.",
        "Worth knowing, because it is not there: {m}.",
    ),
    "named": (
        "I consider {m}{t} and put it at about {n} percent.",
        "Then there is {m}{t} at roughly {n} percent.",
        "I would give {m}{t} something like {n} percent.",
        "What about {m}? I would put that{t} at perhaps {n} percent.",
        "It could be {m}{t} with a chance of some {n} percent.",
        "On my list goes {m}{t} with {n} percent.",
        "My feeling about {m}{t} is around {n} percent before I look closer.",
        "I should also think of {m}{t} and start it at {n} percent.",
        "For {m}{t} I begin with {n} percent or so.",
        "Another candidate is {m}{t} with {n} percent or thereabouts.",
    ),
    "revived": (
        "I have ruled out every single candidate, which cannot be right, so all of them are open again.",
        "With nothing left standing I must have been too strict somewhere, so I reopen every candidate.",
        "I cannot have refuted everything and still have a case to explain, so they all come back.",
        "Having crossed out the whole list, I put every candidate back on it.",
        "One of these has to be right after all, so I take back every refutation.",
        "If everything is out, then my bar was wrong, and I let all of the candidates in again.",
    ),
    "checked": (
        "Now let me test {m}.",
        "I turn to {m}.",
        "Let me see how well {m} holds up.",
        "Suppose it is {m}.",
        "Next I weigh {m}.",
        "How does {m} fare against what I have read?",
        "I take {m} and hold it against the record.",
        "Let me think about {m} for a moment.",
        "What would I make of {m}?",
        "So, what about the case for {m}?",
        "On to {m}.",
    ),
    "rechecked": (
        "Let me test {m} again, this time with more care.",
        "Once more, then, to {m}.",
        "So how does {m} look at a second glance?",
        "I go over {m} afresh.",
        "Again I weigh {m}, as if I had not done so before.",
        "Back to {m}, with a fresh eye.",
        "Let me look at {m} once more.",
        "Then {m} a second time, from the beginning.",
    ),
    "weighed:2": (
        "{m}{t} strongly supports it.",
        "{m}{t} is strong evidence in its favour.",
        "{m}{t} points firmly towards it.",
        "With {m}{t} the odds rise sharply.",
        "Given {m}{t} I am much more inclined to believe it.",
        "{m}{t} is just what I would hope to find if it were right.",
        "I count {m}{t} heavily for it.",
        "{m}{t} makes a strong case for it.",
        "Now {m}{t} is what really speaks for it.",
        "{m}{t} argues for it as much as anything could.",
    ),
    "weighed:1": (
        "{m}{t} supports it.",
        "{m}{t} speaks for it.",
        "{m}{t} counts somewhat in its favour.",
        "With {m}{t} it becomes a little more likely.",
        "{m}{t} fits it well enough.",
        "I take {m}{t} as mild support.",
        "{m}{t} nudges me towards it.",
        "{m}{t} is in keeping with it.",
        "{m}{t} adds a little weight to it.",
        "A point in its favour is {m}{t} though not a decisive one.",
    ),
    "weighed:0": (
        "{m}{t} is neutral.",
        "{m}{t} does not help me either way.",
        "From {m}{t} I learn nothing about it.",
        "{m}{t} leaves it where it was.",
        "I cannot make much of {m}{t} here.",
        "{m}{t} tells neither for it nor against it.",
        "Whatever I believe, {m}{t} does not change it.",
        "{m}{t} could go either way.",
        "I set {m}{t} aside, as it tells me little.",
    ),
    "weighed:-1": (
        "{m}{t} speaks against it.",
        "{m}{t} makes it a little less likely.",
        "{m}{t} does not fit it too well.",
        "I hold {m}{t} somewhat against it.",
        "With {m}{t} I begin to doubt it.",
        "{m}{t} counts mildly against it.",
        "Hmm, {m}{t} sits uneasily with it.",
        "{m}{t} is not quite what I would expect then.",
        "A point against it is {m}{t} though I would not lean on it.",
    ),
    "weighed:-2": (
        "{m}{t} strongly speaks against it.",
        "{m}{t} is hard to reconcile with it.",
        "{m}{t} is strong evidence against it.",
        "With {m}{t} the odds fall sharply.",
        "But then {m}{t} all but contradicts it.",
        "Given {m}{t} I find it very hard to believe.",
        "No, {m}{t} weighs heavily against it.",
        "I do not see how {m}{t} could go with it.",
        "{m}{t} is the opposite of what I would expect.",
    ),
    "missing": (
        "What would settle it is not in front of me{t} and I have to do without.",
        "I would feel better if I knew one thing more{t} but I do not.",
        "There is something I would still want to see{t} before I could be sure of it.",
        "One piece is missing here{t} and it would help.",
        "If I could ask for anything{t} that would be it.",
        "To be certain I would need more{t} than the record gives me.",
    ),
    "refuted": (
        "That rules out {m}{t} as far as I can see.",
        "I give up {m}{t} at this point.",
        "So I can let go of {m}{t} now.",
        "I no longer believe in {m}{t} and strike it from the list.",
        "It cannot be {m}{t} and so that one is gone.",
        "I was wrong to entertain {m}{t} and drop it.",
        "This leaves no room for {m}{t} in my mind.",
    ),
    "back:review_history": (
        "Wait, I may have missed something, so I go back to the history and read it again.",
        "Hold on. I am not sure I read this properly, so back to the record itself.",
        "Hmm, something does not add up, and I had better reread the history from the top.",
        "No, I should not go on like this before I have been through the record once more.",
        "Actually, let me stop here and return to the history, since I suspect I overlooked something.",
        "I do not trust my first reading any more, so I start over with what the record really says.",
    ),
    "back:generate_differential": (
        "Wait, none of this convinces me, so I go back to the list of candidates and widen it.",
        "Hold on. Perhaps the right answer is not among those I favoured, so I return to the differential.",
        "Hmm, nothing fits as it should, and I had better think about what else it could be.",
        "No, this does not hold, so let me step back and rethink the whole list.",
        "Actually, I have been too narrow, and I need to open the differential again.",
        "I am not satisfied, so back to the candidates, with an open mind.",
    ),
    "back:all_refuted": (
        "Wait, now everything on my list is refuted, so I have to go back and widen it.",
        "Hold on. I have just crossed out every candidate, which sends me back to the differential.",
        "Hmm, with nobody left on the list I cannot conclude, and I must look for other candidates.",
        "No, I cannot stop with an empty list, so back to the differential it is.",
        "Actually, nothing survives, and that means I must think of what else it could be.",
        "That was the last one standing, so I return to the drawing board for new candidates.",
    ),
    "back:nothing_to_recheck": (
        "I would like to recheck the evidence, but nothing is left to recheck, so I widen the list instead.",
        "Weighing it all again makes no sense with every candidate gone, so I go back to the differential.",
        "Wait, I wanted a second look at the evidence, yet no candidate stands, so I need new ones.",
        "Hmm, there is nothing left whose evidence I could weigh anew, and I have to think of others.",
        "No use in going over the evidence when nothing stands, so I reopen the differential.",
        "A second look would be at candidates I have dropped, so I had better find different ones.",
    ),
    "back:check_evidence": (
        "Wait, I am not sure I weighed this properly, so I go back to the evidence for {m}.",
        "Hold on. I should look once more at what speaks for and against {m}.",
        "Hmm, I may have been too quick, and I want to recheck {m}.",
        "No, I am not comfortable with this yet, so back to the evidence on {m}.",
        "Actually, let me reconsider how the findings bear on {m}.",
        "I doubt my own weighing here, so I return to {m} and do it over.",
    ),
    "back:all_evidence": (
        "Wait, I am not sure I weighed any of this properly, so I go back to all of the evidence.",
        "Hold on. I should look once more at what speaks for and against each of them.",
        "Hmm, I may have been too quick, and I want to recheck the evidence as a body.",
        "No, I am not comfortable with this yet, so back to the evidence, all of it.",
        "Actually, let me reconsider how the findings bear on every candidate.",
        "I doubt my own weighing here, so I do it over for the full list.",
    ),
    "back:too_close": (
        "Wait, it is too close to call, so I go back and compare {m} once more.",
        "Hold on. The leaders are nearly level, and I need another look at {m}.",
        "Hmm, the margin is too thin to decide on, so I return to the evidence for {m}.",
        "No, I cannot choose on so small a difference, so let me weigh again {m}.",
        "Actually, I would be guessing at this point, and I should recheck {m}.",
        "This is closer than I like, so I reconsider {m}.",
    ),
    "halted:backtracks": (
        "I would go back once more, but I have reconsidered as often as I can, so I decide now.",
        "I am tempted to start over yet again, but it is time to commit.",
        "Another round of doubt would be one too many, so I have to settle it here.",
        "I could keep turning this over, but I have gone back often enough.",
        "Not every doubt is resolved, and still I must stop going back and choose.",
        "There has been enough going back and forth, and I will decide with what I have.",
    ),
    "halted:room": (
        "I have to stop here and decide on what I know.",
        "There is no room left to look any further, so I must make up my mind.",
        "I cannot pursue this any longer and have to choose now.",
        "Time to decide, even though I would have liked to check more.",
        "I must come to a close with the work unfinished.",
        "This is as far as I can take it, so I choose on what there is.",
    ),
}
"""Kind of event to its wordings."""

THOUGHTS: Final[Mapping[str, Pool]] = {
    "review_history": (
        "My first impression is this:",
        "What strikes me when I read it:",
        "Reading through the record, I think:",
        "How I read it:",
        "Taking the history as it comes:",
        "In short, the way I understand the record:",
    ),
    "generate_differential": (
        "Thinking about what could be the answer:",
        "How I arrive at my candidates:",
        "What guides me in drawing up the list:",
        "My reasoning for the list is this:",
        "To sort the possibilities:",
        "Where that leads me:",
    ),
    "check_evidence": (
        "If that were right, then:",
        "My thinking on it:",
        "What I would expect in that event:",
        "Let me reason it through:",
        "To put it to the test:",
        "The way I see this one:",
    ),
    "reflect": (
        "Let me step back and be critical:",
        "What bothers me about where I stand:",
        "Looking at it as a whole, I have to ask myself:",
        "Playing the sceptic for a moment:",
        "Am I sure about this? I tell myself:",
        "Where could I be wrong? Well:",
        "Looking back over all of it:",
    ),
    "conclude": (
        "So here is how I put it together:",
        "What decides it for me in the end:",
        "In the final balance:",
        "Putting all of it together:",
        "Why I come down on this side:",
        "I am fairly settled now, and this is why:",
    ),
}
"""Stop to the lead-ins of what was thought there; the rest of the line is the thought."""

ASIDES: Final[Mapping[str, Pool]] = {
    "listing": (
        "What should I think of here?",
        "So what are the possibilities?",
        "Let me lay out the candidates.",
        "What do I have to choose from?",
        "Time to think about what it might be.",
        "Let me spread out the options before I favour any of them.",
    ),
    "listing_again": (
        "So what else could it be?",
        "Let me think about the list again.",
        "How would I rank them now?",
        "Perhaps the list looks different now.",
        "Let me put fresh figures on all this.",
        "What does the list look like after that?",
    ),
    "between": (
        "Let me not get ahead of myself.",
        "I want to be fair to each of them.",
        "Careful here.",
        "Hmm, let me see.",
        "I should keep an open mind.",
        "One thing at a time.",
    ),
    "nothing": (
        "I find nothing in the record that I could weigh here.",
        "I cannot say anything firm about it.",
        "Nothing I have read bears on it clearly.",
        "I have no findings to go on for this one.",
        "Here I come up empty.",
        "I am left without anything to weigh.",
    ),
    "nothing_new": (
        "I see nothing that I had not noticed already.",
        "Reading it again gives me nothing new.",
        "I find no new detail in it.",
        "The record says what I thought it said.",
        "Nothing there that I had missed.",
        "A second reading adds nothing.",
    ),
    "closing": (
        "That is good enough for me, and I will commit.",
        "I think I can stop here.",
        "That settles it, as far as I am concerned.",
        "I am ready to answer.",
        "So that is where I come down.",
        "I will go with that.",
    ),
    "closing_on": (
        "So I settle on {m}.",
        "My answer, then, is {m}.",
        "I come down in favour of {m}.",
        "That leaves me with {m}, and I will commit to it.",
        "In the end I choose {m}.",
        "I will go with {m}.",
    ),
}
"""Sentences that tell of no event; passed over when a text is read back."""

SLOT: Final = re.compile(r"\{[mtn]\}")
_WORD: Final = re.compile(r"\w+")


@cache
def our_words() -> frozenset[str]:
    """Every word of the wordings, case folded."""
    pools = (*EVENTS.values(), *THOUGHTS.values(), *ASIDES.values())
    texts = [SLOT.sub(" ", wording) for pool in pools for wording in pool]
    return frozenset(_WORD.findall(" ".join([*texts, WHOLE]).casefold()))

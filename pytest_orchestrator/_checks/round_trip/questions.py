"""Questions whose answers are known, as they are made of the documents, or made up."""

from __future__ import annotations

import random
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from pytest_orchestrator._checks.round_trip.library import stems

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_orchestrator._checks.round_trip.library import Library, Sentence

_ONSETS = ("bl", "cr", "dr", "f", "gl", "kr", "m", "pl", "qu", "sn", "tr", "v", "wr", "x", "z")
_VOWELS = ("a", "e", "i", "o", "u", "oo", "y")
_CODAS = ("b", "ck", "ft", "lb", "mp", "nk", "rv", "sh", "x", "zz")
_STRANGE = (
    "Which spacecraft first landed on the moon of Saturn?",
    "What is the capital of the Republic of Kazakhstan?",
    "How many strings does a concert harp have?",
    "Who composed the opera about the flying Dutchman?",
    "Why did the Ottoman empire conscript its janissaries?",
    "How is a photon absorbed by a germanium semiconductor?",
)
_FAMILIAR_SHARE = 0.2
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Known:
    """A question that a sentence of the documents answers."""

    question: str
    sentence: Sentence


def known_questions(library: Library, count: int) -> tuple[Known, ...]:
    """Questions about sentences of the documents: each page has its turn before any has two.

    The same for the same documents, so that a verdict does not change by itself.
    """
    chance = _chance(library)
    left = list(library.sentences)
    chance.shuffle(left)
    chosen: list[Sentence] = []
    while left and len(chosen) < count:
        turn = {(s.document, s.page): s for s in left}
        chosen += list(turn.values())
        left = [s for s in left if s not in turn.values()]
    return tuple(Known(question_about(s.text), s) for s in chosen[:count])


def broad_questions(library: Library, count: int) -> tuple[str, ...]:
    """Questions about two sentences of different paragraphs: many rest on several passages.

    Whether they are answered, and from which of the two, is up to core. The same for the
    same documents.
    """
    chance, sentences = _chance(library), list(library.sentences)
    pairs = (chance.sample(sentences, 2) for _ in range(20 * count) if len(sentences) > 1)
    questions = (
        f"{question_about(one.text)[:-1]}; {other.text.rstrip('.! ')}?"
        for one, other in pairs
        if (one.document, one.paragraph) != (other.document, other.paragraph)
    )
    fitting = dict.fromkeys(q for q in questions if len(q) <= _LONGEST)
    return tuple(fitting)[:count]


def question_about(sentence: str) -> str:
    """A question that asks for what a sentence says, in no more words than it takes."""
    return f"Tell me about this: {sentence.rstrip('.! ')}?"


def unknown_questions(library: Library, count: int, chance: random.Random) -> tuple[str, ...]:
    """Questions that no document answers: about what does not exist, or of other fields.

    Half of them name something that does stand in the documents, among words that do not.
    """
    strange = [q for q in _STRANGE if _familiar(q, library) <= _FAMILIAR_SHARE]
    known = sorted({_a_word(s) for s in library.sentences} - {""}) or ["thing"]
    made = [_made_up(chance, chance.choice(known) if n % 2 else "") for n in range(count)]
    return tuple([*strange[:2], *made][:count])


def made_up_word(chance: random.Random) -> str:
    """A word nobody uses, of three syllables, e.g. ``"blomprivexazz"``."""
    return "".join(
        chance.choice(_ONSETS) + chance.choice(_VOWELS) + chance.choice(_CODAS) for _ in range(3)
    )


def _chance(library: Library) -> random.Random:
    text = "\0".join(f"{name}\0{library.texts[name]}" for name in sorted(library.texts))
    return random.Random(sha256(text.encode()).digest())  # noqa: S311 - to be repeated, not secret


def _made_up(chance: random.Random, known: str) -> str:
    words = [made_up_word(chance) for _ in range(4)]
    thing = f"{words[0]} {known}".strip()
    return f"How does the {thing} {words[1]} a {words[2]} of {words[3]}?"


def _a_word(sentence: Sentence) -> str:
    words: Sequence[str] = [w.strip(".,;:!?()").lower() for w in sentence.text.split()]
    return next((w for w in words if w.isalpha() and w[:5] in sentence.distinctive), "")


def _familiar(question: str, library: Library) -> float:
    asked = stems(question)
    return len(asked & library.vocabulary) / len(asked)

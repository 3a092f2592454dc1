"""Whether what a caller answers to "is that right?" is a no.

Only what is plain counts. Whatever else is said is for the model to understand.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise

Phrases = tuple[tuple[str, ...], ...]

_APOSTROPHES = re.compile(r"['’ʼ`]")
_WORD = re.compile(r"\w+")


def _phrases(*lines: str) -> Phrases:
    """The words of each, the longest first: many begin alike."""
    each = (tuple(phrase.split()) for line in lines for phrase in line.split(", "))
    return tuple(sorted(each, key=len, reverse=True))


# All without accents and apostrophes, as ``_words`` makes them.
_EMPTY = _phrases(
    "um, uh, er, erm, hm, hmm, mm, oh, ah, well, so, actually, wait, hold on, sorry, i mean",
    "i think, and, please, thanks, thank you, thank you very much, ahm, also, ach, tja, moment",
    "danke, danke schon, danke sehr, vielen dank, bitte, euh, ben, alors, merci, merci beaucoup",
    "desole, eh, bueno, gracias, muchas gracias, perdon, nou, dank u, dank u wel, dank je",
    "bedankt, allora, grazie, scusi, obrigado, obrigada, dekuji, diky, prosim",
)
"""What says nothing by itself, before an answer or out of courtesy after it."""

_BARE_NO = _phrases("no, nope, nah, nein, nee, ne, non, nao")

_NO = _phrases(
    "no, nope, nah, nein, nee, ne, non, nao, no way",
    "never mind, nevermind, forget it, forget about it, dont, do not, stop, rather not",
    "id rather not, i would rather not, better not, i dont think so, i dont want, i do not want",
    "not yet, not now, not today, not really, not quite, not right, not correct, absolutely not",
    "definitely not, certainly not, of course not, wrong, incorrect, thats wrong, that is wrong",
    "its wrong, it is wrong, thats not right, that is not right, thats not correct",
    "that is not correct, that isnt right, that isnt correct, its not right, its not correct",
    "it isnt, leave it, on second thought, on second thoughts",
    "nicht, lieber nicht, bloss nicht, noch nicht, doch nicht, auf keinen fall, keinesfalls",
    "vergiss es, vergessen sie es, vergessen sies, lass es, lassen sie es, lassen sies, falsch",
    "das ist falsch, das ist nicht richtig, das stimmt nicht, stimmt nicht",
    "pas du tout, surtout pas, pas encore, pas maintenant, laissez tomber, laisse tomber",
    "oubliez, cest faux, ce nest pas ca, cest pas ca",
    "laat maar, liever niet, nog niet, niet doen, dat klopt niet, klopt niet, fout",
    "mejor no, todavia no, para nada, olvidalo, olvidelo, dejalo, dejelo, meglio di no",
    "lascia stare, lasci stare, lascia perdere, lasci perdere, deixa pra la, esqueca",
)

_HARMLESS = _phrases(
    "no problem, no problem at all, no worries, no doubt, no objection, no objections, no changes",
    "no need to change, it isnt a problem, dont worry, do not worry, dont forget, do not forget",
    "nicht schlecht, nicht schlimm, ne vous inquietez pas, ne tinquiete pas, no hay problema",
    "no pasa nada, no se preocupe, no te preocupes, non ce problema, non si preoccupi",
    "nao ha problema, nao se preocupe",
)
"""What begins like a no and is none."""

# "No, that's fine" isn't among them: people decline like that.
_YES_AFTER_ALL = _phrases(
    "right, thats right, that is right, its right, quite right, correct, thats correct",
    "that is correct, its correct, perfect, thats perfect, its perfect, exactly, absolutely",
    "go ahead, just go ahead, do it, book it, thats it, thats all",
    "that is all, nothing else, nothing to change, thats the one",
    "richtig, das ist richtig, alles richtig, korrekt, genau, perfekt, stimmt, das stimmt",
    "stimmt so, stimmt alles, das ist alles, das wars, nichts weiter",
    "klopt, dat klopt, klopt helemaal, juist, doe maar, dat is alles",
)

_SECOND_THOUGHTS = frozenset({("no", "wait"), ("wait", "no"), ("actually", "no")})


def is_no(answer: str) -> bool:
    """ "No, Tuesday" is one, and "never mind"; "no problem, go ahead" is none."""
    words = _without(_EMPTY, _words(answer))
    if not _begins(_HARMLESS, words) and (found := _begins(_NO, words)):
        return found > _begins(_BARE_NO, words) or not _agrees(words[found:])
    return not _SECOND_THOUGHTS.isdisjoint(pairwise(words))


def _agrees(words: Sequence[str]) -> bool:
    """Whether nothing but a yes comes after the no, which was no objection then."""
    is_yes = False
    while words:
        found = _begins((*_HARMLESS, *_YES_AFTER_ALL), words)
        is_yes = is_yes or found > 0
        found = found or _begins((*_EMPTY, *_BARE_NO), words)
        if not found:
            return False
        words = words[found:]
    return is_yes


def _without(phrases: Phrases, words: Sequence[str]) -> Sequence[str]:
    """What comes after those that they begin with."""
    while found := _begins(phrases, words):
        words = words[found:]
    return words


def _begins(phrases: Phrases, words: Sequence[str]) -> int:
    """How many of the words are a phrase at their beginning."""
    for phrase in phrases:
        if tuple(words[: len(phrase)]) == phrase:
            return len(phrase)
    return 0


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", _APOSTROPHES.sub("", text.casefold()))
    return _WORD.findall("".join(each for each in plain if not unicodedata.combining(each)))

"""What callers answer to "is that right?", and which of it is a no."""

from __future__ import annotations

import pytest

from parley.session.plain_no import is_no

BARE = """
No. | no | No, thanks. | No thank you! | nope | Nah. | No no no. | Um, no. | No way.
Oh, no, sorry. | Never mind. | Oh, never mind. | Nevermind | Forget it. | Don't. | Do not.
Don’t do it. | Stop. | Please don't. | Not yet. | Not really. | I'd rather not.
I don't think so. | Absolutely not! | That's wrong. | That's not right. | No, that's not right.
No, that's wrong. | Actually, no. | No, that's okay. | No, I'm fine, thanks. | Wait, no. | Nein.
nein danke | Nein, danke schön. | Nee. | Nö. | Äh, nein. | Lieber nicht. | Vergessen Sie's.
Das stimmt nicht. | Falsch. | Auf keinen Fall. | Bitte nicht. | Non. | Non merci. | Euh, non.
Pas du tout. | Laissez tomber. | Ce n'est pas ça. | Nee, dank u wel. | Laat maar.
Dat klopt niet. | Ne. | Ne, děkuji. | No, gracias. | Mejor no. | Olvídelo. | No, grazie.
Lasci stare. | Não, obrigado.
"""

CORRECTIONS = """
No, Tuesday. | no tuesday | No, Tuesday is fine. | No, make it Tuesday, please.
No change it to two. | No, not Monday, Tuesday. | No, the right day is Tuesday.
No, for two people. | Yes. No, wait, Tuesday. | Wait, no, Tuesday. | Actually no, at three.
Don't book Monday. | Nein, Dienstag. | Nein, am Dienstag bitte. | Nicht am Montag. | Non, mardi.
Nee, dinsdag. | No, el martes. | No es correcto. | No, martedì. | Non è corretto. | Não, terça.
"""

NO_OBJECTIONS = """
No problem, go ahead. | no problem | No problem at all. | No worries. | No, no problem.
No changes. | No, that's right. | No no, that's perfect, thank you. | No, go ahead.
No, that's all. | No, correct. | Don't worry, book it. | Don't forget my number.
Nein, das stimmt. | Nein, alles richtig, danke. | Nicht schlecht, ja. | Nee, dat klopt.
No hay problema, adelante. | Ne vous inquiétez pas, allez-y.
"""

YES_AND_THE_REST = """
Yes. | Yes, please. | Yes, no problem. | Sure, go ahead. | That's right. | OK | Ja. | Oui. | Sí.
Sì. | Yes, I know. | Now, please. | Nobody else, thanks. | Nine o'clock. | What does it cost?
Tuesday? | Cancel it, please. | None, thanks. | Norman. | Kein Problem, ja. | Pas de problème.
Geen probleem. | I have no allergies. | Ja, ich habe nichts dagegen. | Nothing to add. | ...
"""


def sentences(table: str) -> list[str]:
    return [each.strip() for line in table.strip().splitlines() for each in line.split("|")]


@pytest.mark.parametrize("answer", sentences(BARE) + sentences(CORRECTIONS))
def test_it_is_a_no(answer: str):
    assert is_no(answer)


@pytest.mark.parametrize("answer", sentences(NO_OBJECTIONS) + sentences(YES_AND_THE_REST))
def test_it_is_none(answer: str):
    assert not is_no(answer)

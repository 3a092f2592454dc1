"""The English names of languages, as OpenAI's verbose transcripts have them."""

from __future__ import annotations

_NAMES = """
af afrikaans,am amharic,ar arabic,as assamese,az azerbaijani,ba bashkir,be belarusian,bg bulgarian,
bn bengali,bo tibetan,br breton,bs bosnian,ca catalan,cs czech,cy welsh,da danish,de german,
el greek,en english,es spanish,et estonian,eu basque,fa persian,fi finnish,fo faroese,fr french,
gl galician,gu gujarati,ha hausa,he hebrew,hi hindi,hr croatian,ht haitian creole,hu hungarian,
hy armenian,id indonesian,is icelandic,it italian,ja japanese,jw javanese,ka georgian,kk kazakh,
km khmer,kn kannada,ko korean,la latin,lb luxembourgish,ln lingala,lo lao,lt lithuanian,lv latvian,
mg malagasy,mi maori,mk macedonian,ml malayalam,mn mongolian,mr marathi,ms malay,mt maltese,
my myanmar,ne nepali,nl dutch,nn nynorsk,no norwegian,oc occitan,pa punjabi,pl polish,ps pashto,
pt portuguese,ro romanian,ru russian,sa sanskrit,sd sindhi,si sinhala,sk slovak,sl slovenian,
sn shona,so somali,sq albanian,sr serbian,su sundanese,sv swedish,sw swahili,ta tamil,te telugu,
tg tajik,th thai,tk turkmen,tl tagalog,tr turkish,tt tatar,uk ukrainian,ur urdu,uz uzbek,
vi vietnamese,yi yiddish,yo yoruba,yue cantonese,zh chinese
"""
UNKNOWN = "unknown"


def language_name(code: str) -> str:
    """``de-AT`` is german; a code without a name stays as it is."""
    base = code.split("-")[0].split("_")[0].lower()
    if base in ("", "auto"):
        return UNKNOWN
    return next((name for known, name in _entries() if known == base), base)


def language_code(name: str) -> str:
    """``German`` and ``de`` are de; what is neither is given back."""
    folded = name.strip().lower()
    return next((code for code, known in _entries() if known == folded), name.strip())


def _entries() -> list[tuple[str, str]]:
    pairs = (entry.strip().partition(" ") for entry in _NAMES.split(","))
    return [(code, name) for code, _, name in pairs]

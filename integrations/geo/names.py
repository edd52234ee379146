"""Names of places made comparable: case, accents, punctuation and the usual short forms do not count."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

# Letters that Unicode does not decompose.
_LETTERS = str.maketrans(
    {
        "ø": "o",
        "Ø": "o",
        "ł": "l",
        "Ł": "l",
        "đ": "d",
        "Đ": "d",
        "ı": "i",
        "æ": "ae",
        "Æ": "ae",
        "œ": "oe",
        "Œ": "oe",
    }
)
_SHORT = {"st": "saint", "ste": "sainte", "mt": "mount", "ft": "fort", "twp": "township", "hts": "heights"}
_WORD = re.compile(r"\w+")
_APOSTROPHES = re.compile(r"[’‘´`ʼ']")
_PARTS = re.compile(r"[/,;(|]| - ")


@lru_cache(maxsize=65_536)
def folded(name: str) -> str:
    """`name` for comparing: "ST. MARY´S" and "Saint Mary's" give the same, so do "São Paulo" and "sao  paulo"."""
    plain = unicodedata.normalize("NFKD", _APOSTROPHES.sub("", name).translate(_LETTERS))
    plain = "".join(character for character in plain if not unicodedata.combining(character)).casefold()
    return " ".join(_SHORT.get(word, word) for word in _WORD.findall(plain.replace("_", " ")))


def readings(name: str) -> Iterator[str]:
    """The ways to read a town typed by hand, likeliest first: whole, its first part, without a short last word."""
    whole = folded(name)
    yield whole
    first = folded(_PARTS.split(name, maxsplit=1)[0])
    if first != whole:
        yield first
    words = first.split()
    if len(words) > 1 and len(words[-1]) <= 2:
        yield " ".join(words[:-1])

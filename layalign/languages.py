"""The languages of the paper's benchmarks, of AfriMGSM and of AfriXNLI, and what data files call them.

Groups are those of the paper's math benchmarks (Table 2). NLLB codes are those of FLORES-200
(https://github.com/facebookresearch/flores), FLORES codes those of FLORES-101 file names.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

Group = Literal["Lrl", "Hrl"]


@dataclass(frozen=True)
class Language:
    """One language. `None` where a resource lacks it."""

    name: str
    """English name, as prompts and the official data spell it."""
    code: str
    """The one code that results and cells use: ISO 639-1 where it exists."""
    nllb: str | None
    """Token of NLLB's tokenizer, `swh_Latn`."""
    flores: str | None
    """Name of the FLORES-101 file, `swh`."""
    group: Group | None = None
    """Low- or high-resource in the paper's math benchmarks."""
    aliases: tuple[str, ...] = ()
    """Further names and codes."""

    @property
    def names(self) -> tuple[str, ...]:
        """All that `language` understands, in lower case."""
        codes = [self.name, self.code, self.nllb, self.nllb and self.nllb[:3], self.flores, *self.aliases]
        return tuple(dict.fromkeys(code.lower() for code in codes if code))


LANGUAGES: tuple[Language, ...] = (
    Language("Bengali", "bn", "ben_Beng", "ben", "Lrl"),
    Language("Thai", "th", "tha_Thai", "tha", "Lrl"),
    Language("Swahili", "sw", "swh_Latn", "swh", "Lrl", ("swa",)),
    Language("Japanese", "ja", "jpn_Jpan", "jpn", "Hrl"),
    Language("Chinese", "zh", "zho_Hans", "zho_simpl", "Hrl", ("cmn", "zh-cn")),
    Language("German", "de", "deu_Latn", "deu", "Hrl"),
    Language("French", "fr", "fra_Latn", "fra", "Hrl"),
    Language("Russian", "ru", "rus_Cyrl", "rus", "Hrl"),
    Language("Spanish", "es", "spa_Latn", "spa", "Hrl"),
    Language("English", "en", "eng_Latn", "eng", "Hrl"),
    Language("Telugu", "te", "tel_Telu", "tel"),
    Language("Italian", "it", "ita_Latn", "ita"),
    Language("Polish", "pl", "pol_Latn", "pol"),
    Language("Dutch", "nl", "nld_Latn", "nld", aliases=("Flemish",)),
    Language("Portuguese", "pt", "por_Latn", "por"),
    Language("Arabic", "ar", "arb_Arab", "ara"),
    Language("Hindi", "hi", "hin_Deva", "hin"),
    Language("Urdu", "ur", "urd_Arab", "urd"),
    Language("Vietnamese", "vi", "vie_Latn", "vie"),
    Language("Bulgarian", "bg", "bul_Cyrl", "bul"),
    Language("Greek", "el", "ell_Grek", "ell"),
    Language("Turkish", "tr", "tur_Latn", "tur"),
    Language("Amharic", "am", "amh_Ethi", "amh"),
    Language("Ewe", "ee", "ewe_Latn", None),
    Language("Hausa", "ha", "hau_Latn", "hau"),
    Language("Igbo", "ig", "ibo_Latn", "ibo"),
    Language("Kinyarwanda", "rw", "kin_Latn", None),
    Language("Lingala", "ln", "lin_Latn", "lin"),
    Language("Luganda", "lg", "lug_Latn", "lug"),
    Language("Oromo", "om", "gaz_Latn", "orm"),
    Language("Shona", "sn", "sna_Latn", "sna"),
    Language("Sotho", "st", "sot_Latn", None, aliases=("Sesotho",)),
    Language("Twi", "tw", "twi_Latn", None),
    Language("Vai", "vai", None, None),
    Language("Wolof", "wo", "wol_Latn", "wol"),
    Language("Xhosa", "xh", "xho_Latn", "xho"),
    Language("Yoruba", "yo", "yor_Latn", "yor"),
    Language("Zulu", "zu", "zul_Latn", "zul"),
)

_BY_NAME = {name: entry for entry in LANGUAGES for name in entry.names}


def find(name: str) -> Language | None:
    """The language of a name or code (`Swahili`, `sw`, `swh`, `swh_Latn`), or None."""
    return _BY_NAME.get(name.lower())


def language(name: str) -> Language:
    """The language of a name or code.

    Raises:
        ValueError: no language has that name; the nearest ones are named.
    """
    found = find(name)
    if found is None:
        near = difflib.get_close_matches(name.lower(), _BY_NAME, n=3, cutoff=0.6)
        names = dict.fromkeys(f"{_BY_NAME[key].name} ({_BY_NAME[key].code})" for key in near)
        hint = f"did you mean {' or '.join(names)}?" if names else "layalign/languages.py lists them"
        raise ValueError(f"unknown language {name!r}; {hint}")
    return found

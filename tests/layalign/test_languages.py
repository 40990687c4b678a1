import dataclasses

import pytest

from layalign.languages import LANGUAGES, find, language

MATH = ["bn", "th", "sw", "ja", "zh", "de", "fr", "ru", "es", "en"]
CSQA = ["en", "de", "fr", "ru", "es", "zh", "ja", "it", "pl", "nl", "pt", "ar", "hi", "ur", "vi", "sw"]
XNLI = ["en", "fr", "es", "de", "el", "bg", "ru", "tr", "ar", "vi", "th", "zh", "hi", "sw", "ur"]
AFRI_MGSM = [
    "amh",
    "ewe",
    "hau",
    "ibo",
    "kin",
    "lin",
    "lug",
    "orm",
    "sna",
    "sot",
    "swa",
    "twi",
    "vai",
    "wol",
    "xho",
    "yor",
    "zul",
]
FLORES_OF_THE_PAPER = ["swh", "ben", "eng", "tha", "zho_simpl", "deu", "spa", "fra", "jpn", "rus"]


def test_no_two_languages_share_a_name():
    names = [name for entry in LANGUAGES for name in entry.names]
    assert len(names) == len(set(names))


def test_groups_are_those_of_the_papers_math_tables():
    assert [entry.code for entry in LANGUAGES if entry.group == "Lrl"] == ["bn", "th", "sw"]
    assert [entry.code for entry in LANGUAGES if entry.group == "Hrl"] == MATH[3:]


@pytest.mark.parametrize("code", [*MATH, *CSQA, *XNLI, "te"])
def test_languages_of_the_benchmarks_have_nllb_and_flores_codes(code):
    entry = language(code)
    assert entry.code == code
    assert entry.nllb is not None
    assert entry.nllb[3] == "_"
    assert entry.flores is not None


@pytest.mark.parametrize("code", AFRI_MGSM)
def test_languages_of_afrimgsm_are_known_by_its_codes(code):
    assert (language(code).nllb is None) == (code == "vai")


def test_files_of_flores_name_the_papers_languages():
    assert {language(name).code for name in FLORES_OF_THE_PAPER} == set(MATH)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Swahili", "sw"),
        ("swa", "sw"),
        ("swh_Latn", "sw"),
        ("cmn", "zh"),
        ("CHINESE", "zh"),
        ("Flemish", "nl"),
    ],
)
def test_names_and_codes_resolve(name, code):
    assert language(name).code == code


def test_unknown_language_names_the_nearest():
    assert find("Swahilli") is None
    with pytest.raises(ValueError, match=r"unknown language 'Swahilli'; did you mean Swahili \(sw\)"):
        language("Swahilli")
    with pytest.raises(ValueError, match=r"docs/YOUR_OWN\.md#language"):
        language("")


def test_a_language_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        language("sw").code = "xx"

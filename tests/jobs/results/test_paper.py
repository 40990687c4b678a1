from __future__ import annotations

import pytest
import yaml

from jobs.results.paper import FILE, paper_row, paper_source
from layalign.languages import language

TOLD = yaml.safe_load(FILE.read_text(encoding="utf-8"))


def test_a_row_is_the_papers():
    row = paper_row("table15", "MGSM", "w/o Adapter")
    assert (row["Avg"], row["Lrl"], row["Hrl"], row["Bn"], row["En"]) == (44.1, 15.9, 56.2, 15.2, 65.6)
    assert "NAACL 2025" in paper_source()


def test_switches_of_a_row_are_no_figures():
    row = paper_row("table9", "MGSM_english_task_data", "LayAlign")
    assert row == {"Avg": 38.1, "Lrl": 5.3, "Hrl": 52.1}


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (("table44", "MGSM", "LayAlign"), "no table 'table44'; did you mean 'table4'?"),
        (("table4", "MGSN", "LayAlign"), "no section of table4 'MGSN'; did you mean 'MGSM'?"),
        (
            ("table4", "MGSM", "w/o Adaptor"),
            "no row of table4, MGSM 'w/o Adaptor'; did you mean 'w/o Adapter'?",
        ),
        (("table4", "MGSM", "?"), "there are w/o Adapter, w/o LLM Input,"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(place, told):
    with pytest.raises(ValueError, match=r"the paper has no") as error:
        paper_row(*place)
    assert told in str(error.value)


def test_every_full_row_averages_its_languages():
    """Of the tables with the ten languages of the mathematics benchmarks, to the rounding of one decimal."""
    checked = 0
    for name, sections in TOLD.items():
        for section, rows in sections.items() if name.startswith("table") else ():
            for row in rows if section in ("MGSM", "MSVAMP") else ():
                values = paper_row(name, section, row)
                ten = {column: value for column, value in values.items() if column.lower() in TEN}
                if len(ten) == 10:
                    assert values["Avg"] == pytest.approx(sum(ten.values()) / 10, abs=0.06)
                    low = [value for column, value in ten.items() if language(column).group == "Lrl"]
                    assert values["Lrl"] == pytest.approx(sum(low) / 3, abs=0.06)
                    checked += 1
    assert checked == 40


TEN = {"bn", "th", "sw", "ja", "zh", "de", "fr", "ru", "es", "en"}

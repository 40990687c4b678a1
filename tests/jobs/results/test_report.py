from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from jobs.results.collect import collect
from jobs.results.output import write_results
from jobs.results.points import points_of_grid
from jobs.results.report import to_html
from jobs.results.rows import result_table
from tests.jobs.results.test_output import replace
from tests.jobs.synthetic_results import VARIANTS, answers, make_grid

VOID = {"meta", "br"}
HOSTILE = '</script><script>document.title="broken"</script><img src=x onerror=alert(1)> & <b>'
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]


class Page(HTMLParser):
    """Checks that tags close in order; keeps attributes and text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts, self.scripts = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        (self.scripts if self.open and self.open[-1] in ("script", "style") else self.texts).append(data)


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """Two seeds of three variants; answers in every script, and one that would break a page."""
    made = make_grid(
        tmp_path_factory.mktemp("runs"),
        variants=("w/o Adapter", "LayAlign", "MetaMath"),
        items=20,
        steps=60,
        missing={("MetaMath", 1, "en"): -1},
    )
    records = answers("mgsm", "th", [True] * 20)
    records[0]["output"] = HOSTILE
    replace(made, "LayAlign", 0, "th", records)
    return made


@pytest.fixture(scope="module")
def report(grid, tmp_path_factory):
    return write_results(grid, out=tmp_path_factory.mktemp("out"))


@pytest.fixture(scope="module")
def page(report):
    return Page(report.read_text(encoding="utf-8"))


def test_it_is_one_file_that_asks_nobody_else(report, page):
    assert not {tag for tag, _ in page.tags} & {"link", "img", "iframe", "object", "embed", "base"}
    assert all("src" not in told for _, told in page.tags)
    assert all(told.get("href", "#").startswith("#") for _, told in page.tags)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not re.search(r"https?://|@import|url\(", "".join(page.scripts))


def test_every_link_leads_somewhere(page):
    names = {told["id"] for _, told in page.tags if "id" in told}
    assert {told["href"][1:] for _, told in page.tags if "href" in told} == names


def test_answers_are_text_whatever_they_hold(page):
    assert HOSTILE in page.texts
    for word in ("প্রশ্ন", "คำนวณ", "順番", "我们", "Считаем"):
        assert any(word in text for text in page.texts)
    assert {told["lang"] for tag, told in page.tags if tag == "td" and "lang" in told} >= {"bn", "th", "ja"}


def test_the_table_has_the_papers_rows_and_the_difference(page):
    classes = [told.get("class") for tag, told in page.tags if tag == "tr"]
    assert classes.count("paper") == classes.count("difference") == 2 * 3
    assert "−21.1" not in page.texts
    assert "59.0" in page.texts


def test_headers_are_buttons_that_tell_the_order(page):
    heads = [told for tag, told in page.tags if tag == "th" and told.get("aria-sort")]
    assert len(heads) == 2 * 14
    assert {told["scope"] for told in heads} == {"col"}


def test_plots_curves_and_what_is_missing_are_there(page):
    told = [
        attributes["aria-label"]
        for tag, attributes in page.tags
        if tag == "svg" and "aria-label" in attributes
    ]
    assert told == [
        "Accuracy on mgsm by language and method",
        "Accuracy on mgsm, ours less the paper's",
        "Stage 1, translation",
        "Stage 2, task",
    ]
    assert "mgsm/en-0, 20 of 20 answers, new" in page.texts


def test_what_is_missing_is_counted_by_what_it_is(page):
    text = " ".join(page.texts)
    assert "Not finished: 20 answers missing" in text
    assert "answers missing" in text
    assert "cells" not in text.partition("Provenance")[0]


def test_headings_need_no_key(page):
    heads = [
        text
        for text in page.texts
        if text in ("Average", "Low-resource", "High-resource", "Swahili", "English")
    ]
    assert {*heads} == {"Average", "Low-resource", "High-resource", "Swahili", "English"}


def test_captions_and_columns_are_of_what_is_there(report, tmp_path):
    several = report.read_text(encoding="utf-8")
    made = make_grid(
        tmp_path / "runs", variants=("LayAlign", "MetaMath"), seeds=(0,), items=20, steps=60, asked=True
    )
    one = write_results(made, out=tmp_path / "out").read_text(encoding="utf-8")
    for text in ("Average, over seeds", "small circles are seeds", "further seeds are dashed", "Student"):
        assert text in several
        assert text not in one
    assert "its 95 % interval (Wilson)" in one
    compared = one.partition("Difference from LayAlign")[2].partition("</table>")[0]
    assert "<td>–</td>" not in compared, "no column of dashes"
    assert re.search(r"\[[^]]*\]<br>p [<=]", compared), "an interval beside its p"


def test_the_question_stands_beside_the_answers(tmp_path):
    made = make_grid(
        tmp_path / "runs", variants=("LayAlign", "MetaMath"), seeds=(0,), items=20, steps=60, asked=True
    )
    text = write_results(made, out=tmp_path / "out").read_text(encoding="utf-8")
    examples = text.partition('id="examples"')[2]
    asked = re.findall(r'<article.*?<b>(mgsm-\w+-\d+)</b>.*?<p class="asked"[^>]*>([^<]*)<', examples)
    assert len(asked) >= 10
    assert all(f"({id_})" in question and question.endswith("= ?") for id_, question in asked)


def test_where_the_time_went_is_told_or_why_it_is_not(page):
    told = "\n".join(page.texts)
    assert "Effective time" in told
    assert "an earlier version wrote metrics without times" in told


def test_configs_tell_what_the_runs_differ_in(page):
    assert {"seed", "model.method", "model.adapter"} <= set(page.texts)
    assert any("model.encoder: " in text for text in page.texts)


def test_a_grid_of_the_paper_stays_small(tmp_path):
    """7 variants x 2 seeds with answers that are as long as an LLM's in scripts of three bytes a letter."""
    grid = make_grid(tmp_path, items=20, steps=800)
    for label in VARIANTS:
        for code in ("bn", "th", "ja", "zh", "ru"):
            records = [
                {**r, "output": "ক" * 1500} for r in answers("mgsm", code, [n % 3 > 0 for n in range(50)])
            ]
            replace(grid, label, 0, code, records)
    results = collect(points_of_grid(grid))
    table = result_table(results.sheets[0], "strict")
    text = to_html(results, [table], [table], {})
    Page(text)
    assert len(text.encode()) < 750_000


# -- in a browser


def in_browser(report: Path, folder: Path, code: str, width: int = 1200) -> Page:
    """The page after some code has run in it, in a window that is so many pixels wide."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("needs chromium: no browser is on the PATH")
    copy = folder / "page.html"
    copy.write_text(report.read_text(encoding="utf-8").replace("</body>", f"<script>{code}</script></body>"))
    size = f"--window-size={width},900"
    command = [
        chromium,
        *FLAGS,
        size,
        f"--user-data-dir={folder / 'profile'}",
        "--dump-dom",
        f"file://{copy}",
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    return Page(ran.stdout)


TOLD = """
const told = text => { const p = document.createElement('p'); p.className = 'told';
  p.textContent = text; document.body.append(p); };
const order = () => [...document.querySelector('.sortable').tBodies].map(b => b.rows[0].cells[0].textContent).join();
const click = n => document.querySelectorAll('.sortable thead button')[n].click();
"""


def said(page: Page) -> list[str]:
    """What the code in the page has told."""
    count = sum(told.get("class") == "told" for _, told in page.tags)
    return [text for text in page.texts if text.strip()][-count:]


def test_a_click_sorts_by_number_and_keeps_the_papers_rows_with_their_method(report, tmp_path):
    code = TOLD + (
        "told(order()); click(1); told(order()); click(1); told(order()); click(0); told(order()); click(13);"
        "told(order() + ' ' + document.querySelectorAll('.sortable th[aria-sort]')[13].getAttribute('aria-sort'));"
        "told([...document.querySelector('.sortable').tBodies].map(b => b.rows.length).join());"
        "told(document.title);"
    )
    told = said(in_browser(report, tmp_path, code))
    assert told == [
        "w/o Adapter,LayAlign,MetaMath",
        "LayAlign,w/o Adapter,MetaMath",
        "MetaMath,w/o Adapter,LayAlign",
        "LayAlign,MetaMath,w/o Adapter",
        told[4],
        "5,4,5",
        "Results of grid ablations: made-up numbers",
    ]
    assert told[4].endswith(" descending")


def test_a_series_hides_and_examples_are_chosen(report, tmp_path):
    code = (
        TOLD
        + """
    const shown = () => [...document.querySelectorAll('article')].filter(a => a.offsetParent);
    told(new Set(shown().map(a => a.dataset.language)).size + ' ' + shown()[0].dataset.language);
    const [language, kind] = document.querySelectorAll('.examples select');
    language.value = 'th'; kind.value = 'mixed';
    language.dispatchEvent(new Event('change')); kind.dispatchEvent(new Event('change'));
    told([...new Set(shown().map(a => a.dataset.language + ' ' + a.dataset.kind))].join());
    const group = document.querySelector('#mgsm figure svg [data-s="0"]');
    const before = getComputedStyle(group).display;
    const button = document.querySelector('#mgsm .legend button'); button.click();
    told(before + ' ' + getComputedStyle(group).display + ' ' + button.getAttribute('aria-pressed'));
    """
    )
    told = said(in_browser(report, tmp_path, code))
    assert told == ["1 bn", "th mixed", "inline none false"]


@pytest.mark.parametrize("width", [420, 1200])
def test_a_narrow_window_scrolls_plots_and_tables_and_never_the_page(report, tmp_path, width):
    code = TOLD + (
        "told(document.documentElement.scrollWidth <= innerWidth);"
        "told(Math.min(...[...document.querySelectorAll('#mgsm figure svg')].map(s => s.clientWidth)));"
    )
    fits, plots = said(in_browser(report, tmp_path, code, width))
    assert fits == "true"
    assert int(plots) >= 720

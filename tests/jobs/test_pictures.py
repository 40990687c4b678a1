"""The pictures of the documentation can be made again, and load nothing from elsewhere."""

from __future__ import annotations

from tests.jobs.pictures import draw

SHOWN = {
    "status": ("300 runs", "more done"),
    "watch": ("states", "running"),
    "results": ("w/o Task Stage", "made-up"),
    "why": ("--exclude=ng31101", "AssocGrpGRES"),
    "logs-errors": ("OutOfMemoryError", "rank 2"),
}


def test_the_pictures_of_the_documentation_can_be_drawn(tmp_path):
    draw(tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == set(SHOWN)
    for name, words in SHOWN.items():
        text = (tmp_path / f"{name}.svg").read_text().replace("&#160;", " ")
        assert "url(" not in text.replace("url(#", "")
        for word in words:
            assert word in text, (name, word)
    assert "DistBackendError" not in (tmp_path / "logs-errors.svg").read_text()

"""A folder that is believed later: whatever bit of it is another one, it is noticed; whatever file is gone too."""

from __future__ import annotations

import shutil

import pytest

from layalign.data import sums


@pytest.fixture
def sealed(tmp_path):
    folder = tmp_path / "sealed"
    (folder / "below").mkdir(parents=True)
    (folder / "tokens").write_bytes(bytes(range(64)))
    (folder / "below" / "counts.json").write_text('{"a": 1}')
    sums.seal(folder)
    return folder


def test_every_bit_counts(sealed):
    for path in [path for path in sealed.rglob("*") if path.is_file()]:
        content = path.read_bytes()
        for bit in range(len(content) * 8):
            flipped = bytearray(content)
            flipped[bit // 8] ^= 1 << bit % 8
            path.write_bytes(flipped)
            assert sums.fault(sealed), (path.name, bit)
        path.write_bytes(content)
    assert sums.fault(sealed) == ""


@pytest.mark.parametrize("name", ["tokens", "below/counts.json", "below"])
def test_what_is_gone_or_empty_is_named(sealed, name):
    path = sealed / name
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    assert "is missing" in sums.fault(sealed)
    if not name.endswith("below"):
        path.write_bytes(b"")
        assert sums.fault(sealed) == f"{name} is damaged"


@pytest.mark.parametrize("content", [b"", b"\0" * 80, b"\xff", b"x"])
def test_sums_that_are_none_make_a_damaged_folder(sealed, content):
    (sealed / sums.SUMS).write_bytes(content)
    assert sums.fault(sealed)


def test_one_of_an_earlier_version_is_taken_and_what_was_added_does_no_harm(sealed):
    (sealed / "lock").touch()
    assert sums.fault(sealed) == ""
    (sealed / sums.SUMS).unlink()
    assert sums.fault(sealed) == ""
    assert "missing" in sums.fault(sealed, sealed=True)
    assert sums.fault(sealed / "none", sealed=True) == ""


def test_a_damaged_one_makes_way_and_a_whole_one_does_not(sealed, tmp_path):
    draft = tmp_path / "draft"
    shutil.copytree(sealed, draft)
    with pytest.raises(OSError, match="not empty"):
        sums.place(draft, sealed)
    (sealed / "tokens").write_bytes(b"other")
    sums.place(draft, sealed)
    assert sums.fault(sealed) == ""
    assert (sealed / "tokens").read_bytes() == bytes(range(64))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sealed"]

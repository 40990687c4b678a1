"""Archives as somebody else may have made them."""

from __future__ import annotations

import io
import json
import os
import random
import tarfile

import pytest

from cluster.errors import ClusterError
from cluster.storage.archive import FORMAT, MANIFEST, Entry, Manifest, write_archive
from cluster.storage.unpack import Archive
from tests.cluster.storage.test_archive import FILES, entries, quiet, tree, unpack


def forge(path, members, manifest=None, about=None, **changes):
    """An archive with any members, whatever its manifest tells."""
    told = Manifest(about or {}, entries(FILES) if manifest is None else manifest).encode()
    if changes:
        told = json.dumps({**json.loads(told), **changes}).encode()
    with tarfile.open(path, "w") as tar:
        for name, content, kind in [(MANIFEST, told, tarfile.REGTYPE), *members]:
            member = tarfile.TarInfo(name)
            member.type = kind
            if kind == tarfile.REGTYPE:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            else:
                member.linkname = content
                tar.addfile(member)
    return path


def plain(files):
    return [(name, data, tarfile.REGTYPE) for name, data in files.items()]


(FIRST, DATA), (SECOND, OTHER) = FILES.items()


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (plain({FIRST: DATA}), "cut short or damaged: 'a-s1-00000001/bridge/w' is missing"),
        (plain(dict(reversed(FILES.items()))), "holds 'a-s1-00000001/bridge/w' where its manifest tells of"),
        ([*plain(FILES), *plain({"a-s1-00000001/more": b""})], "holds 'a-s1-00000001/more', which its manifest"),
        ([*plain(FILES), *plain({FIRST: DATA})], "config.yaml', which its manifest does not tell of, or tells once"),
        ([*plain(FILES), ("evil", "/etc/passwd", tarfile.SYMTYPE)], "holds 'evil'"),
        ([(FIRST, "/etc/passwd", tarfile.SYMTYPE), *plain({SECOND: OTHER})], "no plain file"),
        ([(FIRST, "/etc/passwd", tarfile.LNKTYPE), *plain({SECOND: OTHER})], "no plain file"),
        ([(FIRST, "", tarfile.CHRTYPE), *plain({SECOND: OTHER})], "no plain file"),
        ([(FIRST, "", tarfile.FIFOTYPE), *plain({SECOND: OTHER})], "no plain file"),
        ([(FIRST, "", tarfile.DIRTYPE), *plain({SECOND: OTHER})], "no plain file"),
        (plain({"../" + FIRST: DATA, SECOND: OTHER}), r"holds '../a-s1"),
        (plain({"/" + FIRST: DATA, SECOND: OTHER}), r"holds '/a-s1"),
        (plain({FIRST: DATA + b"x", SECOND: OTHER}), "has 9 bytes instead of 8"),
        (plain({FIRST: DATA.upper(), SECOND: OTHER}), "does not have the checksum"),
    ],
)  # fmt: skip
def test_archive_that_is_not_what_its_manifest_tells_is_refused(tmp_path, members, message):
    with pytest.raises(ClusterError, match=message) as error:
        unpack(forge(tmp_path / "a.tar", members), tmp_path / "out")
    assert "a.tar is not imported: " in str(error.value)
    assert sorted(os.listdir(tmp_path)) == ["a.tar", "out"]
    assert set(tree(tmp_path / "out")) <= set(FILES)


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("../up", 1), ("/abs", 1), ("a/../../b", 1), ("a//b", 1), ("a/.", 1), ("", 1), (".hidden/a", 1),
        ("a/.ssh/b", 1), ("a\0b", 1), (7, 1), ("a", -1), ("a", "1"), ("a", None), ("a", 1.5),
    ],
)  # fmt: skip
def test_manifest_that_names_no_file_below_a_folder_is_refused(tmp_path, path, size):
    with pytest.raises(ClusterError, match="that is no such file"):
        Archive(forge(tmp_path / "a.tar", [], [Entry(path, size, "0" * 64)]))


def test_manifest_that_names_a_file_twice_or_half_is_refused(tmp_path):
    with pytest.raises(ClusterError, match="names 'a' twice"):
        Archive(forge(tmp_path / "a.tar", [], [Entry("a", 1, ""), Entry("a", 1, "")]))
    with pytest.raises(ClusterError, match="without path, size or checksum"):
        Archive(forge(tmp_path / "b.tar", [], files=[{"path": "a"}]))
    with pytest.raises(ClusterError, match="tells of no files"):
        Archive(forge(tmp_path / "c.tar", [], files="all"))


def test_other_versions_and_other_files_are_refused(tmp_path):
    with pytest.raises(ClusterError, match="is of version 2, and this code reads version 1"):
        Archive(forge(tmp_path / "a.tar", [], version=2))
    with pytest.raises(ClusterError, match="none that export has written"):
        Archive(forge(tmp_path / "b.tar", [], format="other"))
    (tmp_path / "text").write_text("hello" * 500)
    with pytest.raises(ClusterError, match="no plain tar"):
        Archive(tmp_path / "text")
    (tmp_path / "empty").touch()
    with pytest.raises(ClusterError, match="no plain tar"):
        Archive(tmp_path / "empty")
    with pytest.raises(ClusterError, match="No such file"):
        Archive(tmp_path / "none")
    with tarfile.open(tmp_path / "c.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("first"))
    with pytest.raises(ClusterError, match="does not begin with a manifest"):
        Archive(tmp_path / "c.tar")


def test_compressed_archive_is_never_decompressed(tmp_path):
    inner = forge(tmp_path / "a.tar", plain(FILES))
    with tarfile.open(tmp_path / "bomb.tar.gz", "w:gz") as tar:
        tar.add(inner, MANIFEST)
    with pytest.raises(ClusterError, match="no plain tar"):
        Archive(tmp_path / "bomb.tar.gz")


def test_manifest_nested_without_end_is_refused(tmp_path):
    deep = b'{"format":"' + FORMAT.encode() + b'","files":' + b"[" * 200_000
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        member = tarfile.TarInfo(MANIFEST)
        member.size = len(deep)
        tar.addfile(member, io.BytesIO(deep))
    with pytest.raises(ClusterError, match="cannot be read"):
        Archive(tmp_path / "a.tar")


def test_archive_far_longer_than_its_manifest_tells_is_refused(tmp_path):
    path = forge(tmp_path / "a.tar", plain(FILES))
    os.truncate(path, 10**9)  # sparse: it takes no room
    with pytest.raises(ClusterError, match=r"is 1000000000 bytes long, and its manifest tells of"):
        Archive(path)


def test_what_would_not_fit_is_refused_before_anything_is_written(tmp_path):
    path = forge(tmp_path / "a.tar", [], [Entry("a/b", 10**18, "0" * 64)])
    archive = Archive(path)
    (tmp_path / "out").mkdir()
    with pytest.raises(ClusterError, match="GB left: make room, or choose another place with --runs"):
        archive.unpack(tmp_path / "out", [], quiet)
    assert os.listdir(tmp_path / "out") == []


def test_file_that_is_also_a_folder_is_refused(tmp_path):
    files = {"a": b"1", "a/b": b"2"}
    with pytest.raises(ClusterError, match="nothing was imported"):
        unpack(forge(tmp_path / "a.tar", plain(files), entries(files)), tmp_path / "out")


@pytest.mark.parametrize("seed", range(8))
def test_damage_anywhere_is_noticed(tmp_path, seed):
    """Bytes changed or cut off at random: what is unpacked is whole, or it is refused, and nothing else happens."""
    chance = random.Random(seed)
    write_archive(tmp_path / "a.tar", {}, {**FILES, "x/" + "n" * 150: b"long name"}, quiet)
    whole = (tmp_path / "a.tar").read_bytes()
    for number in range(12):
        damaged = bytearray(whole[: chance.choice((None, chance.randrange(len(whole))))])
        for _ in range(chance.randrange(3)):
            if damaged:
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path = tmp_path / f"{number}.tar"
        path.write_bytes(damaged)
        try:
            unpack(path, tmp_path / f"out-{number}")
        except ClusterError:
            continue
        assert tree(tmp_path / f"out-{number}").items() >= FILES.items()

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.quota import Quota, check_room, full_notes, parse_quotas, quota_of

REPORT = """                             Description                Space           # of files
                     /home (user me)            20GiB/  25GiB        208K/ 250K
           /project (project rrg-prof-ad)              39T/75T          1226k/5000k
           /project (project def-prof)           956G/1000G            226k/500k

Breakdown for project def-prof (Last update: 2023-02-27 23:04:29)
           User      File count                 Size             Location
             me               2             0.00 GiB              On disk
"""
HOME, RRG, DEF = parse_quotas(REPORT)


def test_report_is_read_in_its_units():
    assert Quota("/home", "user", "me", 20 * 2**30, 25 * 2**30, 208_000, 250_000) == HOME
    assert Quota("/project", "project", "rrg-prof-ad", 39 * 10**12, 75 * 10**12, 1_226_000, 5_000_000) == RRG


def test_folder_counts_against_its_own_project():
    assert quota_of(Path("/project/def-prof/me/cache"), [HOME, RRG, DEF]) == DEF
    assert quota_of(Path("/home/me"), [HOME, RRG, DEF]) == HOME
    assert quota_of(Path("/scratch/me"), [HOME, RRG, DEF]) is None


def test_room_is_that_of_the_file_system_and_of_the_quota(tmp_path):
    own = Quota(str(tmp_path), "user", "me", 90, 100, 5, 10)
    check_room(tmp_path / "not" / "yet", 10, 5, [own])
    check_room(tmp_path, 1000, 1000, [HOME])
    with pytest.raises(ClusterError, match=r"the quota of .* has 0.0 GB left: make room, or set HF_HOME"):
        check_room(tmp_path, 11, 5, [own])
    with pytest.raises(ClusterError, match=r"needs 6 files more and the quota of .* has 5 left"):
        check_room(tmp_path, 10, 6, [own])
    disk = os.statvfs(tmp_path)
    with pytest.raises(ClusterError, match="the file system has"):
        check_room(tmp_path, disk.f_bavail * disk.f_frsize + 2**40, 1, [])


def test_quotas_that_are_nearly_full_are_told_the_fullest_first():
    report = """
        /home (user me)         44GiB/ 50GiB   100K/ 500K
     /project (project def-prof)  10GiB/ 1000GiB   499K/ 500K
     /scratch (user me)         19TiB/ 20TiB   10K/ 1000K
    """
    assert [note.partition("; ")[0] for note in full_notes(parse_quotas(report))] == [
        "quota of /project (project def-prof): 499,000 of 500,000 files of the whole group, 100%",
        "quota of /scratch (user me): 20,891 of 21,990 GB, 95%",
    ]
    assert full_notes(parse_quotas("/home (user me)  1GiB/ 50GiB   0K/ 0K")) == []

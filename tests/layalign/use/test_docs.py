"""What docs/USE_IT.md tells to type in Python runs as it stands, on a tiny run."""

from __future__ import annotations

import re
from pathlib import Path

from tests.world import ROOT


def test_the_example_runs(trained_folder: Path, capsys):
    (folder,) = trained_folder.glob("runs/tiny-layalign-s2-*")
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/USE_IT.md").read_text(), re.DOTALL)
    assert len(code.strip().splitlines()) == 5
    exec(code.replace("runs/NAME", str(folder)).replace('"..."', '"a b"'), {})
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("['")
    assert float(said[1]) < 0

# SPDX-License-Identifier: GPL-3.0-or-later
"""The developers' door, run.py."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

RUN = Path(__file__).resolve().parents[2] / "run.py"


def test_clones_that_share_their_environments_are_examined_apart(tmp_path: Path) -> None:
    seen: list[Path] = []

    def call(command: list[str | Path], **options: Any) -> None:
        if "mypy" in command:
            seen.append(Path(options["cwd"]) / "limelight")

    (tmp_path / "shared").mkdir()
    for name in ("one", "other"):
        door = runpy.run_path(str(RUN))["lint"].__globals__
        door |= {"ENVS": tmp_path / "shared", "ROOT": tmp_path / name, "call": call, "engine": lambda tools: RUN}
        (tmp_path / name).mkdir()
        door["lint"]()
    assert [link.resolve().name for link in seen] == ["one", "other"]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of tensors as others meet them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from limelight.backend.weights import write
from safetensors import SafetensorError
from safetensors.torch import load_file


@pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
def test_what_is_written_may_be_read_by_whoever_may_read_other_files(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        (tmp_path / "plain").touch()
        write(tmp_path / "new" / "a.safetensors", {"a": torch.ones(2, 3).T})
    finally:
        os.umask(before)
    (written,) = (tmp_path / "new").iterdir()
    assert written.stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert torch.equal(load_file(written)["a"], torch.ones(3, 2))


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    file, shared = tmp_path / "a.safetensors", torch.ones(4)
    write(file, {"a": torch.ones(1)})
    with pytest.raises((SafetensorError, RuntimeError)):
        write(file, {"a": shared, "b": shared})
    assert list(tmp_path.iterdir()) == [file] and load_file(file).keys() == {"a"}

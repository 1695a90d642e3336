# SPDX-License-Identifier: GPL-3.0-or-later
"""A tiny base model with LumiNet's weights as if trained."""

import shutil
from pathlib import Path

import pytest
import torch
from limelight.backend.luminet.diffusion import load
from limelight.backend.luminet.diffusion.weights import FILE
from limelight.tests.engine.luminet.diffusion.tiny import SIZE, randomise, recipe, write_base, write_intrinsics
from limelight.training.luminet.diffusion import Trainer, write_weights


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """A base model with LumiNet's weights as if trained."""
    root = tmp_path_factory.mktemp("models")
    base = write_base(root / "tiny")
    write_intrinsics(root / "intrinsics.safetensors")
    trainer = Trainer(recipe(base, root / "run"))
    randomise(trainer.nets.controlnet)
    randomise(trainer.nets.adaptor)
    write_weights(base / FILE, trainer.nets, trainer.intrinsics, SIZE)
    return base


@pytest.fixture
def folder(original, tmp_path) -> Path:
    copy = shutil.copytree(original, tmp_path / "tiny")
    shutil.copy(original.parent / "intrinsics.safetensors", tmp_path)
    yield copy
    load.unload()


@pytest.fixture
def picture() -> torch.Tensor:
    rows = torch.linspace(0.1, 0.9, SIZE)
    return torch.stack([rows[:, None].expand(SIZE, SIZE), rows.expand(SIZE, SIZE), rows.flip(0).expand(SIZE, SIZE)])

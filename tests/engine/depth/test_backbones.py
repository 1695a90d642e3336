# SPDX-License-Identifier: GPL-3.0-or-later
"""The larger models: adapters on a tiny random network and on a stand-in, and what is said where they are missing."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from limelight.backend.depth import backbones
from limelight.backend.depth.answer import Depth
from limelight.backend.depth.backbones import MoGe, find_backbone, from_inverse
from limelight.backend.errors import MissingPart


def test_missing_packages_and_weights_name_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMELIGHT_MODELS", str(tmp_path))
    with pytest.raises(MissingPart) as missing:
        find_backbone("moge-2")
    assert "hf download Ruicheng/moge-2-vitl-normal" in missing.value.remedy
    (tmp_path / "moge-2").mkdir()
    (tmp_path / "moge-2" / "model.pt").touch()
    monkeypatch.setitem(sys.modules, "moge", None)
    with pytest.raises(MissingPart) as missing:
        find_backbone("moge-2")
    assert "pip install git+https://github.com/microsoft/MoGe.git" in missing.value.remedy


def test_moge_speaks_through_its_adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Network:
        def to(self, device: str) -> Network:
            return self

        def eval(self) -> Network:
            return self

        def infer(self, image: torch.Tensor, fov_x: float | None) -> dict[str, torch.Tensor]:
            asked.append((tuple(image.shape), fov_x))
            depth = torch.full(image.shape[1:], 3.0)
            depth[0] = torch.inf
            intrinsics = torch.tensor([[1.0, 0, 0.5], [0, 1.5, 0.5], [0, 0, 1]])
            return {"depth": depth, "mask": torch.isfinite(depth), "intrinsics": intrinsics}

    module = ModuleType("moge.model.v2")
    module.MoGeModel = SimpleNamespace(from_pretrained=lambda path: Network())  # type: ignore[attr-defined]
    for name in ("moge", "moge.model"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "moge.model.v2", module)
    (tmp_path / "model.pt").touch()
    model = find_backbone(str(tmp_path))
    assert isinstance(model, MoGe)
    found = model.estimate(torch.rand(6, 8, 3), None)
    assert found.fov_x_deg == pytest.approx(2 * math.degrees(math.atan(0.5)))
    assert bool(torch.isinf(found.depth[0]).all()) and bool((found.depth[1:] == 3).all()) and not found.scale_is_guess
    assert model.estimate(torch.rand(6, 8, 3), 40.0).fov_x_deg == 40.0 and asked == [((3, 6, 8), None), ((3, 6, 8), 40)]


def test_depth_anything_of_a_tiny_random_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, DPTImageProcessor

    config = DepthAnythingConfig(
        backbone_config={"model_type": "dinov2", "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
                         "patch_size": 14, "image_size": 28, "out_features": ["stage1", "stage2"],
                         "reshape_hidden_states": False, "apply_layernorm": True},
        patch_size=14, reassemble_hidden_size=16, reassemble_factors=[2, 1], neck_hidden_sizes=[8, 8],
        fusion_hidden_size=8, head_hidden_size=4,
    )  # fmt: skip
    DepthAnythingForDepthEstimation(config).save_pretrained(tmp_path)
    DPTImageProcessor(size={"height": 28, "width": 28}).save_pretrained(tmp_path)
    truth = torch.linspace(1, 5, 40)[:, None].expand(40, 60).clone()
    truth[:4] = torch.inf

    class Reference:
        def __init__(self, device: str) -> None: ...

        def estimate(self, radiance: torch.Tensor, fov: float | None) -> Depth:
            return Depth(truth, 61.0, 5.0, torch.isinf(truth).float(), True, "embedded", [])

    monkeypatch.setattr(backbones, "EmbeddedDepth", Reference)
    found = find_backbone(str(tmp_path)).estimate(torch.rand(40, 60, 3), None)
    assert found.depth.shape == (40, 60) and found.fov_x_deg == 61.0 and found.model == tmp_path.name
    assert torch.equal(torch.isinf(found.depth), torch.isinf(truth)) and bool((found.depth > 0).all())


def test_inverse_depth_finds_scale_and_shift() -> None:
    truth = torch.linspace(1, 9, 50).reshape(5, 10)
    reference = truth.clone()
    reference[0, 0] = torch.inf
    assert torch.allclose(from_inverse((1 / truth - 0.05) / 3, reference), truth, rtol=1e-4)
    upside_down = from_inverse(truth, reference)
    assert bool((upside_down > 0).all()) and bool((upside_down.diff() <= 0).all())

# SPDX-License-Identifier: GPL-3.0-or-later
"""Holding a large model: eight bits, tiles, block by block, and the plan that decides before anything loads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from limelight.backend.errors import BadInput, LimelightError
from limelight.backend.limo.backbone import load, memory, plan, stream
from limelight.backend.limo.backbone.eight_bit import EightBitLinear
from limelight.backend.limo.backbone.paint import BackbonePainter
from limelight.backend.limo.backbone.plan import Work
from limelight.backend.limo.view import Probe, View
from limelight.backend.optics.camera import Camera
from limelight.tests.engine.limo.pipelines import write_pipeline

#: The sizes of the published networks, from their configuration files.
PUBLISHED = {
    "flux": ("FluxPipeline", {"in_channels": 64, "num_layers": 19, "num_single_layers": 38, "attention_head_dim": 128,
             "num_attention_heads": 24, "joint_attention_dim": 4096, "pooled_projection_dim": 768,
             "guidance_embeds": False}),
    "wan": ("WanPipeline", {"in_channels": 48, "out_channels": 48, "num_attention_heads": 24, "num_layers": 30,
            "attention_head_dim": 128, "text_dim": 4096, "freq_dim": 256, "ffn_dim": 14336}),
}  # fmt: skip
GB = 10**9


def published(folder: Path, family: str) -> Path:
    """A folder with a published network's configuration and no weights, of which a plan needs nothing else."""
    name, config = PUBLISHED[family]
    (folder / "transformer").mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps({"_class_name": name}))
    (folder / "transformer" / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def card(monkeypatch):
    """A GPU that is not here: its free memory, in GB, and the computer's."""

    def have(gpu: float, host: float = 64) -> None:
        monkeypatch.setattr(memory, "free", lambda device: int((host if device == "cpu" else gpu) * GB))
        monkeypatch.setattr(plan, "network_dtype", lambda device: torch.bfloat16)
        monkeypatch.setattr(plan, "speed", lambda device: 100e12)

    return have


def test_the_published_models_are_held_as_a_card_allows(tmp_path, card):
    flux, wan = published(tmp_path / "flux", "flux"), published(tmp_path / "wan", "wan")
    card(80)
    assert plan.sizes_of(flux).whole == pytest.approx(11.9e9, rel=0.01)
    assert plan.sizes_of(wan).whole == pytest.approx(5.0e9, rel=0.01)
    picture, clip = Work(512, 512), Work(512, 512, 21, steps=50)
    whole = plan.plan(flux, "cuda", picture)
    assert (whole.mode, whole.tiled) == ("whole", False) and 23.8 * GB < whole.needed < 28 * GB
    modes = []
    for free in (80, 20, 8, 3):
        card(free)
        found = plan.plan(flux, "cuda", picture)
        modes.append(found.mode)
        assert found.needed <= free * GB and f"of {free}.0 GB" in found.told()
    assert modes == ["whole", "8bit", "offload", "offload-8bit"] or modes == ["whole", "8bit", "offload", "offload"]
    card(24)
    assert plan.plan(wan, "cuda", clip).mode == "whole"
    assert plan.tokens_of("wan", clip) == 1536 and plan.tokens_of("flux", picture) == 1024
    card(8, host=16)
    with pytest.raises(LimelightError, match=r"needs at least \d+\.\d GB of cuda's memory") as caught:
        plan.plan(flux, "cuda", picture, "whole")
    assert caught.value.code == "memory" and "--memory auto" in caught.value.remedy
    card(0.5, host=4)
    with pytest.raises(LimelightError, match=r"of which 0\.5 GB are free"):
        plan.plan(wan, "cuda", clip)


def test_time_grows_with_the_work_and_with_off_loading(tmp_path, card):
    flux = published(tmp_path / "flux", "flux")
    card(80)
    whole = plan.plan(flux, "cuda", Work(512, 512)).seconds
    # 200 passes of 24 TFLOP at half of 100 TFLOP/s.
    assert whole == pytest.approx(200 * 24.4e12 / 50e12, rel=0.1)
    assert plan.plan(flux, "cuda", Work(512, 512, steps=40)).seconds == pytest.approx(2 * whole)
    assert plan.plan(flux, "cuda", Work(512, 512), "offload").seconds > 2 * whole
    ways = plan.overview(flux, "cuda", 512, 512, 1, 20)["ways"]
    assert [way["mode"] for way in ways] == ["whole", "8bit", "offload", "offload-8bit"]
    assert ways[1]["bytes"] < 0.6 * ways[0]["bytes"] and ways[2]["host"] == pytest.approx(23.8 * GB, rel=0.01)


def test_eight_bits_lose_less_than_a_hundredth():
    torch.manual_seed(0)
    layer = torch.nn.Linear(256, 128)
    small, x = EightBitLinear(layer.weight.data, layer.bias.data), torch.randn(50, 256)
    assert float((small(x) - layer(x)).norm() / layer(x).norm()) < 0.01
    step = layer.weight.abs().amax(1, keepdim=True) / 127
    assert bool(((small.codes * small.scale - layer.weight).abs() <= 0.51 * step).all())
    assert sum(b.numel() * b.element_size() for b in small.buffers()) < 0.27 * layer.weight.numel() * 4


@pytest.fixture
def view() -> View:
    camera = Camera.from_fov(64, 64, 60)
    return View((camera.rays() * 0.5 + 0.5).clamp(0, 1), torch.full((64, 64), 6.0), camera)


PROBE = Probe("p", torch.tensor([0.3, -0.2, -2.0]), 0.4)


@pytest.mark.parametrize("family", ["flux", "wan", "sd"])
def test_a_network_in_eight_bits_paints_nearly_the_same(tmp_path, view, family, monkeypatch):
    folder = write_pipeline(tmp_path / family, family)
    exact = BackbonePainter(folder, side=64).paint(view, [PROBE], [0], steps=2)[0]
    load.unload()
    monkeypatch.setattr(load, "SMALLEST", 200)
    small = BackbonePainter(folder, side=64, memory="8bit").paint(view, [PROBE], [0], steps=2)[0]
    layers = [m for m in load.load_backbone(folder, "cpu").denoiser.network.modules() if isinstance(m, EightBitLinear)]
    load.unload()
    assert layers and not torch.equal(small.mirror, exact.mirror)
    assert float((small.mirror - exact.mirror).abs().mean()) < 0.01


@pytest.mark.parametrize("family", ["flux", "wan"])
def test_blocks_that_come_one_by_one_paint_the_same(tmp_path, family):
    folder = write_pipeline(tmp_path / family, family)
    codec = load.load_codec(family, folder, torch.float32, "cpu")
    whole, apart = (load.load_denoiser(family, folder, torch.float32, codec, stream.Tuned(folder)) for _ in range(2))
    load.place(apart.network, "cpu", "offload-8bit")
    text = load.PromptCache(folder, lambda p: load.encode(family, folder, p, torch.float32, "cpu")).get(["sphere"])
    frames = (2,) if family == "wan" else ()
    x, maps = torch.randn(1, 4, *frames, 4, 4), torch.randn(1, 20, *frames, 4, 4)
    with torch.no_grad():
        a, b = (denoiser.predict(x, maps, torch.tensor(300.0), text) for denoiser in (whole, apart))
    assert torch.equal(a, b)


@pytest.mark.parametrize("family", ["flux", "wan"])
def test_tiles_are_all_that_the_vae_sees_at_once(tmp_path, family, monkeypatch):
    folder = write_pipeline(tmp_path / family, family)
    monkeypatch.setattr(load, "TILE", 96)
    monkeypatch.setattr(load, "_STEP", 64)
    ramp = torch.linspace(-1, 1, 192).expand(3, 160, 192)[None].contiguous()
    whole, tiled = (load.load_codec(family, folder, torch.float32, "cpu", tiled) for tiled in (False, True))
    seen = []
    for part in (tiled.vae.encoder.conv_in, tiled.vae.decoder.conv_out):
        part.register_forward_pre_hook(lambda module, inputs: seen.append(max(inputs[0].shape[-2:])))
    with torch.no_grad():
        a, b = whole.encode(ramp), tiled.encode(ramp)
        shown = tiled.decode(b)
    assert a.shape == b.shape and shown.shape == whole.decode(a).shape == (1, 3, 160, 192)
    # Wan's network works on patches of 2×2 pixels, its causal layers pad by one.
    assert max(seen) <= 96 + 2 and len(seen) > 4


def test_a_model_that_does_not_fit_is_not_loaded(tmp_path, view, monkeypatch):
    folder = write_pipeline(tmp_path / "flux", "flux")
    monkeypatch.setattr(memory, "free", lambda device: 10**6)
    with pytest.raises(LimelightError) as caught:
        BackbonePainter(folder, side=64).paint(view, [PROBE])
    assert caught.value.code == "memory" and not load.is_loaded(folder, "cpu")
    with pytest.raises(BadInput, match="nothing to off-load"):
        BackbonePainter(folder, memory="offload").paint(view, [PROBE])

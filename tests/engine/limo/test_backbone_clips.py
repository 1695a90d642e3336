# SPDX-License-Identifier: GPL-3.0-or-later
"""The clip model on a tiny random Wan2.2: diffusers' own pipeline is the reference; windows, shapes, one picture."""

from __future__ import annotations

import itertools

import diffusers
import pytest
import torch
import transformers
from limelight.backend.limo.backbone import load
from limelight.backend.limo.backbone.paint import BackbonePainter, faded, sample, windows
from limelight.backend.limo.view import Probe, View
from limelight.backend.optics.camera import Camera
from limelight.tests.engine.limo.pipelines import write_pipeline


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    yield write_pipeline(tmp_path_factory.mktemp("wan") / "wan", "wan")
    load.unload()


def clip(count: int) -> tuple[list[View], list[Probe]]:
    """A view that brightens and a probe that moves to the right."""
    camera = Camera.from_fov(64, 64, 60)
    picture = (camera.rays() * 0.4 + 0.5).clamp(0, 1)
    views = [View(picture * (0.5 + 0.5 * i / count), torch.full((64, 64), 6.0), camera) for i in range(count)]
    return views, [Probe("p", torch.tensor([-0.3 + 0.05 * i, -0.2, -2.0]), 0.25) for i in range(count)]


def test_a_widened_wan_samples_what_diffusers_own_pipeline_does(folder):
    backbone = load.load_backbone(folder, "cpu")
    words = ["Metallic sphere [EV0]", "Diffuse sphere [EV-12]"]
    text = backbone.prompts.get(words)
    maps = torch.randn(1, 20, 2, 4, 6, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        ours = sample(backbone, maps, text, steps=3, seed=5, after_step=lambda fraction: None)
    noise = torch.randn((1, 4, 2, 4, 6), generator=torch.Generator().manual_seed(5)).expand(2, -1, -1, -1, -1)
    theirs = diffusers.WanPipeline(
        tokenizer=transformers.T5Tokenizer.from_pretrained(folder / "tokenizer"),
        text_encoder=transformers.UMT5EncoderModel.from_pretrained(folder / "text_encoder"),
        vae=diffusers.AutoencoderKLWan.from_pretrained(folder / "vae"),
        transformer=diffusers.WanTransformer3DModel.from_pretrained(folder / "transformer"),
        scheduler=diffusers.UniPCMultistepScheduler.from_pretrained(folder / "scheduler"), expand_timesteps=True,
    )  # fmt: skip
    theirs.set_progress_bar_config(disable=True)
    found = theirs(
        words, height=64, width=96, num_frames=5, num_inference_steps=3, guidance_scale=1.0, latents=noise,
        output_type="latent",
    ).frames  # fmt: skip
    assert torch.allclose(ours, found, atol=1e-4 * float(found.abs().max()))
    assert float((ours[0] - ours[1]).abs().mean()) > 1e-4 * float(ours.abs().mean())


def test_a_clip_is_encoded_in_the_models_own_scale_whatever_its_length(folder):
    backbone = load.load_backbone(folder, "cpu")
    pictures = torch.rand(6, 3, 64, 32) * 2 - 1
    with torch.no_grad():
        latents = backbone.to_latents(pictures)
        whole = torch.cat([pictures, pictures[-1:].expand(3, -1, -1, -1)]).movedim(0, 1)[None]
        mean = backbone.vae.encode(whole).latent_dist.mean
        shown = backbone.codec.decode(latents)
        decoded = backbone.vae.decode(mean).sample[0].movedim(0, 1) / 2 + 0.5
    scale, spread = (torch.tensor(v).reshape(1, 4, 1, 1, 1) for v in ([0.1, -0.2, 0.0, 0.3], [0.5, 0.8, 1.0, 1.5]))
    assert latents.shape == (1, 4, 3, 4, 2) and shown.shape == (9, 3, 64, 32)
    assert torch.allclose(latents, (mean - scale) / spread, atol=1e-5)
    assert torch.allclose(shown, decoded.clamp(0, 1), atol=1e-5)


def test_a_clip_is_painted_frame_for_frame_and_a_single_picture_too(folder):
    views, probes = clip(6)
    painter, told = BackbonePainter(folder, side=64), []
    found = painter.paint_frames(views, probes, [0, -3], steps=2, seed=4, progress=told.append)
    assert len(found) == 6 and told == sorted(told) and told[-1] == pytest.approx(1.0)
    for spheres, probe in zip(found, probes, strict=True):
        size = spheres.view.size
        assert spheres.mirror.shape == (2, size, size, 3) and spheres.evs == (0, -3)
        assert torch.equal(spheres.view.center, probe.position)
        assert float(spheres.mirror[:, ~spheres.view.mask].abs().max()) == 0.0
    again = painter.paint_frames(views, probes, [0, -3], steps=2, seed=4)
    assert all(torch.equal(a.mirror, b.mirror) for a, b in zip(found, again, strict=True))
    (single,) = painter.paint(views[0], probes[:1], [0], steps=1)
    assert single.mirror.shape[0] == 1 and "limo.safetensors" in views[0].warnings[0]


def test_long_clips_go_through_windows_that_fade_into_each_other():
    for count in (1, 3, 21, 22, 37, 38, 100):
        spans = windows(count, 21)
        assert spans[0].start == 0 and spans[-1].stop == count
        assert all(span.stop - span.start == min(21, count) for span in spans)
        assert all(a.stop - b.start >= 5 for a, b in itertools.pairwise(spans))
    assert windows(3, 1) == [slice(0, 1), slice(1, 2), slice(2, 3)]
    first, second = [torch.zeros(1)] * 21, [torch.ones(1)] * 21
    mixed = torch.cat(faded(first, second, 16))
    assert len(mixed) == 37 and bool((mixed.diff() >= 0).all()) and float(mixed.diff().max()) < 0.2


def test_a_clip_longer_than_a_window_keeps_its_length(folder):
    views, probes = clip(8)
    painter = BackbonePainter(folder, side=32)
    load.load_backbone(folder, "cpu").denoiser.frames = 6
    found = painter.paint_frames(views, probes, [0], steps=1)
    load.unload()
    assert len(found) == 8 and all(bool(torch.isfinite(spheres.mirror).all()) for spheres in found)

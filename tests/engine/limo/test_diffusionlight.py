# SPDX-License-Identifier: GPL-3.0-or-later
"""The DiffusionLight path on a tiny random SDXL: diffusers' own inpainting is the reference; geometry, merge, LoRAs."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
import transformers
from limelight.backend import models
from limelight.backend.errors import LimelightError
from limelight.backend.limo.backbone import memory
from limelight.backend.limo.backbone.low_rank import changes
from limelight.backend.limo.diffusionlight import model as dl
from limelight.backend.limo.diffusionlight.ball import GAMMA, SHARE, look_at, merge
from limelight.backend.limo.diffusionlight.paint import DiffusionLightPainter, denoise
from limelight.backend.limo.estimate import run_light
from limelight.backend.limo.job import LightJob
from limelight.backend.limo.merge import unwrap
from limelight.backend.limo.report import SilentReport
from limelight.backend.limo.view import Probe, View
from limelight.backend.optics import exr, sphere
from limelight.backend.optics import panorama as pano
from limelight.backend.optics.camera import Camera
from limelight.backend.optics.exposure import expose
from limelight.tests.engine.limo.pipelines import unet, write_pipeline
from PIL import Image
from safetensors.torch import save_file

PROBE = Probe("p", torch.tensor([0.7, -0.4, -2.0]), 0.2)


def view() -> View:
    camera = Camera.from_fov(96, 64, 70)
    return View((camera.rays() * 0.5 + 0.5).clamp(0, 1), 4 + camera.rays()[..., 0], camera)


def lora(network: torch.nn.Module, seed: int, form: str = "{}.lora_{}.weight", ab: str = "AB") -> dict:
    """Low-rank changes of a UNet's queries, in one of the layouts that files come in."""
    generator, found = torch.Generator().manual_seed(seed), {}
    for name, layer in network.named_modules():
        if name.endswith("to_q"):
            down = torch.randn(2, layer.in_features, generator=generator)
            up = torch.randn(layer.out_features, 2, generator=generator)
            found |= {form.format(name, ab[0]): down, form.format(name, ab[1]): up}
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = write_pipeline(tmp_path_factory.mktemp("dl") / "ball", "sdxl")
    network = unet("sdxl")
    control = diffusers.ControlNetModel.from_unet(network, conditioning_channels=3,
                                                  conditioning_embedding_out_channels=(4, 8))  # fmt: skip
    for block in (*control.controlnet_down_blocks, control.controlnet_mid_block):
        torch.nn.init.normal_(block.weight, std=0.3)
    control.save_pretrained(root / "controlnet")
    diffusers.DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False).save_pretrained(root / "scheduler")
    save_file(lora(network, 1), root / dl.EXPOSURE)
    yield root
    dl.unload()


def test_the_ball_is_unwrapped_in_true_perspective():
    """A ball that is drawn by reflection in the square view gives back the surroundings, wherever the probe stands."""
    around = pano.directions(64) * torch.tensor([0.4, 0.4, -0.4]) + 0.5
    square = look_at(view(), PROBE, 512)
    place = ((torch.arange(512) + 0.5) / 512 * 2 - 1) * square.extent
    x, y = torch.meshgrid(place, -place, indexing="xy")
    rays = torch.nn.functional.normalize(torch.stack([x, y, -torch.ones_like(x)], -1) @ square.sphere.axes, dim=-1)
    hit = sphere.intersect(rays, PROBE.position, square.sphere.radius)
    assert abs(float(hit.mask.float().mean()) - math.pi / 4 * SHARE**2) < 0.001
    assert bool((square.mask[hit.mask] == 1).all()) and bool((square.nearness[hit.mask] > 0.99).all())
    drawn = pano.sample(around, sphere.reflect(rays, hit.normals)) * hit.mask[..., None]
    found = unwrap(square.cut(drawn.permute(2, 0, 1)), square.sphere, 64)
    behind = (pano.directions(64) * torch.nn.functional.normalize(PROBE.position, dim=0)).sum(-1) > 0.8
    assert float((found - around)[~behind].abs().max()) < 0.06 and float((found - around)[~behind].abs().mean()) < 0.01


def test_the_square_view_shows_the_photo_towards_the_probe_and_black_beyond():
    seen = view()
    square = look_at(seen, PROBE, 65)
    towards = torch.nn.functional.normalize(PROBE.position, dim=0)
    assert torch.allclose(square.picture[:, 32, 32], expose((towards * 0.5 + 0.5).clamp(0, 1), 0), atol=0.03)
    assert float((square.picture.sum(0) == 0).float().mean()) > 0.2
    assert float(square.nearness.max()) == 1.0 and float(square.nearness[square.picture.sum(0) == 0].max()) == 0.0


def test_its_merge_gives_back_radiance_up_to_two_to_the_five():
    radiance = torch.tensor([[0.02, 0.05, 0.01], [0.5, 0.4, 0.3], [3.0, 3.0, 3.0], [20.0, 20.0, 20.0], [500.0] * 3])
    evs = (0.0, -2.5, -5.0)
    balls = torch.stack([(radiance * 2**ev).clamp(max=1) ** (1 / GAMMA) for ev in evs])
    found = merge(balls, evs)
    assert torch.allclose(found[:4], radiance[:4], rtol=0.02) and float(found[4].max()) == pytest.approx(32, rel=0.01)
    with pytest.raises(LimelightError, match="EV 0"):
        merge(balls[1:], evs[1:])


def test_exposures_mix_the_bright_and_the_dark_prompt(folder):
    ball = dl.load_diffusionlight(folder, "cpu")
    bright, dark, away = ball.text.tokens
    assert torch.equal(ball.told(0).tokens, torch.stack([away, bright]))
    assert torch.allclose(ball.told(-5).tokens[1], dark) and torch.allclose(
        ball.told(-2.5).tokens[1], (bright + dark) / 2
    )
    assert not torch.allclose(bright, dark, atol=1e-3)


@pytest.mark.parametrize(
    "form, ab",
    [
        ("{}.lora_{}.weight", "AB"),
        ("unet.{}.lora.{}.weight", ("down", "up")),
        ("unet.{}.lora_{}.default.weight", "AB"),
        ("{}.lora_{}.weight", ("down", "up")),
    ],
)
def test_every_layout_of_a_lora_is_the_same_change_of_the_weights(form, ab):
    network = unet("sdxl")
    found = changes(lora(network, 3, form, ab))
    plain = changes(lora(network, 3))
    assert found and {k: v.delta().tolist() for k, v in found.items()} == {
        k: v.delta().tolist() for k, v in plain.items()
    }
    x, time = torch.randn(1, 4, 16, 16), torch.tensor(500.0)
    told = {"encoder_hidden_states": torch.randn(1, 5, 32),
            "added_cond_kwargs": {"text_embeds": torch.randn(1, 12), "time_ids": torch.ones(1, 6)}}  # fmt: skip
    with torch.no_grad():
        bare = network(x, time, **told).sample
        dl.Worn(network, {"a": found}, 0.75)
        worn = network(x, time, **told).sample
        merged = unet("sdxl")
        merged.load_state_dict(network.state_dict())
        for name, change in found.items():
            merged.get_submodule(name).weight += 0.75 * change.delta()
        assert torch.allclose(worn, merged(x, time, **told).sample, atol=1e-4)
    assert not torch.allclose(worn, bare, atol=1e-3)


def test_a_ball_is_inpainted_as_diffusers_own_pipeline_does(folder):
    ball = dl.load_diffusionlight(folder, "cpu")
    square = look_at(view(), PROBE, 64)
    with torch.no_grad():
        # Theirs draws from the posterior: leave it no spread.
        ball.codec.vae.quant_conv.weight[4:] = 0
        ball.codec.vae.quant_conv.bias[4:] = -30
        known = ball.codec.encode(square.picture[None] * 2 - 1)
        ours = denoise(ball, square, known, -2.5, 4, 7, 1.0, lambda fraction: None)
    theirs = diffusers.StableDiffusionXLControlNetInpaintPipeline(
        vae=ball.codec.vae, unet=ball.unet, controlnet=ball.controlnet,
        scheduler=diffusers.DDIMScheduler.from_pretrained(folder / "scheduler"), tokenizer_2=None, text_encoder_2=None,
        text_encoder=transformers.CLIPTextModel.from_pretrained(folder / "text_encoder"),
        tokenizer=transformers.CLIPTokenizer.from_pretrained(folder / "tokenizer"), requires_aesthetics_score=False,
    )  # fmt: skip
    theirs.set_progress_bar_config(disable=True)
    text = ball.told(-2.5)
    noise = torch.randn(known.shape, generator=torch.Generator().manual_seed(7))
    found = theirs(
        image=square.picture[None], mask_image=square.mask[None, None],
        control_image=square.nearness[None, None].expand(1, 3, -1, -1), height=64, width=64, strength=1.0,
        num_inference_steps=4, guidance_scale=5.0, controlnet_conditioning_scale=0.5, latents=noise,
        prompt_embeds=text.tokens[1:], negative_prompt_embeds=text.tokens[:1], pooled_prompt_embeds=text.pooled[1:],
        negative_pooled_prompt_embeds=text.pooled[:1], output_type="latent",
    ).images  # fmt: skip
    inside = torch.nn.functional.interpolate(square.mask[None, None], known.shape[-2:])[0, 0] > 0
    assert torch.allclose(ours[0][:, inside], found[0][:, inside], atol=1e-3 * float(found.abs().max()))
    assert torch.equal(ours[0][:, ~inside], known[0][:, ~inside])


def test_balls_become_spheres_of_every_exposure(folder):
    painter, told = DiffusionLightPainter(folder, balls=2, rounds=2, side=64), []
    (found,) = painter.paint(view(), [PROBE], steps=3, seed=2, progress=told.append)
    assert found.evs == (0, -3, -6, -9, -12) and found.mirror.shape == found.diffuse.shape
    assert torch.equal(found.view.center, PROBE.position) and told == sorted(told) and told[-1] == pytest.approx(1)
    assert bool((found.mirror[0] >= found.mirror[1]).all()) and float(found.diffuse[0].max()) > 0
    (again,) = painter.paint(view(), [PROBE], steps=3, seed=2)
    (other,) = painter.paint(view(), [PROBE], steps=3, seed=3)
    assert torch.equal(found.mirror, again.mirror) and not torch.equal(found.mirror, other.mirror)


def test_the_turbo_lora_speaks_first_and_needs_one_round(folder, tmp_path):
    turbo = shutil.copytree(folder, tmp_path / "turbo")
    save_file(lora(unet("sdxl"), 9), turbo / dl.TURBO)
    ball, worn = dl.load_diffusionlight(turbo, "cpu"), []
    ball.unet.register_forward_pre_hook(lambda *_: worn.append(ball.worn.name))
    DiffusionLightPainter(turbo, balls=30, side=64).paint(view(), [PROBE], steps=5)
    assert worn == ([dl.TURBO] + [dl.EXPOSURE] * 4) * 3 or worn == ([dl.TURBO] * 2 + [dl.EXPOSURE] * 3) * 3


def test_a_light_job_by_diffusionlight_ends_in_an_hdr_map(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("LIMELIGHT_MODELS", str(folder.parent))
    monkeypatch.setattr("limelight.backend.limo.diffusionlight.paint.SIDE", 64)
    monkeypatch.setattr(DiffusionLightPainter.__init__, "__defaults__", ("cpu", 1, 1, 64))
    pixels = np.linspace(20, 230, 64 * 96 * 3).reshape(64, 96, 3).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    params = {"images": [str(tmp_path / "photo.png")], "probes": [{"u": 0.5, "v": 0.6}], "out": str(tmp_path / "out"),
              "model": "ball", "quality": "draft", "size": 128, "fov_deg": 60, "device": "cpu"}  # fmt: skip
    result = run_light(LightJob.from_params(params), SilentReport())
    environment = exr.read_image(tmp_path / "out" / result["probes"][0]["environment"])
    assert environment.shape == (64, 128, 3) and bool(torch.isfinite(environment).all())
    assert [(entry["name"], entry["state"]) for entry in models.backbones()] == [("ball", "ok")]


@pytest.mark.parametrize("how", ["torn", "no changes", "other network", "no controlnet", "memory"])
def test_a_folder_that_cannot_paint_balls_is_a_sentence(folder, tmp_path, how, monkeypatch):
    broken = shutil.copytree(folder, tmp_path / "broken")
    if how == "torn":
        (broken / dl.EXPOSURE).write_bytes(b"no")
    elif how == "no changes":
        save_file({"a": torch.zeros(1)}, broken / dl.EXPOSURE)
    elif how == "other network":
        save_file({"mid.to_q.lora_A.weight": torch.zeros(2, 4), "mid.to_q.lora_B.weight": torch.zeros(4, 2)},
                  broken / dl.EXPOSURE)  # fmt: skip
    elif how == "no controlnet":
        shutil.rmtree(broken / "controlnet")
    else:
        monkeypatch.setattr(memory, "free", lambda device: 10**4)
    with pytest.raises(LimelightError) as caught:
        DiffusionLightPainter(broken, side=64).paint(view(), [PROBE], steps=1)
    assert caught.value.text.endswith(".") and caught.value.remedy

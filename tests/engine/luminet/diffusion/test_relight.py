# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper-scale relighter's whole path, from a picture and a code to candidates."""

import diffusers
import numpy as np
import pytest
import torch
from limelight.backend.errors import Cancelled, LimelightError
from limelight.backend.limo.report import SilentReport
from limelight.backend.luminet.diffusion import adaptor, control, load
from limelight.backend.luminet.diffusion.relight import ddim, with_light
from limelight.backend.luminet.job import RelightJob, run_relight
from limelight.tests.engine.luminet.diffusion.tiny import CONTEXT, SIZE, SIZES, a_code
from PIL import Image


def test_any_samplers_noise_schedule_becomes_even_ddim_steps(original):
    scheduler = load.load_base(original, torch.float32)[2]
    scheduler.set_timesteps(50)
    assert scheduler.timesteps.tolist() == list(range(981, 0, -20))
    assert scheduler.config.prediction_type == "v_prediction" and not scheduler.config.clip_sample
    assert float(scheduler.betas[0]) == pytest.approx(0.00085) and float(scheduler.betas[-1]) == pytest.approx(0.012)


def test_a_perfect_velocity_brings_ddim_to_the_picture():
    """A network that knows the picture: v = α ε − σ x₀, with ε read from the sample, leads to it from any noise."""
    scheduler = diffusers.DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012,
                                        prediction_type="v_prediction", clip_sample=False)  # fmt: skip
    goal = torch.randn(1, 4, 8, 8)

    class Perfect(torch.nn.Module):
        dtype = torch.float32

        def forward(self, x, time, tokens, **rest):
            alpha = scheduler.alphas_cumprod[time].sqrt()
            sigma = (1 - alpha**2).sqrt()
            return (alpha * (x - alpha * goal) / sigma - sigma * goal,)

    def silent(*args, **rest):
        return (), None

    tiny = adaptor.Adaptor((16, 16), CONTEXT)
    nets = load.Networks(None, tiny, silent, Perfect(), None, scheduler, torch.zeros(1, 77, CONTEXT))
    with torch.no_grad():
        found = ddim(nets, torch.randn(2, 4, 8, 8), torch.zeros(1, 3, 8, 8), a_code(0)[None], 50, 9.0)
    assert torch.allclose(found, goal.expand_as(found), atol=1e-3)


def test_guidance_sets_the_light_tokens_against_none_of_them(folder):
    nets = load.load_relighter(folder).networks
    noise, hint = torch.randn(1, 4, 8, 8), torch.randn(1, SIZES.hint_channels, 8, 8)
    code = a_code(0)[None]
    with torch.no_grad():
        plain = with_light(nets.prompt, nets.adaptor, code)
        assert plain.shape == (1, 80, CONTEXT) and torch.equal(plain[:, :77], nets.prompt)
        nets.scheduler.set_timesteps(2)
        expected = noise
        for time in nets.scheduler.timesteps:
            lit, unlit = (control.predict(nets.unet, nets.controlnet, expected, time, tokens, hint)
                          for tokens in (plain, nets.prompt))  # fmt: skip
            expected = nets.scheduler.step(unlit + 9 * (lit - unlit), time, expected, eta=0.0).prev_sample
        found = ddim(nets, noise, hint, code, 2, 9.0)
        assert torch.allclose(found, expected, atol=1e-3) and not torch.allclose(lit, unlit, atol=1e-5)
        assert not torch.allclose(ddim(nets, noise, hint, code, 2, 1.0), found, atol=1e-3)


def test_candidates_are_shaped_reproducible_and_led_by_seed_code_and_picture(folder, picture):
    relighter = load.load_relighter(folder)
    assert relighter.size == SIZE and load.load_relighter(folder) is relighter
    first = relighter.relight(picture, a_code(0), steps=3, seeds=[1, 2, 3])
    assert first.ratio.shape == (3, 3, SIZE, SIZE) and first.codes.shape == (3, 16)
    assert bool(torch.isfinite(first.ratio).all()) and first.ratio.device.type == "cpu"
    assert torch.allclose(first.codes.norm(dim=1), torch.ones(3), atol=1e-5)
    again = relighter.relight(picture, a_code(0), steps=3, seeds=[3])
    assert torch.allclose(again.ratio[0], first.ratio[2], atol=1e-5)
    assert not torch.allclose(first.ratio[0], first.ratio[1], atol=1e-3)
    for other in (relighter.relight(picture, a_code(1), steps=3, seeds=[1]),
                  relighter.relight(picture.flip(-1), a_code(0), steps=3, seeds=[1])):  # fmt: skip
        assert not torch.allclose(other.ratio[0], first.ratio[0], atol=1e-3)
    relighter.batch = 2
    batched = relighter.relight(picture, a_code(0), steps=3, seeds=[1, 2, 3])
    assert torch.allclose(batched.ratio, first.ratio, atol=1e-3)


def test_the_ratio_is_over_the_sources_own_round_trip(folder, picture):
    """A sampling that ends at the source's own latents changes nothing, whatever the VAE loses."""
    relighter = load.load_relighter(folder)
    relighter._sample = lambda like, hint, code, steps, seeds, after: list(like)
    found = relighter.relight(picture, a_code(0), steps=1, seeds=[0])
    assert float(found.ratio.abs().max()) < 1e-5
    decoded = relighter.networks.vae(picture[None] * 2 - 1).sample / 2 + 0.5
    assert not torch.allclose(decoded, picture[None], atol=0.05)
    assert torch.allclose(found.codes, relighter.light_codes(decoded.detach().clamp(0, 1)), atol=1e-4)


def test_codes_are_of_single_pictures(folder, picture):
    relighter = load.load_relighter(folder)
    codes = relighter.light_codes(torch.stack([picture, picture * 0.3]))
    assert codes.shape == (2, 16) and torch.allclose(codes[1], relighter.light_codes(picture[None] * 0.3)[0], atol=1e-6)
    assert not torch.allclose(codes[0], codes[1], atol=1e-5)


def test_cancel_passes_through_one_denoising_step_and_leaves_the_model_usable(folder, picture):
    relighter, calls = load.load_relighter(folder), []
    expected = relighter.relight(picture, a_code(0), steps=3, seeds=[0, 1], progress=calls.append)
    assert calls == pytest.approx([(i + 1) / 8 for i in range(8)])

    def progress(fraction):
        raise Cancelled

    passes = []
    hook = relighter.networks.unet.register_forward_hook(lambda *_: passes.append(1))
    with pytest.raises(Cancelled):
        relighter.relight(picture, a_code(0), steps=3, seeds=[0, 1], progress=progress)
    hook.remove()
    assert len(passes) == 2
    assert torch.equal(relighter.relight(picture, a_code(0), steps=3, seeds=[0, 1]).ratio, expected.ratio)


def test_a_batch_that_does_not_fit_is_halved_and_a_hopeless_one_explained(folder, picture):
    relighter, sizes, limit = load.load_relighter(folder), [], 1
    expected = relighter.relight(picture, a_code(0), steps=1, seeds=[0, 1, 2])

    def refuse(module, inputs):
        sizes.append(len(inputs[0]))
        if len(inputs[0]) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    relighter.networks.unet.register_forward_pre_hook(refuse)
    relighter.batch = 4
    found = relighter.relight(picture, a_code(0), steps=1, seeds=[0, 1, 2])
    assert torch.allclose(found.ratio, expected.ratio, atol=1e-4) and sizes[:3] == [3, 2, 1]
    limit = 0
    with pytest.raises(LimelightError, match="memory of cpu does not suffice") as caught:
        relighter.relight(picture, a_code(0), steps=1, seeds=[0])
    assert caught.value.code == "memory"


def test_a_job_relights_a_photo_with_the_model_of_a_folder(folder, tmp_path):
    pixels = np.linspace(20, 230, 48 * 64 * 3).reshape(48, 64, 3).astype(np.uint8)
    for name, shown in (("source", pixels), ("reference", pixels[::-1] // 2)):
        Image.fromarray(shown).save(tmp_path / f"{name}.png")
    params = {"source": str(tmp_path / "source.png"), "reference": str(tmp_path / "reference.png"), "device": "cpu",
              "out": str(tmp_path / "relit.png"), "model": str(folder), "quality": "draft"}  # fmt: skip
    result = run_relight(RelightJob.from_params(params), SilentReport())
    relit = np.asarray(Image.open(result["relit"]))
    assert relit.shape[:2] == (48, 64) and (result["width"], result["height"]) == (64, 48)
    assert np.linalg.norm(result["reached_code"]) == pytest.approx(1, abs=1e-4) and result["model"] != "embedded"

# SPDX-License-Identifier: GPL-3.0-or-later
"""Inverting and sampling a flow under control, on fields that are known and on a tiny Flux."""

import diffusers
import pytest
import torch
from limelight.backend.luminet.diffusion import cleanup, flow, load
from limelight.tests.engine.luminet.diffusion.tiny import SIZE, a_code, write_flux

SIGMAS = torch.linspace(1, 0, 29).tolist()


def spread_field(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """The exact velocity where pictures are normal of deviation 0.5: E[ε − x₀ | x]."""
    variance = (0.5 * (1 - sigma)) ** 2 + sigma**2
    return (sigma - 0.25 * (1 - sigma)) / variance * x


def test_full_control_gives_the_picture_back_exactly_and_full_pull_the_noise():
    picture, noise = torch.randn(2, 3, 4, 4) * 0.5, torch.randn(2, 3, 4, 4)
    whole = flow.Controller(eta=1.0, gamma=1.0, end=28)
    start = flow.invert(spread_field, picture, noise, SIGMAS, whole)
    assert torch.allclose(start, noise, atol=1e-5)
    assert torch.allclose(flow.regenerate(spread_field, start, picture, SIGMAS, whole), picture, atol=1e-5)
    wild = flow.regenerate(lambda x, sigma: x * 50 + 7, start, picture, SIGMAS, whole)
    assert torch.allclose(wild, picture, atol=1e-5)


def test_without_control_inversion_follows_the_flow_there_and_back():
    picture, noise = torch.randn(1, 3, 8, 8) * 0.5, torch.randn(1, 3, 8, 8)
    free, fine = flow.Controller(eta=0.0, gamma=0.0), torch.linspace(1, 0, 2001).tolist()
    start = flow.invert(spread_field, picture, noise, fine, free)
    # The flow keeps quantiles: deviation 0.5 becomes 1.
    assert torch.allclose(start, picture * 2, atol=5e-3)
    assert torch.allclose(flow.regenerate(spread_field, start, noise, fine, free), picture, atol=5e-3)


def test_control_holds_in_its_own_steps_and_pulls_the_more_the_stronger():
    picture, start = torch.randn(1, 3, 8, 8) * 0.5, torch.randn(1, 3, 8, 8)

    def distance(**settings):
        found = flow.regenerate(spread_field, start, picture, SIGMAS, flow.Controller(**settings))
        return float((found - picture).abs().mean())

    assert distance(eta=0.99) < distance(eta=0.95) < distance(eta=0.5) < distance(eta=0.0)
    assert distance(eta=0.95, end=20) < distance(eta=0.95, end=5)
    assert distance(eta=0.95, end=0) == distance(eta=0.0)
    seen = []
    flow.regenerate(lambda x, sigma: seen.append(sigma) or x, start, picture, SIGMAS, flow.Controller())
    assert seen == SIGMAS[:-1] and min(seen) > 0


def test_a_flux_model_cleans_up_and_full_control_leaves_only_its_vaes_round_trip(tmp_path, picture):
    folder = write_flux(tmp_path / "flux")
    signed = picture[None] * 2 - 1
    clean = cleanup.CleanUp(folder, "cpu", SIZE, flow.Controller(eta=1.0, end=3))
    steps = []
    with torch.no_grad():
        vae = diffusers.AutoencoderKL.from_pretrained(folder / "vae")
        found = clean(signed, 0, steps=3, after_step=lambda: steps.append(1))
        assert torch.allclose(found, vae(signed).sample.clamp(-1, 1), atol=1e-4) and len(steps) == 6
        free = cleanup.CleanUp(folder, "cpu", 2 * SIZE)
        other = free(signed, 0, steps=3)
        assert other.shape == signed.shape and torch.equal(other, free(signed, 0, steps=3))
        assert not torch.allclose(other, found, atol=1e-3)


def test_a_flux_model_in_the_folder_cleans_every_candidate_up(folder, picture, monkeypatch):
    plain = load.load_relighter(folder).relight(picture, a_code(0), steps=1, seeds=[0])
    write_flux(folder / load.CLEAN_UP)
    monkeypatch.setattr(load, "CLEAN_SIZE", SIZE)
    monkeypatch.setattr(cleanup.CleanUp.__init__, "__defaults__", (SIZE, None))
    calls = []
    relighter = load.load_relighter(folder)
    assert relighter.memory > 0 and relighter.networks.clean_up.size == SIZE
    found = relighter.relight(picture, a_code(0), steps=1, seeds=[0], progress=calls.append)
    assert not torch.allclose(found.ratio, plain.ratio, atol=1e-3)
    assert len(calls) == 2 + 2 * flow.STEPS and calls[-1] == pytest.approx(1)

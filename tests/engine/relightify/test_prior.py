# SPDX-License-Identifier: GPL-3.0-or-later
"""The UV prior: its guidance, its seams, its weights."""

import pytest
import torch
from limelight.backend.errors import BadInput, MissingPart
from limelight.backend.relightify import maps
from limelight.backend.relightify.fill import push_pull
from limelight.backend.relightify.linear import LinearModel, fit_linear, shrunk
from limelight.backend.relightify.network import HINT, PATCH, PriorConfig, PriorNet, from_patches, hint_of, to_patches
from limelight.backend.relightify.prior import Effort, Prior, joined, load_prior
from limelight.backend.relightify.quantised import pack, unpack
from limelight.backend.relightify.records import PartialTexture
from limelight.backend.relightify.schedule import signal_and_noise
from torch import nn

TINY = PriorConfig(widths=(8, 8, 8, 8), place=8, embedding=16)
SIZE = maps.RESOLUTION


def lit_heads(count: int, seed: int) -> torch.Tensor:
    """Stacks (count, 10, 256, 256) of one skin colour each, under light that falls off to a side."""
    chance = torch.Generator().manual_seed(seed)
    stacks = maps.empty().repeat(count, 1, 1, 1)
    colour = torch.rand(count, 3, 1, 1, generator=chance) * 0.5 + 0.3
    slope = (torch.rand(count, 1, 1, 1, generator=chance) - 0.5) * torch.linspace(-1, 1, SIZE)
    stacks[:, maps.DIFFUSE] = colour
    stacks[:, maps.TEXTURE] = (colour * 0.8 * slope.exp()).clamp(0, 1)
    return stacks


def linear() -> LinearModel:
    return fit_linear(shrunk(lit_heads(80, 0)))


def network() -> PriorNet:
    torch.manual_seed(0)
    net = PriorNet(TINY)
    for parameter in net.parameters():
        if not bool(parameter.any()):
            nn.init.normal_(parameter, std=0.02)
    return net


@pytest.fixture
def prior() -> Prior:
    return Prior(network(), torch.full((10,), 0.5), torch.full((10,), 0.2), linear())


@pytest.fixture
def known() -> PartialTexture:
    torch.manual_seed(1)
    mask = torch.zeros(1, SIZE, SIZE)
    mask[:, 40:200, 30:120] = 1
    return PartialTexture(torch.rand(3, SIZE, SIZE), mask)


@pytest.mark.parametrize("effort", [Effort(1), Effort(3, takes=2), Effort(2, hint=False, guidance=0.3, repeats=2)])
def test_the_known_texture_survives_and_all_maps_are_within_bounds(prior, known, effort):
    found = prior.complete(known, effort, seed=3)
    assert found.shape == (10, SIZE, SIZE)
    where = known.mask[0] > 0
    assert torch.equal(found[maps.TEXTURE][:, where], known.colour[:, where])
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    assert torch.equal(found, prior.complete(known, effort, seed=3))
    assert not torch.equal(found, prior.complete(known, effort, seed=4))


def test_the_hint_tells_the_network_something(prior, known):
    told = prior.complete(known, Effort(2))
    assert not torch.allclose(told[maps.DIFFUSE], prior.complete(known, Effort(2, hint=False))[maps.DIFFUSE], atol=1e-3)


def test_progress_comes_at_every_step_and_can_cancel(prior, known):
    told = []
    prior.complete(known, Effort(4), progress=told.append)
    assert told == [0.25, 0.5, 0.75, 1.0]

    def cancel(fraction):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prior.complete(known, Effort(4), progress=cancel)


def test_a_texture_of_another_size_is_refused(prior):
    with pytest.raises(BadInput, match="texture"):
        prior.complete(PartialTexture(torch.rand(3, 64, 64), torch.ones(1, 64, 64)), Effort(1))


class OneColour(nn.Module):
    """Knows only heads of one colour, and that colour badly: half of the mean of what it sees."""

    def forward(self, noisy, t, hint):
        return (0.5 * noisy.mean((1, 2, 3), keepdim=True)).expand_as(noisy)


def test_guidance_draws_what_is_hidden_towards_what_is_known(known):
    prior = Prior(OneColour(), torch.zeros(10), torch.ones(10), linear())
    known = PartialTexture(torch.full_like(known.colour, 0.8), known.mask)
    hidden = known.mask < 0.5

    def error(guidance):
        wanted, mask = known.colour[None] * known.mask, known.mask[None]
        found = prior._run(wanted, mask, None, Effort(6, 1, False, guidance), 0, None)
        return float((found[0, maps.TEXTURE].mean(0, keepdim=True)[hidden] - 0.8).abs().mean())

    assert error(3000.0) < 0.9 * error(0.0)


def test_faces_of_which_nothing_is_known_differ_by_their_seed(prior):
    nothing = PartialTexture(torch.zeros(3, SIZE, SIZE), torch.zeros(1, SIZE, SIZE))
    first, second = (prior.complete(nothing, Effort(2), seed=seed) for seed in (0, 1))
    assert first.shape == (10, SIZE, SIZE)
    assert not torch.allclose(first, second, atol=1e-3)


def test_there_is_no_seam_where_known_meets_found(known):
    y, x = torch.meshgrid(torch.linspace(0, 1, SIZE), torch.linspace(0, 1, SIZE), indexing="ij")
    smooth = (0.3 + 0.2 * x + 0.2 * y).expand(3, -1, -1)
    off = (smooth + 0.15).clamp(0, 1)
    together = joined(smooth, off, known.mask)
    edge = (together[:, 40:200, 119] - together[:, 40:200, 120]).abs()
    assert float(edge.max()) < 0.02
    # Far away the prior is trusted more than what is carried there.
    assert float((together - off)[:, :, -4:].abs().max()) < 0.001


def test_push_pull_keeps_what_is_known_and_fills_the_rest_from_it():
    torch.manual_seed(0)
    weight = (torch.rand(1, 1, 64, 64) > 0.7).float()
    values = torch.rand(1, 3, 64, 64)
    filled = push_pull(values, weight)
    assert torch.allclose(filled * weight, values * weight, atol=1e-6)
    assert torch.allclose(push_pull(torch.full_like(values, 0.4), weight), torch.full_like(values, 0.4), atol=1e-4)
    assert torch.equal(push_pull(values, torch.zeros_like(weight)), torch.zeros_like(values))


def test_patches_are_the_pixels_and_come_back():
    stack = torch.rand(2, 10, SIZE, SIZE)
    assert torch.equal(to_patches(stack), nn.functional.pixel_unshuffle(stack, 4))
    assert torch.equal(from_patches(to_patches(stack)), stack)
    hint = hint_of(stack[:, :3], torch.ones(2, 1, SIZE, SIZE), stack[:, :7])
    assert hint.shape == (2, HINT * PATCH**2, 64, 64)
    assert torch.equal(from_patches(hint)[:, :3], stack[:, :3])


def test_a_linear_model_sees_the_light_and_the_skin_under_it():
    (head,) = lit_heads(1, 99)
    mask = torch.zeros(1, SIZE, SIZE)
    mask[:, :, :110] = 1
    found = linear().expect(head[None, maps.TEXTURE] * mask, mask[None])[0]
    assert float((found[maps.TEXTURE] - head[maps.TEXTURE]).abs().max()) < 0.05
    assert float((found[maps.DIFFUSE] - head[maps.DIFFUSE]).abs().max()) < 0.05
    # Whoever knows nothing expects the mean of all.
    nothing = linear().expect(head[None, maps.TEXTURE], torch.zeros_like(mask)[None])[0]
    assert float((nothing - found).abs().max()) > 0.05


def test_an_untrained_network_tells_what_the_linear_model_expects(known):
    torch.manual_seed(0)
    plain = Prior(PriorNet(TINY), torch.full((10,), 0.5), torch.full((10,), 0.2), linear())
    found, expected = plain.complete(known, Effort(1)), plain.expected(known)
    assert torch.allclose(found[maps.TEXTURE], expected[maps.TEXTURE], atol=1e-3)
    assert torch.allclose(found[maps.SPECULAR], expected[maps.SPECULAR], atol=1e-3)
    # Detail that is seen reaches the albedo, too.
    seen = (found - expected)[maps.DIFFUSE] * known.mask
    assert float(seen.abs().max()) > 0.05


def test_the_schedule_ends_in_noise_and_begins_clean():
    a, s = signal_and_noise(torch.linspace(0, 1, 11))
    assert torch.allclose(a**2 + s**2, torch.ones(11))
    assert (float(a[0]), float(s[0])) == (1, 0)
    assert float(a[-1]) < 1e-6
    assert bool((a[1:] < a[:-1]).all())


def test_eight_bits_are_enough_for_weights():
    state = network().state_dict()
    back = unpack(pack(state))
    assert back.keys() == state.keys()
    for name, value in state.items():
        assert float((back[name] - value).abs().max()) <= float(value.abs().max()) / 127 + 1e-4


def test_missing_and_damaged_weights_say_so(tmp_path):
    with pytest.raises(MissingPart, match="missing"):
        load_prior.__wrapped__(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"nonsense")
    with pytest.raises(MissingPart, match="damaged"):
        load_prior.__wrapped__(tmp_path / "bad.safetensors")

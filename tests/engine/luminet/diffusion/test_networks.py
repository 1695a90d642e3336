# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks of the paper-scale LumiNet, each against its equations; nothing is downloaded."""

import diffusers
import pytest
import torch
from limelight.backend.luminet.diffusion import adaptor, bypass, control, intrinsics
from limelight.tests.engine.luminet.diffusion.tiny import CONTEXT, SIZE, SIZES, a_code, randomise


def test_the_papers_network_has_the_papers_sizes():
    with torch.device("meta"):
        net = intrinsics.LatentIntrinsics()
        levels, codes = net.encode(torch.empty(1, 3, 512, 512))
        hint = intrinsics.control_hint(levels, codes, net.config.hint)
        assert net.decode(levels, codes).shape == (1, 3, 512, 512)
    assert [(level.shape[1], level.shape[2]) for level in levels] == [
        (64, 256), (128, 128), (128, 64), (256, 32), (512, 16)]  # fmt: skip
    assert codes.shape == (1, 16) and hint.shape == (1, 144, 64, 64)
    assert net.config.hint_channels == 144 and net.config.hint_stride == 8
    assert [layer.out_features for layer in net.light if isinstance(layer, torch.nn.Linear)] == [128, 128]


def test_intrinsics_and_codes_are_unit_vectors_and_the_light_is_weak(picture):
    net = randomise(intrinsics.LatentIntrinsics(SIZES))
    with torch.no_grad():
        levels, code = net.encode(picture[None] * 2 - 1)
        assert all(torch.allclose(level.norm(dim=1), torch.ones(()), atol=1e-5) for level in levels)
        assert float(code.norm()) == pytest.approx(1, abs=1e-5)
        own, other = net.decode(levels, code), net.decode(levels, a_code(1)[None])
    assert own.shape == (1, 3, SIZE, SIZE)
    # Light has an effect, but modulates every block by half a percent at most, however large the affine layers grow.
    assert 0 < float((own - other).abs().max()) < 0.1 * float(own.std())
    for layers in net.up:
        for layer in layers:
            layer.affine.weight.data *= 1e4
    with torch.no_grad():
        loud, other = net.decode(levels, code), net.decode(levels, a_code(1)[None])
    assert float((loud - other).abs().max()) < 0.3 * float(own.std())


def test_skips_come_to_the_decoder_with_unit_rms(picture):
    net, seen = intrinsics.LatentIntrinsics(SIZES), []
    for layers in net.up[:-1]:
        layers[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        levels, code = net.encode(picture[None] * 2 - 1)
        net.decode(levels, code)
    for inputs, level in zip(seen, reversed(levels), strict=True):
        skip = inputs[:, -level.shape[1] :]
        assert torch.allclose(skip.square().mean(1), torch.ones(()), atol=1e-4)


def test_the_decoder_sees_nothing_but_intrinsics_and_code(picture):
    """It learns to paint one picture, which takes gradients through every part of both halves."""
    torch.manual_seed(0)
    net = intrinsics.LatentIntrinsics(SIZES)
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3)
    goal = picture[None] * 2 - 1
    losses = []
    for _ in range(60):
        loss = torch.nn.functional.mse_loss(net.decode(*net.encode(goal)), goal)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.1 * losses[0]
    assert all(p.grad is not None and float(p.grad.abs().max()) > 0 for p in net.parameters())


@pytest.mark.parametrize("widths", [adaptor.PAPER, adaptor.RELEASED])
def test_both_adaptors_make_three_tokens_and_are_told_by_their_shapes(widths):
    with torch.device("meta"):
        net = adaptor.Adaptor(widths)
        assert net(torch.empty(2, 16)).shape == (2, 3, 1024)
    # As the layers of a Sequential with an activation after each would be called.
    foreign = {f"mlp.{2 * int(n.split('.')[1])}.{n.split('.')[2]}": v for n, v in net.state_dict().items()}
    found = adaptor.canonical(foreign)
    assert adaptor.widths_of(found) == list(widths) and list(found) == list(net.state_dict())


def test_the_code_is_tiled_and_silu_follows_every_layer():
    net, code = adaptor.Adaptor((32, 8, 32), context=16), torch.randn(1, 16)
    x = torch.cat([code, code], 1)
    for layer in net.layers:
        x = layer(x) * torch.sigmoid(layer(x))
    assert torch.allclose(net(code), x.reshape(1, 2, 16), atol=1e-6)


def test_at_first_the_controlnet_changes_nothing_of_the_unet(original, picture):
    unet = diffusers.UNet2DConditionModel.from_pretrained(original / "unet")
    net = control.make_controlnet(unet, 32)
    x, tokens, time = torch.randn(2, 4, 8, 8), torch.randn(2, 80, CONTEXT), torch.tensor(500)
    with torch.no_grad():
        predicted = control.predict(unet, net, x, time, tokens, torch.randn(2, 32, 8, 8))
        assert torch.equal(predicted, unet(x, time, tokens).sample)
        randomise(net)
        hints = torch.randn(2, 32, 8, 8)
        first, second = (control.predict(unet, net, x, time, tokens, hint) for hint in (hints, hints.flip(0)))
    assert not torch.allclose(first, predicted, atol=1e-3) and not torch.allclose(first, second, atol=1e-4)


def test_the_full_scale_hint_has_the_papers_convolutions():
    with torch.device("meta"):
        layers = control.HintEmbedding(144, 320).layers
    widths = [(144, 144), (144, 256), (256, 256), (256, 256), (256, 320)]
    assert [(layer.in_channels, layer.out_channels) for layer in layers] == widths
    assert all(layer.stride == (1, 1) for layer in layers)


def test_an_untrained_bypass_is_the_base_decoder_and_a_trained_one_carries_details(original, picture):
    vae = diffusers.AutoencoderKL.from_pretrained(original / "vae")
    net = bypass.Bypass(vae)
    source = picture[None] * 2 - 1
    with torch.no_grad():
        latents = bypass.encode(vae, source)
        seen = bypass.encoder_features(vae, source)
        base = bypass.decode(vae, latents, None, ())
        assert torch.allclose(base, vae.decode(latents / vae.config.scaling_factor).sample)
        assert torch.allclose(bypass.decode(vae, latents, net, seen), base, atol=1e-6)
        randomise(net)
        both = bypass.decode(vae, latents.expand(2, -1, -1, -1), net, seen)
    assert both.shape == (2, 3, SIZE, SIZE) and not torch.allclose(both[:1], base, atol=1e-3)

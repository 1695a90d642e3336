# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded relighting model: its networks, its training, its weights."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from limelight.backend.errors import MissingPart
from limelight.backend.luminet import rig
from limelight.backend.luminet.embedded import WEIGHTS, Embedded, apply_ratio, load_relighter
from limelight.backend.luminet.network import LARGEST_RATIO, LumiNet, LumiNetConfig
from limelight.backend.optics.exposure import srgb_eotf
from limelight.training.luminet import examples
from limelight.training.luminet.losses import IntrinsicsLoss, RatioLoss, coding_rate, true_ratio
from limelight.training.luminet.train import Recipe, train

TINY = LumiNetConfig(intrinsics=(8, 8, 8, 8), diffusion=(8, 8, 16), embedding=16, tokens=2, token_width=8)


def network() -> LumiNet:
    torch.manual_seed(0)
    net = LumiNet(TINY)
    for parameter in net.parameters():
        if not bool(parameter.any()):
            torch.nn.init.normal_(parameter, std=0.02)
    return net


def write_sets(folder, count=6):
    """Light sets of random scenes: a pattern of albedo under eight slopes of light."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:128, 0:128] / 127
    slopes = np.stack([np.cos(a) * (x - 0.5) + np.sin(a) * (y - 0.5) + 0.6 for a in np.arange(10) * 0.63])
    for seed in range(count):
        albedo = rng.uniform(0.2, 0.9, (8, 8, 3)).repeat(16, 0).repeat(16, 1)
        lights = (slopes[..., None] * albedo).astype(np.float16)
        shape = {"albedo": albedo.astype(np.float16), "normal": np.zeros((128, 128, 3), np.float16)}
        np.savez(folder / f"sample_{seed}.npz", lights=lights, depth=np.ones((128, 128), np.float16), **shape)


def test_intrinsics_and_codes_have_length_one():
    found = Embedded(network()).intrinsics(torch.rand(2, 3, 128, 128))
    assert [m.shape[-1] for m in found.maps] == [64, 32, 16, 8]
    for map_ in found.maps:
        assert torch.allclose(map_.norm(dim=1), torch.ones(2, *map_.shape[2:]), atol=1e-4)
    assert torch.allclose(found.code.norm(dim=1), torch.ones(2), atol=1e-5)


def test_a_relit_picture_depends_on_light_and_seed_alone():
    model, picture = Embedded(network()), torch.rand(3, 128, 128)
    one, other = torch.nn.functional.normalize(torch.randn(2, 16), dim=1)
    first = model.relight(picture, one, steps=2, seeds=[1, 2])
    assert first.ratio.shape == (2, 3, 128, 128)
    assert first.codes.shape == (2, 16)
    assert float(first.ratio.abs().max()) <= LARGEST_RATIO
    again = model.relight(picture, one, steps=2, seeds=[2])
    assert torch.allclose(first.ratio[1], again.ratio[0], atol=1e-4)
    assert not torch.allclose(first.ratio[0], first.ratio[1], atol=1e-3)
    assert not torch.allclose(model.relight(picture, other, steps=2, seeds=[1]).ratio, first.ratio[:1], atol=1e-4)


def test_progress_can_cancel():
    def cancel(fraction):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Embedded(network()).relight(torch.rand(3, 128, 128), torch.ones(16) / 4, steps=3, seeds=[0], progress=cancel)


def test_the_true_ratio_turns_the_source_into_the_target():
    source, target = torch.rand(2, 1, 3, 16, 16) * 0.6 + 0.3
    assert torch.allclose(apply_ratio(source, true_ratio(source, target)), target, atol=1e-3)


def test_the_coding_rate_sees_a_collapse():
    spread = torch.nn.functional.normalize(torch.randn(64, 16), dim=1)
    assert float(coding_rate(spread)) > 3 * float(coding_rate(spread[:1].expand(64, -1)))


def test_a_batch_shows_one_scene_under_two_lights_and_another_under_the_second(tmp_path, monkeypatch):
    write_sets(tmp_path / "sets")
    monkeypatch.setattr(examples, "_EXPOSURE", 0.0)
    monkeypatch.setattr(examples, "_NOISE", 0.0)
    monkeypatch.setattr(examples, "_PAINT", 0.0)
    monkeypatch.setattr(examples, "_LEAST", 1.0)
    data = examples.LightSets(tmp_path / "sets", validation=False, size=128)
    batch = data.draw(4, np.random.default_rng(0))
    for source, target, reference in zip(batch.source, batch.target, batch.reference, strict=True):
        # The scene's albedo is constant in cells of 16 pixels: within one, source over target is smooth light alone.
        cell = (srgb_eotf(source) / srgb_eotf(target).clamp(min=1e-4))[:, 34:46, 34:46]
        assert float((cell.std((1, 2)) / cell.mean((1, 2))).max()) < 0.25
        assert not torch.allclose(reference, target, atol=0.05)


def test_a_light_stands_where_its_mirror_image_is_mirrored():
    left, right = torch.zeros(2, 8, 3)
    left[list(rig.RIG).index("left behind")] = torch.tensor([2.0, 1.0, 0.5])
    right[list(rig.RIG).index("right behind")] = torch.tensor([4.0, 2.0, 1.0])
    assert torch.allclose(examples.light_code(left, True), examples.light_code(right, False), atol=1e-6)
    assert float(examples.light_code(left, False) @ examples.light_code(right, False)) < 0.6
    assert float(examples.light_code(left, False).norm()) == pytest.approx(1)


@pytest.mark.parametrize("loss", [IntrinsicsLoss, RatioLoss])
def test_training_fits_what_it_sees_again_and_again(tmp_path, loss):
    write_sets(tmp_path / "sets")
    batch = examples.LightSets(tmp_path / "sets", validation=False, size=128).draw(4, np.random.default_rng(0))
    net = loss(network())
    optimiser = torch.optim.Adam(net.parameters(), lr=5e-3)
    seen = []
    for _ in range(12):
        torch.manual_seed(0)
        value = net(batch)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        seen.append(float(value.detach()))
    assert seen[-1] < 0.9 * seen[0]


def test_training_resumes_and_what_it_exports_loads(tmp_path, monkeypatch):
    write_sets(tmp_path / "sets", 24)
    monkeypatch.setattr("limelight.training.luminet.train.LumiNet", lambda: LumiNet(TINY))
    monkeypatch.setattr("limelight.training.luminet.train._VALIDATION_PAIRS", 10)
    recipe = Recipe(data=tmp_path / "sets", out=tmp_path / "a", steps=4, batch=2, save_every=2)
    whole = load_relighter.__wrapped__(train(recipe, lambda line: None)).network
    broken = replace(recipe, out=tmp_path / "b")
    train(replace(broken, steps=2, warmup=recipe.warmup), lambda line: None)
    again = load_relighter.__wrapped__(train(broken, lambda line: None)).network
    one, two = whole.encoder.enter.weight, again.encoder.enter.weight
    assert torch.allclose(one, two, atol=1e-2)
    start = tmp_path / "a" / "luminet_embedded.safetensors"
    second = train(replace(recipe, out=tmp_path / "c", stage="ratio", steps=2, start=start), lambda line: None)
    ratio = load_relighter.__wrapped__(second).network
    assert torch.equal(ratio.encoder.enter.weight, whole.encoder.enter.weight)
    assert not torch.equal(ratio.diffusion.enter.weight, whole.diffusion.enter.weight)
    lines = [json.loads(line) for line in (tmp_path / "a" / "log.jsonl").read_text().splitlines()]
    assert {"retrieval", "intrinsics_cosine", "relit"} <= set(lines[-1])


def test_missing_and_damaged_weights_say_so(tmp_path):
    with pytest.raises(MissingPart, match="missing"):
        load_relighter.__wrapped__(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"no")
    with pytest.raises(MissingPart, match="damaged"):
        load_relighter.__wrapped__(tmp_path / "bad.safetensors")


@pytest.mark.skipif(not WEIGHTS.is_file(), reason="no weights yet")
def test_the_weights_that_ship_are_within_their_size():
    assert WEIGHTS.stat().st_size < 12e6

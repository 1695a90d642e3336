# SPDX-License-Identifier: GPL-3.0-or-later
"""The variational generator, tiny: it learns, it resumes, and a collapse of its lightings is seen."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from limelight.backend.errors import MissingPart
from limelight.backend.luminet.network import LumiNet, LumiNetConfig
from limelight.synthesis.light_sets import SLOTS
from limelight.training.luminet import generator as recipe_of
from limelight.training.luminet.curation import find_items
from limelight.training.luminet.diversity import Diversity, spread
from limelight.training.luminet.examples import LightSets
from limelight.training.luminet.generator import (
    LIGHTINGS,
    WEIGHTS,
    GeneratorLoss,
    Perceptual,
    Recipe,
    real_lightings,
    train,
    validate,
    write_pairs,
)
from limelight.training.luminet.generator_network import (
    SIZE,
    Gaussian,
    GeneratorConfig,
    RoomGenerator,
    load_generator,
)
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

TINY = GeneratorConfig(scene=16, light=4, widths=(16, 16, 16, 16), embedding=16)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Light sets of flat rooms in chequered colours, each source bright towards a side of its own."""
    folder = tmp_path_factory.mktemp("sets")
    rows, columns = np.meshgrid(np.linspace(-1, 1, SIZE), np.linspace(-1, 1, SIZE), indexing="ij")
    angles = np.linspace(0, 2 * np.pi, len(SLOTS), endpoint=False)
    shading = np.stack([np.exp(1.5 * (np.cos(a) * rows + np.sin(a) * columns)) for a in angles])[..., None]
    for seed in range(24):
        rng = np.random.default_rng(seed)
        albedo = np.kron(rng.uniform(0.1, 0.9, (4, 4, 3)), np.ones((SIZE // 4, SIZE // 4, 1)))
        arrays = {"lights": shading * albedo * 0.2, "albedo": albedo, "normal": albedo, "depth": rows}
        np.savez(folder / f"sample_{seed}.npz", **{k: v.astype(np.float16) for k, v in arrays.items()})
    return folder


@pytest.fixture(scope="module")
def features() -> LumiNet:
    torch.manual_seed(0)
    return LumiNet(LumiNetConfig(intrinsics=(8, 8, 8, 8), diffusion=(8, 8, 8), embedding=8, tokens=1, token_width=16))


def test_the_divergence_is_that_of_normal_distributions() -> None:
    standard = Gaussian(torch.zeros(5, 3), torch.zeros(5, 3))
    assert torch.equal(standard.divergence(), torch.zeros(3))
    found = Gaussian(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])).divergence()
    truth = torch.distributions.kl_divergence(
        torch.distributions.Normal(torch.tensor([1.0, 0.0]), torch.tensor([1.0, np.e])),
        torch.distributions.Normal(0.0, 1.0),
    )
    assert torch.allclose(found, truth)


def test_the_shipped_size_is_small() -> None:
    net = RoomGenerator()
    assert sum(p.numel() for p in net.parameters()) <= 3_000_000
    scene, light = net.posterior(torch.rand(2, 3, SIZE, SIZE))
    assert scene.mean.shape == (2, 128) and light.mean.shape == (2, 16)
    assert net.generator(scene.sample(), light.sample()).shape == (2, 3, SIZE, SIZE)
    lit = net.relight(scene.mean, 3, seed=0)
    assert lit.shape == (2, 3, 3, SIZE, SIZE) and torch.equal(lit, net.relight(scene.mean, 3, seed=0))


def test_the_perceptual_distance_is_zero_of_equal_pictures_and_leaves_its_features_alone(features: LumiNet) -> None:
    distance = Perceptual(features.encoder)
    a, b = torch.rand(2, 2, 3, SIZE, SIZE)
    assert float(distance(a, a)) == pytest.approx(0, abs=1e-5)
    found = distance(a.requires_grad_(), b)
    assert float(found.detach()) > 0.01
    found.backward()
    assert a.grad is not None and float(a.grad.abs().max()) > 0
    assert not any(p.requires_grad for p in distance.parameters())
    assert all(p.requires_grad for p in features.encoder.parameters())


def test_the_loss_falls_on_one_batch(data: Path, features: LumiNet) -> None:
    torch.manual_seed(0)
    batch = LightSets(data, validation=False, size=SIZE).draw(2, np.random.default_rng(0))
    loss = GeneratorLoss(RoomGenerator(TINY), Perceptual(features.encoder))
    optimiser = torch.optim.Adam([p for p in loss.parameters() if p.requires_grad], 3e-3)
    seen = []
    for _ in range(40):
        optimiser.zero_grad()
        found = loss(batch)
        found.backward()
        optimiser.step()
        seen.append(float(found.detach()))
    assert np.mean(seen[-5:]) < 0.7 * np.mean(seen[:5])


class Painter(nn.Module):
    """Shows the scene's first number everywhere, times ``gain`` of the light's first three, as a colour."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, scene: Tensor, light: Tensor) -> Tensor:
        colour = torch.sigmoid(scene[:, :1] + self.gain * light[:, :3])
        return colour[..., None, None].expand(-1, -1, SIZE, SIZE)


def test_a_collapse_is_seen_and_diversity_is_not_taken_for_one(data: Path) -> None:
    torch.manual_seed(0)
    real = real_lightings(LightSets(data, validation=True, size=SIZE), 0)
    assert real.shape == (2, LIGHTINGS, 3, SIZE, SIZE)
    net = RoomGenerator(TINY)
    net.generator = Painter(0.0)  # type: ignore[assignment]
    collapsed, _ = validate(net, real)
    assert collapsed.relative == pytest.approx(0, abs=1e-4)
    assert any("Mode collapse" in warning for warning in collapsed.warnings)
    net.generator = Painter(1.5)  # type: ignore[assignment]
    diverse, _ = validate(net, real)
    assert diverse.relative > 0.5 and diverse.dead_light == 0 and not diverse.warnings
    with torch.no_grad():
        net.posterior.leave.weight.zero_()
        net.posterior.leave.bias.zero_()
    silent, _ = validate(net, real)
    assert silent.dead_light == silent.dead_scene == 1
    assert sum("Posterior collapse" in warning for warning in silent.warnings) == 2


def test_spread_is_the_mean_distance_between_two_lightings() -> None:
    pictures = torch.tensor([0.0, 0.3, 0.6])[None, :, None, None, None].expand(2, 3, 3, 8, 8)
    assert spread(pictures) == pytest.approx((0.3 + 0.3 + 0.6) / 3, abs=1e-5)
    assert Diversity(drawn=0.1, real=0.2, dead_scene=0, dead_light=0).relative == 0.5


def test_training_resumes_where_it_broke_off(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe_of, "RoomGenerator", lambda: RoomGenerator(TINY))
    common = {"data": data, "steps": 4, "batch": 2, "save_every": 2, "perceptual": 0.0}
    unbroken = train(Recipe(out=tmp_path / "unbroken", **common), lambda line: None)

    def stop(line: str) -> None:
        raise KeyboardInterrupt

    broken = Recipe(out=tmp_path / "broken", **common)
    with pytest.raises(KeyboardInterrupt):
        train(broken, stop)
    lines: list[str] = []
    resumed = train(broken, lines.append)
    assert lines[0].startswith("step 4")
    ours, theirs = load_file(resumed), load_file(unbroken)
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)
    told = json.loads((tmp_path / "broken" / "diversity.json").read_text())
    assert told["diversity"] == pytest.approx(told["drawn"] / told["real"]) and isinstance(told["warnings"], list)


def test_drawn_pairs_are_what_curation_reads(data: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    count = write_pairs(RoomGenerator(TINY), LightSets(data, validation=False, size=SIZE), tmp_path, 2)
    assert count == LIGHTINGS * (LIGHTINGS - 1)
    pairs = find_items(tmp_path, tmp_path / "pairs.json")
    assert len(pairs) == count and all((tmp_path / name).is_file() for pair in pairs for name in pair)
    assert all(Path(a).parent == Path(b).parent and a != b for a, b in pairs)
    assert len(find_items(tmp_path)) == 2 * LIGHTINGS


def test_the_command_trains_with_its_features_and_draws(
    data: Path, tmp_path: Path, features: LumiNet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["generator", "--data", data, "--out", tmp_path / "run", "--steps", 1, "--batch", 2, "--draw", 1,
             "--device", "cpu", "--features", tmp_path / "features.safetensors"]  # fmt: skip
    monkeypatch.setattr(sys, "argv", [str(word) for word in words])
    with pytest.raises(SystemExit) as left:
        recipe_of.main()
    assert left.value.code == 3
    state = {name: p.detach().half() for name, p in features.named_parameters()}
    save_file(state, tmp_path / "features.safetensors", {"config": json.dumps(features.config.to_dict())})
    recipe_of.main()
    assert "21 pairs" in capsys.readouterr().out
    assert load_generator(tmp_path / "run" / WEIGHTS).config == GeneratorConfig()
    with pytest.raises(MissingPart, match="no room generator"):
        load_generator(tmp_path / "features.safetensors")

# SPDX-License-Identifier: GPL-3.0-or-later
"""The training of the UV prior: masks, batches, and that it goes on where it stopped."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from limelight.backend.errors import BadInput
from limelight.backend.optics.exposure import srgb_eotf, srgb_oetf
from limelight.backend.relightify import head, maps
from limelight.backend.relightify.network import PATCH, PriorConfig, PriorNet, from_patches
from limelight.backend.relightify.prior import load_prior
from limelight.backend.relightify.quantised import unpack
from limelight.synthesis.face_masks import draw_mask
from limelight.training.relightify import examples, recipe
from limelight.training.relightify.train import PriorTrainer, Recipe, train
from safetensors.torch import load_file, save_file

TINY = PriorConfig(widths=(8, 8, 8, 8), place=8, embedding=16)


def write_heads(folder, count=20, first=0):
    """Heads of one colour each: a texture, and an albedo twice as bright."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(first)
    colours = torch.from_numpy(rng.integers(20, 120, (count, 3))).to(torch.uint8)
    stacks = (maps.empty() * 255).byte().repeat(count, 1, 1, 1)
    stacks[:, maps.TEXTURE], stacks[:, maps.DIFFUSE] = colours[:, :, None, None], 2 * colours[:, :, None, None]
    stacks[:, maps.NORMAL.start, :, : maps.RESOLUTION // 2] = 200
    seeds = torch.arange(count) + first
    save_file(
        {
            "maps": stacks,
            "tone": (seeds % 6).to(torch.uint8),
            "seed": seeds,
            "identity": torch.zeros(count, 64),
            "expression": torch.zeros(count, 52),
        },
        folder / f"faces_{first:08d}.safetensors",
    )


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr("limelight.training.relightify.train.PriorNet", lambda config=TINY: PriorNet(config))
    monkeypatch.setattr(examples, "MASKS", 6)
    monkeypatch.setattr(examples, "_POOL", 1 << 20)


def test_a_mask_hides_as_much_as_it_shall_and_shows_only_skin():
    model, skin = head.load(), maps.skin_mask()
    masks = [draw_mask(np.random.default_rng(seed), model) for seed in range(6)]
    for mask in masks:
        assert bool((mask <= skin).all())
        assert 0.3 <= 1 - float(mask.sum() / skin.sum()) <= 0.7
        # The back of the head, at the sides of the square, never shows together with both cheeks.
        assert not (mask[0, 110, 8] and mask[0, 110, -8])
    assert torch.equal(masks[0], draw_mask(np.random.default_rng(0), model))
    assert not torch.equal(masks[0], masks[1])


def test_a_mirrored_head_has_its_normals_turned():
    stack = torch.randint(0, 255, (10, 8, 8), dtype=torch.uint8)
    mirrored = examples.mirrored_head(stack)
    assert torch.equal(examples.mirrored_head(mirrored), stack)
    one, other = (maps.decode_normal(x[maps.NORMAL].float() / 255) for x in (stack, mirrored))
    assert torch.allclose(one[0], -other[0].flip(-1), atol=0.02)
    assert torch.allclose(one[1], other[1].flip(-1), atol=0.02)


def test_borrowed_light_is_the_others_on_ones_own_albedo():
    rng = np.random.default_rng(0)
    slopes = np.stack([np.linspace(0.2, 0.9, 256), np.linspace(0.9, 0.2, 256)])
    own, other = (maps.empty() for _ in range(2))
    for stack, slope, colour in zip((own, other), slopes, rng.uniform(0.2, 0.8, (2, 3)), strict=True):
        linear = torch.from_numpy(colour).float()[:, None, None].expand(3, 256, 256)
        stack[maps.DIFFUSE] = srgb_oetf(linear)
        stack[maps.TEXTURE] = srgb_oetf(linear * torch.from_numpy(slope).float())
    found = examples.lent(*((x * 255 + 0.5).byte() for x in (own, other)), share=0.0).float() / 255
    light = srgb_eotf(found) / srgb_eotf(own[maps.DIFFUSE])
    wanted = torch.from_numpy(slopes[1]).float().expand(3, 256, 256)
    ratio = light / wanted
    assert float((ratio / ratio.mean((1, 2), keepdim=True) - 1).abs().max()) < 0.06
    assert float(srgb_eotf(found).mean()) == pytest.approx(float(srgb_eotf(own[maps.TEXTURE]).mean()), rel=0.05)


def test_a_batch_tells_no_more_than_the_mask_shows(tmp_path, small):
    write_heads(tmp_path)
    heads = examples.find_heads(tmp_path)
    units = examples.statistics(heads, list(range(20)))
    batch = examples.Draw(heads, list(range(20)), units, 0).batch(0, 16)
    texture, mask = (3 * PATCH**2, 4 * PATCH**2)
    told = from_patches(batch.hint[:, texture:mask])
    assert 0 < int(told.flatten(1).any(1).sum()) < 16
    wanted = from_patches(batch.clean[:, :texture])
    where = told.expand(-1, 3, -1, -1) > 0
    assert torch.allclose(from_patches(batch.hint[:, :texture])[where], wanted[where], atol=0.03)
    # Of a head of one colour the noise alone is what differs.
    blind = batch.noisy[batch.time == 1]
    assert len(blind)
    assert float(blind.float().std()) == pytest.approx(1, abs=0.02)


def test_a_batch_is_the_same_whatever_was_drawn_before(tmp_path, small):
    write_heads(tmp_path, 12)
    heads = examples.find_heads(tmp_path)
    kept = [heads[number].clone() for number in range(12)]
    units = examples.statistics(heads, list(range(12)))
    draw = examples.Draw(heads, list(range(12)), units, 0)
    first = draw.batch(3, 4)
    for number in range(4):
        again = draw.batch(number, 4)
    assert torch.equal(first.clean, again.clean) and torch.equal(first.noisy, again.noisy)
    assert all(torch.equal(heads[number], stack) for number, stack in enumerate(kept))


def test_training_resumes_and_what_it_exports_loads(tmp_path, small):
    write_heads(tmp_path / "heads")
    recipe = Recipe(data=tmp_path / "heads", out=tmp_path / "a", steps=4, batch=2, save_every=2)
    whole = load_file(train(recipe, lambda line: None))
    broken = replace(recipe, out=tmp_path / "b")

    def stop(line):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(broken, stop)
    weights = train(broken, lambda line: None)
    again = load_file(weights)
    assert whole.keys() == again.keys() and all(torch.equal(value, again[name]) for name, value in whole.items())
    assert load_prior.__wrapped__(weights).network.config == TINY
    lines = [json.loads(line) for line in (tmp_path / "a" / "log.jsonl").read_text().splitlines()]
    assert {"hidden_psnr", "diffuse_rmse", "specular_rmse"} <= set(lines[-1])


def test_training_begins_from_weights_of_8_bits(tmp_path, small):
    write_heads(tmp_path / "heads")
    recipe = Recipe(data=tmp_path / "heads", out=tmp_path / "a", steps=2, batch=2, save_every=2)
    weights = train(recipe, lambda line: None)
    heads = examples.find_heads(tmp_path / "heads")
    units = examples.statistics(heads, list(range(18)))
    begun = PriorTrainer(PriorNet(TINY), replace(recipe, out=tmp_path / "b", start=weights), units).plain.state_dict()
    wanted = unpack(load_file(weights))
    assert all(torch.allclose(value, wanted[name]) for name, value in begun.items())


def test_training_learns_what_it_sees_again_and_again(tmp_path, small):
    write_heads(tmp_path)
    heads = examples.find_heads(tmp_path)
    units = examples.statistics(heads, list(range(20)))
    batch = examples.Draw(heads, list(range(20)), units, 0).batch(0, 4)
    recipe = Recipe(tmp_path, tmp_path, steps=24, warmup=2, learning_rate=1e-2)
    trainer = PriorTrainer(PriorNet(TINY), recipe, units)
    losses = [trainer.update(batch) for _ in range(20)]
    assert losses[-1] < 0.7 * losses[0]


def test_too_few_heads_are_refused(tmp_path, small):
    with pytest.raises(BadInput, match="no heads"):
        train(Recipe(tmp_path, tmp_path / "out"))
    write_heads(tmp_path, 5)
    with pytest.raises(BadInput, match="5 heads"):
        train(Recipe(tmp_path, tmp_path / "out"))


def test_too_few_heads_are_told_before_any_is_made(tmp_path):
    with pytest.raises(BadInput, match="at least 10 scenes"):
        recipe.reproduce(tmp_path, scenes=9)
    assert not any(tmp_path.iterdir())

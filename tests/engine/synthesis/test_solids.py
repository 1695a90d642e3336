# SPDX-License-Identifier: GPL-3.0-or-later
"""Solids, thin sheets and panes: where rays meet them, and that they neither make nor lose light."""

from __future__ import annotations

import numpy as np
import pytest
from limelight.synthesis import solids, tracer
from limelight.synthesis.scene import SceneBuilder
from limelight.synthesis.viewpoint import panorama_corners

TURN = solids.tilt(0.7, 0.4, -0.3)
SHAPES = {
    "block": (solids.box((-0.5, -0.3, -0.8), (0.5, 0.3, 0.8), 0, TURN), lambda p: abs(p).max(-1)),
    "ball": (solids.ball((0, 0, 0), (0.5, 0.3, 0.8), 0, TURN), lambda p: np.linalg.norm(p, axis=-1)),
    "cylinder": (
        solids.drum((-0.5, -0.3, -0.8), (0.5, 0.3, 0.8), 0, axis=0)._replace(turn=TURN),
        lambda p: np.maximum(abs(p[..., 0]), np.hypot(p[..., 1], p[..., 2])),
    ),
    "cone": (
        solids.drum((-0.5, -0.3, -0.8), (0.5, 0.3, 0.8), 0, 1.0, 0.2)._replace(turn=TURN),
        lambda p: np.maximum(abs(p[..., 2]), np.hypot(p[..., 0], p[..., 1]) / (0.6 - 0.4 * np.clip(p[..., 2], -1, 1))),
    ),
    "funnel": (
        solids.drum((-0.5, -0.3, -0.8), (0.5, 0.3, 0.8), 0, 0.1, 1.0, axis=1)._replace(turn=TURN),
        lambda p: np.maximum(
            abs(p[..., 1]), np.hypot(p[..., 2], p[..., 0]) / (0.55 + 0.45 * np.clip(p[..., 1], -1, 1))
        ),
    ),
}


def lit_from_everywhere() -> SceneBuilder:
    builder = SceneBuilder()
    builder.sky = np.ones((8, 16, 3), np.float32)
    return builder


@pytest.mark.parametrize("name", SHAPES)
def test_rays_meet_a_solid_where_a_march_along_them_does(name: str) -> None:
    solid, gauge = SHAPES[name]
    builder = lit_from_everywhere()
    builder.material((0.5, 0.5, 0.5))
    builder.group([solid])
    scene = builder.build()
    rng = np.random.default_rng(1)
    steps = np.arange(0, 6, 2e-3)
    hits = 0
    for _ in range(120):
        origin = rng.normal(size=3)
        origin *= 2.5 / np.linalg.norm(origin)
        direction = rng.uniform(-0.7, 0.7, 3) - origin
        direction /= np.linalg.norm(direction)
        path = (origin + steps[:, None] * direction) @ TURN / (0.5, 0.3, 0.8)
        inside = gauge(path) <= 1
        found = tracer.first_hit(scene, origin, direction)
        if inside.sum() > 3:
            hits += 1
            assert found == pytest.approx(steps[inside.argmax()], abs=4e-3)
        elif not inside.any() and np.isfinite(found):
            # Grazed between two steps of the march.
            local = (origin + found * direction) @ TURN / (0.5, 0.3, 0.8)
            assert gauge(local) == pytest.approx(1, abs=1e-3)
    assert hits > 30


@pytest.mark.parametrize("name", [*SHAPES, "mantle"])
def test_white_things_vanish_in_uniform_light(name: str) -> None:
    """A wrong normal would let light in from behind the surface."""
    builder = lit_from_everywhere()
    builder.material((1, 1, 1))
    solid = solids.shade(0, 0, -0.8, 0.8, 0.5, 0) if name == "mantle" else SHAPES[name][0]
    builder.group([solid], (0, 1.6, 0), 0.4)
    seen = tracer.trace(builder.build(), np.zeros(3), panorama_corners(16), samples=64, seed=1, bounces=40)
    np.testing.assert_allclose(seen.radiance, 1.0, atol=0.15)
    assert seen.radiance.mean() == pytest.approx(1.0, abs=2e-3)
    assert np.isfinite(seen.distance).mean() > 0.02


@pytest.mark.parametrize("kind", ["pane", "sheet", "gloss"])
def test_panes_sheets_and_gloss_keep_all_light(kind: str) -> None:
    builder = lit_from_everywhere()
    looks = {"pane": {"clear": True, "specular": 0.04, "roughness": 0.0}, "sheet": {"sheet": 0.4},
             "gloss": {"specular": 0.08, "roughness": 0.03}}[kind]  # fmt: skip
    m = builder.material((1, 1, 1), **looks)
    builder.group([solids.box((-1, 1, -1), (1, 1.004, 1), m), solids.box((-1, 1.4, -1), (1, 1.404, 1), m)])
    seen = tracer.trace(builder.build(), np.zeros(3), panorama_corners(16), samples=256, seed=2, bounces=60)
    np.testing.assert_allclose(seen.radiance.mean((0, 1)), 1.0, atol=4e-3)


def test_a_pane_dims_the_lamp_behind_it_as_often_as_seen_and_as_aimed_at() -> None:
    """The floor's light through a pane at normal incidence: T = (1 − F)/(1 + F) with F = 0.04."""
    light = []
    for pane in (False, True):
        builder = SceneBuilder()
        grey = builder.material((0.5, 0.5, 0.5))
        builder.group([((-9, -9, -1), (9, 9, 0), grey)])
        builder.rect((0, 0, 3), (0.05, 0, 0), (0, -0.05, 0), (100, 100, 100))
        if pane:
            clear = builder.material((1, 1, 1), specular=0.04, roughness=0.0, clear=True)
            builder.group([((-0.5, -0.5, 1.5), (0.5, 0.5, 1.504), clear)])
        corners = np.stack(np.meshgrid([-0.01, 0, 0.01], [-0.01, 0, 0.01]), -1)
        corners = np.concatenate([corners, -np.ones((3, 3, 1))], -1)
        seen = tracer.trace(builder.build(), np.array([0, 0, 0.5]), corners, samples=512, seed=3, bounces=1)
        light.append(seen.radiance.mean())
    assert light[1] / light[0] == pytest.approx(0.96 / 1.04, rel=0.01)


def test_a_shade_shows_the_bulb_within_and_hides_it_from_the_floor() -> None:
    builder = SceneBuilder()
    bulb = builder.material((0.8, 0.8, 0.8), radiance=(50, 50, 50))
    cloth = builder.material((0.8, 0.8, 0.8), sheet=0.5)
    builder.sphere((0, 2, 0), 0.04, bulb)
    builder.group([solids.shade(0, 2, -0.3, 0.3, 0.2, cloth, 1.0)])
    side = tracer.trace(builder.build(), np.zeros(3), np.array(
        [[(-0.01, 1, 0.01), (0.01, 1, 0.01)], [(-0.01, 1, -0.01), (0.01, 1, -0.01)]]
    ), samples=256, seed=4)  # fmt: skip
    # Irradiance within: L π (r/d)², of which 0.8 · 0.5 leaves outwards, over π; and no more than twice with echoes.
    first = 0.4 * 50 * (0.04 / 0.2) ** 2
    assert first < side.reflected.mean() < 2 * first
    assert side.emitted.max() == 0
    assert side.distance[0, 0] == pytest.approx(1.8, abs=1e-3)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The path tracer against closed-form radiometry."""

from __future__ import annotations

import math

import numpy as np
import pytest
from limelight.synthesis import tracer
from limelight.synthesis.scene import SceneBuilder
from limelight.synthesis.viewpoint import panorama_corners

WHITE = (0.8, 0.8, 0.8)


def looking(direction: tuple[float, float, float], size: int = 8, spread: float = 0.02) -> np.ndarray:
    """Corner directions of a narrow square view: (size+1, size+1, 3)."""
    forward = np.array(direction, float) / np.linalg.norm(direction)
    side = np.cross(forward, (0.0, 0.0, 1.0) if abs(forward[2]) < 0.9 else (0.0, 1.0, 0.0))
    up = np.cross(side, forward)
    y, x = np.mgrid[0 : size + 1, 0 : size + 1] / size - 0.5
    return forward + spread * (x[..., None] * side - y[..., None] * up)


def floor_scene(albedo: float = 0.5, **material: object) -> SceneBuilder:
    builder = SceneBuilder()
    ground = builder.material((albedo,) * 3, **material)
    builder.group([((-50, -50, -1), (50, 50, 0), ground)])
    return builder


def test_a_sphere_in_uniform_light_shows_its_albedo() -> None:
    builder = SceneBuilder()
    builder.sky = np.ones((8, 16, 3), np.float32)
    builder.sphere((0, 2, 0), 0.5, builder.material((0.2, 0.5, 0.8)))
    seen = tracer.trace(builder.build(), np.zeros(3), looking((0, 1, 0), spread=0.2), samples=16, seed=1)
    np.testing.assert_allclose(seen.radiance.mean((0, 1)), (0.2, 0.5, 0.8), rtol=1e-4)


def test_a_perfectly_white_sphere_vanishes_in_uniform_light() -> None:
    builder = SceneBuilder()
    builder.sky = np.ones((8, 16, 3), np.float32)
    builder.sphere((0, 2, 0), 0.5, builder.material((1, 1, 1)))
    builder.sphere((1, 2, 0), 0.4, builder.material((1, 1, 1), roughness=0.0, metal=True))
    seen = tracer.trace(builder.build(), np.zeros(3), panorama_corners(16), samples=16, seed=1, bounces=30)
    # Russian roulette leaves a little noise between the two spheres.
    np.testing.assert_allclose(seen.radiance, 1.0, atol=0.1)
    assert seen.radiance.mean() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("albedo", [0.3, 0.7])
def test_a_closed_box_holds_the_light_that_energy_balance_demands(albedo: float) -> None:
    """Integrating box: ∫E dA = Φ/(1 − a), so the mean radiance of the walls is aΦ/(π(1 − a)A)."""
    builder = SceneBuilder()
    wall = builder.material((albedo,) * 3)
    builder.set_room((-2, -2, -2), (2, 2, 2), [wall] * 6)
    radius, radiance = 0.05, 30.0
    builder.sphere((0.6, 0.3, 0.4), radius, builder.material(WHITE, radiance=(radiance,) * 3))
    height = 48
    seen = tracer.trace(builder.build(), np.zeros(3), panorama_corners(height), samples=96, seed=2, bounces=40)
    directions = panorama_corners(height)
    directions = directions[:-1, :-1] + directions[1:, 1:]
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    reach = 2 / np.abs(directions).max(-1)
    omega = np.diff(-np.cos(np.arange(height + 1) * np.pi / height))[:, None] * np.pi / height
    area = omega * reach**2 / np.abs(directions).max(-1)
    assert area.sum() == pytest.approx(96, rel=0.01)
    mean = (seen.reflected[..., 0] * area).sum() / area.sum()
    flux = radiance * math.pi * 4 * math.pi * radius**2
    assert mean == pytest.approx(albedo * flux / (math.pi * (1 - albedo) * 96), rel=0.025)


def test_a_rectangle_lights_a_plane_by_its_form_factor() -> None:
    a, b, h, radiance, albedo = 0.4, 0.7, 1.3, 5.0, 0.5
    builder = floor_scene(albedo)
    builder.rect((0, 0, h), (a, 0, 0), (0, -b, 0), (radiance,) * 3)
    x, y = a / h, b / h
    corner = x / math.hypot(1, x) * math.atan(y / math.hypot(1, x))
    corner += y / math.hypot(1, y) * math.atan(x / math.hypot(1, y))
    form_factor = 4 * corner / (2 * math.pi)
    origin = np.array([2.0, 0.0, 0.5])
    seen = tracer.trace(builder.build(), origin, looking((-2, 0, -0.5), spread=0.005), samples=512, seed=3, bounces=1)
    assert seen.radiance.mean() == pytest.approx(albedo * radiance * form_factor, rel=0.01)


def test_a_lamp_sphere_lights_a_plane_by_the_inverse_square() -> None:
    """A uniform sphere straight above: E = πL (r/h)², exact at any distance."""
    builder = floor_scene(0.5)
    builder.sphere((0, 0, 1.0), 0.3, builder.material(WHITE, radiance=(4.0,) * 3))
    seen = tracer.trace(
        builder.build(), np.array([2.0, 0, 0.5]), looking((-2, 0, -0.5), spread=0.005), samples=256, seed=4, bounces=1
    )
    assert seen.radiance.mean() == pytest.approx(0.5 * 4.0 * 0.3**2, rel=0.01)


@pytest.mark.parametrize("elevation", [20, 60, 90])
@pytest.mark.parametrize("radius", [0.0047, 0.05])
def test_the_sun_gives_its_irradiance_times_the_cosine(elevation: float, radius: float) -> None:
    builder = floor_scene(0.5)
    angle = math.radians(elevation)
    builder.set_sun((math.cos(angle), 0, math.sin(angle)), (10, 20, 30), radius)
    scene = builder.build()
    seen = tracer.trace(scene, np.array([0, 0, 2.0]), looking((0, 1, -1)), samples=64, seed=5)
    expected = 0.5 / math.pi * math.sin(angle) * np.array([10, 20, 30])
    np.testing.assert_allclose(seen.radiance.mean((0, 1)), expected, rtol=0.01)
    np.testing.assert_allclose(scene.sun[3:6] * scene.sun[7], (10, 20, 30), rtol=1e-5)
    assert scene.sun[7] == pytest.approx(math.pi * radius**2, rel=1e-3)


def test_a_roof_shadows_the_sun_and_the_window_lets_it_in() -> None:
    builder = SceneBuilder()
    grey = builder.material((0.5,) * 3)
    builder.sky = np.zeros((4, 8, 3), np.float32)
    builder.set_room((-2, -2, 0), (2, 2, 2), [grey] * 6)
    builder.rect((1.996, 0, 1), (0, 0.5, 0), (0, 0, -0.5), (1, 1, 1), window=True)
    builder.set_sun((1, 0, 0.5), (math.pi, math.pi, math.pi), 0.005)
    scene = builder.build()
    # Through the window's middle (1.996, 0, 1) the sun strikes the floor at x = 1.996 − 2.
    lit = tracer.trace(scene, np.array([0, 0, 1.9]), looking((0, 0, -1)), samples=64, seed=6, bounces=1)
    dark = tracer.trace(scene, np.array([-1.5, 0, 1.9]), looking((0, 0, -1)), samples=64, seed=6, bounces=1)
    assert lit.radiance.mean() == pytest.approx(0.5 * 0.5 / math.hypot(1, 0.5), rel=0.02)
    assert dark.radiance.max() == 0
    assert tracer.sun_visibility(scene, np.array([0, 0, 0.002])) == 1
    assert tracer.sun_visibility(scene, np.array([-1.5, 0, 0.002])) == 0


def test_a_mirror_shows_what_the_law_of_reflection_says() -> None:
    builder = floor_scene(0.9, roughness=0.0, metal=True)
    builder.rect((0, 3, 2), (0.2, 0, 0), (0, 0, 0.2), (7, 5, 3))
    scene = builder.build()
    origin = np.array([0, 0, 2.0])
    # The lamp's mirror image lies at z = −2.
    seen = tracer.trace(scene, origin, looking((0, 3, -4)), samples=4, seed=7)
    np.testing.assert_allclose(seen.radiance, np.broadcast_to((6.3, 4.5, 2.7), (8, 8, 3)), rtol=1e-5)
    beside = tracer.trace(scene, origin, looking((0, 3, -3)), samples=4, seed=7)
    assert beside.radiance.max() == 0


def test_turned_boxes_are_where_their_yaw_puts_them() -> None:
    builder = SceneBuilder()
    builder.group([((0.5, -0.1, -0.1), (1.0, 0.1, 0.1), builder.material(WHITE))], (0, 0, 0), math.radians(30))
    scene = builder.build()
    along = np.array([math.cos(math.radians(30)), math.sin(math.radians(30)), 0])
    assert tracer.first_hit(scene, np.zeros(3), along) == pytest.approx(0.5, abs=1e-5)
    assert math.isinf(tracer.first_hit(scene, np.zeros(3), np.array([1.0, 0, 0])))
    seen = tracer.trace(scene, np.zeros(3), looking(tuple(along)), samples=1, seed=8)
    np.testing.assert_allclose(seen.normal, np.broadcast_to(-along, (8, 8, 3)), atol=1e-5)


def furnished() -> tuple:
    builder = SceneBuilder()
    wood = builder.material(WHITE, (0.2, 0.1, 0.1), texture="planks", specular=0.04, roughness=0.3)
    builder.set_room((-2, -2, 0), (2, 2, 2.5), [wood] * 6)
    builder.group([((-0.3, -0.3, 0), (0.3, 0.3, 0.6), wood)], (0, 0.5, 0), 0.4)
    builder.sphere((0.6, 0.2, 1), 0.2, builder.material(WHITE, roughness=0.0, metal=True))
    builder.rect((0, 0, 2.49), (0.4, 0, 0), (0, -0.4, 0), (5, 5, 5))
    return builder.build(), np.array([0, -1.8, 1.2]), looking((0, 1, 0), 24, 1.0)


def test_the_number_of_threads_changes_nothing() -> None:
    scene = furnished()
    one = tracer.trace(*scene, samples=8, seed=9, threads=1)
    two = tracer.trace(*scene, samples=8, seed=9, threads=2)
    for name, first, second in zip(one._fields, one, two, strict=True):
        np.testing.assert_array_equal(first, second, err_msg=name)
    other = tracer.trace(*scene, samples=8, seed=10, threads=2)
    assert np.abs(other.reflected - one.reflected).max() > 0.01


def test_noise_falls_with_the_square_root_and_its_variance_is_known() -> None:
    scene = furnished()
    truth = tracer.trace(*scene, samples=2048, seed=11).radiance
    errors = [
        float(np.sqrt(((tracer.trace(*scene, samples=n, seed=12).radiance - truth) ** 2).mean())) for n in (8, 128)
    ]
    assert errors[1] < 0.4 * errors[0]
    coarse = tracer.trace(*scene, samples=16, seed=13)
    light = coarse.reflected.sum(-1) / (coarse.albedo.sum(-1) + 1e-3)
    fine = tracer.trace(*scene, samples=2048, seed=11)
    deviation = light - fine.reflected.sum(-1) / (fine.albedo.sum(-1) + 1e-3)
    matte = coarse.albedo.sum(-1) > 1
    assert (deviation[matte] ** 2).mean() == pytest.approx(coarse.variance[matte].mean(), rel=0.5)

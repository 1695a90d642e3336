# SPDX-License-Identifier: GPL-3.0-or-later
"""Synthetic skin: what pigments do to its colour, where anatomy puts them, and how light falls on a head."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from limelight.backend.optics import panorama as pano
from limelight.synthesis.skin import hair, illumination, person, photograph, pigment, regions, relief, shadows, spectra
from limelight.synthesis.skin.illumination import Illumination, Lamp
from limelight.synthesis.skin.layout import layout, model, step
from limelight.synthesis.skin.noise import marks, smooth

SIZE = 128
#: Nothing but skin: what is compared must not differ by a beard.
PLAIN = replace(
    person.draw(np.random.default_rng(3), 1), hair="bald", beard="none", brows=0.6, freckles=0.0, moles=0, blemishes=0,
    lipstick=0.0, blush=0.0, shadow=0.0, liner=0.0, foundation=0.0, wrinkles=0.1,
)  # fmt: skip


def painted(who: person.Person, seed: int = 5) -> tuple[np.ndarray, hair.Hair, pigment.Pigments]:
    rng = np.random.default_rng(seed)
    grown = hair.grow(rng, who, SIZE)
    colour, pigments = pigment.albedo(rng, who, grown, SIZE)
    return colour, grown, pigments


def flat(albedo: float = 0.5, f0: float = 0.0) -> photograph.Surface:
    normal = np.zeros((SIZE, SIZE, 3), np.float32)
    normal[..., 2] = 1
    fill = np.ones((SIZE, SIZE), np.float32)
    return photograph.Surface(np.full((SIZE, SIZE, 3), albedo, np.float32), fill * f0, fill * 0.5, normal)


def mean_head() -> photograph.Head:
    return photograph.posed(model().mean, flat().normal)


def white(level: float = 1.0) -> Illumination:
    return Illumination(torch.full((illumination.ROWS, 2 * illumination.ROWS, 3), level), ())


def test_a_perfect_white_is_white_and_reflectance_is_a_part() -> None:
    assert spectra._to_rgb().sum(0) == pytest.approx(np.ones(3))
    spectrum = spectra.reflectance(np.geomspace(0.003, 0.6, 9)[:, None], np.geomspace(0.001, 0.2, 7), 0.75, 0.8)
    assert spectrum.shape == (9, 7, 31) and spectrum.min() > 0 and spectrum.max() < 1


@pytest.mark.parametrize("eumelanin", [0.5, 0.9])
def test_melanin_and_blood_darken_every_channel(eumelanin: float) -> None:
    colours = spectra.table(0.8, eumelanin)
    fractions = np.geomspace(*spectra.MELANIN, 30)
    by_melanin = colours(fractions, np.full(30, 0.01))
    assert (np.diff(by_melanin, axis=0) < 0).all()
    blood = colours(np.full(30, 0.02), np.geomspace(*spectra.BLOOD, 30))
    assert (np.diff(blood, axis=0) < 0).all()
    # Blood takes green light, hardly red.
    assert blood[-1, 0] / blood[0, 0] > 1.5 * blood[-1, 1] / blood[0, 1]


def test_blood_without_oxygen_is_bluer() -> None:
    at = (np.array(0.02), np.array(0.03))
    fresh, spent = spectra.table(0.95, 0.7)(*at), spectra.table(0.2, 0.7)(*at)
    assert spent[0] / spent[2] < fresh[0] / fresh[2]


def test_the_table_says_what_the_spectrum_says() -> None:
    melanin, blood = 0.0437, 0.0123
    exact = spectra.reflectance(np.array(melanin), np.array(blood), 0.75, 0.7) @ spectra._to_rgb()
    assert spectra.table(0.75, 0.7)(np.array(melanin), np.array(blood)) == pytest.approx(exact, rel=0.01)


@pytest.mark.parametrize("tone", range(6))
def test_a_person_s_skin_has_the_tone_that_was_drawn(tone: int) -> None:
    for seed in range(4):
        who = person.draw(np.random.default_rng(seed), tone)
        colours = spectra.table(*pigment._binned(who.oxygen, who.eumelanin))
        melanin = spectra.melanin_for(who.angle, who.blood, colours)
        assert float(spectra.tone_angle(colours(np.array(melanin), np.array(who.blood)))) == pytest.approx(
            who.angle, abs=4
        )
        low, high = person.ANGLES[tone]
        assert low <= who.angle <= high


def test_tones_on_a_head_stand_in_order() -> None:
    forehead = layout(SIZE).blob(0, 35, 20, 12) > 0.5
    light = [painted(replace(PLAIN, angle=a))[0][forehead].mean() for a in (60, 45, 33, 18, -10, -50)]
    assert (np.diff(light) < 0).all() and light[0] > 5 * light[-1]


def test_lips_and_cheeks_are_redder_and_brows_darker_than_the_forehead() -> None:
    colour, grown, _ = painted(PLAIN)
    at = layout(SIZE)
    forehead, cheek = at.blob(0, 35, 20, 12) > 0.6, at.blob(40, -33, 12, 10, 40) > 0.6
    lips = regions.lips(SIZE) > 1
    redness = [float((colour[m, 0] / colour[m, 1]).mean()) for m in (lips, cheek, forehead)]
    assert redness[0] > redness[1] > redness[2]
    brow = (np.abs(at.v - 0.377) < 0.008) & (np.abs(np.minimum(at.u, 1 - at.u) - 0.42) < 0.03)
    assert colour[brow].mean() < 0.8 * colour[forehead].mean()
    assert grown.cover[forehead].max() < 0.05


def test_beards_and_scalp_keep_to_their_places() -> None:
    at = layout(SIZE)
    _, grown, _ = painted(replace(PLAIN, beard="full", hair="full"))
    chin, forehead, crown = (
        at.blob(0, -94, 9, 5) > 0.6,
        at.blob(0, 35, 14, 8) > 0.6,
        at.mask & (at.z > 95) & (at.y > 60),
    )
    assert grown.cover[chin].mean() > 0.4 and grown.cover[crown].mean() > 0.7
    assert grown.cover[forehead].max() < 0.1 and grown.cover[regions.lips(SIZE) > 1.5].mean() < 0.15


def test_wrinkles_deepen_and_oil_shines() -> None:
    at = layout(SIZE)
    rough = []
    for wrinkles in (0.0, 1.2):
        rng = np.random.default_rng(1)
        who = replace(PLAIN, wrinkles=wrinkles)
        _, grown, pigments = painted(who)
        up, pore = relief.height(rng, who, pigments, grown, SIZE)
        rough.append(np.abs(relief.slopes(up, at)[at.mask]).mean())
    assert rough[1] > 1.2 * rough[0]
    f0 = [relief.specular(np.random.default_rng(1), replace(PLAIN, oil=o), pore, grown, SIZE) for o in (0.4, 1.5)]
    assert (f0[1] > f0[0])[regions.zone(SIZE) > 0.5].mean() > 0.9
    assert 0.015 < f0[0][at.mask].mean() < 0.05
    # Pores hide their own walls.
    nose = at.mask & (regions.zone(SIZE) > 0.6)
    assert np.corrcoef(pore[nose], f0[0][nose])[0, 1] < -0.2


def test_slopes_are_those_of_a_plane() -> None:
    at = layout(SIZE)
    # 0.1 mm up for each millimetre to the head's left, where the face is flat and u runs with x.
    found = relief.slopes(0.1 * at.place[..., 0], at)
    middle = at.blob(0, 35, 8, 6) > 0.7
    assert found[middle, 0] == pytest.approx(np.full(middle.sum(), 0.1), abs=0.012)
    assert np.abs(found[middle, 1]).max() < 0.03


def test_noise_has_no_seam_and_marks_cover() -> None:
    points = np.random.default_rng(0).uniform(-90, 90, (4000, 3)).astype(np.float32)
    a, b = smooth(points, 1, 5.0), smooth(points + np.float32(0.01), 1, 5.0)
    assert abs(a.mean()) < 0.05 and 0.4 < a.std() < 0.8 and np.abs(a - b).max() < 0.05
    assert np.corrcoef(a, smooth(points, 2, 5.0))[0, 1] < 0.1
    twice = marks((9, 9), np.full((2, 2), 4.5), np.full((2, 2), 3.0), np.array([0.6, 0.5]))
    assert twice[4, 4] == pytest.approx(1 - 0.4 * 0.5, abs=1e-5) and twice[0, 0] < 0.05


def test_a_step_is_one_beyond_its_end_whichever_way() -> None:
    assert step(np.array([0.0, 1.0, 2.0]), 0, 2) == pytest.approx([0, 0.5, 1])
    assert step(np.array([0.0, 1.0, 2.0]), 2, 0) == pytest.approx([1, 0.5, 0])


def test_white_light_from_all_around_shows_the_albedo_where_nothing_hides() -> None:
    """Radiance of albedo · L where the whole half space is free: on the forehead it nearly is."""
    shown = photograph.radiance(flat(0.5), mean_head(), white(), np.array([0.0, -1.0, 0.0]))
    forehead = layout(SIZE).blob(0, 40, 15, 8) > 0.7
    expected = 0.5 * (1 - photograph._TURNED_BACK)
    # The torso is in the way of a little of it, and gives back less; 96 directions stand for all.
    assert shown[forehead].mean() == pytest.approx(expected, rel=0.06)
    double = photograph.radiance(flat(0.5), mean_head(), white(2.0), np.array([0.0, -1.0, 0.0]))
    assert double == pytest.approx(2 * shown, rel=1e-4)


def test_hidden_places_are_darker() -> None:
    shown = photograph.radiance(flat(0.3), mean_head(), white(), np.array([0.0, -1.0, 0.0]))[..., 0]
    at = layout(SIZE)
    forehead = shown[at.blob(0, 40, 15, 8) > 0.7].mean()
    assert shown[regions.nostril(SIZE) > 0.8].mean() < 0.7 * forehead
    # The ear's bowl and the fold behind it.
    assert np.quantile(shown[at.mask & (regions.ear(SIZE) > 0.8)], 0.1) < 0.85 * forehead


def test_a_lamp_lights_its_side_and_the_nose_throws_a_shadow() -> None:
    lamp = Lamp(np.array([1.0, -0.25, 0.0]) / math.hypot(1, 0.25), np.full(3, math.pi), 0.02)
    shown = photograph.radiance(
        flat(0.5), mean_head(), Illumination(white(0.0).panorama, (lamp,)), np.array([0.0, -1.0, 0.0])
    )[..., 0]
    at = layout(SIZE)
    cheek = at.blob(50, -30, 10, 10, 40) > 0.6
    left, right = (shown[cheek & (at.place[..., 0] * side > 0)].mean() for side in (1, -1))
    assert left > 20 * max(right, 1e-6)
    # Its own left of the nose is lit, the right, though some of it faces forward, lies in shadow.
    beside = at.blob(22, -35, 4, 6) > 0.6
    lit, dark = (shown[beside & (at.place[..., 0] * side > 0)].mean() for side in (1, -1))
    assert lit > 5 * dark


def test_an_unhidden_point_is_seen_from_its_own_side_only() -> None:
    points = np.array([[0, -0.05, 0.0], [0.1, 0.1, 0.1], [-0.1, 0.1, 0.1], [0, 0.1, -0.1]], np.float32)
    triangles = np.array([[1, 2, 3]])
    normals = np.array([[0, -1.0, 0]] * 4, np.float32)
    towards = np.array([[0, -1, 0], [0, 1.0, 0]], np.float32)
    seen = shadows.visibility(points, normals, triangles, towards)
    assert seen[0].tolist() == [1, 0]


def test_light_spreads_below_the_skin_red_farthest_and_none_is_lost() -> None:
    even = np.full((SIZE, SIZE, 3), 0.7, np.float32)
    assert photograph.spread_below(even) == pytest.approx(even, rel=1e-4)
    edge = np.zeros((SIZE, SIZE, 3), np.float32)
    edge[:, SIZE // 2 :] = 1
    row = photograph.spread_below(edge)[SIZE // 3]
    soft = (row * (1 - row)).sum(0)
    assert soft[0] > soft[1] >= soft[2]


def test_cells_keep_the_light_and_prefiltering_a_constant() -> None:
    light = illumination.draw(np.random.default_rng(2), [])
    whole = pano.mean_radiance(light.panorama) * 4 * math.pi
    assert light.cells.sum(0) == pytest.approx(whole.numpy(), rel=1e-4)
    assert float(pano.mean_radiance(light.panorama).mean()) == pytest.approx(1, rel=1e-3)
    assert photograph._filter(0.42).sum(-1).numpy() == pytest.approx(np.ones(32 * 64), rel=1e-4)


def test_a_smoother_skin_has_a_smaller_and_brighter_highlight() -> None:
    head, eye = mean_head(), np.array([0.0, -1.0, 0.0])
    lamp = (Lamp(np.array([0.3, -0.9, 0.3]) / math.sqrt(0.99), np.full(3, math.pi), 0.02),)
    dark = Illumination(white(0.0).panorama, lamp)
    shine = []
    for rough in (0.3, 0.6):
        skin = replace(flat(0.003, 0.04), rough=np.full((SIZE, SIZE), rough, np.float32))
        shine.append(photograph.radiance(skin, head, dark, eye)[layout(SIZE).mask][:, 1])
    assert shine[0].max() > 2 * shine[1].max()
    assert (shine[0] > shine[0].max() / 2).mean() < (shine[1] > shine[1].max() / 2).mean()


def test_a_camera_exposes_bright_and_dim_light_alike() -> None:
    head, eye = mean_head(), np.array([0.0, -1.0, 0.0])
    means = []
    for level in (0.01, 1.0, 100.0):
        radiance = photograph.radiance(flat(0.4), head, white(level), eye)
        shown, gains = photograph.exposed(np.random.default_rng(0), radiance, flat(0.4), head, eye)
        assert shown.min() >= 0 and shown.max() <= 1 and (gains > 0).all()
        means.append(shown[layout(SIZE).mask].mean())
    assert max(means) - min(means) < 0.01 and 0.3 < means[0] < 0.9

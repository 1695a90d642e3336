# SPDX-License-Identifier: GPL-3.0-or-later
"""The sun's course against almanacs' arithmetic, its light against measured daylight."""

from __future__ import annotations

import math

import numpy as np
import pytest
from limelight.synthesis.blackbody import LUMINANCE
from limelight.synthesis.daylight import LOWEST, Course, air_mass, sunlight


def test_air_thickens_towards_the_horizon() -> None:
    assert air_mass(math.pi / 2) == pytest.approx(1, abs=1e-3)
    assert air_mass(math.radians(30)) == pytest.approx(2, abs=0.01)
    # Tables give 10.3 at 5 degrees and 38 at the horizon.
    assert air_mass(math.radians(5)) == pytest.approx(10.3, abs=0.1) and air_mass(0.0) == pytest.approx(38, abs=0.5)


@pytest.mark.parametrize("degrees", [10, 20, 40, 70])
def test_a_clear_days_sun_is_as_bright_as_daylight_tables_say(degrees: int) -> None:
    # IES 1984, clear sky: 127.5 klx above the air, extinction 0.21 by air mass.
    told = 127.5 * math.exp(-0.21 * air_mass(math.radians(degrees)))
    assert float(sunlight(math.radians(degrees)) @ LUMINANCE) == pytest.approx(told, rel=0.12)


def test_the_sun_reddens_as_it_sinks() -> None:
    lights = [sunlight(math.radians(degrees)) for degrees in (60, 30, 15, 8, 4)]
    assert all(np.diff([red / blue for red, _, blue in lights]) > 0)
    assert all(np.diff([sum(each) for each in lights]) < 0)
    assert lights[0][0] < 1.6 * lights[0][2] and lights[-1][0] > 5 * lights[-1][2]


def test_an_equinox_rises_in_the_east_and_stands_in_the_south_at_noon() -> None:
    day = Course(math.radians(50), 0.0, -math.pi / 2, math.pi / 2, 0.0)
    np.testing.assert_allclose(day.towards(0), [1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(day.towards(1), [-1, 0, 0], atol=1e-9)
    noon = math.radians(40)
    np.testing.assert_allclose(day.towards(0.5), [0, -math.cos(noon), math.sin(noon)], atol=1e-9)
    # A place whose y axis points east sees the compass turned.
    turned = Course(math.radians(50), 0.0, -math.pi / 2, math.pi / 2, math.pi / 2)
    np.testing.assert_allclose(turned.towards(0), [0, -1, 0], atol=1e-9)


def test_drawn_courses_stay_above_the_horizon_and_move() -> None:
    for seed in range(40):
        day = Course.drawn(np.random.default_rng(seed))
        way = np.array([day.towards(share) for share in np.linspace(0, 1, 9)])
        np.testing.assert_allclose(np.linalg.norm(way, axis=1), 1, atol=1e-9)
        assert way[:, 2].min() > math.sin(math.radians(LOWEST)) - 1e-9
        assert way[0] @ way[-1] < math.cos(math.radians(15))
        assert day == Course.drawn(np.random.default_rng(seed))

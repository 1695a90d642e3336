# SPDX-License-Identifier: GPL-3.0-or-later
"""The sun's way across the sky, and what of its light comes through clear air. Needs numpy alone, as :mod:`.blackbody`.

World frame: x east, y north, z up, unless turned. Irradiance in klx, in the colours of linear Rec.709.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .blackbody import blackbody

#: klx of the sun above the air, facing it, and its temperature.
SOLAR_ILLUMINANCE, SOLAR_KELVIN = 133.0, 5778.0
#: Wavelengths of Rec.709's primaries, micrometres, and what 3 mm of ozone absorb of them (Chappuis band).
_WAVELENGTHS, _OZONE = np.array([0.611, 0.549, 0.464]), np.array([0.036, 0.025, 0.002])
#: Ångström's turbidity and exponent of clean country air.
_TURBIDITY, _EXPONENT = 0.05, 1.3
#: Degrees above the horizon below which a day's course neither begins nor ends.
LOWEST = 4.0


def air_mass(elevation: float) -> float:
    """How much more air lies towards an ``elevation`` (radians, ≥ 0) than overhead (Kasten & Young 1989)."""
    return 1 / (math.sin(elevation) + 0.50572 * (math.degrees(elevation) + 6.07995) ** -1.6364)


def sunlight(elevation: float) -> np.ndarray:
    """Irradiance (3,) of a surface that faces the sun, by what air, haze and ozone leave of it; radians, ≥ 0."""
    squared = _WAVELENGTHS**2
    # Hansen & Travis 1974, at sea level.
    scattered = 0.008569 / squared**2 * (1 + 0.0113 / squared + 0.00013 / squared**2)
    depth = scattered + _TURBIDITY * _WAVELENGTHS**-_EXPONENT + _OZONE
    return SOLAR_ILLUMINANCE * blackbody(SOLAR_KELVIN) * np.exp(-depth * air_mass(elevation))


@dataclass(frozen=True)
class Course:
    """Some hours of a day: latitude, the sun's declination, its hour angles at the beginning and the end, all radians.

    Noon is hour angle 0. ``heading``: how far the place is turned about z, from its own axes to those of the compass.
    """

    latitude: float
    declination: float
    start: float
    end: float
    heading: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Course:
        """Two and a half to six hours of any season between 25 and 55 degrees north; the sun stays above the horizon."""
        latitude, declination = math.radians(rng.uniform(25, 55)), math.radians(rng.uniform(-15, 23.4))
        high = math.sin(latitude) * math.sin(declination)
        half_day = math.acos((math.sin(math.radians(LOWEST)) - high) / (math.cos(latitude) * math.cos(declination)))
        span = math.radians(15 * rng.uniform(2.5, 6))
        start = rng.uniform(-half_day, half_day - span)
        return cls(latitude, declination, start, start + span, rng.uniform(0, 2 * math.pi))

    def towards(self, share: float) -> np.ndarray:
        """Unit direction (3,) of the sun at a ``share`` (0–1) of the time, in the place's axes."""
        hour = self.start + share * (self.end - self.start)
        east = -math.cos(self.declination) * math.sin(hour)
        out = math.cos(self.declination) * math.cos(hour)
        pole = math.sin(self.declination)
        north = pole * math.cos(self.latitude) - out * math.sin(self.latitude)
        up = pole * math.sin(self.latitude) + out * math.cos(self.latitude)
        c, s = math.cos(self.heading), math.sin(self.heading)
        return np.array([c * east + s * north, c * north - s * east, up])

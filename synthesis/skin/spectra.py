# SPDX-License-Identifier: GPL-3.0-or-later
"""The colour of skin from what is in it: two layers, four pigments, integrated over the visible spectrum.

The upper layer (epidermis) holds melanin, absorbs, and scatters a little back at once; the lower (dermis) holds blood
and scatters, half-infinite. Light passes the upper layer twice. Absorption of melanin and of bloodless skin: Donner & Jensen 2006, "A spectral
BSSRDF for shading human skin", after Jacques; of haemoglobin: S. Prahl's table, omlc.org, at 150 g/l; scattering of the
dermis: Jacques 2013, "Optical properties of biological tissues", table 1, skin; reflectance of the half-infinite layer:
Jensen et al. 2001 (dipole). Observer: Wyman et al. 2013's fit of CIE 1931; illuminant D65. Lengths in millimetres.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

WAVELENGTHS = np.arange(400.0, 701.0, 10.0)
#: Volume fractions of melanin in the epidermis and of blood in the dermis between which the table knows colours.
MELANIN, BLOOD = (0.003, 0.62), (0.0008, 0.24)
_STEPS = 40
#: Depth of the epidermis, and how much longer than its depth a diffuse path through it is.
_EPIDERMIS, _SLANT = 0.06, 2.0
#: Part of the reduced scattering by which the epidermis itself, met once, sends light back: what dark skin shows.
_BACKWARD = 0.4
#: Molar extinction of oxygenated and of deoxygenated haemoglobin, 1/(cm·M), 400 to 700 nm (Prahl).
_OXY = (266232, 466840, 480360, 246072, 102580, 62816, 44480, 33209, 26629, 23684, 20933, 20035, 24202, 39957, 53236,
        43016, 32613, 44496, 50104, 14401, 3200, 1506, 942, 610, 442, 368, 320, 294, 278, 276, 290)  # fmt: skip
_DEOXY = (223296, 303956, 407560, 528600, 413280, 103292, 23389, 16156, 14550, 16684, 20862, 25774, 31590, 39036, 46592,
          53412, 53788, 45072, 37020, 28324, 14678, 9444, 6510, 5149, 4345, 3750, 3227, 2795, 2408, 2052, 1794)  # fmt: skip
_D65 = (82.75, 91.49, 93.43, 86.68, 104.86, 117.01, 117.81, 114.86, 115.92, 108.81, 109.35, 107.80, 104.79, 107.69,
        104.41, 104.05, 100.00, 96.33, 95.79, 88.69, 90.01, 89.60, 87.70, 83.29, 83.70, 80.03, 80.21, 82.28, 78.28,
        69.72, 71.61)  # fmt: skip
_XYZ_TO_REC709 = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])


class SkinTable(NamedTuple):
    """Linear Rec.709 ``colours`` (M, B, 3) over the logarithms of melanin and of blood fractions."""

    colours: np.ndarray

    def __call__(self, melanin: np.ndarray, blood: np.ndarray) -> np.ndarray:
        """Albedo (..., 3), linear, for fractions (...); bilinear, clamped to the table's range."""
        steps = self.colours.shape[0] - 1
        x, y = _place(melanin, MELANIN, steps), _place(blood, BLOOD, steps)
        i, j = np.minimum(x.astype(np.int32), steps - 1), np.minimum(y.astype(np.int32), steps - 1)
        a, b = (x - i)[..., None], (y - j)[..., None]
        flat, at = self.colours.reshape(-1, 3), i * (steps + 1) + j
        near = flat[at] * (1 - b) + flat[at + 1] * b
        return near * (1 - a) + (flat[at + steps + 1] * (1 - b) + flat[at + steps + 2] * b) * a


@lru_cache(maxsize=64)
def table(oxygen: float = 0.75, eumelanin: float = 0.7) -> SkinTable:
    """The colours of skin whose blood is oxygenated to ``oxygen`` and whose melanin is ``eumelanin`` to that part."""
    melanin, blood = (np.geomspace(*ends, _STEPS) for ends in (MELANIN, BLOOD))
    spectrum = reflectance(melanin[:, None], blood[None, :], oxygen, eumelanin)
    return SkinTable((spectrum @ _to_rgb()).clip(0.002, 0.95).astype(np.float32))


def reflectance(melanin: np.ndarray, blood: np.ndarray, oxygen: float, eumelanin: float) -> np.ndarray:
    """Diffuse reflectance (..., 31) at :data:`WAVELENGTHS` of fractions that broadcast to (...)."""
    w = WAVELENGTHS
    bare = 0.0244 + 8.53 * np.exp(-(w - 154) / 66.2)
    pigment = eumelanin * 6.6e10 * w**-3.33 + (1 - eumelanin) * 2.9e14 * w**-4.75
    # 2.303 turns decadic into natural, 64 500 g/mol is haemoglobin's molar mass, a tenth turns 1/cm into 1/mm.
    whole = 2.303 * 150 / 64500 / 10 * (oxygen * np.array(_OXY) + (1 - oxygen) * np.array(_DEOXY))
    above = melanin[..., None] * pigment + (1 - melanin[..., None]) * bare
    below = blood[..., None] * whole + (1 - blood[..., None]) * bare
    scattering = 4.6 * (w / 500) ** -1.42
    kept = scattering / (scattering + below)
    root = np.sqrt(3 * (1 - kept))
    # A is (1 + Fdr)/(1 − Fdr) for the internal reflection at n = 1.4.
    dermis = kept / 2 * (1 + np.exp(-4 / 3 * 3.25 * root)) * np.exp(-root)
    down_and_up = 2 * _SLANT * above
    through = np.exp(-down_and_up * _EPIDERMIS)
    return through * dermis + _BACKWARD * scattering * (1 - through) / down_and_up


def tone_angle(linear: np.ndarray) -> np.ndarray:
    """Individual typology angle in degrees of linear Rec.709 (..., 3): atan2(L* − 50, b*) (Chardon et al. 1991)."""
    xyz = linear @ np.linalg.inv(_XYZ_TO_REC709).T / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.degrees(np.arctan2(116 * f[..., 1] - 16 - 50, 200 * (f[..., 1] - f[..., 2])))


def melanin_for(angle: float, blood: float, colours: SkinTable) -> float:
    """The melanin fraction at which skin with so much blood has this typology angle; the nearest one if none has."""
    melanin = np.geomspace(*MELANIN, 200)
    angles = tone_angle(colours(melanin, np.full(200, blood)))
    return float(melanin[np.abs(angles - angle).argmin()])


def _place(fraction: np.ndarray, ends: tuple[float, float], steps: int) -> np.ndarray:
    low, high = np.log(ends[0]), np.log(ends[1])
    return ((np.log(np.clip(fraction, *ends)) - low) * (steps / (high - low))).astype(np.float32)


def _to_rgb() -> np.ndarray:
    """(31, 3): weights that turn a reflectance spectrum under D65 into linear Rec.709; a perfect white gives ones."""

    def lobe(centre: float, left: float, right: float) -> np.ndarray:
        t = (WAVELENGTHS - centre) * np.where(centre > WAVELENGTHS, left, right)
        return np.exp(-0.5 * t**2)

    x = 1.056 * lobe(599.8, 0.0264, 0.0323) + 0.362 * lobe(442, 0.0624, 0.0374) - 0.065 * lobe(501.1, 0.049, 0.0382)
    y = 0.821 * lobe(568.8, 0.0213, 0.0247) + 0.286 * lobe(530.9, 0.0613, 0.0322)
    z = 1.217 * lobe(437, 0.0845, 0.0278) + 0.681 * lobe(459, 0.0385, 0.0725)
    rgb = np.stack([x, y, z], -1) * np.array(_D65)[:, None] @ _XYZ_TO_REC709.T
    return np.asarray(rgb / rgb.sum(0))

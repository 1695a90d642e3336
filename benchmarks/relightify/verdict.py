# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the floors that Relightify was built for hold."""

from __future__ import annotations

from ..verdict import Verdict
from .methods import BAKED, MEASURED, PRIOR
from .score import DIFFUSE_RMSE, HIDDEN_PSNR, KNOWN_PSNR, Scores

#: PSNR of the hidden and of the known texture, and the first's lead over the best baseline, dB; the albedo's RMSE as a
#: part of that of the true texture taken for the albedo.
HIDDEN, LEAD, KNOWN, SHARE = 24.0, 3.0, 45.0, 0.7


def verdicts(means: dict[str, Scores]) -> list[Verdict]:
    """All floors, of means by method."""
    ours = means[PRIOR]
    rivals = [name for name in means if name not in (*MEASURED, BAKED)]
    best = max(rivals, key=lambda name: means[name][HIDDEN_PSNR])
    lead = ours[HIDDEN_PSNR] - means[best][HIDDEN_PSNR]
    share = ours[DIFFUSE_RMSE] / means[BAKED][DIFFUSE_RMSE]
    return [
        Verdict(f"hidden texture at least {HIDDEN:g} dB", f"{ours[HIDDEN_PSNR]:.2f} dB", ours[HIDDEN_PSNR] >= HIDDEN),
        Verdict(
            f"at least {LEAD:g} dB over the best baseline",
            f"{lead:+.2f} dB over {best} ({means[best][HIDDEN_PSNR]:.2f} dB)",
            lead >= LEAD,
        ),
        Verdict(
            f"diffuse albedo RMSE at most {SHARE} of {BAKED}",
            f"{share:.2f} ({ours[DIFFUSE_RMSE]:.4f} of {means[BAKED][DIFFUSE_RMSE]:.4f})",
            share <= SHARE,
        ),
        Verdict(f"known texture at least {KNOWN:g} dB", f"{ours[KNOWN_PSNR]:.1f} dB", ours[KNOWN_PSNR] >= KNOWN),
    ]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the floors that LumiNet was built for hold."""

from __future__ import annotations

from ..limo.statistics import Summary
from ..verdict import Verdict
from .codes import CODE
from .methods import LUMINET
from .score import LEADING

#: RMSE at most this share of the best baseline's; intrinsics' cosine and the share of lights found at least.
RMSE_SHARE, COSINE, RETRIEVAL = 0.75, 0.95, 0.90


def verdicts(transfers: dict[str, Summary], retrieval: Summary, intrinsics: Summary | None) -> list[Verdict]:
    """All floors; ``transfers`` by kind. What the relighter does not show fails."""
    found = []
    for kind, summary in transfers.items():
        entry = summary.relative[LUMINET][LEADING]
        share = 1 - entry["gain"]
        between = (
            "" if entry["interval"] is None else f" [{1 - entry['interval'][1]:.2f}, {1 - entry['interval'][0]:.2f}]"
        )
        found.append(
            Verdict(
                f"{kind} RMSE at most {RMSE_SHARE} of the best baseline's",
                f"{share:.2f}{between} of {entry['best']}",
                share <= RMSE_SHARE,
            )
        )
    floor = f"intrinsics' cosine across lightings at least {COSINE}"
    if intrinsics is None:
        found.append(Verdict(floor, "the relighter shows no intrinsics", False))
    else:
        across = intrinsics.means["intrinsics"]
        told = f"{across['across lightings']:.3f} (across scenes {across['across scenes']:.3f})"
        found.append(Verdict(floor, told, across["across lightings"] >= COSINE))
    share = retrieval.means[CODE]["top1"]
    floor = f"right light nearest by code among 10 at least {RETRIEVAL:.0%}"
    found.append(Verdict(floor, f"{share:.1%}", share >= RETRIEVAL))
    return found

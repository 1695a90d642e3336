# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the floors that the splats' material was built for hold."""

from __future__ import annotations

from collections.abc import Mapping

from ..verdict import Verdict
from .models import FULL, PLAIN, RIVALS
from .score import NOVEL, SCALED, Scores

#: PSNR under other light, its lead over baselines on what shines, and what novel views may lose, dB.
LEAST, LEAD, LOSS = 24.0, 2.0, 0.5
#: Objects that shine.
SHINY = ("glossy", "metal", "mixed")


def verdicts(scores: Mapping[str, Mapping[str, Scores]]) -> list[Verdict]:
    """All floors, of scores by object and method."""
    shiny = [name for name in scores if name in SHINY] or list(scores)

    def mean(names: list[str], method: str, key: str) -> float:
        return sum(scores[name][method][key] for name in names) / len(names)

    ours, every = mean(shiny, FULL, SCALED), list(scores)
    found = [Verdict(f"relit, scaled, at least {LEAST:g} dB on what shines", f"{ours:.2f} dB", ours >= LEAST)]
    for rival in RIVALS:
        other = mean(shiny, rival, SCALED)
        lead = ours - other
        floor = f"relit, scaled, at least {LEAD:g} dB over {rival} on what shines"
        found.append(Verdict(floor, f"{lead:+.2f} dB ({ours:.2f} over {other:.2f})", lead >= LEAD))
    novel, rival_novel = mean(every, FULL, NOVEL), mean(every, PLAIN, NOVEL)
    found.append(
        Verdict(
            f"novel views at most {LOSS} dB below {PLAIN}",
            f"{novel - rival_novel:+.2f} dB ({novel:.2f} beside {rival_novel:.2f})",
            novel >= rival_novel - LOSS,
        )
    )
    return found

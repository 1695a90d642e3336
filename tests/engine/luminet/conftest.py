# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that run with a relighter whose arithmetic is known."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from limelight.backend.luminet import batch, job
from limelight.tests.engine.luminet.fake import Fake


@pytest.fixture
def relighter(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Fake]:
    """Makes a :class:`Fake` that every job loads."""

    def use(*arguments: object, **named: object) -> Fake:
        made = Fake(*arguments, **named)  # type: ignore[arg-type]
        for module in (job, batch):
            monkeypatch.setattr(module, "load_relighter", lambda model, device: made)
        return made

    return use

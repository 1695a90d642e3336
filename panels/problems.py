# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a run from starting, drawn with the buttons that repair it."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from bpy.types import Context, UILayout

from ..operators import state
from ..scene.problems import Problem
from . import wording

#: How problems of the engine tell the button that mends them; operators/watch.py looks for them, not a panel.
_SET_UP = "limelight.show_preferences"


def draw_problem(layout: UILayout, context: Context, text: str, operator: str, label: str, given: Mapping[str, Any]):
    """A sentence, and the button (with its properties) that repairs it."""
    box = layout.box().column()
    wording.wrapped(box, context, text, icon="ERROR")
    button = box.operator(operator, text=label)
    for name, value in given.items():
        setattr(button, name, value)


def draw_found(layout: UILayout, context: Context, found: Iterable[Problem]) -> bool:
    """That there is no engine, as was seen last, and what was ``found``; whether there is anything."""
    rows = [(r.text, r.operator, r.label, json.loads(r.arguments)) for r in state.seen(context).problems
            if r.operator == _SET_UP]  # fmt: skip
    rows += [(p.text, p.operator_idname, p.operator_label, p.properties) for p in found]
    for row in rows:
        draw_problem(layout, context, *row)
    return bool(rows)

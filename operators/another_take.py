# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that guess can guess again: an operator that starts another one with a numbered take."""

from collections.abc import Callable

from bpy.types import Context, Event, Operator

from .run_operator import call


class AnotherTake(Operator):
    """Base of operators with a ``take`` number that call a run with it; what is there stays."""

    bl_label = "Another Take"
    bl_options = {"INTERNAL"}

    def start(self) -> Callable[..., set[str]]:
        """The operator (``bpy.ops…``) of the run."""
        raise NotImplementedError

    def invoke(self, _context: Context, _event: Event):
        return self._run("INVOKE_DEFAULT")

    def execute(self, _context: Context):
        return self._run("EXEC_DEFAULT")

    def _run(self, how: str):
        answer = call(self, self.start(), how, take=self.take)  # type: ignore[attr-defined]
        # A modal operator goes on by itself; this one has nothing left to do.
        return {"FINISHED"} if answer == {"RUNNING_MODAL"} else answer

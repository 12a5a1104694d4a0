"""Go on from a model that headstart saved: what it has learnt, its head, and where its weights came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headstart.backbones.contract import Backbone
from headstart.heads.contract import Head
from headstart.model import load
from headstart.record import SETTINGS
from headstart.tasks.contract import Task


@dataclass(frozen=True)
class Earlier:
    """What an adapted model brings along when it becomes the backbone of another.

    Attributes:
        facts: licence and origin of its weights, and the backbone it was made from.
        learnt: content hashes of the examples that it has learnt from, also from models before it.
    """

    head: Head
    task: Task
    facts: Mapping[str, Any]
    learnt: frozenset[str]

    def start(self, head: Head, task: Task) -> None:
        """Give a new head the weights of the old one, in place, where both answer the same question."""
        if head.name == self.head.name and _question(task) == _question(self.task):
            ours, theirs = head.state_dict(), self.head.state_dict()
            if {name: t.shape for name, t in ours.items()} == {name: t.shape for name, t in theirs.items()}:
                head.load_state_dict(theirs)
                task.begin(head.linear)


def earlier_model(backbone: Backbone) -> Earlier | None:
    """Return what the folder of a backbone holds besides weights, None where headstart did not save it."""
    if not (backbone.source / SETTINGS).is_file():
        return None
    model = load(backbone.source, device="cpu")
    learnt = model.record.data.get("trained_on", ()) if model.record else ()
    return Earlier(model.head, model.task, model.facts, frozenset(learnt))


def _question(task: Task) -> tuple[Any, ...]:
    return type(task), task.kind, task.output_names

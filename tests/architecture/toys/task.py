"""A task: a classification whose classes are written in capitals, and which is never chosen by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headstart.data.targets import ClassNames
from headstart.tasks.classification import Classification
from headstart.types import Example


class Capitals(ClassNames):
    def claims(self, examples: Sequence[Example]) -> int:
        return 0

    def read(self, example: Example) -> str:
        return super().read(example).upper()


class Shouted(Classification):
    name = "toy-task"
    form = Capitals()

    @classmethod
    def sample(cls) -> list[Any]:
        return ["wolf", "fire"] * 4


task = Shouted

"""Looks at the database that all who follow a study share: many readers cost no more than one."""

import asyncio
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool

SECONDS_BETWEEN_LOOKS = 1.0

Answer = TypeVar("Answer")


class Looks:
    """Each question is put to the database once in a while, however many ask it meanwhile."""

    def __init__(self, seconds: float = SECONDS_BETWEEN_LOOKS) -> None:
        self._seconds = seconds
        self._answers: dict[Hashable, tuple[float, asyncio.Future[Any]]] = {}

    async def ask(self, question: Callable[..., Answer], *arguments: Hashable) -> Answer:
        """What the question, which blocks, answered less than `seconds` ago, or answers now."""
        now, key = asyncio.get_running_loop().time(), (question, *arguments)
        self._answers = {known: answer for known, answer in self._answers.items() if now - answer[0] < self._seconds}
        if key not in self._answers:
            self._answers[key] = (now, asyncio.ensure_future(run_in_threadpool(question, *arguments)))
        answer: Answer = await asyncio.shield(self._answers[key][1])  # one that leaves must not take it from the others
        return answer

import asyncio
import threading

import pytest

from mapsearch.serve.looks import Looks


def test_all_who_ask_meanwhile_share_one_look():
    asked, open_ = [], threading.Event()

    def look(name):
        open_.wait(60)
        asked.append(name)
        return len(asked)

    async def ask():
        looks = Looks(seconds=60)
        leaving = asyncio.create_task(looks.ask(look, "a"))
        others = [asyncio.create_task(looks.ask(look, "a")) for _ in range(9)]
        await asyncio.sleep(0)
        leaving.cancel()
        open_.set()
        return await asyncio.gather(*others), await looks.ask(look, "b")

    assert asyncio.run(ask()) == ([1] * 9, 2)
    assert asked == ["a", "b"]


def test_a_later_look_sees_what_changed_and_an_error_is_everybodys():
    answers = iter([1, 2])

    async def ask():
        looks = Looks(seconds=0)
        return await looks.ask(lambda: next(answers)), await looks.ask(lambda: next(answers))

    assert asyncio.run(ask()) == (1, 2)

    def fail():
        raise ValueError("no")

    async def ask_what_fails():
        looks = Looks(seconds=60)
        return await asyncio.gather(looks.ask(fail), looks.ask(fail), return_exceptions=True)

    assert [str(error) for error in asyncio.run(ask_what_fails())] == ["no", "no"]
    with pytest.raises(ValueError, match="no"):
        asyncio.run(Looks().ask(fail))

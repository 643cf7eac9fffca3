"""Pages as a browser without scripts gets them."""

import re

import pytest


@pytest.fixture(scope="module")
def page(service):
    """`page(path)` -> (status, HTML) for someone who may only read."""
    cookie = service.session(service.read)

    def ask(path):
        answer = service.ask("GET", path, Cookie=cookie)
        text = answer.body.decode()
        assert not re.search(r'\sstyle="|\son[a-z]+="|<style|<script(?! src="/static/)', text), (
            "the content policy bars it"
        )
        assert len(text) < 1_000_000
        return answer.status, text

    return ask

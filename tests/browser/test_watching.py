"""A page that stands open while its study runs."""

WAIT = 240_000
"""Milliseconds within which a small study ends, whatever else the machine does."""


def test_a_study_is_followed_to_its_decision_without_a_reload_by_hand(
    visit, start, write_study, mapsearch, eventually, n_complete, url
):
    study = write_study(train={"steps": 300}, search={"trials": 24})  # still at work when the service is up
    running = mapsearch("run", study, "--storage", url)
    eventually(lambda: n_complete(url) >= 1, seconds=WAIT / 1000)
    page = visit(at=start("--storage", url)).open("/studies/tiny")
    assert "No decision yet" in page.inner_text("#decision")
    before = page.inner_text("#runs")
    page.wait_for_function("before => document.querySelector('#runs')?.innerText !== before", arg=before, timeout=WAIT)
    page.wait_for_selector("#questions", timeout=WAIT)
    assert running.wait(timeout=60) == 0
    assert "No decision" not in page.inner_text("#decision")
    assert page.query_selector("[data-live]") is None

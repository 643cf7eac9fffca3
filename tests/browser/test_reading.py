"""Every page at every width and in both themes: nothing spills, nothing is refused, everyone can read it."""

import re

import pytest

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="`axe-playwright-python` is not installed")

PAGES = (
    "/",
    "/studies/tiny",
    "/studies/tiny/trials",
    "/studies/tiny/trials/{nominee}",
    "/studies/tiny/importances",
    "/trainings",
    "/launch",
    "/compare?one=tiny&other=tiny",
)
SERIOUS = ("serious", "critical")


@pytest.fixture
def nominee(service):
    return service.call("GET", "/studies/tiny").json["verdict"]["nominee"]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_page(visit, nominee, width, theme):
    window = visit(width=width, theme=theme)
    for path in PAGES:
        page = window.open(path.format(nominee=nominee))
        for closed in page.query_selector_all("details:not([open]) > summary"):
            closed.click()
        assert not window.spills, path
        found = axe.Axe().run(page).response["violations"]
        assert not [(path, x["id"], x["nodes"][0]["html"][:200]) for x in found if x["impact"] in SERIOUS]


def test_the_keyboard_reaches_everything_and_one_sees_where_it_is(visit):
    page = visit().open("/studies/tiny")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"
    wanted = page.evaluate(
        "[...document.querySelectorAll('a[href], button, select, summary, [tabindex]')]"
        ".filter(e => e.checkVisibility()).length"
    )
    reached = set()
    page.goto(page.url.partition("#")[0])
    for _ in range(wanted):
        page.keyboard.press("Tab")
        place = page.evaluate(
            "(() => { const e = document.activeElement; "
            "return [[...document.querySelectorAll('*')].indexOf(e), getComputedStyle(e).outlineStyle] })()"
        )
        assert place[1] != "none"
        reached.add(place[0])
    assert len(reached) == wanted


def test_the_decision_is_read_from_the_list(visit):
    page = visit().open("/")
    headline = page.inner_text(".scard h2")
    page.click(".scard h2 a")
    assert re.search(r"/studies/tiny$", page.url)
    assert headline.split(".")[0] in page.inner_text("#decision")


def test_a_theme_is_chosen_and_kept(visit):
    page = visit(theme="light").open("/")
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.select_option("#theme", "dark")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.reload()
    assert before != dark == page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_trials_are_ordered_by_form_and_opened_by_link(visit):
    page = visit().open("/studies/tiny/trials")
    page.select_option("select[name=kind]", "control")
    page.select_option("select[name=order]", "number")
    page.click("button:has-text('Show')")
    assert "kind=control" in page.url
    page.click("tbody a >> nth=0")
    assert page.inner_text("h1").startswith("Trial ")


def test_two_studies_are_compared_by_form(visit):
    page = visit().open("/compare?one=tiny")
    page.click("button:has-text('Compare')")
    assert "same decision" in page.inner_text("main")


def test_pages_say_all_of_it_without_scripts(visit, nominee):
    window = visit(java_script_enabled=False)
    for path in PAGES:
        window.page.goto(window.base + path.format(nominee=nominee))
        assert window.page.inner_text("h1")
    page = window.open("/studies/tiny/trials")
    page.select_option("select[name=order]", "value")
    page.click("button:has-text('Show')")
    assert "order=value" in page.url


def test_the_report_is_downloaded_and_opens_from_the_disk(visit, tmp_path, chromium):
    page = visit().open("/studies/tiny")
    with page.expect_download() as download:
        page.click("text=Report as a file")
    file = tmp_path / "tiny.html"
    download.value.save_as(file)
    kept, asked = chromium.new_page(), []
    kept.on("request", lambda request: asked.append(request.url))
    kept.on("console", lambda said: asked.append(said.text))
    kept.goto(file.as_uri())
    assert asked == [file.as_uri()]
    assert "What to do next" in kept.inner_text("main")
    assert kept.evaluate("getComputedStyle(document.querySelector('.card')).borderTopStyle") == "solid"
    kept.close()


def test_a_recipe_is_taken_to_a_trainer_from_the_study(visit, tmp_path):
    page = visit().open("/studies/tiny")
    page.click("tr.recommended a, tr.nominee a")
    with page.expect_download() as download:
        page.click("button[aria-label='Download for torch']")
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    compile(file.read_text(), file.name, "exec")

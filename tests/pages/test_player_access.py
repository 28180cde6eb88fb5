"""The player by keyboard alone, by ear, without motion, and on paper."""

import pytest

from autolm.drawing.palette import LIGHT
from tests.pages.test_player_arrays import model_player, open_at  # noqa: F401  (a fixture)

ANNOUNCED = """(() => { window.heard = [];
    const regions = [...document.querySelectorAll('[aria-live="polite"], output:not([aria-live])')];
    const whole = { childList: true, characterData: true, subtree: true };
    for (const region of regions)
        new MutationObserver(() => heard.push([region.id, region.textContent]))
            .observe(region, whole); })()"""
STOP = """(() => { const at = document.activeElement, look = getComputedStyle(at);
    return [at.id || at.tagName, at.matches(":focus-visible"), look.outlineStyle,
        parseFloat(look.outlineWidth), at.closest("table")?.dataset.matrix ?? ""]; })()"""


def tab(page, back=False):
    key = {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9, "modifiers": 8 * back}
    for kind in ("rawKeyDown", "keyUp"):
        page.send("Input.dispatchKeyEvent", type=kind, **key)


def tab_stops(page, most=400):
    """Return where Tab comes by, from the top of the page to its end."""
    page.evaluate("document.body.tabIndex = -1; document.body.focus()")
    stops = []
    for _ in range(most):
        tab(page)
        stop = page.evaluate(STOP)
        if stop[0] == "BODY" or (stops and stop == stops[0]):
            return stops
        stops.append(stop)
    raise AssertionError("Tab never comes to the end of the page")


def heard(page):
    """Return what has been announced since, once the page has come to rest."""
    page.evaluate("0")
    speech = page.evaluate("window.heard.splice(0)")
    return speech


@pytest.mark.parametrize("language", ["en", "ko"])
def test_each_step_is_announced_once(browser, model_player, language):  # noqa: F811
    page = open_at(browser, model_player, f"step=0&lang={language}")
    page.evaluate(ANNOUNCED)
    count = page.evaluate("view.scene.moments.length")
    for _ in range(count - 1):
        page.press("ArrowRight")
        announced = heard(page)
        title = page.evaluate("say(view.scene.moments[view.position].title)")
        lines = page.evaluate("view.scene.moments[view.position].lines.map(say)")
        phase = page.evaluate("say(view.scene.moments[view.position].phase)")
        assert announced == [["now", "".join([phase, title, *lines])]]
        page.press("b")  # a breakpoint changes nothing of the step
        page.press("b")
        assert heard(page) == []
    page.evaluate("alpha.focus()")
    announced = page.evaluate("alpha.getAttribute('aria-valuetext')")
    assert {"en": "loss after", "ko": "갱신 뒤 손실"}[language] in announced
    assert heard(page) == []


def test_a_cell_is_announced_when_it_is_touched_and_not_again(browser, model_player):  # noqa: F811
    page = open_at(browser, model_player, "open=blocks.0.attention")
    page.evaluate(ANNOUNCED)
    page.click('table[data-matrix="q"] td[data-at]')
    [[region, announced]] = heard(page)
    assert region == "cell" and announced.startswith("q[the, 0] = ")
    page.press("b")
    assert heard(page) == []


def test_a_loop_of_training_is_announced_when_it_has_ended(browser, model_player):  # noqa: F811
    page = open_at(browser, model_player, "step=99")
    page.evaluate("window.setInterval = (act) => { window.tick = act; return 1; }")
    page.click("#loop")
    busy = "document.getElementById('losses').getAttribute('aria-busy')"
    page.evaluate("tick()")
    assert page.evaluate(busy) == "true"
    page.evaluate("for (let i = 0; i < 20; i += 1) tick()")
    assert page.evaluate(busy) == "false"


def test_tab_comes_to_all_that_can_be_used_and_shows_where_it_is(browser, model_player):  # noqa: F811
    page = open_at(browser, model_player, "step=99")
    stops = tab_stops(page)
    names = [name for name, *_ in stops]
    usable = page.evaluate(
        """[...document.querySelectorAll("button, input, select")].filter((node) =>
            node.checkVisibility() && !node.disabled).map((node) => node.id || node.tagName)"""
    )
    assert set(usable) <= set(names)
    assert {"language", "first", "next", "slider", "INPUT", "loop", "smaller"} <= set(names)
    boxes = page.evaluate("Object.values(view.scene.boxes).filter((b) => b.kind !== 'more').length")
    tables = "document.querySelectorAll('figure:not([hidden]) table').length"
    assert names.count("TD") == page.evaluate(tables) > 3
    assert len(set(names) & set(page.evaluate("Object.keys(view.scene.boxes)"))) == boxes
    for name, is_shown, style, width, _ in stops:
        assert is_shown and style not in ("none", "hidden") and width >= 2, name


def test_a_cell_is_read_and_opened_by_keys_alone(browser, model_player):  # noqa: F811
    page = open_at(browser, model_player, "open=blocks.0.attention")
    page.evaluate("element('tables').tabIndex = -1; element('tables').focus()")
    tab(page)
    matrix = page.evaluate(STOP)[-1]
    for key in ("ArrowDown", "ArrowRight"):
        page.press(key)
    assert page.text("#cell").startswith(f"{matrix}[cat, 1] = ")
    tab(page)
    assert page.evaluate(STOP)[-1] != matrix
    tab(page, back=True)  # to the same cell
    assert page.text("#cell").startswith(f"{matrix}[cat, 1] = ")
    page.press("Enter")
    assert page.evaluate("view.scene.zoomed !== undefined")
    page.press("Escape")
    assert page.evaluate("view.pinned") == "blocks.0.attention"


def test_who_wants_no_motion_gets_none(browser, model_player):  # noqa: F811
    page = open_at(browser, model_player, "step=0")
    look = """(() => { const style = document.createElement("style");
        style.textContent = `@keyframes turn { to { opacity: 0 } }
            * { transition: opacity 9s; animation: turn 9s; scroll-behavior: smooth }`;
        document.head.append(style);
        const found = ["#next", "#stage", "g.node", "#line"].map((at) => {
            const look = getComputedStyle(document.querySelector(at));
            return [look.transitionDuration, look.animationName, look.scrollBehavior]; });
        style.remove();
        return found; })()"""
    try:
        page.send(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-reduced-motion", "value": "reduce"}],
        )
        assert {tuple(style) for style in page.evaluate(look)} == {("0s", "none", "auto")}
    finally:
        page.send("Emulation.setEmulatedMedia", features=[])
    assert {tuple(style) for style in page.evaluate(look)} == {("9s", "turn", "smooth")}


CROPPED = """[...document.querySelectorAll(
        "header, #sentence, #stage, #stage svg, aside, #matrices, .scroll, table")]
    .filter((node) => node.checkVisibility()).filter((node) => {
        const { left, right } = node.getBoundingClientRect();
        const isPicture = node.tagName === "svg";
        const clips = !isPicture && getComputedStyle(node).overflow !== "visible";
        const isTooWide = !isPicture && node.scrollWidth > node.clientWidth + 1;
        return clips || isTooWide || left < 0 || right > innerWidth; })
    .map((node) => node.id || node.className || node.tagName)"""


A4 = 718  # pixels, within its margins


def of_width(page, width):
    page.send(
        "Emulation.setDeviceMetricsOverride",
        **{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )


@pytest.mark.parametrize("fragment", ["step=99", "open=blocks.0.attention"])
def test_on_paper_nothing_is_cropped_and_colours_are_light(browser, model_player, fragment):  # noqa: F811
    page = open_at(browser, model_player, fragment)
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    of_width(page, 1900)
    page.evaluate(
        """printing.addEventListener("change", () => { if (printing.matches) window.widest =
            Math.max(...[...document.querySelectorAll("figure:not([hidden]) table")].map(
                (table) => table.getBoundingClientRect().width)); })"""
    )
    page.send("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)
    assert 0 < page.evaluate("widest") <= A4  # though the window is wider
    try:
        page.send("Emulation.setEmulatedMedia", media="print", features=[dark])
        of_width(page, A4)
        page.until(f"printing.matches && innerWidth === {A4}")
        paper = tuple(int(LIGHT.paper[i : i + 2], 16) for i in (1, 3, 5))
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == f"rgb{paper}"
        assert page.evaluate(CROPPED) == []
        rows = """[...document.querySelectorAll("figure:not([hidden]) table")].map((table) =>
            table.rows.length)"""
        counts = page.evaluate(rows)
        assert len(counts) > 3 and min(counts) > 1
    finally:
        page.send("Emulation.setEmulatedMedia", media="", features=[])
        of_width(page, 1200)
    assert browser.problems == []

"""Read the page of the player in tests: position, highlighted boxes and texts."""


def opened(browser, page, **options):
    browser.open(page, **options)
    return browser


def position(page):
    return int(page.text("#position").split("/")[0])


def go_to(page, where):
    page.press("Home")
    for _ in range(where):
        page.press("ArrowRight")


def to_the_last_step(page):
    """Go to the end of the backward pass, before the leaves are moved."""
    page.press("End")
    if page.text("#phase") == "update":
        page.press("ArrowLeft")


def lines(page):
    return page.evaluate(
        "[...document.querySelectorAll('#arithmetic li')].map((l) => l.textContent)"
    )


def report_lines(page):
    return page.evaluate("[...document.querySelectorAll('#told li')].map((l) => l.textContent)")


def key_of(page, title):
    """Return the id of the box of a node with this name, or of the operation with this symbol."""
    return page.evaluate(
        f"Object.keys(view.scene.boxes).find((key) => view.scene.boxes[key].title === {title!r})"
    )


def box_texts(page, title):
    """Return the texts of the data and the gradient in a box."""
    return page.evaluate(
        f"""Object.fromEntries([...document.querySelectorAll('#{key_of(page, title)} text.value')]
            .map((text) => [text.dataset.row, text.textContent]))"""
    )


def lit(page):
    """Return the ids of the highlighted boxes and arrows."""
    return tuple(
        page.evaluate(f"[...document.querySelectorAll('g.{kind}.lit')].map((g) => g.id)")
        for kind in ("node", "edge")
    )


def is_visible(page, selector):
    return page.evaluate(f"document.querySelector({selector!r}).checkVisibility()")

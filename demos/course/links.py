"""Check the built pages: every link has a target, and nothing is loaded from other servers."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

from course.words import CourseError

FETCHED = {"img": "src", "script": "src", "iframe": "src", "link": "href"}


class _Page(HTMLParser):
    """Links, loaded files and anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the anchors and links of an element."""
        attributes = {name: value or "" for name, value in attrs}
        self.anchors |= {attributes.get("id", ""), attributes.get("name", "")}
        if tag == "a" and "href" in attributes:
            self.links.append(attributes["href"])
        if FETCHED.get(tag) in attributes and attributes.get("rel") != "canonical":
            self.fetched.append(attributes[FETCHED[tag]])


def check_links(site: Path) -> int:
    """Check all pages of a site and return their number.

    Raises
    ------
    CourseError
        For the first broken link, or the first file that a page would load from another server.
    """
    pages = {path: _Page(path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        here = path.relative_to(site).as_posix()
        for link in page.fetched:
            if "//" in link:
                raise CourseError("leaves", page=here, link=link)
        for link in page.links + page.fetched:
            if ":" in link.split("/")[0]:
                continue  # another site, data or mail
            address, anchor = urldefrag(link)
            target = (
                (path.parent / unquote(address.partition("?")[0])).resolve() if address else path
            )
            target = target / "index.html" if target.is_dir() else target
            is_page = target in pages
            if not target.exists() or (anchor and is_page and not _has(pages[target], anchor)):
                raise CourseError("broken link", page=here, link=link)
    return len(pages)


def _has(page: _Page, anchor: str) -> bool:
    # a player reads settings from its address: #lang=ko&open=blocks.0
    return unquote(anchor) in page.anchors or "=" in anchor

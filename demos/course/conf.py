"""Sphinx configuration for both languages; build.py passes the language."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it finds this folder as `course`

HERE = Path(__file__).parent
project = author = "autolm"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "course.mathematics",
    "course.directives",
]
myst_enable_extensions = ["dollarmath", "amsmath", "deflist"]
myst_heading_anchors = 0
nb_execution_mode = "off"  # build.py has run each lesson, once for both languages
nb_merge_streams = True
autodoc_typehints = "none"  # the parameters' own words say it
napoleon_google_docstring = False
html_theme = "furo"
html_title = "autolm"
html_favicon = "static/icon.svg"
default_role = "code"
html_static_path = [str(HERE / "static")]
html_css_files = [
    "../../shared/katex/katex.min.css",
    "../../shared/pretendard/pretendardvariable-dynamic-subset.css",
    "course.css",
]
html_js_files = [(name, {"type": "module"}) for name in ("course.js", "sliders.js", "typed.js")]
templates_path = [str(HERE / "templates")]
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/languages.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
myst_url_schemes = ["http", "https", "mailto"]
suppress_warnings = ["myst.header"]  # a page of one anchor before its title
html_use_index = False
html_copy_source = html_show_sourcelink = html_show_copyright = html_show_sphinx = False
html_last_updated_fmt = None


def setup(app):
    """Set the labels of the code cells' buttons, and prepare docstrings for Sphinx."""

    def choose(app, config):
        korean = config.language == "ko"
        config.nb_code_prompt_show = "숫자 열기" if korean else "Open the numbers"
        config.nb_code_prompt_hide = "숫자 닫기" if korean else "Close the numbers"

    def keep_bars(app, what, name, thing, options, lines):
        lines[:] = [line.replace("|", r"\|") for line in lines]  # |a| is an absolute value

    def skip_classes(app, what, name, thing, skip, options):
        # Sphinx writes "alias of X" for a class attribute; in Korean that is invalid markup
        return True if isinstance(thing, type) else None

    app.connect("config-inited", choose)
    app.connect("autodoc-skip-member", skip_classes)
    app.connect("autodoc-process-docstring", keep_bars)

"""How Sphinx builds these pages: ``python -m sphinx -W -b html docs OUT``."""

import os
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import reference_pages  # noqa: E402

import autoseg  # noqa: E402

project = "autoseg"
author = "The autoseg contributors"
copyright = "the autoseg contributors, Apache-2.0"
version = release = autoseg.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
nitpicky = False
html_theme = "furo"
html_theme_options = {
    "light_css_variables": {"font-size--small--2": "0.75rem"},  # of code: a table of a terminal needs the width
}
html_title = "autoseg"
html_copy_source = False
html_show_sphinx = False
myst_heading_anchors = 4
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
# Decisions are pages of code review as well, in which a code block may be no valid piece of its language.
suppress_warnings = ["misc.highlighting_failure"]

_OUTSIDE = re.compile(r"\[([^\]]*)\]\((\.\.?/[^)#]*)(?:#[^)]*)?\)")


def _prepare(app, docname, source):
    """Fill in what is generated; a link to a file of the repository that is no page becomes its name."""
    text = reference_pages.fill(source[0])
    folder = (HERE / docname).parent

    def within(match):
        target = (folder / match[2]).resolve()
        if target.is_relative_to(HERE):
            return match[0]
        return f"{match[1]} (`{os.path.relpath(target, HERE.parent)}`)"

    source[0] = _OUTSIDE.sub(within, text)


def setup(app):
    """Called by Sphinx."""
    app.connect("source-read", _prepare)

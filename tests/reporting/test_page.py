"""A report as one HTML file."""

import json
import re
from html.parser import HTMLParser

from autoseg.reporting.page import (
    Commands,
    Figure,
    Gallery,
    Page,
    Section,
    Sentences,
    ShownCase,
    Table,
    Text,
    gallery_document,
    render,
    script_json,
)

CASE = ShownCase(
    "a</script><b>", "site", "site/sub-1", "", "worst", {"Dice": "0.5"}, ["T1w"], {"T1w": "QUJD"}, "QUJD", "cropped"
)
SECTIONS = [
    Section("Scores", [Table(("label", "Dice"), [("cord <&>", "0.912")], "Scores"), Text("careful", warning=True)]),
    Section(
        "How", [Sentences(["one", "two"]), Commands(["autoseg plan 'a b'"]), Figure("<svg id='x'></svg>", "Boxes")]
    ),
]


class Collected(HTMLParser):
    """Open tags, ids, and what loads something."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.loads, self.texts = [], [], [], []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag not in ("meta", "link", "img", "input", "br"):
            self.open.append(tag)
        self.ids += [given["id"]] if "id" in given else []
        self.loads += [
            value for key, value in attributes if key in ("src", "href") and not value.startswith(("#", "data:"))
        ]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def page(gallery=None):
    return Page("My data", ["Good."], {"cases": "3"}, SECTIONS, "identity", "footer", gallery, "Cord")


def collected(text: str) -> Collected:
    parser = Collected()
    parser.feed(text)
    assert parser.open == []
    return parser


def test_a_page_is_well_formed_and_loads_nothing():
    text = render(page(Gallery([CASE], {1: ("cord", "#0072B2")})))
    found = collected(text)
    assert found.loads == []
    assert len(found.ids) == len(set(found.ids))
    assert "default-src 'none'" in text
    assert {"about-scores", "about-how", "cases"} <= set(found.ids)


def test_names_cannot_become_code():
    text = render(page(Gallery([CASE], {1: ("cord", "#0072B2")})))
    assert "a</script><b>" not in text
    document = re.search(r'<script type="application/json" id="gallery-data">(.*?)</script>', text, re.S)
    assert json.loads(document[1])["cases"][0]["case"] == CASE.case
    assert "cord &lt;&amp;&gt;" in text


def test_what_is_said_is_there():
    text = "".join(collected(render(page())).texts)
    for part in ("My data", "Good.", "cord <&>", "0.912", "careful", "one", "two", "autoseg plan 'a b'", "footer"):
        assert part in text
    assert "<svg id='x'></svg>" in render(page())


def test_without_cases_there_is_neither_viewer_nor_script():
    assert "<script" not in render(page())
    assert len(render(page())) < 20_000


def test_numbers_stand_to_the_right():
    assert Table(("a", "b"), [("x", "-"), ("y", "0.5 (0.4 to 0.6)")]).numeric == [False, True]
    assert Table(("a",), []).numeric == [False]


def test_the_script_reads_labels_errors_and_marks():
    document = gallery_document(page(Gallery([CASE], {1: ("cord", "#0072B2")})))
    assert document["file"] == "Cord_marks.csv"
    assert document["labels"] == [{"value": 1, "name": "cord", "colour": "#0072B2"}]
    assert [error["name"] for error in document["errors"]] == ["missed", "invented", "wrong label"]
    other = Page("My data", [], {}, [], "another", "", Gallery([CASE], {}))
    assert gallery_document(other)["key"] != document["key"]
    assert "<" not in script_json({"a": "</script>"})

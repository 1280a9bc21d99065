"""The document is that of the model, byte by byte, and is read whatever its layout."""

import json
import tracemalloc

import pytest

from autoseg.core.errors import BadInput
from autoseg.core.fingerprint import CaseMeasurement, Fingerprint, IntensityStatistics
from autoseg.io.files import write_text
from autoseg.io.fingerprints import CASES_AT_A_TIME, read_fingerprint, write_fingerprint

STATISTICS = IntensityStatistics(mean=5, median=5, std=2, minimum=0, maximum=10, percentile_00_5=1, percentile_99_5=9)


def made(number):
    def case(place):
        return CaseMeasurement(
            name=f'sub-{place:05d} "é\u2028\n',
            domain="site",
            subject=f"sub-{place}",
            orientation="RAS",
            shape=(10, 10, 10 + place % 3),
            spacing_mm=(1, 1, 1.1),
            box=((0, 10), (0, 10), (1, 10)),
            label_volumes_mm3={"ball": place / 7} if place % 2 else {},
            intensity_quantiles=((1.0, 2.0, place / 3),),
        )

    return Fingerprint(
        dataset="D",
        channels=("T1w",),
        labels={"values": {"background": 0, "ball": 1, "cases": 2}},
        cases=map(case, range(number)),
        intensities=(STATISTICS,),
        domain_intensities={"site": (STATISTICS,)},
    )


@pytest.mark.parametrize("number", [0, 1, CASES_AT_A_TIME - 1, CASES_AT_A_TIME, CASES_AT_A_TIME + 1, 200])
def test_the_document_is_that_of_the_model(number, tmp_path):
    path, fingerprint = tmp_path / "fingerprint.json", made(number)
    write_fingerprint(path, fingerprint)
    assert path.read_bytes().decode() == fingerprint.model_dump_json(indent=1) + "\n"
    assert read_fingerprint(path) == fingerprint


@pytest.mark.parametrize("layout", [{}, {"indent": 4}, {"indent": 1, "sort_keys": True}, {"separators": (",", ":")}])
def test_another_layout_is_read_too(layout, tmp_path):
    path, fingerprint = tmp_path / "fingerprint.json", made(70)
    write_text(path, json.dumps(json.loads(fingerprint.model_dump_json()), **layout))
    assert read_fingerprint(path) == fingerprint


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"shape": [\n    10', '"shape": [\n    "ten"', "(cases.0.shape.0: Input should be a valid integer, unable to"),
        ('   "name": "sub-00069', '   "colour": 1,\n   "name": "sub-00069', "(cases.69.colour: Unexpected keyword"),
        ('   "domain": "site",\n', "", "(cases.0.domain: Field required)"),
        (' "cases": [', ' "colour": 1,\n "cases": [', "(colour: Extra inputs are not permitted)"),
        (' "dataset": "D",\n', "", "(dataset: Field required)"),
        ("  }\n ],\n", "  },\n ],\n", "(document: Invalid JSON: trailing comma at line"),
        ("  }\n ],\n", "  }\n  {}\n ],\n", "(document: Invalid JSON: expected `,` or `]` at line"),
        (
            '  },\n  {\n   "name": "sub-00064',
            '  }\n  {\n   "name": "sub-00064',
            "(document: Invalid JSON: expected `,` or `]` at line",
        ),
        ("\n}\n", "\n", "(document: Invalid JSON: EOF while parsing an object at line"),
        ("  }\n ],\n", "  }\n ]\n", "(document: Invalid JSON: expected `,` or `}` at line"),
        ('"mean": 5.0', '"mean": NaN', "(intensities.0.mean: Input should be a finite number)"),
    ],
)
def test_the_first_wrong_entry_is_named(old, new, sentence, tmp_path):
    path = tmp_path / "fingerprint.json"
    text = made(70).model_dump_json(indent=1) + "\n"
    assert old in text
    write_text(path, text.replace(old, new, 1))
    with pytest.raises(BadInput) as caught:
        read_fingerprint(path)
    assert str(caught.value).startswith(f"{path}: is no valid fingerprint {sentence}")
    assert str(caught.value).endswith("; run `autoseg plan` again.")


def test_little_of_many_cases_is_held_at_a_time(tmp_path):
    """Measured: 100 bytes a case in writing, 300 in reading; as a whole it takes 1,900 and more than 2,600."""
    path = tmp_path / "fingerprint.json"

    def highest(work):
        tracemalloc.start()
        try:
            kept = work()
            return kept, tracemalloc.get_traced_memory()[1] / 2000
        finally:
            tracemalloc.stop()

    fingerprint = made(2000)
    assert highest(lambda: write_fingerprint(path, fingerprint))[1] < 200
    read, most = highest(lambda: read_fingerprint(path))
    assert len(read.cases) == 2000
    assert most < 400

"""Many records in little memory: what goes in comes out, and little is held of it."""

import gc
import math
import tracemalloc
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from autoseg.core.packed import BLOCK, Packed, PackedByName


@dataclass(frozen=True)
class Part:
    file: Path
    values: tuple[int, ...] = ()


@dataclass(frozen=True)
class Record:
    name: str
    number: float
    parts: tuple[Part, ...] = ()
    volumes: Mapping[str, float] | None = None
    other: Part | Path | None = None


class Document(BaseModel):
    records: Packed[Record]


names = st.text(st.characters(exclude_categories=["Cs"]))
parts = st.builds(Part, st.builds(Path, st.text("abc/.", min_size=1)), st.tuples(st.integers(), st.integers()))
records = st.builds(
    Record,
    names,
    st.floats(allow_nan=False),
    st.tuples(parts),
    st.none() | st.dictionaries(names, st.floats(allow_nan=False)),
    st.none() | parts,
)


@given(st.lists(records, max_size=5), st.integers(1, BLOCK))
def test_what_goes_in_comes_out(some, times):
    several = some * times
    packed = Packed(Record, several)
    assert len(packed) == len(several)
    assert list(packed) == several
    assert [packed[place] for place in range(-len(several), len(several))] == several + several


def test_it_is_compared_cut_and_searched_like_a_list():
    values = [Record(str(place), place) for place in range(BLOCK + 3)]
    packed = Packed(Record, values)
    assert packed == Packed(Record, values)
    assert packed not in (Packed(Record, values[1:]), Packed(Record, [*values[1:], values[0]]), values)
    assert packed[-5:] == values[-5:]
    assert packed[:0] == []
    assert values[-1] in packed
    assert Record("", 0) not in packed


def test_a_document_has_a_list_of_them():
    document = Document(records=[Record("a", 1.5)] * 3)
    assert isinstance(document.records, Packed)
    assert Document(records=document.records).records is document.records
    assert Document.model_validate_json(document.model_dump_json()) == document
    with pytest.raises(ValidationError, match=r"records\.1\.number\n  Field required"):
        Document.model_validate_json('{"records": [{"name": "a", "number": 1}, {"name": "b"}]}')


def test_names_of_files_that_are_no_unicode():
    values = [Record("a", 1, (Part(Path("/\udce9")),))] * (BLOCK + 1)
    assert list(Packed(Record, values)) == values


def test_no_number_stays_no_number():
    values = [math.nan, math.inf, -math.inf, 0.1 + 0.2, 5e-324]
    found = [one.number for one in Packed(Record, [Record("", value) for value in values] * BLOCK)]
    assert list(map(repr, found)) == list(map(repr, values * BLOCK))


def test_a_record_that_is_not_there():
    packed = Packed(Record, [Record("a", 1.0)])
    for place in (1, -2):
        with pytest.raises(IndexError, match=f"there is no record {place}: there are 1"):
            packed[place]


def test_it_holds_a_fifth_of_the_objects():
    def made(place):
        return Record(f"Site_sub-{place:05d}_T1w", place / 7, volumes={"liver": place / 3, "tumour": 0.0})

    def held(make):
        tracemalloc.start()
        kept = make()
        gc.collect()
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert len(kept) == 2000
        return size

    held(lambda: Packed(Record, map(made, range(2000))))  # what is made once for the type
    packed = held(lambda: Packed(Record, map(made, range(2000))))
    assert packed < held(lambda: list(map(made, range(2000)))) / 5


def test_several_sequences_read_in_turn_are_unpacked_once(monkeypatch):
    values = [Record(str(place), place) for place in range(6 * BLOCK)]
    packed, unpacked = Packed(Record, values), []
    unpack = Packed._unpacked
    monkeypatch.setattr(Packed, "_unpacked", lambda self, number: unpacked.append(number) or unpack(self, number))
    places = [start + step for step in range(2 * BLOCK) for start in (0, 2 * BLOCK, 4 * BLOCK)]
    assert [packed[place] for place in places] == [values[place] for place in places]
    assert sorted(unpacked) == [0, 1, 2, 3, 4, 5]


def test_records_of_another_kind_are_no_part_of_a_document():
    with pytest.raises(ValidationError, match="records"):
        Document(records=Packed(Part, [Part(Path("a"))]))


def test_records_by_name_are_read_like_a_mapping():
    values = {f"case{place}": Record(str(place), place) for place in range(2 * BLOCK + 3)}
    packed = PackedByName(Record, values.items())
    assert (len(packed), list(packed), dict(packed.items())) == (len(values), list(values), values)
    assert packed["case70"] == values["case70"]
    assert "case70" in packed
    assert "case700" not in packed
    with pytest.raises(KeyError):
        packed["case700"]
    again = PackedByName(Record, [("a", values["case1"]), ("a", values["case2"])])
    assert dict(again.items()) == {"a": values["case2"]}

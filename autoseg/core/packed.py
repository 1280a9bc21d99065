"""Many records in little memory: compressed text, but for those that are being looked at."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from functools import cache, partial
from itertools import islice
from operator import eq
from typing import Any, Generic, TypeVar, get_args, overload

from pydantic import ConfigDict, GetCoreSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema, PydanticSerializationError, core_schema

Record = TypeVar("Record")

BLOCK = 64  # records that are packed together: a tenth of a millisecond to a few, to look at any one of them
OPEN_BLOCKS = 8  # that stay unpacked where places are looked at: several sequences may be read in turn


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """For lists of records; it takes a millisecond to make."""
    # Text that is no key would stay in a cache of 16,000, beyond the life of its records.
    return TypeAdapter(list[kind], config=ConfigDict(ser_json_inf_nan="constants", cache_strings="keys"))


class Packed(Generic[Record]):
    """A sequence of records of one dataclass that only grows, and not while it is iterated; equal ones come out.

    What a dataset, a table of scores or the files of a BIDS dataset have of each case takes a kilobyte and more as
    objects, and names, folders and labels repeat: 7 to 25 % of it remain. Adding one costs about 10 µs, iterating 4 to
    10 µs a record. Fields are numbers (NaN and infinity too), text, paths, None, and tuples and mappings of these.
    In a document it is a list of the records.
    """

    def __init__(self, kind: type[Record], records: Iterable[Record] = ()) -> None:
        self._kind: Any = kind
        self._blocks: list[bytes | list[Record]] = []
        self._open: list[Record] = []
        self._seen: dict[int, list[Record]] = {}  # the blocks that were unpacked last
        self.extend(records)

    def append(self, record: Record) -> None:
        """Add one at the end."""
        self._open.append(record)
        if len(self._open) == BLOCK:
            self._blocks.append(self._packed())
            self._open = []

    def extend(self, records: Iterable[Record]) -> None:
        """Add all at the end."""
        for record in records:
            self.append(record)

    def __len__(self) -> int:
        return BLOCK * len(self._blocks) + len(self._open)

    def __iter__(self) -> Iterator[Record]:
        for number in range(len(self._blocks)):
            yield from self._unpacked(number)
        yield from self._open

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Packed) and len(self) == len(other) and all(map(eq, self, other))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A field of a document: it reads a list, takes any iterable of records as well, and writes a list."""
        (kind,) = get_args(source)
        records = handler.generate_schema(tuple[kind, ...])  # type: ignore[valid-type]
        return core_schema.json_or_python_schema(
            core_schema.no_info_after_validator_function(partial(cls, kind), records),
            core_schema.no_info_wrap_validator_function(
                lambda given, check: given if _holds(given, kind) else cls(kind, check(given)), records
            ),
            serialization=core_schema.plain_serializer_function_ser_schema(tuple, return_schema=records),
        )

    def __contains__(self, record: object) -> bool:
        return any(one == record for one in self)

    @overload
    def __getitem__(self, place: int) -> Record: ...

    @overload
    def __getitem__(self, place: slice) -> list[Record]: ...

    def __getitem__(self, place: int | slice) -> Record | list[Record]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(f"there is no record {place}: there are {len(self)}")
        number, within = divmod(place % len(self), BLOCK)
        if number == len(self._blocks):
            return self._open[within]
        seen = self._seen  # another thread may put another one in its place meanwhile
        if number not in seen:
            kept = islice(seen.items(), max(0, len(seen) + 1 - OPEN_BLOCKS), None)
            seen = self._seen = {**dict(kept), number: self._unpacked(number)}
        return seen[number][within]

    def _packed(self) -> bytes | list[Record]:
        """The open records; as they are where the name of a file is no Unicode, which JSON cannot say."""
        try:
            return zlib.compress(_adapter(self._kind).dump_json(self._open), 1)
        except PydanticSerializationError:
            return self._open

    def _unpacked(self, number: int) -> list[Record]:
        block = self._blocks[number]
        if isinstance(block, list):
            return block
        records: list[Record] = _adapter(self._kind).validate_json(zlib.decompress(block))
        return records


class PackedByName(Generic[Record]):
    """Records by name: read like a mapping, held like ``Packed``."""

    def __init__(self, kind: type[Record], named: Iterable[tuple[str, Record]]) -> None:
        self._records, self._places = Packed(kind), dict[str, int]()
        for name, record in named:
            self._places[name] = len(self._records)
            self._records.append(record)

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __getitem__(self, name: str) -> Record:
        return self._records[self._places[name]]

    def items(self) -> Iterator[tuple[str, Record]]:
        """Each name with its record."""
        return ((name, self._records[place]) for name, place in self._places.items())


def _holds(given: object, kind: type) -> bool:
    return isinstance(given, Packed) and given._kind is kind

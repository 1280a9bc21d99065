"""Many records in little memory: compressed text, but for those that are being looked at."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from functools import partial
from operator import eq
from typing import Any, Generic, TypeVar, get_args, overload

from pydantic import ConfigDict, GetCoreSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema, PydanticSerializationError, core_schema

Record = TypeVar("Record")

BLOCK = 64  # records that are packed together: a tenth of a millisecond to a few, to look at any one of them


class Packed(Generic[Record]):
    """A sequence of records of one dataclass that only grows; equal ones come out, not the same objects.

    What a dataset, a table of scores or the files of a BIDS dataset have of each case takes a kilobyte and more as
    objects, and names, folders and labels repeat: 7 to 25 % of it remain. Adding one costs about 10 µs, iterating 4 to
    10 µs a record. Fields are numbers (NaN and infinity too), text, paths, None, and tuples and mappings of these.
    In a document it is a list of the records.
    """

    def __init__(self, kind: type[Record], records: Iterable[Record] = ()) -> None:
        # Text that is no key would stay in a cache of 16,000, beyond the life of its records.
        config = ConfigDict(ser_json_inf_nan="constants", cache_strings="keys")
        self._adapter = TypeAdapter(list[kind], config=config)  # type: ignore[valid-type]
        self._blocks: list[bytes | list[Record]] = []
        self._open: list[Record] = []
        self._last: tuple[int, list[Record]] = (-1, [])  # the block that was unpacked last
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

    __hash__ = None  # type: ignore[assignment]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A field of a document: it reads a list, takes any iterable of records as well, and writes a list."""
        (kind,) = get_args(source)
        records = handler.generate_schema(tuple[kind, ...])  # type: ignore[valid-type]
        return core_schema.json_or_python_schema(
            core_schema.no_info_after_validator_function(partial(cls, kind), records),
            core_schema.no_info_wrap_validator_function(
                lambda given, check: given if isinstance(given, cls) else cls(kind, check(given)), records
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
        last = self._last  # another thread may change it meanwhile
        if last[0] != number:
            last = self._last = number, self._unpacked(number)
        return last[1][within]

    def _packed(self) -> bytes | list[Record]:
        """The open records; as they are where the name of a file is no Unicode, which JSON cannot say."""
        try:
            return zlib.compress(self._adapter.dump_json(self._open), 1)
        except PydanticSerializationError:
            return self._open

    def _unpacked(self, number: int) -> list[Record]:
        block = self._blocks[number]
        return self._adapter.validate_json(zlib.decompress(block)) if isinstance(block, bytes) else block

"""JSON values, read strictly: every reader names the place of what is not as it should be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None


class StoredError(ValueError):
    """A stored value is not what the schema says."""


@dataclass(frozen=True, slots=True)
class Fields:
    """A JSON object with exactly the expected keys; every reader names the place in its error."""

    values: dict[str, object]
    where: str

    @staticmethod
    def of(value: object, where: str, keys: str) -> Fields:
        """The object, with exactly these keys; raises StoredError."""
        if not isinstance(value, dict):
            raise StoredError(f"{where}: an object is expected, not {type(value).__name__}")
        wrong = sorted(set(keys.split()) ^ set(value))
        if wrong:
            raise StoredError(
                f"{where}: keys missing or unknown: {', '.join(wrong)}; another version wrote it; run the episode again"
            )
        return Fields(value, where)

    @staticmethod
    def open(value: object, where: str, keys: str) -> Fields:
        """The object, with at least these keys; raises StoredError."""
        if not isinstance(value, dict) or not set(keys.split()) <= set(value):
            raise StoredError(f"{where}: an object with {' and '.join(keys.split())} is expected")
        return Fields(value, where)

    def inner(self, key: str, keys: str) -> Fields:
        """An object inside this one."""
        return Fields.of(self.values[key], f"{self.where}: {key}", keys)

    def text(self, key: str) -> str:
        """A text."""
        value = self.values[key]
        if not isinstance(value, str):
            raise StoredError(f"{self.where}: {key} is {value!r} and should be a text")
        return value

    def integer(self, key: str) -> int:
        """A whole number."""
        value = self.values[key]
        if not isinstance(value, int) or isinstance(value, bool):
            raise StoredError(f"{self.where}: {key} is {value!r} and should be a whole number")
        return value

    def integer_or_none(self, key: str) -> int | None:
        """A whole number, or None."""
        return None if self.values[key] is None else self.integer(key)

    def number(self, key: str) -> float:
        """A finite number."""
        return finite(self.values[key], f"{self.where}: {key}")

    def number_or_none(self, key: str) -> float | None:
        """A finite number, or None."""
        return None if self.values[key] is None else self.number(key)

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self.values[key]
        if not isinstance(value, bool):
            raise StoredError(f"{self.where}: {key} is {value!r} and should be true or false")
        return value

    def items(self, key: str) -> list[object]:
        """A list."""
        value = self.values[key]
        if not isinstance(value, list):
            raise StoredError(f"{self.where}: {key} is {value!r} and should be a list")
        return value

    def numbers(self, key: str) -> tuple[float, ...]:
        """A list of finite numbers."""
        return tuple(finite(entry, f"{self.where}: {key}") for entry in self.items(key))

    def integers(self, key: str) -> tuple[int, ...]:
        """A list of whole numbers."""
        entries = self.items(key)
        return tuple(Fields({key: entry}, self.where).integer(key) for entry in entries)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        entries = self.items(key)
        return tuple(Fields({key: entry}, self.where).text(key) for entry in entries)

    def numbers_or_none(self, key: str) -> tuple[float | None, ...]:
        """A list of finite numbers and Nones."""
        return tuple(None if entry is None else finite(entry, f"{self.where}: {key}") for entry in self.items(key))


def finite(value: object, where: str) -> float:
    """The value as a finite number; raises StoredError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise StoredError(f"{where} is {value!r} and should be a finite number")
    return float(value)

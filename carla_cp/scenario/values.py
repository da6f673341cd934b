"""Attributes of XML elements as values, and values as the schema's decimals."""

from __future__ import annotations

from decimal import Decimal

from lxml import etree


def text(element: etree._Element, name: str, default: str) -> str:
    """An attribute as it stands."""
    return str(element.get(name, default))


def number(element: etree._Element, name: str, default: float = 0.0) -> float:
    """A decimal attribute."""
    value = element.get(name)
    return default if value is None else float(value)


def whole(element: etree._Element, name: str, default: int) -> int:
    """An integer attribute."""
    value = element.get(name)
    return default if value is None else int(value)


def decimal(value: float) -> str:
    """The number without an exponent, which the schema's decimals do not have."""
    return format(Decimal(repr(value)), "f")

"""Validation against `scenarios/scenario.xsd`, with messages that name the mend."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from lxml import etree

from carla_cp.scenario.errors import ScenarioError, near

SCHEMA_FILE = Path(__file__).resolve().parent.parent.parent / "scenarios" / "scenario.xsd"
_XS = "{http://www.w3.org/2001/XMLSchema}"


def read_tree(path: Path) -> etree._Element:
    """The root element of a valid scenario file.

    Raises ScenarioError if the file cannot be read, is not XML, or does not follow the schema.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ScenarioError(f"{path}: cannot read it ({error.strerror}); give the path of a scenario XML") from error
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True)
    try:
        root = etree.fromstring(text, parser)
    except etree.XMLSyntaxError as error:
        reason = (error.msg or "empty file").replace("\n", " ")
        raise ScenarioError(f"{path}:{error.lineno or 1}: no well-formed XML: {reason}; mend it there") from error
    if b"<!DOCTYPE" in text:
        raise ScenarioError(f"{path}:1: a DOCTYPE is not allowed here; remove it")
    check(root, str(path))
    return root


def check(element: etree._Element, where: str) -> None:
    """Raises ScenarioError with the first violation of the schema; `where` is the file or the option to blame."""
    schema = etree.XMLSchema(_schema_tree())
    try:
        schema.assertValid(element)
    except etree.DocumentInvalid as error:
        message, _, line = str(error).replace("\n", " ").rpartition(", line ")
        place = f"{where}:{line}" if message else where
        raise ScenarioError(f"{place}: {_explain(message or line)}") from error


@cache
def _schema_tree() -> etree._ElementTree:
    try:
        return etree.parse(str(SCHEMA_FILE))
    except OSError as error:
        raise ScenarioError(f"{SCHEMA_FILE}: cannot read the schema; restore it from the repository") from error


def _explain(message: str) -> str:
    """The validator's message in one line, with a mend."""
    unknown = re.match(r"Element '(.+?)', attribute '(.+?)': The attribute '.+?' is not allowed", message)
    if unknown:
        element, attribute = unknown.groups()
        return f"<{element}> has no attribute '{attribute}'; {near(attribute, _attributes(element))}"
    missing = re.match(r"Element '(.+?)': The attribute '(.+?)' is required but missing", message)
    if missing:
        element, attribute = missing.groups()
        return f"<{element}> lacks its attribute '{attribute}'; add {attribute}=\"...\""
    value = re.match(r"Element '(.+?)', attribute '(.+?)': (?:\[.+?\] )?(.+)", message)
    if value:
        element, attribute, reason = value.groups()
        return f"<{element} {attribute}>: {reason.rstrip('.')}; mend the value"
    return f"{message.rstrip('.')}; see {SCHEMA_FILE.name}"


def _attributes(element: str) -> list[str]:
    """The attributes that the schema gives an element; each name has one meaning throughout the file."""
    for declared in _schema_tree().getroot().iter(f"{_XS}element"):
        if declared.get("name") == element:
            return [str(item.get("name")) for item in _type_of(declared).findall(f"{_XS}attribute")]
    return []


def _type_of(declared: etree._Element) -> etree._Element:
    """The complex type of an element's declaration, its own or a named one."""
    types = _schema_tree().getroot().iter(f"{_XS}complexType")
    return next(item for item in types if item.getparent() is declared or item.get("name", "") == declared.get("type"))

"""`<compute>` as a ComputeSpec and back; its attributes bear the names of the fields."""

from __future__ import annotations

from lxml import etree

from carla_cp.scenario.values import decimal, number
from carla_cp.types import ComputeSpec


def compute_from(element: etree._Element) -> ComputeSpec:
    """The times of a valid `<compute>`."""
    default = ComputeSpec()
    return ComputeSpec(
        encode_ms=number(element, "encode_ms", default.encode_ms),
        detect_ms=number(element, "detect_ms", default.detect_ms),
    )


def compute_element(spec: ComputeSpec) -> etree._Element:
    """The `<compute>` that says this."""
    element = etree.Element("compute")
    element.set("encode_ms", decimal(spec.encode_ms))
    element.set("detect_ms", decimal(spec.detect_ms))
    return element

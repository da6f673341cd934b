"""`<localization>` as a LocalizationSpec and back; its attributes bear the names of the fields."""

from __future__ import annotations

from lxml import etree

from carla_cp.scenario.values import decimal, number, text
from carla_cp.types import Correction, LocalizationSpec


def localization_from(element: etree._Element) -> LocalizationSpec:
    """The errors of pose of a valid `<localization>`."""
    default = LocalizationSpec()
    return LocalizationSpec(
        position_m=number(element, "position_m", default.position_m),
        heading_deg=number(element, "heading_deg", default.heading_deg),
        drift_m=number(element, "drift_m", default.drift_m),
        drift_s=number(element, "drift_s", default.drift_s),
        correction=Correction(text(element, "correction", default.correction.value)),
    )


def localization_element(spec: LocalizationSpec) -> etree._Element:
    """The `<localization>` that says this."""
    element = etree.Element("localization")
    element.set("position_m", decimal(spec.position_m))
    element.set("heading_deg", decimal(spec.heading_deg))
    element.set("drift_m", decimal(spec.drift_m))
    element.set("drift_s", decimal(spec.drift_s))
    element.set("correction", spec.correction.value)
    return element

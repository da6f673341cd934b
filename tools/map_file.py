"""How a map becomes an OpenDRIVE file, with the same bytes on every machine."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from map_junctions import add_junction
from map_plan import MapPlan
from map_roads import road_outside
from map_signals import add_controllers, add_signals
from scenariogeneration import xodr

GEO_REFERENCE = "+proj=tmerc +lat_0=48.0 +lon_0=11.0 +k=1 +x_0=0 +y_0=0 +datum=WGS84 +units=m +no_defs"


def make_reproducible(root: ET.Element) -> None:
    """Drop the date, and round every number to a nanometre."""
    header = root.find("header")
    if header is None:
        raise ValueError("the OpenDRIVE header is missing")
    header.attrib.pop("date", None)
    for element in root.iter():
        for key, value in element.attrib.items():
            if "." in value or "e-" in value:
                try:
                    number = round(float(value), 9) + 0.0
                except ValueError:
                    continue
                element.set(key, repr(number))


def opendrive_bytes(plan: MapPlan) -> bytes:
    """The OpenDRIVE file of a map."""
    network = xodr.OpenDrive(plan.name, geo_reference=GEO_REFERENCE)
    for road in plan.roads:
        network.add_road(road_outside(road, plan.junctions))
    for junction in plan.junctions:
        add_junction(network, junction)
    root = network.get_element()
    for junction in plan.junctions:
        add_signals(root, junction)
        if junction.signalised:
            add_controllers(root, junction)
    make_reproducible(root)
    ET.indent(root, " ")
    text: str = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode()

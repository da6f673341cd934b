"""OpenDRIVE texts of a few roads, written by hand."""

from __future__ import annotations

from dataclasses import dataclass


def poly(tag: str, at: str, *parts: tuple[float, ...]) -> str:
    """Records of a cubic: each part is where it begins, a, b, c, d."""
    rows = []
    for start, *rest in parts:
        a, b, c, d = (*rest, 0.0, 0.0, 0.0, 0.0)[:4]
        rows.append(f'<{tag} {at}="{start}" a="{a}" b="{b}" c="{c}" d="{d}"/>')
    return "".join(rows)


def lane(number: int, kind: str, *width: tuple[float, ...], extra: str = "") -> str:
    """A lane; its width is one number, or the parts of a cubic."""
    return f'<lane id="{number}" type="{kind}" level="false">{poly("width", "sOffset", *width)}{extra}</lane>'


def section(start: float, left: str, right: str) -> str:
    """A lane section; the lanes of either side in any order."""
    centre = '<center><lane id="0" type="none" level="false"/></center>'
    sides = (f"<left>{left}</left>" if left else "") + centre + (f"<right>{right}</right>" if right else "")
    return f'<laneSection s="{start}">{sides}</laneSection>'


TWO_LANES = section(
    0.0,
    lane(2, "sidewalk", (0, 2.0)) + lane(1, "driving", (0, 3.5)),
    lane(-1, "driving", (0, 3.5)) + lane(-2, "sidewalk", (0, 2.0)),
)


def piece(s: float, x: float, y: float, heading: float, length: float, shape: str) -> str:
    """A part of a plan view; y points left."""
    return f'<geometry s="{s}" x="{x}" y="{y}" hdg="{heading}" length="{length}">{shape}</geometry>'


LINE = piece(0, 0, 0, 0, 200, "<line/>")


@dataclass(frozen=True)
class Road:
    """One road; what is not given is level, straight and has two lanes and two sidewalks."""

    id: int = 1
    length: float = 200.0
    plan: str = LINE
    elevation: str = ""
    lateral: str = ""
    offset: str = ""
    sections: str = TWO_LANES
    junction: int = -1
    link: str = ""
    kind: str = ""
    rest: str = ""
    rule: str = ""

    def __str__(self) -> str:
        rule = f' rule="{self.rule}"' if self.rule else ""
        return (
            f'<road name="r{self.id}" length="{self.length}" id="{self.id}" junction="{self.junction}"{rule}>'
            f"<link>{self.link}</link>{self.kind}<planView>{self.plan}</planView>"
            f"<elevationProfile>{self.elevation}</elevationProfile><lateralProfile>{self.lateral}</lateralProfile>"
            f"<lanes>{self.offset}{self.sections}</lanes>{self.rest}</road>"
        )


def world(*roads: Road, rest: str = "") -> str:
    """The text of a map."""
    reference = "<geoReference>+proj=tmerc +lat_0=0 +lon_0=0</geoReference>"
    header = f'<header revMajor="1" revMinor="4" name="hand">{reference}</header>'
    return f'<?xml version="1.0"?><OpenDRIVE>{header}{"".join(str(road) for road in roads)}{rest}</OpenDRIVE>'


# A road that climbs 10 %, rounds a crest of 60 m radius and falls 10 %.
HILL = poly(
    "elevation",
    "s",
    (0, 1.0, 0, 1 / 400, 0),
    (20, 2.0, 0.1),
    (80, 8.0, 0.1, -1 / 120),
    (92, 8.0, -0.1),
    (160, 1.2, -0.1, 1 / 400, 0),
    (180, 0.2, 0.0),
)

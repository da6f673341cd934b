"""How far off a detector's boxes usually are, and which of their symbols are frequent: calibrate_boxes.py DATA ...

    python tools/calibrate_boxes.py data/train_new --checkpoint checkpoints/mini

Every agent's own boxes are matched with the truth that any agent of the frame sees. Writes
`perception/usual_sigmas.py`, by class, score and distance, and `codecs/boxes.safetensors` below --package. DATA must be
training data. Run it twice when the first has moved a border: tables are learnt with the sigmas of the code.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from arguments import existing_path, out_folder, positive
from tqdm import tqdm

from carla_cp.codecs import boxes
from carla_cp.codecs.bitstream import Table
from carla_cp.codecs.learnt import write_tables
from carla_cp.datasets import DatasetError, open_dataset
from carla_cp.geometry import rotated_iou, transform_boxes
from carla_cp.perception import certainty
from carla_cp.perception.checkpoint import load_detector
from carla_cp.perception.config import CheckpointError
from carla_cp.perception.detector import Detector
from carla_cp.perception.truth import agent_from_world
from carla_cp.types import Detections, FloatArray, Frame, IntArray, ObjectClass
from carla_cp.whole import write_whole

PACKAGE = Path(__file__).resolve().parent.parent / "carla_cp"
MATCHED_IOU = 0.1
LEAST_MATCHES = 20  # of a bin; below it takes those of all distances


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """One agent's boxes and all that is there, both in its true agent frame."""

    boxes: Detections
    truth: FloatArray  # (M, 7)
    labels: IntArray  # (M,)


def look(detector: Detector, frame: Frame) -> list[Found]:
    """What each agent of a frame finds by itself."""
    _, first = np.unique(np.concatenate([agent.ids for agent in frame.agents]), return_index=True)
    truth = np.concatenate([agent.boxes for agent in frame.agents])[first]
    labels = np.concatenate([agent.labels for agent in frame.agents])[first]
    return [
        Found(detector.view(agent.sweep).boxes, transform_boxes(agent_from_world(agent), truth), labels)
        for agent in frame.agents
    ]


def misses(found: Found) -> tuple[IntArray, FloatArray]:
    """Which boxes have a match, and by how much these are off along, across [m] and in heading [rad] (K, 3).

    Headings count modulo a half turn.
    """
    mine = found.boxes
    overlap = rotated_iou(mine.boxes, found.truth) * (mine.labels[:, None] == found.labels)
    if not overlap.size:
        return np.zeros(0, np.int64), np.zeros((0, 3))
    matched = np.flatnonzero(overlap.max(axis=1) > MATCHED_IOU)
    off = found.truth[overlap.argmax(axis=1)[matched]] - mine.boxes[matched]
    cos, sin = np.cos(mine.boxes[matched, 6]), np.sin(mine.boxes[matched, 6])
    along, across = cos * off[:, 0] + sin * off[:, 1], cos * off[:, 1] - sin * off[:, 0]
    return matched, np.stack([along, across, (off[:, 6] + np.pi / 2) % np.pi - np.pi / 2], axis=1)


def usual(seen: Iterable[Found]) -> IntArray:
    """Levels (classes, score bins, distance bins, 3) of the root mean square of all misses."""
    classes = len(ObjectClass)
    squares = np.zeros((classes, certainty.SCORE_BINS, certainty.REACH_BINS, 3))
    counts = np.zeros(squares.shape[:3])
    for found in seen:
        matched, off = misses(found)
        mine = found.boxes
        place = certainty.bins(mine.labels[matched], mine.scores[matched], mine.boxes[matched])
        np.add.at(squares, place, off**2)
        np.add.at(counts, place, 1)
    few = counts < LEAST_MATCHES
    pooled = (squares.sum(2) / np.maximum(counts.sum(2), 1)[..., None])[:, :, None]
    mean = np.where(few[..., None], pooled, squares / np.maximum(counts, 1)[..., None])
    return certainty.nearest_levels(np.sqrt(np.maximum(mean, 1e-6)).reshape(-1, 3)).reshape(squares.shape)


class Tally:
    """Counts the symbols of each table."""

    def __init__(self) -> None:
        self.counts: dict[Table, FloatArray] = {}

    def put(self, symbols: IntArray, table: Table) -> None:
        """Counts symbols."""
        counts = self.counts.setdefault(table, np.full(len(table.weights), 0.2))
        counts += np.bincount(symbols, minlength=len(counts))

    def put_in_context(self, symbols: IntArray, contexts: IntArray, tables: Sequence[Table]) -> None:
        """Counts symbols, each for the table of its context."""
        for context in np.unique(contexts):
            self.put(symbols[contexts == context], tables[context])

    def learnt(self, tables: Sequence[Table]) -> list[list[int]]:
        """Weights in place of these tables'; those of which none was used stay."""
        used = [Table.from_counts(self.counts[table]) if table in self.counts else table for table in tables]
        return [table.weights.tolist() for table in used]


def learnt_tables(seen: Iterable[Found]) -> list[tuple[str, list[list[int]]]]:
    """Names and rows of all tables but that of unusual sigmas, of which our detectors make none."""
    tally = Tally()
    for found in seen:
        if len(found.boxes.scores):
            boxes.tell(tally, boxes.quantise(found.boxes))
    fields = [("counts", boxes.COUNT), ("gaps", boxes.GAP), ("rises", boxes.RISE)]
    fields += [("sizes", boxes.SIZE), ("turns", boxes.TURNED)]
    result = [(name, tally.learnt(field.tables)) for name, field in fields]
    result += [("scores", tally.learnt(boxes.SCORE)), ("quarters", tally.learnt(boxes.QUARTER))]
    return [*result, ("labels", tally.learnt([boxes.LABEL]))]


def as_module(about: str, command: str, tables: Iterable[tuple[str, str]]) -> str:
    """A Python file of literals."""
    body = "\n".join(f"{name} = {value}" for name, value in tables)
    return f'"""{about}\n\nMade by `{command}`.\n"""\n\n# fmt: off\n{body}\n'


def rows_as_text(rows: Sequence[Sequence[int]]) -> str:
    """Rows of integers as a literal with lines that are not too long."""
    lines = []
    for row in rows:
        cut = [row[start : start + 16] for start in range(0, len(row), 16)]
        lines.append("    (\n" + "".join(f"        {', '.join(map(str, part))},\n" for part in cut) + "    ),\n")
    return "(\n" + "".join(lines) + ")"


def parse(about: str | None, frames: int, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line of this tool, and of `calibrate_points.py`."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=existing_path)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--frames", type=positive, default=frames, help="evenly spaced (default %(default)s)")
    parser.add_argument("--package", type=out_folder, default=PACKAGE, help="where to write (default: carla_cp itself)")
    return parser.parse_args(arguments)


def command_of(tool: str, options: argparse.Namespace) -> str:
    """What to call to make the same files, with the data not named."""
    return f"python tools/{tool}.py DATA --checkpoint {options.checkpoint} --frames {options.frames}"


def frames_of(options: argparse.Namespace) -> Iterator[Frame]:
    """Evenly spaced frames, with a bar. Raises DatasetError where there are none."""
    dataset = open_dataset(options.data)
    if not len(dataset):
        raise DatasetError(f"{options.data}: its scenes hold no frames; give a folder with whole scenes")
    for number in tqdm(np.unique(np.linspace(0, len(dataset) - 1, options.frames).astype(int)), unit="frame"):
        yield dataset.frame(int(number))


def reported(tool: str, deed: Callable[[], None]) -> None:
    """Does it; exit status 2 and one line for bad input."""
    torch.set_num_threads(1)
    try:
        deed()
    except (CheckpointError, DatasetError, OSError) as error:
        print(f"{tool}: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def calibrate(options: argparse.Namespace) -> None:
    """Looks at the data once, then writes both files. Raises DatasetError where nothing was detected."""
    detector = load_detector(options.checkpoint)
    seen = [found for frame in frames_of(options) for found in look(detector, frame)]
    if not any(len(found.boxes.scores) for found in seen):
        raise DatasetError(f"{options.checkpoint} detects nothing in {options.data}; give a trained one, or other data")
    save(seen, command_of("calibrate_boxes", options), options.package)


def save(seen: Sequence[Found], command: str, package: Path) -> None:
    """Writes both files."""
    levels = usual(seen)
    flat = [("USUAL", rows_as_text(levels.reshape(len(ObjectClass), -1).tolist()))]
    about = "Levels of `certainty.py`: per class, score bins by distance bins by along, across, heading."
    write_whole(package / "perception" / "usual_sigmas.py", as_module(about, command, flat))
    write_tables(package / "codecs" / "boxes.safetensors", command, learnt_tables(seen))


def main() -> None:
    """Looks at the data, then writes."""
    options = parse(__doc__, 300)
    reported("calibrate_boxes", lambda: calibrate(options))


if __name__ == "__main__":
    main()

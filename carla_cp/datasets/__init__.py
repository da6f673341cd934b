"""Public cooperative data sets behind one small interface, read in order or by worker processes.

    dataset = open_dataset(folder)                    OPV2V, V2XSet, V2V4Real or DAIR-V2X-C
    frame = dataset.frame(7)                          or dataset.scenes[0].frame(7)
    for index, frame in stream_frames(dataset, order, workers=2, tally=tally): ...

Everything comes in the house's frame (left-handed, y right), angles in radians, intensity in [0, 1].
A fault: a cloud that is missing, cut short or has no x, y, z; a yaml or JSON file that is missing, broken or lacks a
key; a pose or box that is not finite. Reading such a frame raises DatasetError, and a stream leaves the frame out.
Only noted: an agent other than the ego without files at a tick (left out of that frame), a cloud without points, points
that are not finite (left out), a frame without objects. A stream's Tally counts both, and names the files.
"""

from carla_cp.datasets.finding import FORMATS, Format, open_dataset
from carla_cp.datasets.source import Dataset, SceneSource
from carla_cp.datasets.stream import Tally, stream_frames
from carla_cp.opv2v import DatasetError, Note, Reading

__all__ = [
    "FORMATS",
    "Dataset",
    "DatasetError",
    "Format",
    "Note",
    "Reading",
    "SceneSource",
    "Tally",
    "open_dataset",
    "stream_frames",
]

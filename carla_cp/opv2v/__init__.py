"""OPV2V folders: the layout that OpenCOOD reads, as the OPV2V data set (Xu et al., ICRA 2022) publishes it.

    SCENE/data_protocol.yaml
    SCENE/<agent id>/<tick:06d>.pcd and .yaml     ticks count steps of 0.05 s; a negative id is a roadside unit

Angles in the files are degrees in the order roll, yaw, pitch; an object's box centre is `location + center`, both in
the world frame; `vehicles` lists what the agent has returns of, never itself. As the newer collections do, `RSU` tells
roadside units, `walkers` holds pedestrians, and `bp_id` is the object's blueprint. Camera keys are not written.
"""

from carla_cp.opv2v.frame_yaml import Scan
from carla_cp.opv2v.layout import DatasetError, Note, Opv2vError, Reading
from carla_cp.opv2v.pcd import PcdError, read_cloud, read_pcd, write_pcd
from carla_cp.opv2v.reader import Scene, read_scene
from carla_cp.opv2v.writer import SceneWriter, agent_ids, protocol_of, scans_from_sweeps, write_scene

__all__ = [
    "DatasetError",
    "Note",
    "Opv2vError",
    "PcdError",
    "Reading",
    "Scan",
    "Scene",
    "SceneWriter",
    "agent_ids",
    "protocol_of",
    "read_cloud",
    "read_pcd",
    "read_scene",
    "scans_from_sweeps",
    "write_pcd",
    "write_scene",
]

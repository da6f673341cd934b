"""Summaries to files, a terminal table, plots and one self-contained HTML page."""

from carla_cp.report.files import (
    RunInfo,
    StoredEpisode,
    episode_path,
    read_circumstances,
    read_episode,
    write_episode,
    write_summary,
)
from carla_cp.report.table import format_table, print_table
from carla_cp.report.write import write_report

__all__ = [
    "RunInfo",
    "StoredEpisode",
    "episode_path",
    "format_table",
    "print_table",
    "read_circumstances",
    "read_episode",
    "write_episode",
    "write_report",
    "write_summary",
]

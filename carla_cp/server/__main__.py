"""`python -m carla_cp.server`: a CARLA 0.9.16 server without Unreal, for the official Python client."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from carla_cp.server.app import PortError, die_with, listen_pair, serve, watch_parent
from carla_cp.server.handlers import VERSION
from carla_cp.server.maps import MapError, MapLibrary
from carla_cp.server.simulation import Simulation
from carla_cp.server.stream import Streams
from carla_cp.server.table import lines

_LEVELS = ("debug", "info", "warning", "error")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="carla_cp.server", description=__doc__)
    parser.add_argument(
        "--host", default="127.0.0.1", type=_address, help="address to listen on; default: this machine"
    )
    parser.add_argument("--port", default=2000, type=_port, help="RPC port, the streams use the next; 0: any free pair")
    parser.add_argument("--map", type=Path, metavar="FILE", help="OpenDRIVE file of the first world")
    parser.add_argument("--maps", type=Path, metavar="DIR", help="folder of *.xodr files that load_world knows")
    parser.add_argument("--log-level", default="warning", choices=_LEVELS, help="what is said on stderr")
    parser.add_argument("--list-calls", action="store_true", help="print every remote call and what is done with it")
    parser.add_argument("--parent-pid", type=int, metavar="PID", help="end when this parent process ends")
    return parser.parse_args(arguments)


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address("127.0.0.1" if text == "localhost" else text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no IP address; give one like 127.0.0.1") from error


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65534:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give 0 to 65534")
    return int(text)


def _maps(options: argparse.Namespace) -> MapLibrary:
    folder: list[Path] = []
    if options.maps:
        folder = sorted(options.maps.glob("*.xodr"))
        if not folder:
            raise MapError(f"--maps {options.maps}: no *.xodr file is there; give a folder of OpenDRIVE files")
    return MapLibrary([options.map] if options.map else [], folder)


async def _run(options: argparse.Namespace) -> int:
    streams = Streams(options.host)
    simulation = Simulation(_maps(options), streams)
    sockets = listen_pair(options.host, options.port)
    port = sockets[0].getsockname()[1]
    streams.port = port + 1

    def ready() -> None:
        # Whoever starts a server reads where it listens from the end of the first line.
        print(f"carla_cp.server {VERSION} protocol on {options.host}:{port}", flush=True)
        maps = f"map {simulation.episode.map.name}, {len(simulation.maps.names)} maps by name"
        print(f"{maps}; streams on port {port + 1}; --list-calls tells what is served", flush=True)

    work = asyncio.create_task(serve(sockets, simulation, streams, ready))
    stopped: list[int] = []

    def stop(status: int) -> None:
        stopped.append(status)
        work.cancel()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, stop, 130)
    loop.add_signal_handler(signal.SIGTERM, stop, 0)
    if options.parent_pid:
        watch = asyncio.create_task(watch_parent(options.parent_pid))
        watch.add_done_callback(lambda _: stop(0))
    try:
        await work
    except asyncio.CancelledError:
        if not stopped:
            raise
    return stopped[0] if stopped else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the server until it is told to end; returns the exit status."""
    options = parse(arguments)
    if options.list_calls:
        print("\n".join(lines()))
        return 0
    logging.basicConfig(level=options.log_level.upper(), format="carla_cp.server: %(message)s", stream=sys.stderr)
    if options.parent_pid:
        die_with(options.parent_pid)
    if not ipaddress.ip_address(options.host).is_loopback:
        print(
            f"carla_cp.server: warning: --host {options.host} lets other machines control this server", file=sys.stderr
        )
    try:
        return asyncio.run(_run(options))
    except (MapError, PortError) as error:
        print(f"carla_cp.server: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())

"""Kills a study's processes with -9 at random moments, and says whether that cost a finished episode.

    python tools/check_study.py --kills 20 --out check

Plays a short study undisturbed, then another of the same while a worker, a server and the main process are killed in
turn; a study that ends meanwhile begins anew. Every line that was in the ledger before a kill has to be there after it,
no episode twice, and at the end every record has to be the undisturbed one's, wall times aside. Exit status: 0, 1 it
was not so, 2 bad input.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from arguments import natural, out_folder, positive
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
SITUATION, BLOCK = "intersection_clear.xml", "clear"
TIMEOUT_S = 1.0  # of its episodes
LONGEST_S = 25.0  # until a kill
VICTIMS = ("worker", "server", "main")
EXEMPT = ("wall_s", "latency_ms")


@dataclass(frozen=True, slots=True)
class Study:
    """A short study in a folder of its own."""

    folder: Path

    @property
    def ledger(self) -> Path:
        """Its finished episodes."""
        return self.folder / "episodes.jsonl"

    def lines(self) -> list[bytes]:
        """The whole lines of its ledger."""
        data = self.ledger.read_bytes() if self.ledger.is_file() else b""
        return data[: data.rfind(b"\n") + 1].splitlines()

    def records(self) -> list[str]:
        """Its episodes, sorted, without what may differ from run to run."""
        episodes = [json.loads(line)["episode"] for line in self.lines()]
        return sorted(
            json.dumps({key: value for key, value in each.items() if key not in EXEMPT}, sort_keys=True)
            for each in episodes
        )

    def start(self, scenarios: Path, jobs: int) -> subprocess.Popen[bytes]:
        """A sitting."""
        files = ("--scenarios", scenarios, "--ledger", self.ledger, "--traces", self.folder / "traces")
        command = [
            sys.executable,
            str(ROOT / "tools" / "study.py"),
            "--block",
            BLOCK,
            "--jobs",
            str(jobs),
            *map(str, files),
        ]
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "said.txt").open("ab") as said:
            return subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Kills as often as it is told to and compares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=positive, default=20)
    parser.add_argument("--jobs", type=positive, default=2)
    parser.add_argument("--seed", type=natural, default=0, help="of the moments (default 0)")
    parser.add_argument("--out", type=out_folder, required=True, metavar="DIR", help="for the studies; to be empty")
    arguments = parser.parse_args(argv)
    scenarios = _short(arguments.out / "scenarios")
    calm = Study(arguments.out / "undisturbed")
    if calm.start(scenarios, arguments.jobs).wait() != 0:
        print(f"check_study: the undisturbed study failed; {calm.folder / 'said.txt'} says why", file=sys.stderr)
        return 2
    wrong = _disturbed(arguments, scenarios, calm.records())
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"{arguments.kills} kills, {len(calm.records())} episodes a study: {len(wrong)} things wrong")
    return 1 if wrong else 0


def _disturbed(arguments: argparse.Namespace, scenarios: Path, expected: list[str]) -> list[str]:
    """What went wrong in studies whose processes are killed."""
    rng = random.Random(arguments.seed)
    wrong: list[str] = []
    kills = rounds = 0
    with tqdm(total=arguments.kills, unit="kill") as bar:
        while kills < arguments.kills:
            study = Study(arguments.out / f"disturbed_{rounds}")
            rounds += 1
            process = study.start(scenarios, arguments.jobs)
            while process.poll() is None or process.returncode < 0:
                if process.returncode is not None:
                    process = study.start(scenarios, arguments.jobs)
                if kills < arguments.kills:
                    killed = _kill(process, study, VICTIMS[kills % len(VICTIMS)], rng.uniform(0, LONGEST_S), wrong)
                    kills += killed
                    bar.update(killed)
                else:
                    process.wait()
            if process.returncode != 0:
                wrong.append(f"{study.folder.name}: ended with status {process.returncode}")
            if study.records() != expected:
                wrong.append(f"{study.folder.name}: its records differ from the undisturbed study's")
    return wrong


def _kill(process: subprocess.Popen[bytes], study: Study, victim: str, wait_s: float, wrong: list[str]) -> bool:
    """Kills a victim after a while; False where the sitting ended before, or there was none yet."""
    try:
        process.wait(wait_s)
        return False
    except subprocess.TimeoutExpired:
        pass
    offspring = _offspring(process.pid)
    chosen = {
        "main": [process.pid],
        "worker": _named(offspring, "spawn_main"),
        "server": _named(offspring, "carla_cp.server"),
    }
    if not chosen[victim]:
        return False
    before = study.lines()
    os.kill(chosen[victim][-1], signal.SIGKILL)
    if victim == "main":
        process.wait()
        deadline = time.monotonic() + 60
        while any(_alive(pid) for pid in offspring) and time.monotonic() < deadline:
            time.sleep(0.2)
        if any(_alive(pid) for pid in offspring):
            wrong.append(f"{study.folder.name}: a process outlived its main process by a minute")
    if study.lines()[: len(before)] != before:
        wrong.append(f"{study.folder.name}: a finished episode is gone after a kill of {victim}")
    return True


def _short(folder: Path) -> Path:
    """A folder with one situation whose episodes end early."""
    folder.mkdir(parents=True)
    text = (ROOT / "scenarios" / SITUATION).read_text(encoding="utf-8")
    text = re.sub(r'<timeout value="[^"]*"', f'<timeout value="{TIMEOUT_S:g}"', text)
    text = text.replace('map="maps/', f'map="{ROOT}/scenarios/maps/')
    (folder / SITUATION).write_text(text, encoding="utf-8")
    return folder


def _offspring(pid: int) -> list[int]:
    said = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False).stdout
    children = [int(line) for line in said.split()]
    return children + [each for child in children for each in _offspring(child)]


def _named(pids: Sequence[int], text: str) -> list[int]:
    """Those whose command line holds the text."""
    return [pid for pid in pids if text in _command(pid)]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists() and bool(_command(pid))


if __name__ == "__main__":
    sys.exit(main())

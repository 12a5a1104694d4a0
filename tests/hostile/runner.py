"""Read mutants of one format in a process of its own, and say of each what came of it.

    python -m hostile.runner FORMAT START COUNT REPORT

The process ends at the first mutant that kills it; `REPORT` holds how far it came, one line a mutant.
"""

from __future__ import annotations

import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

from headstart.errors import HeadstartError
from hostile.formats import FORMATS

SECONDS_TO_LIVE = 20
BYTES_TO_LIVE = 4 << 30


def main(name: str, start: int, count: int, report: Path) -> None:
    """Read mutants `start` to `count`."""
    warnings.simplefilter("ignore")
    target = FORMATS[name]
    with tempfile.TemporaryDirectory() as place, report.open("a", buffering=1) as lines:
        folder = Path(place) / "data"
        folder.mkdir()
        seeds = target.seeds(folder)
        file = folder / target.file
        packed = target.packed or bytes
        file.write_bytes(packed(seeds[0]))
        target.read(file)
        resource.setrlimit(resource.RLIMIT_AS, (BYTES_TO_LIVE + _in_use("VmSize"), resource.RLIM_INFINITY))
        for number, mutant in enumerate(target.mutator.mutants(seeds, count, start=start), start=start):
            lines.write(f"{number} ")
            lines.flush()
            file.write_bytes(packed(mutant))
            signal.alarm(SECONDS_TO_LIVE)
            outcome, seconds, grown = _attempt(target.read, file)
            signal.alarm(0)
            lines.write(f"{seconds:.3f} {grown} {outcome}\n")


def _attempt(read, file: Path) -> tuple[str, float, int]:
    """Return what came of reading `file`, the seconds of CPU it took, and by how many bytes the peak of memory rose."""
    Path("/proc/self/clear_refs").write_text("5")
    before, started = _in_use("VmRSS"), time.process_time()
    try:
        read(file)
        outcome = "read"
    except HeadstartError as error:
        named = file.name in error.message or file.parent.name in error.message
        outcome = "refused" if named else f"unnamed {_one_line(str(error))}"
    except BaseException as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        outcome = _one_line(f"escaped {type(error).__name__} {error} at {place.filename}:{place.lineno}")
    return outcome, time.process_time() - started, _in_use("VmHWM") - before


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300].encode("ascii", "backslashreplace").decode()


def _in_use(what: str) -> int:
    """Return a figure of /proc/self/status in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(what))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))

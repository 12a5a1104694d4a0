"""Say what pip-audit has found, and of how many packages it has found out nothing: `python scripts/advisories.py JSON`.

pip-audit itself calls a run in which it could ask about no package a success.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def sentences(packages: list[dict[str, Any]]) -> list[str]:
    """Return one line an advisory, and last how many packages were compared."""
    lines = [
        f"{one['name']} {one['version']}: {flaw['id']}, repaired in {', '.join(flaw['fix_versions']) or 'no version'}"
        for one in packages
        for flaw in one.get("vulns", ())
    ]
    unknown = [one["name"] for one in packages if "skip_reason" in one]
    asked = len(packages) - len(unknown)
    lines.append(f"{asked} of {len(packages)} packages were compared with the known advisories")
    if not asked:
        lines.append("NOT AUDITED: the index that pip uses here knows no advisories; run this with an index that does")
    elif unknown:
        lines.append(f"not compared: {', '.join(unknown)}")
    return lines


def main(file: Path) -> int:
    packages = json.loads(file.read_text(encoding="utf-8"))["dependencies"]
    for line in sentences(packages):
        print(line)
    return int(any(one.get("vulns") for one in packages))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

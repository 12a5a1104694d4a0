"""Write `docs/guides/mistakes.md` by making every mistake of `tests/mistakes/`: `python scripts/list_mistakes.py`."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> None:
    sys.path.insert(0, str(ROOT / "tests"))
    from mistakes import catalogue, with_data, with_models  # noqa: F401  (they fill the catalogue)

    (ROOT / "docs" / "guides" / "mistakes.md").write_text(catalogue.page(), encoding="utf-8")


if __name__ == "__main__":
    main()

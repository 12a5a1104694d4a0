"""Name the functions and files that have grown too long to be read at once: `python scripts/sizes.py FOLDER...`"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

LINES_A_FUNCTION = 60
LINES_A_FILE = 400


def too_long(file: Path) -> Iterator[str]:
    """Yield one line for the file and for each of its functions that is over its limit."""
    source = file.read_text(encoding="utf-8")
    count = len(source.splitlines())
    if count > LINES_A_FILE:
        yield f"{file}: {count} lines, at most {LINES_A_FILE}"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > LINES_A_FUNCTION:
                yield f"{file}:{node.lineno}: `{node.name}` has {length} lines, at most {LINES_A_FUNCTION}"


def main(folders: list[str]) -> int:
    found = [line for folder in folders for file in sorted(Path(folder).rglob("*.py")) for line in too_long(file)]
    print("\n".join(found) or "sizes: all files and functions are within their limits")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""How large things are: lines per module and function, tests to source. `make size` prints it, review looks at it."""

import ast
import statistics
import subprocess
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def tracked(pattern: str) -> list[Path]:
    """The files git tracks that match."""
    listed = subprocess.run(
        ["git", "ls-files", pattern], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout
    return [PROJECT / name for name in listed.split()]


def lines(path: Path) -> int:
    return path.read_text().count("\n")


def functions(paths: list[Path]) -> list[tuple[int, str]]:
    """Lines of each function without its docstring, and its name."""
    found = []
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[0]
                said = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
                documented = (first.end_lineno or 0) - first.lineno + 1 if said else 0
                size = (node.end_lineno or 0) - node.lineno + 1 - documented
                found.append((size, f"{path.relative_to(PROJECT)}:{node.name}"))
    return sorted(found)


def main() -> None:
    """Print the table."""
    source, tests = tracked("stork/**.py"), tracked("tests/**.py")
    sizes = sorted((lines(path), str(path.relative_to(PROJECT))) for path in source)
    found = functions(source)
    short = [size for size, _ in found]
    print(f"modules    {len(sizes)}, median {statistics.median(size for size, _ in sizes):.0f} lines, largest:")
    for size, name in sizes[:-6:-1]:
        print(f"  {size:>5}  {name}")
    p95 = short[int(len(short) * 0.95)]
    print(f"functions  {len(short)}, median {statistics.median(short):.0f} lines, 95% up to {p95}, largest:")
    for size, name in found[:-6:-1]:
        print(f"  {size:>5}  {name}")
    print(f"tests      {sum(map(lines, tests))} lines to {sum(map(lines, source))} of source")
    for pattern in ("templates/**.html", "static/*.css", "static/*.js"):
        files = tracked(pattern)
        print(f"{pattern:<10} {len(files)} files, {sum(map(lines, files))} lines, largest {max(map(lines, files))}")


if __name__ == "__main__":
    main()

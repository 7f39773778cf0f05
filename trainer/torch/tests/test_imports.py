"""What the packages of the trainer may import: the tensor work knows neither the server nor gRPC,
and no two modules import each other, directly or by way of others."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

TORCH = Path(__file__).parents[1]
SERVER, ENGINE = "sparse_adapter_trainer", "sparse_adapter_engine"
# What the server reads before the engine is made, in a process that has not loaded PyTorch.
WITHOUT_PYTORCH = [
    f"{SERVER}.__main__",
    f"{SERVER}.capabilities",
    f"{SERVER}.server",
    f"{SERVER}.validation",
]


def read_imports(package: str) -> dict[str, set[str]]:
    """By module: what it imports when it is loaded, by full name."""
    return {_name(path): set(_imports(path)) for path in sorted((TORCH / package).rglob("*.py"))}


def _name(path: Path) -> str:
    parts = path.relative_to(TORCH).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(path: Path) -> list[str]:
    found: list[str] = []
    package = _name(path) if path.name == "__init__.py" else _name(path).rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - (node.level - 1)]
            base = ".".join([*above, *filter(None, [node.module])]) if node.level else node.module
            # `from package import module` and `from module import name` read alike.
            found += [str(base), *(f"{base}.{alias.name}" for alias in node.names)]
    return found


def find_circle(imports: dict[str, set[str]]) -> list[str]:
    """Modules each of which imports the next, and the last one the first; none where there is no
    such circle."""
    done: set[str] = set()

    def follow(module: str, path: list[str]) -> list[str]:
        if module in path:
            return path[path.index(module) :]
        if module in done:
            return []
        for other in sorted(imports[module] & imports.keys() - {module}):
            found = follow(other, [*path, module])
            if found:
                return found
        done.add(module)
        return []

    for module in imports:
        found = follow(module, [])
        if found:
            return found
    return []


@pytest.mark.parametrize("forbidden", [SERVER, "grpc", "grpc_health", "grpc_reflection"])
def test_the_engine_does_not_import(forbidden: str) -> None:
    wrong = [
        f"{module} imports {name}"
        for module, names in read_imports(ENGINE).items()
        for name in sorted(names)
        if name == forbidden or name.startswith(f"{forbidden}.") or name.endswith("_pb2_grpc")
    ]
    assert wrong == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert find_circle(read_imports(ENGINE) | read_imports(SERVER)) == []


def test_a_circle_is_found() -> None:
    assert find_circle({"a": {"b"}, "b": {"c", "d"}, "c": set(), "d": {"b"}}) == ["b", "d"]


def test_a_request_is_checked_without_loading_pytorch() -> None:
    program = f"import sys, {', '.join(WITHOUT_PYTORCH)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

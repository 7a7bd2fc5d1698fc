"""The files that commands write for `--out`."""

from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write the file whole or not at all. Raises `OSError`."""
    if path.exists() and not path.is_file():
        path.write_bytes(content)  # a pipe or a device can't be replaced
        return
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise

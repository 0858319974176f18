"""The queue: a folder with a file for each text that waits, and one for each that is done."""

import json
import os
import time
import uuid
from pathlib import Path

QUEUE = Path(os.environ.get("QUEUE", "/tmp/queue"))


def add(text: str) -> None:
    """Puts a text at the end of the queue. It is there at once or not at all."""
    _write(QUEUE / "waiting", text)


def waiting() -> list[Path]:
    """The texts that wait, the oldest first."""
    return _sorted(QUEUE / "waiting")


def take() -> Path | None:
    """The oldest text, now this worker's alone; None when none waits. Several workers may take at the same time."""
    (QUEUE / "taken").mkdir(parents=True, exist_ok=True)
    for path in waiting():
        mine = QUEUE / "taken" / path.name
        try:
            path.rename(mine)
        except FileNotFoundError:
            continue
        return mine
    return None


def finish(taken: Path, result: dict[str, object]) -> None:
    """Records what came of a text that was taken."""
    _write(QUEUE / "done", json.dumps(result))
    taken.unlink()


def done() -> list[dict[str, object]]:
    """What came of the texts, the latest first."""
    return [json.loads(path.read_text()) for path in reversed(_sorted(QUEUE / "done"))]


def _write(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{uuid.uuid4()}"
    draft.write_text(text)
    draft.rename(folder / f"{time.time_ns()}-{uuid.uuid4().hex[:8]}")


def _sorted(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("[0-9]*")) if folder.is_dir() else []

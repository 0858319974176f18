from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.image import Ports
from lifecycle.store import LocalStore


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def ports(store: LocalStore) -> Ports:
    return Ports(store)

"""A libvirtd of root's with guests of every kind, and a gate in front of it."""

import pathlib
from typing import Iterator

import pytest

import harness
from guests import Hypervisor


@pytest.fixture(scope="session")
def scratch() -> Iterator[pathlib.Path]:
    with harness.scratch_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def hypervisor(scratch: pathlib.Path) -> Iterator[Hypervisor]:
    (scratch / "daemon").mkdir()
    one = Hypervisor(scratch / "daemon")
    try:
        one.start()
        yield one
    finally:
        one.stop()


@pytest.fixture(scope="session")
def gate(scratch: pathlib.Path, hypervisor: Hypervisor) -> Iterator[harness.Gate]:
    (scratch / "gate").mkdir()
    one = harness.Gate(
        scratch / "gate",
        {"hail": hypervisor.uri},
        (harness.Listen("hail.sock", "hail"),),
        sections={"policy": {"pretend": ["STORAGE_POOL_REFRESH"]}},
    )
    try:
        yield one.start()
    finally:
        one.stop()

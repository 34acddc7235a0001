"""What HACKING.md and the folders' own pages name is there."""

import pathlib
import re

TOP = pathlib.Path(__file__).resolve().parents[2]
HACKING = (TOP / "HACKING.md").read_text(encoding="utf-8")
STEP = re.compile(r"`([\w/]+\.(?:cc|h))`\s+`((?:\w+::)*\w+)\(\)`")
PATH = re.compile(r"`((?:base|conf|policy|tunnel|proxy|tests|packaging)/[\w./]+)`")


def test_each_function_of_a_journey_is_defined_in_its_file() -> None:
    steps = STEP.findall(HACKING)
    assert len(steps) >= 20
    for path, function in steps:
        text = (TOP / path).read_text(encoding="utf-8")
        definition = re.compile(
            rf"^(?:[^\s/].*\b)?{re.escape(function)}\(", re.MULTILINE
        )
        assert definition.search(text), f"{path} has no {function}"


def test_each_journey_is_told_step_by_step() -> None:
    """The two lives are a section each, the other journeys a row."""
    sections = re.split(r"^## ", HACKING, flags=re.MULTILINE)
    for title, least in (("The life of a call", 6), ("The life of a reply", 4)):
        (section,) = [one for one in sections if one.startswith(title)]
        assert len(STEP.findall(section)) >= least, title
    (others,) = [one for one in sections if one.startswith("Other journeys")]
    for title in ("An event", "A key of the configuration", "A URI to a tunnel"):
        (row,) = [line for line in others.splitlines() if line.startswith(f"| {title}")]
        assert len(STEP.findall(row)) >= 2, title


def test_each_path_is_there() -> None:
    for page in ("HACKING.md", "SECURITY.md", "README.md"):
        for path in PATH.findall((TOP / page).read_text(encoding="utf-8")):
            assert (TOP / path).exists(), f"{page} names {path}"


def test_each_folder_says_what_it_is_for() -> None:
    for folder in ("base", "conf", "policy", "tunnel", "proxy", "tests", "packaging"):
        page = (TOP / folder / "README.md").read_text(encoding="utf-8")
        rooms = {path.name for path in (TOP / folder).iterdir() if path.is_dir()} - {"__pycache__"}
        if folder in ("tunnel", "proxy", "tests"):
            missing = {room for room in rooms if f"`{room}/`" not in page}
            assert not missing, f"{folder}/README.md does not name {missing}"

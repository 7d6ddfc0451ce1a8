"""What ends up in site-packages."""

import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
ROOMS = (
    "batch",
    "common",
    "eval",
    "experiment",
    "graph",
    "lab",
    "nodes",
    "prompts",
    "serving",
    "training",
    "view",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy so that no build folder of the checkout gets into it."""
    source = tmp_path_factory.mktemp("source")
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if files.returncode:
        pytest.skip("not a git checkout: there is no list of the files to build from")
    for name in filter(None, files.stdout.decode().split("\0")):
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_symlink():
            target.symlink_to((ROOT / name).readlink())
        elif (ROOT / name).is_file():
            target.write_bytes((ROOT / name).read_bytes())
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)],
        check=True,
        capture_output=True,
    )
    return next(out.glob("*.whl"))


def test_the_wheel_holds_the_package_and_nothing_beside_it(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/", 1)[0] for name in names}
    assert tops == {"ddxgraph", f"ddxgraph-{wheel.name.split('-')[1]}.dist-info"}


def test_the_wheel_holds_every_module_prompt_page_table_and_preset_of_every_room(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    wanted = {
        f"ddxgraph/{path.relative_to(ROOT).as_posix()}"
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.suffix in {".css", ".csv", ".digests", ".jinja", ".js", ".py", ".toml", ".yaml"}
    }
    assert len(wanted) > 30
    assert wanted <= names
    source = ROOT / "src" / "ddxgraph"
    own = [*source.glob("*.py"), *(source / "cli").rglob("*.py")]
    assert len(own) > 10
    assert {"ddxgraph/py.typed", *(path.relative_to(ROOT / "src").as_posix() for path in own)} <= names


def test_every_folder_with_modules_is_a_package_of_the_wheel():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {
        f"ddxgraph.{path.parent.relative_to(ROOT).as_posix().replace('/', '.')}": path.parent.relative_to(
            ROOT
        )
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
    }
    inside = {
        ".".join(path.parent.relative_to(ROOT / "src").parts)
        for path in [ROOT / "src" / "ddxgraph" / "__init__.py", *(ROOT / "src/ddxgraph/cli").rglob("*.py")]
    }
    assert set(settings["packages"]) == folders.keys() | inside
    places = {name: folder.as_posix() for name, folder in folders.items()}
    assert settings["package-dir"] == {"ddxgraph": "src/ddxgraph", **places}


def test_the_links_below_src_name_every_room():
    links = {path.name for path in (ROOT / "src" / "ddxgraph").iterdir() if path.is_symlink()}
    assert links == set(ROOMS)


def wanted_by(extra: str, extras: Mapping[str, list[str]]) -> Iterator[Requirement]:
    """The requirements of an extra, those of the extras that it names among them."""
    for requirement in map(Requirement, extras[extra]):
        if requirement.name == "ddxgraph":
            for each in requirement.extras:
                yield from wanted_by(each, extras)
        else:
            yield requirement


@pytest.mark.parametrize(("lock", "extra"), [("demo", "embedded"), ("dev", "dev"), ("lowest", "dev")])
def test_a_lock_holds_what_the_project_requires_with_hashes(lock, extra):
    """If not: `make lock`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    entries = (ROOT / "requirements" / f"{lock}.txt").read_text().replace("\\\n", " ").splitlines()
    locked: dict[str, set[str]] = {}
    for entry in entries:
        assert "--hash=sha256:" in entry
        pinned = Requirement(entry.partition(" --hash")[0])
        locked.setdefault(canonicalize_name(pinned.name), set()).add(str(pinned.specifier)[2:])
    needed = [*map(Requirement, project["dependencies"]), *wanted_by(extra, project["optional-dependencies"])]
    for requirement in needed:
        if requirement.name != "torch":  # its builds differ from index to index
            versions = locked[canonicalize_name(requirement.name)]
            assert all(requirement.specifier.contains(version) for version in versions), requirement


@pytest.mark.slow
def test_an_install_into_an_empty_environment_works_from_outside_the_checkout(wheel, tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    bin_folder = tmp_path / "venv" / "bin"

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(str(bin_folder / "python"), "-m", "pip", "install", "--quiet", str(wheel))
    where = run(str(bin_folder / "python"), "-c", "import ddxgraph; print(ddxgraph.__file__)")
    assert where.startswith(str(tmp_path))
    assert "solve" in run(str(bin_folder / "ddxgraph"), "--help")
    site_packages = Path(where).parents[1]
    for room in ROOMS:
        assert not (site_packages / room).exists()
        assert not (site_packages / f"{room}.py").exists()
    offline = subprocess.run(
        [str(bin_folder / "ddxgraph"), "solve", "--text", "Fever."],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert offline.returncode == 1
    assert f"pip install 'ddxgraph[embedded] @ {wheel.as_uri()}'" in offline.stderr

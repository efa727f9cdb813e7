"""The secret that rows of a ledger are sealed with; kept where no agent has business.

One key per user, made when it is first needed, in
``$XDG_STATE_HOME/pytest-orchestrator/ledger.key``, readable by its owner alone. A
pipeline that carries a run folder to another machine gives the key itself, as
``PYTEST_ORCHESTRATOR_LEDGER_KEY``. That variable is taken out of the environment as
soon as it is read: agents and services are started without it.
"""

from __future__ import annotations

import hmac
import os
import secrets
import stat
from pathlib import Path

from pytest_orchestrator.errors import Infra

VARIABLE = "PYTEST_ORCHESTRATOR_LEDGER_KEY"
_FILE = Path("pytest-orchestrator") / "ledger.key"
_BYTES = 32
_SHORTEST = 32

_given: list[str] = []
"""What the environment had, once it has been taken from there."""


def take() -> str:
    """The key the environment gives, removed from it; empty if it gives none.

    Raises:
        Infra: It is too short to be a secret.
    """
    told = os.environ.pop(VARIABLE, "")
    if told:
        _given[:] = [told]
    if _given and len(_given[0]) < _SHORTEST:
        raise Infra(
            f"{VARIABLE} has {len(_given[0])} characters; give it at least {_SHORTEST}, e.g. those "
            "of `openssl rand -hex 32`"
        )
    return _given[0] if _given else ""


def handed_on() -> dict[str, str]:
    """What a process of our own must find in its environment; nothing, if the key is a file."""
    return {VARIABLE: told} if (told := take()) else {}


def adopt(key: str) -> None:
    """Use a key that another process of this session was given."""
    if key:
        _given[:] = [key]


def run_key(folder: Path) -> bytes:
    """The key of one run; rows of another run's ledger do not fit it.

    With the user's own key it goes by where the run folder is; with a key that was
    given, by the folder's name, since that is to be carried elsewhere.

    Raises:
        Infra: There is no key, and none can be kept; or others can read it.
    """
    told = take()
    if told:
        return hmac.digest(told.encode(), f"given\0{folder.name}".encode(), "sha256")
    return hmac.digest(_own(), b"own\0" + os.fsencode(folder.resolve()), "sha256")


def path() -> Path:
    """Where the user's key is, or will be."""
    told = os.environ.get("XDG_STATE_HOME", "")
    home = Path(told) if Path(told).is_absolute() else Path.home() / ".local" / "state"
    return home / _FILE


def _own() -> bytes:
    file = path()
    try:
        return _read(file) or _made(file)
    except OSError as error:
        raise Infra(
            f"the key of the ledgers cannot be kept in {file} ({error.strerror}); set "
            f"XDG_STATE_HOME to a folder of yours that agents cannot reach, or give {VARIABLE}"
        ) from error


def _read(file: Path) -> bytes:
    """The key, or nothing if there is none yet."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return b""
    with os.fdopen(descriptor, "rb") as opened:
        about = os.fstat(descriptor)
        if stat.S_IMODE(about.st_mode) & 0o077 or about.st_uid != os.getuid():
            raise Infra(
                f"{file} can be read by others, so anybody could write a ledger: run "
                f"`rm {file}`, and start runs anew"
            )
        key = opened.read()
    if len(key) != _BYTES:
        raise Infra(f"{file} is damaged: run `rm {file}`, and start runs anew")
    return key


def _made(file: Path) -> bytes:
    """A new key, or that of whoever made one in the same moment."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(secrets.token_bytes(_BYTES))
        # Whole or not at all, and never over another one.
        file.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return _read(file)

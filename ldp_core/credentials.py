"""Passwords, keys and signatures in addresses: parted from them, and kept out of every text.

`hide` parts an address where it enters: what goes on, is recorded and is shown is the plain address.
`ldp_core.storage` puts the rest back where it opens one (`reveal`). Nothing here is written anywhere.

The file that ``LDP_CREDENTIALS`` names has whole addresses, one a line. It serves those who have plain ones
only: deployments, ``ldp verify --repair``. It is read again when it changes.
"""

from __future__ import annotations

import base64
import logging
import os
import re
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

VARIABLE: Final = "LDP_CREDENTIALS"
HIDDEN: Final = "***"

_ADDRESS: Final = re.compile(
    r"(?<![A-Za-z0-9+.-])[0-9+.-]*(?P<address>[A-Za-z][A-Za-z0-9+.-]*://.*)", re.DOTALL
)
"""Looked for at the beginnings of words alone: at every letter, a text of 40,000 takes half a minute."""
_USER: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<user>[^/?#]*)@(?P<rest>.*)", re.DOTALL)
_S3_USER: Final = re.compile(r"(?P<scheme>s3a?)://(?P<user>(?!arn:)[^/@:]+:.+)@(?P<rest>.*)", re.DOTALL)
"""A secret key of S3 may hold ``/``, and the name of a bucket no ``:``."""
_WITHOUT_USER: Final = frozenset({"http", "https", "s3", "s3a", "webdav", "webdavs", "dav", "davs"})
"""Where who reads is no part of what is read. Elsewhere, as in ``sftp://user@host``, the user stays."""

_SECRET: Final = (
    r"x-amz-[\w-]+|x-goog-[\w-]+|x-oss-[\w-]+|sig|signature|token|access_token|private_token|api_?key|password"
    r"|passwd|pwd|secret|client_secret|awsaccesskeyid|googleaccessid|key-pair-id|security-token"
)
_SIGNED: Final = "expires|policy|s[vetpr]|spr|sip|ss|srt|sk[vtes]|skoid|sktid"
"""What belongs to a signature and is another with each: no part of what is read where there is one."""
_SECRET_NAME: Final = re.compile(_SECRET, re.IGNORECASE)
_SIGNED_NAME: Final = re.compile(f"{_SECRET}|{_SIGNED}", re.IGNORECASE)
_IN_TEXT: Final = (
    (re.compile(r"(s3a?://)(?!arn:)[^\s/@:'\"]+:[^\s@'\"]+@"), rf"\1{HIDDEN}@"),
    (re.compile(r"((?<![A-Za-z0-9+.-])[A-Za-z0-9+.-]+://)[^\s/?#@:]*:[^\s/?#]*@"), rf"\1{HIDDEN}@"),
    (re.compile(r"(https?://)[^\s/?#'\"]*@"), rf"\1{HIDDEN}@"),
    (re.compile(rf"(?i)((?<![\w-])(?:{_SECRET})(?:=|%3D|['\"]?: ?b?['\"]))[^\s&'\"<>,]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)(authorization['\"]?\s*[:=]\s*b?['\"]?)[^'\"\n]+"), rf"\1{HIDDEN}"),
)
_VARIABLES: Final = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "PREFECT_API_AUTH_STRING",
    "PREFECT_API_KEY",
)
_SHORTEST: Final = 6
"""A shorter password is hidden in addresses alone: as a word it would be found in sound texts."""


@dataclass(slots=True)
class Keyring:
    """What was parted from addresses. ``users``: by host, ``user:password`` by plain address; ``queries``."""

    users: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    queries: dict[str, str] = field(default_factory=dict, repr=False)
    revision: int = 0

    def keep(self, plain: str, user: str, query: str) -> None:
        before = self.users.get(_host(plain), {}).get(plain, ""), self.queries.get(plain, "")
        if user:
            self.users.setdefault(_host(plain), {})[plain] = user
        if query:
            self.queries[plain] = query
        self.revision += (user or before[0], query or before[1]) != before

    def take(self, other: Keyring) -> None:
        for host, users in other.users.items():
            self.users.setdefault(host, {}).update(users)
        self.queries.update(other.queries)

    def user_of(self, plain: str) -> str:
        """Of the addresses at its host, that of the one that begins most alike."""
        users = self.users.get(_host(plain), {})
        return users[max(users, key=lambda one: _alike(one, plain))] if users else ""

    def query_of(self, plain: str) -> str:
        """The signature of an address, or of the nearest folder above it."""
        while self.queries and "://" in plain and not plain.endswith("://"):
            if found := self.queries.get(plain) or self.queries.get(f"{plain}/"):
                return found
            plain = plain.rpartition("/")[0]
        return ""

    def list_secrets(self) -> set[str]:
        """Passwords as they may stand in texts: as given, quoted, unquoted, and as HTTP sends them."""
        found: set[str] = {os.environ.get(name, "") for name in _VARIABLES}
        for user in (user for users in self.users.values() for user in users.values()):
            secret = user.partition(":")[2] or user
            found |= {secret, quote(secret, safe=""), unquote(secret)}
            found |= {base64.b64encode(text.encode()).decode() for text in (user, unquote(user))}
        return {secret for secret in found if len(secret) >= _SHORTEST}


KEYRING: Final = Keyring()
"""That of this process; `tasks.cluster` gives it to the workers."""


def hide(text: str) -> str:
    """The plain address, what was parted from it kept in this process. Also of ``--option=ADDRESS``."""
    plain, found = _part_all(text)
    for address, user, query in found:
        KEYRING.keep(address, user, query)
    if found:
        guard_logs()
    return plain


def plain_of(text: str) -> str:
    """The plain address; nothing is kept."""
    return _part_all(text)[0]


def reveal(address: str) -> str:
    """The address with what belongs to it of all that this process knows."""
    _read_file()
    if not (KEYRING.users or KEYRING.queries) or "://" not in address:
        return address
    return "::".join(map(_reveal, address.split("::")))


def redact(text: str) -> str:
    """A text without passwords, keys and signatures: those of addresses in it, and all that are known."""
    for pattern, replacement in _IN_TEXT:
        text = pattern.sub(replacement, text)
    for secret in KEYRING.list_secrets():
        text = text.replace(secret, HIDDEN)
    return text


def redact_error(error: BaseException | None) -> None:
    """Redact the texts in an error and in those that it came from, as far as they stand in its arguments."""
    while error is not None:
        error.args = tuple(redact(one) if isinstance(one, str) else one for one in error.args)
        error = error.__cause__ or error.__context__


def guard_logs() -> None:
    """Have every log record of this process redacted, whoever writes it, at every level."""
    before = logging.getLogRecordFactory()
    if getattr(before, "guards", False):
        return

    def make(*arguments: Any, **named: Any) -> logging.LogRecord:
        record = before(*arguments, **named)
        if (text := record.getMessage()) != (safe := redact(text)):
            record.msg, record.args = safe, ()
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = redact("".join(traceback.format_exception(*record.exc_info)).rstrip("\n"))
        return record

    make.guards = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(make)


def _part_all(text: str) -> tuple[str, list[tuple[str, str, str]]]:
    if "://" not in text or not ("@" in text or "?" in text):
        return text, []
    plain, found = [], []
    for part in text.split("::"):
        match = _ADDRESS.search(part)
        address, user, query = _part(match["address"]) if match else (part, "", "")
        plain.append(part[: match.start("address")] + address if match else part)
        if user or query:
            found.append((address, user, query))
    return "::".join(plain), found


def _part(address: str) -> tuple[str, str, str]:
    """An address without user and password and without signature, and both."""
    user = ""
    if match := _S3_USER.fullmatch(address) or _USER.fullmatch(address):
        scheme, found, rest = match["scheme"], match["user"], match["rest"]
        if scheme.lower() in _WITHOUT_USER:
            address, user = f"{scheme}://{rest}", found
        elif ":" in found:
            address, user = f"{scheme}://{found.partition(':')[0]}@{rest}", found
    base, mark, query = address.partition("?")
    pairs = query.split("&")
    names = [pair.partition("=")[0] for pair in pairs]
    if not (mark and any(map(_SECRET_NAME.fullmatch, names))):
        return address, user, ""
    secret = {name for name in names if _SIGNED_NAME.fullmatch(name)}
    kept = [pair for pair, name in zip(pairs, names, strict=True) if name not in secret]
    parted = [pair for pair, name in zip(pairs, names, strict=True) if name in secret]
    return base + ("?" + "&".join(kept) if kept else ""), user, "&".join(parted)


def _reveal(address: str) -> str:
    plain, own_user, own_query = _part(address) if "://" in address else (address, "", "")
    user = own_user or KEYRING.user_of(plain)
    query = own_query or KEYRING.query_of(plain)
    if user:
        scheme, _, rest = plain.partition("://")
        host = rest.rpartition("@")[2] if scheme not in _WITHOUT_USER else rest
        plain = f"{scheme}://{user}@{host}"
    return plain + ("&" if "?" in plain else "?") + query if query else plain


def _alike(first: str, second: str) -> int:
    """With how many equal letters two texts begin."""
    return next(
        (n for n, (a, b) in enumerate(zip(first, second, strict=False)) if a != b),
        min(len(first), len(second)),
    )


def _host(address: str) -> str:
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{rest.partition('/')[0].partition('?')[0]}"


def _read_file(seen: dict[str, int] = {}) -> None:  # noqa: B006 - which file was read, and when it had changed
    path = os.environ.get(VARIABLE, "")
    if not path:
        return
    changed = Path(path).stat().st_mtime_ns
    if seen.get(path) != changed:
        seen[path] = changed
        for line in filter(None, map(str.strip, Path(path).read_text(encoding="utf-8").splitlines())):
            hide(line)


def split_s3_user(address: str) -> tuple[str, Mapping[str, str]]:
    """An address of S3 without its keys, and these as s3fs takes them."""
    match = _S3_USER.fullmatch(address)
    if match is None:
        return address, {}
    key, _, secret = match["user"].partition(":")
    return f"{match['scheme']}://{match['rest']}", {"key": unquote(key), "secret": unquote(secret)}

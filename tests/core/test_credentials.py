"""Addresses parted from passwords, keys and signatures, put together again, and texts without any."""

from __future__ import annotations

import logging
import os
import pickle
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from ldp_core import credentials
from ldp_core.credentials import KEYRING, hide, plain_of, redact, reveal, split_s3_user
from ldp_core.errors import LdpError, SettingsError, StorageError
from ldp_core.storage import absolute_url, read_bytes, shared_url

CANARY = "Canary-5ecret"
SECRETS = [
    (f"http://reader:{CANARY}@host:8080/set/a.csv", "http://host:8080/set/a.csv"),
    (f"https://{CANARY}@host/set", "https://host/set"),
    (f"s3://AKIAKEY:{CANARY}/+x@bucket/set/a.png", "s3://bucket/set/a.png"),
    (f"sftp://reader:{CANARY}@host/set", "sftp://reader@host/set"),
    (
        f"https://host/a.png?X-Amz-Date=1&X-Amz-Signature={CANARY}&versionId=3",
        "https://host/a.png?versionId=3",
    ),
    (f"https://host/a.png?sv=2020&se=2027&sp=r&sig={CANARY}", "https://host/a.png"),
    (f"https://host/a.png?Expires=1&Signature={CANARY}&Key-Pair-Id=K", "https://host/a.png"),
    (f"simplecache::https://reader:{CANARY}@host/a.png", "simplecache::https://host/a.png"),
]
SOUND = [
    "/a/b@2/c?d.png",
    "s3://bucket/a@b:c.png",
    "https://host/get?key=1&se=2",
    "https://host:8080/a@b",
    "abfs://container@account.dfs.core.windows.net/a",
    "sftp://reader@host/a",
    "s3://arn:aws:s3:eu-west-1:1:accesspoint/name/a@b",
    "a folder/with: colons",
]


@pytest.fixture(autouse=True)
def keyring() -> Iterator[None]:
    factory = logging.getLogRecordFactory()
    yield
    KEYRING.users.clear()
    KEYRING.queries.clear()
    logging.setLogRecordFactory(factory)


@pytest.mark.parametrize(("whole", "plain"), SECRETS)
def test_an_address_is_parted_and_put_together_again(whole: str, plain: str) -> None:
    assert reveal(plain) == plain
    assert hide(whole) == plain_of(whole) == plain
    again = reveal(plain)
    assert plain_of(again) == plain
    assert sorted(again) == sorted(whole)  # the parts of a query may stand in another order
    assert reveal(whole) == reveal(again)


@pytest.mark.parametrize("address", SOUND)
def test_an_address_without_any_stays_as_it_is(address: str) -> None:
    assert hide(address) == address
    assert reveal(address) == address


def test_a_text_of_an_option_is_parted() -> None:
    assert hide(f"--archive=s3://K:{CANARY}@bucket/a") == "--archive=s3://bucket/a"
    assert hide(f"estimator.weights=https://u:{CANARY}@h/w") == "estimator.weights=https://h/w"
    assert reveal("https://h/w") == f"https://u:{CANARY}@h/w"


def test_who_reads_a_host_reads_all_below_it_and_no_other_host() -> None:
    hide("https://one:first-password@host/a/list.csv")
    hide("https://two:second-password@host/b")
    assert reveal("https://host/a/x.png") == "https://one:first-password@host/a/x.png"
    assert reveal("https://host/b/x.png") == "https://two:second-password@host/b/x.png"
    for other in ("https://elsewhere/a/x.png", "http://host/a/x.png", "https://host:81/a/x.png"):
        assert reveal(other) == other


def test_the_signature_of_a_folder_serves_what_is_below_it() -> None:
    hide(f"https://host/box?sv=1&sig={CANARY}")
    assert reveal("https://host/box/a/b.png") == f"https://host/box/a/b.png?sv=1&sig={CANARY}"
    assert reveal("https://host/boxes/b.png") == "https://host/boxes/b.png"


def test_keys_of_s3_go_to_its_client() -> None:
    assert split_s3_user("s3://KEY:a%2Fb@bucket/x") == ("s3://bucket/x", {"key": "KEY", "secret": "a/b"})
    assert split_s3_user("s3://bucket/x@y:z") == ("s3://bucket/x@y:z", {})


@pytest.mark.parametrize("whole", [whole for whole, _ in SECRETS])
def test_no_text_of_an_error_holds_any(whole: str) -> None:
    error = LdpError(
        f"not read: '{whole}'", where=whole, got=f"OSError: ({whole!r}, 5)", remedy=f"see {whole}"
    )
    for text in (str(error), repr(error), repr(vars(error)), repr(pickle.dumps(error))):
        assert CANARY not in text


def test_a_known_password_is_found_in_any_form() -> None:
    hide("https://reader:p%2Fss-word@host/")
    for text in ("p%2Fss-word", "p/ss-word", "Basic cmVhZGVyOnAvc3Mtd29yZA=="):
        assert text.removeprefix("Basic ") not in redact(f"GET, {text}, failed")
    assert redact("GET s3://bucket/a of reader failed") == "GET s3://bucket/a of reader failed"


def test_what_stores_raise_is_redacted_with_its_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"http://reader:{CANARY}@127.0.0.1:9/a.png?sig={CANARY}x"
    with pytest.raises(StorageError) as caught:
        read_bytes(absolute_url(address))
    assert "http://127.0.0.1:9/a.png" in caught.value.where
    assert CANARY not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(StorageError) as caught:
        read_bytes(address)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_what_prefect_would_keep_is_refused() -> None:
    with pytest.raises(SettingsError, match="holds a password") as caught:
        shared_url(f"https://reader:{CANARY}@host/set")
    assert caught.value.where == "https://host/set"
    assert "LDP_CREDENTIALS" in caught.value.remedy
    assert shared_url("https://host/set") == "https://host/set"


def test_log_records_of_any_logger_are_redacted(caplog: pytest.LogCaptureFixture) -> None:
    hide(f"https://reader:{CANARY}@host/a")
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("botocore").debug("%s: Signature=%s", {"Authorization": "AWS4 " + CANARY}, CANARY)
        logging.getLogger("aiohttp").debug("GET https://other:%s@host/?sig=%s", CANARY, CANARY)
        try:
            raise OSError(f"https://reader:{CANARY}@host/a")
        except OSError:
            logging.getLogger("ldp").exception("it broke")
        logging.getLogger("ldp").info("%s of %d", "one", 2)
    assert CANARY not in caplog.text
    assert "one of 2" in caplog.text
    assert "Traceback" in caplog.text


def test_a_file_gives_what_plain_addresses_lack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "credentials"
    file.write_text(f"https://reader:{CANARY}@host/\n\nhttps://host2/a?sig=first-one\n")
    monkeypatch.setenv(credentials.VARIABLE, str(file))
    assert reveal("https://host/a") == f"https://reader:{CANARY}@host/a"
    file.write_text("https://host2/a?sig=second\n")  # renewed while a run works
    os.utime(file, ns=(1, file.stat().st_mtime_ns + 10**9))
    assert reveal("https://host2/a") == "https://host2/a?sig=second"


def test_a_file_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(credentials.VARIABLE, str(tmp_path / "none"))
    with pytest.raises(SettingsError, match="LDP_CREDENTIALS"):
        read_bytes("https://host/a")


@pytest.mark.parametrize("text", ["x" * 200_000, "x" * 200_000 + "@ ://", "1-" * 100_000 + "?://"])
def test_a_long_word_takes_no_time(text: str) -> None:
    """Each of these took minutes while every letter was tried as the beginning of an address."""
    begin = time.process_time()
    assert redact(text) == plain_of(text) == text
    assert time.process_time() - begin < 2


@pytest.mark.parametrize("before", ["", "1", "=", "see-", "--to=", "(", "2.", "é"])
def test_an_address_is_found_whatever_stands_before_it(before: str) -> None:
    whole = f"{before}http://reader:{CANARY}@host/a"
    assert CANARY not in redact(whole)
    assert CANARY not in plain_of(whole)
    assert plain_of(whole).startswith(before)

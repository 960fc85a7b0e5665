"""Manifests: the same table as CSV, JSON lines and Parquet gives the same catalogue."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from pyarrow import parquet

from ldp_core import storage
from ldp_core.catalogue import catalogue_from_jsonl, catalogue_to_jsonl, read_catalogue
from ldp_core.errors import CatalogueError, SettingsError, StorageError
from ldp_core.images import PictureTraits, encode_image, probe_picture
from ldp_core.types import Catalogue, DpAxis, ImageRef, Region

Rows = list[dict[str, Any]]
FORMATS = ["csv", "jsonl", "parquet"]


ODD_ADDRESSES = {
    "~/pictures/l.png": "'~' stands for no folder",
    "file://pictures/l.png": "is no whole address",
    "file:///pictures/my%20set/l.png": "what %20 means",
}


def as_csv(rows: Rows) -> bytes:
    file = io.StringIO()
    writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


def as_jsonl(rows: Rows) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_parquet(rows: Rows) -> bytes:
    file = io.BytesIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    parquet.write_table(pa.table({name: [row.get(name) for row in rows] for name in names}), file)
    return file.getvalue()


WRITERS = {"csv": as_csv, "jsonl": as_jsonl, "parquet": as_parquet}


@pytest.fixture(params=["path", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    url = str(tmp_path) if request.param == "path" else f"memory://{tmp_path.name}"
    picture = np.random.default_rng(0).integers(0, 256, (4, 5, 1), dtype=np.uint8)
    for name in ("a/l.png", "a/r.png", "a/t.png", "b/l.png", "b/r.png"):
        storage.write_bytes(storage.join(url, "pictures", name), encode_image(picture))
    yield url
    MemoryFileSystem.store.clear()


def read(root: str, rows: Rows, *, format: str = "csv", name: str = "lists/all") -> Catalogue:  # noqa: A002
    url = storage.join(root, f"{name}.{format}")
    storage.write_bytes(url, WRITERS[format](rows))
    return read_catalogue(url, layout="manifest")


def row(name: str, **more: Any) -> dict[str, Any]:
    return {"left": f"../pictures/{name}/l.png", "right": f"../pictures/{name}/r.png", **more}


@pytest.mark.parametrize("format", FORMATS)
def test_each_format(root: str, format: str) -> None:  # noqa: A002
    catalogue = read(
        root, [row("a", id="One", target="../pictures/a/t.png"), row("b", id="Two")], format=format
    )
    assert catalogue.problems == ()
    assert [item.id for item in catalogue.items] == ["all/one", "all/two"]
    assert [item.target is not None for item in catalogue.items] == [True, False]
    assert catalogue.items[0].right.uri.endswith("pictures/a/r.png")


def test_absolute_paths_urls_and_peers(root: str) -> None:
    urls = {side: storage.join(root, "pictures/b", f"{side[0]}.png") for side in ("left", "right")}
    peer = {"peer:other net": "../pictures/a/t.png", "blur_truth": "../pictures/a/t.png"}
    (item,) = read(root, [urls | peer], format="jsonl").items
    assert item.left.uri == urls["left"]
    assert set(item.external) == {"other net"}
    assert item.blur_truth is not None
    assert item.id == "all/l"


def test_names_default_to_the_left_file_and_collisions_are_named(root: str) -> None:
    with pytest.raises(CatalogueError, match="2 duplicate_id"):
        read(root, [row("a"), row("b")])
    catalogue = read(root, [row("a", id="x"), row("b", id="X"), row("b", id="y")])
    assert [item.id for item in catalogue.items] == ["all/y"]
    assert [(p.kind, p.where.rsplit(" ", 2)[1:]) for p in catalogue.problems] == [
        ("duplicate_id", ["row", "2"]),
        ("duplicate_id", ["row", "3"]),
    ]


@pytest.mark.parametrize("format", FORMATS)
def test_bad_rows_are_named_and_the_rest_goes_on(root: str, format: str) -> None:  # noqa: A002
    rows = [
        row("a", id="good"),
        row("a", id="no left") | {"left": ""},
        row("a", id="same") | {"right": "../pictures/a/l.png"},
        row("nowhere", id="gone"),
    ]
    catalogue = read(root, rows, format=format)
    assert [item.id for item in catalogue.items] == ["all/good"]
    assert sorted(p.kind for p in catalogue.problems) == [
        "bad_row",
        "bad_row",
        "image_missing",
        "image_missing",
    ]
    assert sum(p.refuses_item for p in catalogue.problems) == 3


@pytest.mark.parametrize("format", FORMATS)
def test_rows_without_a_right_picture_are_single_views(root: str, format: str) -> None:  # noqa: A002
    catalogue = read(root, [row("a", id="pair"), row("b", id="one") | {"right": " "}], format=format)
    assert {item.id: item.has_both_views for item in catalogue.items} == {"all/one": False, "all/pair": True}
    assert catalogue.problems == ()
    alone = {name: value for name, value in row("a", id="alone").items() if name != "right"}
    (item,) = read(root, [alone], format=format).items
    assert not item.has_both_views


def test_cells_that_are_no_text(root: str) -> None:
    rows = [row("a"), {"left": 1, "right": "x"}, {"left": ["a"], "right": "b"}, row("b", id="\ud800")]
    catalogue = read(root, rows, format="jsonl")
    assert len(catalogue.items) == 1
    assert [p.kind for p in catalogue.problems] == ["bad_row"] * 3


def test_unknown_columns_are_named(root: str) -> None:
    catalogue = read(root, [row("a", targt="../pictures/a/t.png")])
    assert [(p.kind, p.refuses_item) for p in catalogue.problems] == [("unread_column", False)]
    assert "targt" in catalogue.problems[0].message


@pytest.mark.parametrize("format", FORMATS)
def test_a_missing_column_is_an_error(root: str, format: str) -> None:  # noqa: A002
    with pytest.raises(CatalogueError, match="no column 'right'") as caught:
        read(root, [{"left": "a.png", "rigth": "b.png"}], format=format)
    assert "rigth" in caught.value.got


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.csv", b""),
        ("m.csv", b"left,right\n\xff\xfe,b\n"),
        ("m.csv", b"left,right\na\n"),
        ("m.csv", b"left,right,left\na,b,c\n"),
        ("m.csv", b'left,right\n"a,b\n'),
        ("m.csv", b"left,right\n" + b"x" * 200_000 + b",b\n"),
        ("m.jsonl", b"{"),
        ("m.jsonl", b"[1]\n"),
        ("m.jsonl", b"[" * 100_000),
        ("m.jsonl", b'{"left": "a", "right": "b"}\nnot json\n'),
        ("m.parquet", b""),
        ("m.parquet", b"PAR1 nothing PAR1"),
        ("m.txt", b"left,right\n"),
        ("m", b"left,right\n"),
    ],
)
def test_files_that_are_no_manifest(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CatalogueError) as caught:
        read_catalogue(str(tmp_path / name), layout="manifest")
    assert str(tmp_path / name) in caught.value.where


def test_a_damaged_parquet_never_leaks_a_foreign_exception(root: str, tmp_path: Path) -> None:
    content, rng = as_parquet([row("a", id="x"), row("b", id="y")]), np.random.default_rng(1)
    path = tmp_path / "m.parquet"
    for _ in range(150):
        altered = bytearray(content)
        altered[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(altered))
        try:
            read_catalogue(str(path), layout="manifest")
        except CatalogueError:
            continue


def test_a_missing_manifest(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        read_catalogue(str(tmp_path / "none.csv"), layout="manifest")


def test_windows_spreadsheets_start_with_a_byte_order_mark(root: str) -> None:
    url = storage.join(root, "lists/all.csv")
    text = "left,right\r\n../pictures/a/l.png,../pictures/a/r.png\r\n\r\n"
    storage.write_bytes(url, text.encode("utf-8-sig"))
    assert len(read_catalogue(url, layout="manifest").items) == 1


@pytest.mark.parametrize("blank", [",,", " ,\t,", ",", ",,,,", '"","",""'])
def test_rows_without_content_are_skipped(root: str, blank: str) -> None:
    url = storage.join(root, "lists/all.csv")
    sound = "../pictures/a/l.png,../pictures/a/r.png,a"
    storage.write_bytes(url, f"left,right,id\r\n{blank}\r\n{sound}\r\n{blank}\r\n,,named\r\n".encode())
    catalogue = read_catalogue(url, layout="manifest")
    assert [item.id for item in catalogue.items] == ["all/a"]
    assert [(problem.kind, problem.where) for problem in catalogue.problems] == [("bad_row", f"{url} row 5")]


@pytest.mark.parametrize("blank", [{}, {"left": None, "right": None}, {"left": " ", "right": "", "id": "\t"}])
@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_records_without_content_are_skipped(root: str, format: str, blank: dict[str, Any]) -> None:  # noqa: A002
    catalogue = read(root, [row("a", id="a"), blank, row("b", id="b"), {"id": "c"}], format=format)
    assert [item.id.rpartition("/")[2] for item in catalogue.items] == ["a", "b"]
    [problem] = catalogue.problems
    assert problem.where.endswith("row 4")


def test_what_no_address_is_like_is_said(tmp_path: Path) -> None:
    for number, view in enumerate("lr"):
        picture = encode_image(np.full((4, 4, 1), number, np.uint8))
        storage.write_bytes(str(tmp_path / f"pictures/a/{view}.png"), picture)
    rows = [row("a", id="a")]
    rows += [{"left": left, "right": "x.png", "id": f"{n}"} for n, left in enumerate(ODD_ADDRESSES)]
    catalogue = read(str(tmp_path), rows)
    said = {problem.message + problem.remedy for problem in catalogue.problems if problem.refuses_item}
    assert len(catalogue.items) == 1
    for hint in ODD_ADDRESSES.values():
        assert any(hint in text for text in said), hint


def test_a_whole_file_address_is_read(tmp_path: Path) -> None:
    whole = {view: f"file://{tmp_path}/pictures/a~1%/{view[0]}.png" for view in ("left", "right")}
    for number, url in enumerate(whole.values()):
        storage.write_bytes(url, encode_image(np.full((4, 4, 1), number, np.uint8)))
    assert len(read(str(tmp_path), [{**whole, "id": "a"}]).items) == 1


def test_a_windows_path_is_asked_for(root: str) -> None:
    windows = {"left": r"C:\data\a\l.png", "right": r"..\pictures\a\r.png", "id": "w"}
    catalogue = read(root, [row("a", id="a"), windows, row("nowhere", id="gone")])
    remedies = {"\\" in problem.where: problem.remedy for problem in catalogue.problems}
    assert "Windows path?" in remedies[True]
    assert "Windows" not in remedies[False]
    assert [problem.kind for problem in catalogue.problems] == ["image_missing"] * 4


def test_a_path_with_backslashes_that_is_found_is_read(tmp_path: Path) -> None:
    picture = np.zeros((4, 5, 1), np.uint8)
    (tmp_path / "a\\l.png").write_bytes(encode_image(picture))
    catalogue = read(str(tmp_path), [{"left": "a\\l.png", "id": "a"}], name="all")
    assert [item.id for item in catalogue.items] == ["all/a"]
    assert catalogue.problems == ()


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses of the pictures whose headers were asked for."""
    asked: list[str] = []

    def probe(url: str, **options: Any) -> tuple[ImageRef, PictureTraits]:
        asked.append(url)
        return probe_picture(url, **options)

    monkeypatch.setattr(import_module("ldp_core.catalogue.probing"), "probe_picture", probe)
    return asked


def test_many_rows_without_pictures_stop_after_a_sample(tmp_path: Path, probed: list[str]) -> None:
    rows = [{"left": f"l/{number}.png", "right": f"r/{number}.png"} for number in range(100_000)]
    with pytest.raises(CatalogueError, match="no item was found") as caught:
        read(str(tmp_path), rows, name="all")
    assert "of 1000 items drawn at random from 100000" in caught.value.got
    assert "there is no such picture" in caught.value.remedy
    assert len(probed) == 2000


def test_many_rows_of_which_few_have_pictures_are_read(tmp_path: Path, probed: list[str]) -> None:
    (tmp_path / "p.png").write_bytes(encode_image(np.zeros((4, 5, 1), np.uint8)))
    rows = [{"left": "none.png" if number % 50 else "p.png", "id": f"i{number}"} for number in range(10_000)]
    catalogue = read(str(tmp_path), rows, name="all")
    assert len(catalogue.items) == 200
    assert len(catalogue.problems) == 9800
    assert len(probed) > 10_000


COLUMNS = {
    "score_region": "rows 1:5, columns 2:",
    "aligned": "no",
    "dp_axis": "Y",
    "camera": "pixel-4",
    "peak": "full",
    "method:NAF": "../pictures/a/t.png",
    "ISO": "0800",
    "place": "indoor",
}


@pytest.mark.parametrize("format", FORMATS)
def test_columns_say_how_an_item_is_read_and_what_else_is_known(root: str, format: str) -> None:  # noqa: A002
    [item] = (found := read(root, [row("a", **COLUMNS)], format=format)).items
    assert item.score_region == Region(top=1, left=2, bottom=5)
    assert (item.aligned, item.dp_axis, item.camera) == (False, DpAxis.Y, "pixel-4")
    assert item.external.keys() == {"NAF"}
    assert item.metadata == {"ISO": "0800", "place": "indoor"}
    assert found.problems == ()
    assert catalogue_from_jsonl(catalogue_to_jsonl(found)) == found


def test_metadata_keep_their_types_where_the_table_has_any(root: str) -> None:
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    content = as_parquet([row("a") | {"iso": 800, "f": 1.8, "indoor": True, "taken": moment, "none": None}])
    storage.write_bytes(f"{root}/list/m.parquet", content)
    [item] = read_catalogue(f"{root}/list/m.parquet", layout="manifest").items
    assert item.metadata == {"iso": 800, "f": 1.8, "indoor": True, "taken": "2026-11-01 00:00:00+00:00"}


@pytest.mark.parametrize(
    ("column", "cell", "expected"),
    [
        ("score_region", "44:", "rows 44:"),
        ("score_region", "rows 5:5", "holds a pixel"),
        ("aligned", "maybe", "true or false"),
        ("dp_axis", "z", "x or y"),
        ("peak", "many", "peak"),
    ],
)
def test_a_cell_that_says_nothing_sound_refuses_its_row(
    root: str, column: str, cell: str, expected: str
) -> None:
    found = read(root, [row("a", id="a"), row("b") | {column: cell}])
    assert [item.id for item in found.items] == ["all/a"]
    [problem] = found.problems
    assert (problem.kind, problem.refuses_item) == ("bad_row", True)
    assert expected in problem.message


def test_a_region_outside_its_picture_refuses_its_row(root: str) -> None:
    found = read(root, [row("a", id="a"), row("b") | {"score_region": "rows 9000:"}])
    assert [problem.kind for problem in found.problems] == ["bad_region"]


def test_metadata_need_no_second_view(root: str) -> None:
    [item] = read(root, [{"left": row("a")["left"], "iso": "100"}]).items
    assert (item.right, item.metadata) == (None, {"iso": "100"})


def test_a_method_has_one_column_and_a_name_of_its_own(root: str) -> None:
    picture = "../pictures/a/t.png"
    with pytest.raises(CatalogueError, match="two columns"):
        read(root, [row("a") | {"method:x": picture, "peer:x": picture}])
    for column in ("method:restored", "peer:restored", "peer:input", "peer:../x", "peer:"):
        with pytest.raises(SettingsError, match="cannot have this name"):
            read(root, [row("a") | {column: picture}])


def test_integers_beyond_64_bit_are_kept_as_texts(root: str) -> None:
    cells = {"serial": 10**19, "edge": 2**63 - 1, "low": -(2**63) - 1}
    [item] = read(root, [row("a") | cells], format="jsonl").items
    assert item.metadata == {"serial": str(10**19), "edge": 2**63 - 1, "low": str(-(2**63) - 1)}

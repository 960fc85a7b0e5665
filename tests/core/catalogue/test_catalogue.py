"""Catalogues: what pairs, what is refused and under which name, and that the pixels follow."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from numpy.lib import format as npy

from ldp_core import storage
from ldp_core.catalogue import LAYOUTS, Selection, load_pair, read_catalogue
from ldp_core.catalogue.layouts import DEVELOPMENTS
from ldp_core.errors import CatalogueError, ImageMissingError, PairMismatchError, StorageError
from ldp_core.images import encode_image, read_image
from ldp_core.methods import EntryRegistry
from ldp_core.types import BlurTruthKind, Catalogue, Pixels, Region

CANON = ("l", "r", "gt", "c", "dpdnet")
PIXEL4 = ("l", "r", "gt", "defocus")


def pixels(seed: int = 0, *, size: tuple[int, int] = (6, 8), channels: int = 3, bit_depth: int = 8) -> Pixels:
    dtype = np.uint8 if bit_depth == 8 else np.uint16
    return np.random.default_rng(seed).integers(0, 2**bit_depth, (*size, channels), dtype=dtype)


@pytest.fixture(params=["path", "file", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty folder named ``set`` behind each kind of address."""
    yield {
        "path": str(tmp_path / "set"),
        "file": (tmp_path / "set").as_uri(),
        "memory": f"memory://{tmp_path.name}/set",
    }[request.param]
    MemoryFileSystem.store.clear()


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "set")


def put(root: str, *names: str, **options: object) -> None:
    for name in names:
        storage.write_bytes(storage.join(root, name), encode_image(pixels(**options)))  # type: ignore[arg-type]


def put_canon(root: str, *ids: str) -> None:
    put(root, *(f"{name}_{suffix}.png" for name in ids for suffix in CANON))


def kinds(catalogue: Catalogue) -> list[str]:
    return [problem.kind for problem in catalogue.problems]


def ids(catalogue: Catalogue) -> list[str]:
    return [item.id for item in catalogue.items]


class TestLayouts:
    def test_canon_dpdd(self, root: str) -> None:
        put_canon(root, "1P0A2", "1P0A1")
        catalogue = read_catalogue(root, layout="canon-dpdd")
        assert ids(catalogue) == ["set/1p0a1", "set/1p0a2"]
        assert catalogue.problems == ()
        item = catalogue.items[0]
        assert item.left.uri.endswith("1P0A1_l.png")
        assert item.right.uri.endswith("1P0A1_r.png")
        assert item.target is not None
        assert item.target.uri.endswith("1P0A1_gt.png")
        assert {name: ref.uri.rsplit("/")[-1] for name, ref in item.external.items()} == {
            "combined": "1P0A1_c.png",
            "dpdnet": "1P0A1_dpdnet.png",
        }
        assert item.score_region == Region(top=44)
        assert item.aligned

    def test_pixel4(self, root: str) -> None:
        put(root, *(f"007_{suffix}.png" for suffix in PIXEL4), channels=1)
        storage.write_bytes(storage.join(root, "index.json"), b"[]")
        catalogue = read_catalogue(root, layout="pixel4", dataset="phone")
        assert ids(catalogue) == ["phone/007"]
        assert catalogue.problems == ()
        item = catalogue.items[0]
        assert item.blur_truth is not None
        assert item.blur_truth.uri.endswith("007_defocus.png")
        assert item.blur_truth_kind is BlurTruthKind.UNSIGNED
        assert not item.aligned

    def test_folders(self, root: str) -> None:
        put(root, "left/A.png", "right/A.png", "target/A.png", "left/deep/b.png", "right/deep/b.png")
        storage.write_bytes(storage.join(root, "left/c.tif"), encode_image(pixels(), "tiff"))
        storage.write_bytes(storage.join(root, "right/c.JPEG"), encode_image(pixels(), "jpeg"))
        catalogue = read_catalogue(root, layout="folders")
        assert catalogue.problems == ()
        assert [(item.id, item.target is not None) for item in catalogue.items] == [
            ("set/a", True),
            ("set/c", False),
            ("set/deep-b", False),
        ]

    def test_target_is_optional(self, root: str) -> None:
        put(root, "a_l.png", "a_r.png")
        for layout in ("canon-dpdd", "pixel4"):
            assert read_catalogue(root, layout=layout).items[0].target is None

    def test_unknown_layout_names_the_known_ones(self, folder: str) -> None:
        with pytest.raises(CatalogueError, match=", ".join(sorted(LAYOUTS))):
            read_catalogue(folder, layout="sorted")

    @pytest.mark.parametrize(
        ("misspelt", "meant"), [("folder", "folders"), ("Canon-DPDD", "canon-dpdd"), ("pixel_4", "pixel4")]
    )
    def test_a_misspelt_layout_is_answered_with_the_one_meant(
        self, misspelt: str, meant: str, folder: str
    ) -> None:
        with pytest.raises(CatalogueError) as caught:
            read_catalogue(folder, layout=misspelt)
        assert caught.value.got == misspelt
        assert caught.value.remedy == f"did you mean '{meant}'?"

    @pytest.mark.parametrize("registry", [LAYOUTS, DEVELOPMENTS], ids=lambda registry: registry.kind)
    def test_every_name_of_a_registry_is_a_function(self, registry: EntryRegistry[Any]) -> None:
        assert len(list(registry)) == len(registry) == len({registry[name] for name in registry})
        assert all(name in registry and callable(registry[name]) for name in registry)


def test_importing_the_catalogue_imports_no_layout_and_no_scipy() -> None:
    """scipy was more than half of the import time of every command."""
    late = "{n for n in sys.modules if n.startswith(('scipy', 'ldp_core.catalogue.layouts.'))}"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, ldp_core.catalogue; print({late})"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "set()"


class TestProblems:
    @pytest.mark.parametrize(("missing", "there"), [("right", "left"), ("left", "right")])
    def test_one_view_of_two_is_kept_as_a_single_view(self, root: str, missing: str, there: str) -> None:
        put_canon(root, "a", "b")
        storage.delete(storage.join(root, f"a_{missing[0]}.png"))
        catalogue = read_catalogue(root, layout="canon-dpdd")
        assert {item.id: item.has_both_views for item in catalogue.items} == {"set/a": False, "set/b": True}
        single = catalogue.items[0]
        assert single.left.uri.endswith(f"a_{there[0]}.png")
        assert single.target is not None
        assert single.score_region == Region(top=44)
        (problem,) = catalogue.problems
        assert problem.kind == "second_view_missing"
        assert not problem.refuses_item
        assert problem.remedy
        for text in ("'a'", f"no {missing}", f"its {there} one"):
            assert text in problem.message

    def test_pictures_without_any_view_are_refused(self, root: str) -> None:
        put_canon(root, "a", "b")
        for view in "lr":
            storage.delete(storage.join(root, f"a_{view}.png"))
        catalogue = read_catalogue(root, layout="canon-dpdd")
        assert ids(catalogue) == ["set/b"]
        (problem,) = catalogue.problems
        assert problem.kind == "missing_partner"
        assert problem.refuses_item
        assert problem.remedy
        for text in ("'a'", "no left and no right", "a_gt.png"):
            assert text in problem.message

    def test_losing_one_file_does_not_shift_the_others(self, folder: str) -> None:
        put(folder, *(f"left/{i:03}.png" for i in range(20)), *(f"right/{i:03}.png" for i in range(20)))
        storage.delete(storage.join(folder, "right/004.png"))
        catalogue = read_catalogue(folder, layout="folders")
        assert [item.id for item in catalogue.items if not item.has_both_views] == ["set/004"]
        assert kinds(catalogue) == ["second_view_missing"]
        pairs = [(i.left.uri, i.right.uri) for i in catalogue.items if i.right is not None]
        assert len(pairs) == 19
        assert all(left.replace("/left/", "/right/") == right for left, right in pairs)

    def test_two_pictures_of_one_view(self, folder: str) -> None:
        put(folder, "left/a.png", "left/a.jpg", "right/a.png", "left/b.png", "right/b.png")
        catalogue = read_catalogue(folder, layout="folders")
        assert ids(catalogue) == ["set/b"]
        assert kinds(catalogue) == ["duplicate_view"]
        assert "left/a.png" in catalogue.problems[0].message
        assert "left/a.jpg" in catalogue.problems[0].message

    def test_names_that_collide_are_both_left_out(self, folder: str) -> None:
        put_canon(folder, "Scene 1", "scene-1", "other")
        catalogue = read_catalogue(folder, layout="canon-dpdd")
        assert ids(catalogue) == ["set/other"]
        assert kinds(catalogue) == ["duplicate_id", "duplicate_id"]
        assert {"Scene 1", "scene-1"} == {p.message.split("'")[1] for p in catalogue.problems}

    def test_name_without_a_usable_letter(self, folder: str) -> None:
        put_canon(folder, "写真", "écran", "山1")
        catalogue = read_catalogue(folder, layout="canon-dpdd")
        assert ids(catalogue) == ["set/1", "set/ecran", "set/n-9c3250ff63e15e91"]
        assert not catalogue.problems
        assert catalogue.items[2].title == "写真"
        assert Selection(ids=frozenset({"写真"})).choose(
            {item.id: item.title for item in catalogue.items}, dataset="set"
        ) == ["set/n-9c3250ff63e15e91"]

    def test_names_without_a_usable_letter_do_not_collide(self, folder: str) -> None:
        put_canon(folder, "写真", "写", "Фото", "фото")
        catalogue = read_catalogue(folder, layout="canon-dpdd")
        assert len(catalogue.items) == 2
        assert kinds(catalogue) == ["duplicate_id", "duplicate_id"]  # these differ in letter case alone

    def test_a_name_that_is_too_long(self, folder: str) -> None:
        put_canon(folder, "a" * 201, "b")
        catalogue = read_catalogue(folder, layout="canon-dpdd")
        assert (ids(catalogue), kinds(catalogue)) == (["set/b"], ["unusable_name"])

    @pytest.mark.parametrize("suffix", ["r", "gt", "dpdnet"])
    @pytest.mark.parametrize("other", [{"size": (8, 6)}, {"channels": 1}, {"bit_depth": 16}], ids=str)
    def test_pictures_that_do_not_fit(self, suffix: str, other: dict[str, object], folder: str) -> None:
        put_canon(folder, "a", "b")
        put(folder, f"a_{suffix}.png", **other)
        catalogue = read_catalogue(folder, layout="canon-dpdd")
        assert ids(catalogue) == ["set/b"]
        (problem,) = catalogue.problems
        assert problem.kind == "size_mismatch"
        assert problem.where.endswith(f"a_{suffix}.png")

    def test_blur_truth_may_differ_in_depth_but_not_in_size(self, folder: str) -> None:
        put(folder, *(f"{i}_{s}.png" for i in (1, 2, 3) for s in "lr"))
        put(folder, "1_defocus.png", channels=1, bit_depth=16)
        put(folder, "2_defocus.png", channels=3)
        put(folder, "3_defocus.png", channels=1, size=(6, 7))
        catalogue = read_catalogue(folder, layout="pixel4")
        assert ids(catalogue) == ["set/1"]
        assert kinds(catalogue) == ["size_mismatch", "size_mismatch"]

    def test_unreadable_pictures_count_as_one_refused_item(self, folder: str) -> None:
        put_canon(folder, "a", "b")
        for name in ("a_l.png", "a_gt.png"):
            storage.write_bytes(storage.join(folder, name), b"no picture")
        catalogue = read_catalogue(folder, layout="canon-dpdd")
        assert ids(catalogue) == ["set/b"]
        assert kinds(catalogue) == ["image_format", "image_format"]
        assert [p.where.rsplit("/")[-1] for p in catalogue.problems] == ["a_gt.png", "a_l.png"]
        assert sum(p.refuses_item for p in catalogue.problems) == 1

    def test_files_without_a_place_are_named_and_refuse_nothing(self, root: str) -> None:
        put_canon(root, "a")
        put(root, "a_l (copy).png", "a_L.png", "more/b_l.png", ".hidden_l.png", ".cache/c_l.png")
        catalogue = read_catalogue(root, layout="canon-dpdd")
        assert ids(catalogue) == ["set/a"]
        assert set(kinds(catalogue)) == {"stray_file"}
        assert not any(p.refuses_item for p in catalogue.problems)
        named = {p.where.removeprefix(catalogue.source).lstrip("/") for p in catalogue.problems}
        assert named == {"a_l (copy).png", "a_L.png", "more/b_l.png"}

    def test_names_of_raw_bytes_do_not_break_the_catalogue(self, folder: str) -> None:
        put_canon(folder, "a")
        odd = Path(folder.encode().decode()) / b"b\xff_l.png".decode("utf-8", "surrogateescape")
        try:
            odd.write_bytes(encode_image(pixels()))
        except OSError:
            pytest.skip("this file system keeps Unicode names only")
        catalogue = read_catalogue(folder, layout="canon-dpdd")
        assert kinds(catalogue) == ["unusable_name"]
        assert catalogue.problems[0].where.isprintable()

    @pytest.mark.parametrize("layout", ["canon-dpdd", "pixel4", "folders"])
    def test_a_source_without_items_is_an_error(self, root: str, layout: str) -> None:
        with pytest.raises(CatalogueError, match="no file at all"):
            read_catalogue(root, layout=layout)
        put(root, "holiday.png", "beach.png")
        with pytest.raises(CatalogueError, match="2 stray_file"):
            read_catalogue(root, layout=layout)


class TestNames:
    @pytest.mark.parametrize(
        ("name", "expected"), [("My Photos", "my-photos"), ("写真", "canon-dpdd"), ("a.b_c", "a.b_c")]
    )
    def test_dataset_is_named_after_its_folder(self, name: str, expected: str, tmp_path: Path) -> None:
        put_canon(str(tmp_path / name), "x")
        assert read_catalogue(f"{tmp_path / name}/", layout="canon-dpdd").dataset == expected

    def test_a_bad_dataset_name_is_refused(self, folder: str) -> None:
        put_canon(folder, "x")
        with pytest.raises(CatalogueError, match="'my-set'"):
            read_catalogue(folder, layout="canon-dpdd", dataset="My Set")

    def test_a_folder_whose_name_is_too_long_needs_another(self, tmp_path: Path) -> None:
        folder = str(tmp_path / ("x" * 220))
        put_canon(folder, "a")
        with pytest.raises(CatalogueError, match="cannot be part of item ids") as caught:
            read_catalogue(folder, layout="canon-dpdd")
        assert "'canon-dpdd'" in caught.value.remedy
        assert ids(read_catalogue(folder, layout="canon-dpdd", dataset="canon")) == ["canon/a"]

    def test_a_relative_source_means_the_same_elsewhere(
        self, folder: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put_canon(folder, "x")
        put(folder, "x_r.png", seed=1)
        monkeypatch.chdir(folder)
        catalogue = read_catalogue(".", layout="canon-dpdd", dataset="d")
        monkeypatch.chdir("/")
        assert load_pair(catalogue.items[0]).left.shape == (6, 8, 3)


class TestLoadPair:
    def test_every_picture_lands_in_its_place(self, root: str) -> None:
        for seed, suffix in enumerate(CANON):
            put(root, f"a_{suffix}.png", seed=seed, bit_depth=16)
        pair = load_pair(read_catalogue(root, layout="canon-dpdd").items[0])
        found = {**pair.views, **pair.external}
        for role, seed in {"left": 0, "right": 1, "target": 2, "dpdnet": 4}.items():
            np.testing.assert_array_equal(found[role], pixels(seed, bit_depth=16))
        assert (pair.id, pair.score_region, pair.aligned) == ("set/a", Region(top=44), True)

    @pytest.mark.parametrize("bit_depth", [8, 16])
    def test_blur_truth_is_the_stored_values(self, bit_depth: int, folder: str) -> None:
        put(folder, "a_l.png", channels=1)
        put(folder, "a_r.png", channels=1, seed=1)
        put(folder, "a_defocus.png", channels=1, bit_depth=bit_depth, seed=3)
        pair = load_pair(read_catalogue(folder, layout="pixel4").items[0])
        assert pair.blur_truth is not None
        assert pair.blur_truth.dtype == np.float32
        stored = pixels(3, channels=1, bit_depth=bit_depth)[..., 0]
        np.testing.assert_array_equal(pair.blur_truth, stored.astype(np.float32))
        assert not pair.aligned

    @pytest.mark.parametrize("suffix", ["l", "r", "gt", "dpdnet"])
    def test_a_picture_changed_since_is_noticed(self, suffix: str, folder: str) -> None:
        put_canon(folder, "a")
        item = read_catalogue(folder, layout="canon-dpdd").items[0]
        put(folder, f"a_{suffix}.png", size=(8, 6))
        with pytest.raises(PairMismatchError, match=f"a_{suffix}.png"):
            load_pair(item)
        storage.delete(storage.join(folder, f"a_{suffix}.png"))
        with pytest.raises(ImageMissingError):
            load_pair(item)

    def test_an_item_whose_pictures_differ_is_refused(self, folder: str) -> None:
        put_canon(folder, "a", "b")
        put(folder, *(f"b_{suffix}.png" for suffix in CANON), size=(8, 6))
        a, b = read_catalogue(folder, layout="canon-dpdd").items
        for mixed in (
            replace(a, right=b.right),
            replace(a, target=b.target),
            replace(a, external=b.external),
            replace(a, blur_truth=a.left),
        ):
            with pytest.raises(PairMismatchError):
                load_pair(mixed)


def test_the_time_to_pair_grows_with_the_number_of_files() -> None:
    def seconds(count: int) -> float:
        sizes = {f"left/{i:07}.png": 1 for i in range(count)} | {f"right/{i:07}.png": 1 for i in range(count)}
        started = time.perf_counter()
        items = pair_listing(sizes)
        elapsed = time.perf_counter() - started
        assert items == count
        return elapsed

    few, many = min(seconds(2_000) for _ in range(3)), seconds(20_000)
    assert many < 10 * 5 * few


def pair_listing(sizes: dict[str, int]) -> int:
    """Pair a listing by the rule of ``folders``, without a store behind it."""
    from ldp_core.catalogue import pairing
    from ldp_core.catalogue.layouts import folders

    with pytest.MonkeyPatch.context() as patch:
        listed = {path: storage.Entry(size, None) for path, size in sizes.items()}
        patch.setattr(pairing, "list_entries", lambda url: listed)
        return len(folders.read_folders("memory://listing").items)


@pytest.mark.real
@pytest.mark.parametrize(
    ("layout", "name", "count", "shape"),
    [("pixel4", "pixel4", 6, (1008, 1344, 1)), ("canon-dpdd", "canon_dpdd", 5, (560, 840, 3))],
)
def test_the_real_datasets(
    layout: str, name: str, count: int, shape: tuple[int, ...], real_data: Path
) -> None:
    catalogue = read_catalogue(str(real_data / "dp" / name), layout=layout)
    assert len(catalogue.items) == count
    assert catalogue.problems == ()
    for item in catalogue.items:
        pair = load_pair(item)
        assert pair.left.shape == shape
        assert pair.target is not None
        assert (pair.blur_truth is not None) == (layout == "pixel4")
        assert set(pair.external) == ({"combined", "dpdnet"} if layout == "canon-dpdd" else set())
        views = pair.left.astype(np.float32), pair.right.astype(np.float32)
        assert np.corrcoef(views[0].ravel(), views[1].ravel())[0, 1] > 0.9
        assert np.corrcoef(views[0].ravel(), pair.target.astype(np.float32).ravel())[0, 1] > 0.8


def npy_header(shape: tuple[int, ...], *, dtype: str = "|u1") -> bytes:
    file = io.BytesIO()
    npy.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (npy_header((60_000, 60_000, 3)), "image_too_large"),
        (npy_header((10_000, 10_000, 3)), "image_format"),
        (npy_header((6, 8, 3)) + bytes(6 * 8 * 3 - 1), "image_format"),
        (npy_header((6, 8, 3), dtype="<f8") + bytes(6 * 8 * 3), "image_format"),
    ],
    ids=["above-the-limits", "no-pixels", "one-byte-missing", "eight-bytes-a-value"],
)
def test_a_header_that_lies_refuses_one_item_alone(root: str, content: bytes, kind: str) -> None:
    put(root, "left/a.png", "right/a.png", "right/b.png")
    storage.write_bytes(storage.join(root, "left/b.npy"), content)
    catalogue = read_catalogue(root, layout="folders")
    assert ids(catalogue) == ["set/a"]
    assert [(problem.kind, problem.refuses_item) for problem in catalogue.problems] == [(kind, True)]
    assert catalogue.problems[0].where.endswith("left/b.npy")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float64])
def test_sound_arrays_are_read(root: str, dtype: type) -> None:
    for side in ("left", "right"):
        file = io.BytesIO()
        np.save(file, np.zeros((6, 8, 3), dtype))
        storage.write_bytes(storage.join(root, side, "a.npy"), file.getvalue())
    catalogue = read_catalogue(root, layout="folders")
    assert ids(catalogue) == ["set/a"]
    assert catalogue.problems == ()
    assert read_image(catalogue.items[0].left.uri).shape == (6, 8, 3)


def test_a_view_folder_that_cannot_be_listed_is_an_error(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its items would else become single views."""
    put(folder, "left/a.png", "right/a.png")
    scan = os.scandir

    def fail(path: Any) -> Any:
        if os.fspath(path).rstrip("/").endswith("right"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", fail)
    with pytest.raises(StorageError, match="right"):
        read_catalogue(folder, layout="folders")


def test_a_view_folder_may_be_a_link(folder: str, tmp_path: Path) -> None:
    put(folder, "left/a.png")
    put(str(tmp_path), "disk/a.png", seed=1)
    (tmp_path / "set" / "right").symlink_to(tmp_path / "disk")
    catalogue = read_catalogue(folder, layout="folders")
    assert catalogue.problems == ()
    assert [item.has_both_views for item in catalogue.items] == [True]
    right = catalogue.items[0].right
    assert right is not None
    assert np.array_equal(read_image(right.uri), pixels(1))

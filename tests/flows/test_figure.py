"""Figures and tables for papers: what stands in them, read back from the files."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from run_samples import FIRST, complete_run, make_dataset
from typer.testing import CliRunner

from flows.cli import app
from ldp_core.catalogue import SourceOptions, read_catalogue
from ldp_core.errors import SettingsError
from ldp_core.report import paper
from ldp_core.report.model import BLUR_PICTURES
from ldp_core.report.paper import FigureRow, Panel, draw_figure, find_detail, latex_table
from ldp_core.types import BlurMapKind, MeanScore
from tasks.pipeline import make_config, pipelines_for
from tasks.run import Run

COC = BLUR_PICTURES[BlurMapKind.SIGNED_COC_PX]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over two pairs with truths, another method's pictures, and a baseline."""
    folder = tmp_path_factory.mktemp("figure")
    source = make_dataset(folder / "set", 2)
    config = make_config(
        str(folder / "archive"), estimator=("disparity", {}), deblurrer=("wiener", {}), baselines=["bdir"]
    )
    options = SourceOptions(methods={"Their_net": str(source / "target")})
    catalogue = read_catalogue(str(source), layout="folders", dataset="set", options=options)
    complete_run(Run.start(config, catalogue, pipelines_for(config, catalogue.items), run_id=FIRST))
    return folder / "archive"


def run(archive: Path, *arguments: object) -> tuple[int, str, str]:
    words = ["figure", FIRST, "--archive", archive, *arguments]
    result = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "80"})
    return result.exit_code, result.stdout, result.stderr


def texts_of(svg: bytes) -> list[str]:
    """The texts of an SVG whose letters are paths: matplotlib leaves each as a comment."""
    return re.findall(r"<!-- (.+?) -->", svg.decode())


def test_a_row_has_its_pictures_and_the_scores_of_the_archive(archive: Path, tmp_path: Path) -> None:
    code, out, err = run(archive, 0, "set/1", "-o", tmp_path / "f.svg", "--label", "restored=Ours")
    assert (code, out) == (0, "")
    assert "protocol: 8 bit | 72x64 | rgb" in err
    svg = (tmp_path / "f.svg").read_bytes()
    assert ET.fromstring(svg).tag.endswith("svg")
    texts = texts_of(svg)
    assert texts[:6] == ["Input", "Blur map", "Ours", "bdir", "Their_net", "Truth"]
    found = Run(str(archive), FIRST)
    for item in found.items:
        for score in item.scores:
            if score.metric == "psnr_db" and score.subject in ("input", "restored", "bdir"):
                assert f"{score.value:.2f} dB" in texts
    assert svg.count(b"<image") == 2 * 2 * 6 + 1  # whole and detail of each, and the colour scale


@pytest.mark.parametrize(("ending", "begin"), [("pdf", b"%PDF"), ("png", b"\x89PNG")])
def test_the_same_run_gives_the_same_file(ending: str, begin: bytes, archive: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert run(archive, "0", "-o", tmp_path / f"{name}.{ending}", "--zoom", "30,30")[0] == 0
    first, second = ((tmp_path / f"{name}.{ending}").read_bytes() for name in ("a", "b"))
    assert first.startswith(begin)
    assert first == second


def test_the_detail_lies_where_most_was_changed_and_the_best_is_bold() -> None:
    before = np.full((100, 200, 3), 100, np.uint8)
    after = before.copy()
    after[60:70, 150:160] = 200
    assert find_detail(before, after, size=(40, 24)) in [
        (x, y) for x in range(139, 172) for y in range(57, 73)
    ]
    rows = [
        FigureRow(
            "a",
            [
                Panel("Input", before, scores={"psnr_db": 20.0, "ssim": 0.9}),
                Panel("Blur map", np.linspace(-3, 3, 20_000, dtype=np.float32).reshape(100, 200), COC),
                Panel("Restored", after, scores={"psnr_db": 21.0, "ssim": 0.8}),
            ],
        )
    ]
    svg = draw_figure(rows, "svg").decode()
    bold = [text for text in re.findall(r"<!-- (.+?) -->(?=\s*<g[^>]*>\s*<defs>)?", svg) if "21.00" in text]
    assert bold == ["21.00 dB"]
    assert svg.count("DejaVuSans-Bold") > 0
    with Image.open(io.BytesIO(draw_figure(rows, "png"))) as picture:
        sheet = np.asarray(picture.convert("RGB"))
    assert sheet.shape[1] == 2100
    column = sheet[:, 1460:2090].astype(int)
    assert (np.abs(column - 200).max(axis=2) < 4).sum() > 25_000  # the changed part, enlarged


def test_means_become_a_table_with_the_best_in_bold() -> None:
    def mean(metric: str, subject: str, value: float, protocol: str = "8 bit") -> MeanScore:
        return MeanScore(metric, subject, protocol, value, value - 1, value + 1, 7)

    text = latex_table(
        [
            mean("psnr_db", "input", 20.0),
            mean("psnr_db", "my_net&co", 25.004),
            mean("psnr_db", "restored", 24.996),
            mean("mae", "input", 0.2),
            mean("mae", "restored", 0.1),
            mean("reblur_psnr_db", "restored", 30.0),
            mean("ssim", "restored", 0.5, "8 bit | best shift"),
        ]
    )
    assert r"Method & PSNR in dB $\uparrow$ & MAE $\downarrow$ \\" in text
    assert r"my\_net\&co & \textbf{25.00} & -- \\" in text
    assert r"Restored & \textbf{25.00} & \textbf{0.1000} \\" in text
    assert text.count(r"\begin{tabular}") == 2  # protocols are never mixed
    assert "30.00" not in text
    assert "% 8 bit | best shift, n = 7" in text
    assert "[24.00, 26.00]" in latex_table([mean("psnr_db", "input", 25.0)], intervals=True)


def test_the_table_of_a_run_is_printed_alone(archive: Path) -> None:
    code, out, err = run(archive, "--latex", "--intervals")
    assert (code, err) == (0, "")
    assert out.startswith("% 8 bit | 72x64 | rgb | full, n = 2\n\\begin{tabular}{lccc}\n")
    assert r"Their\_net & \textbf{100.00} {\scriptsize" in out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "nothing to draw"),
        (("7",), "these items are not among those that came through the run"),
        (("0", "-o", "f.docx"), "pdf, png, svg"),
        (("0", "--zoom", "12"), "X,Y in px"),
        (("0", "--label", "Ours"), "COLUMN=TITLE"),
    ],
)
def test_what_cannot_be_drawn_is_told(arguments: tuple[str, ...], told: str, archive: Path) -> None:
    code, _, err = run(archive, *arguments)
    assert code == 1
    assert told in err


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(SettingsError, match="figures need matplotlib") as caught:
        paper.draw_figure([], "pdf")
    assert "figures" in caught.value.remedy


def test_an_unknown_item_is_told_as_one_of_the_run(archive: Path, tmp_path: Path) -> None:
    code, _, err = run(archive, 0, "sett/1", "-o", tmp_path / "f.svg")
    assert code == 1
    assert "these items are not among those that came through the run\n  where: ITEMS" in err
    assert "did you mean 'set/1'?" in err
    words = ["export", FIRST, "--archive", str(archive), "--to", str(tmp_path / "to"), "--ids"]
    (tmp_path / "ids.txt").write_text("nothing-like-it")
    result = CliRunner().invoke(app, [*words, str(tmp_path / "ids.txt")])
    assert "where: --ids" in result.stderr
    assert "items.jsonl of the run lists all ids" in result.stderr

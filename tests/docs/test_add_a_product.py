"""The guide to archive products, followed word by word in a copy of the package: one file and one line."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from typing import Any

import pytest
from doc_blocks import ROOT, read_blocks

GUIDE = "infra/docs/add-a-product.md"
PROGRAM = """
import json, shutil, sys
from datetime import timedelta
from pathlib import Path
from run_samples import FIRST, begin_run, complete_run, make_dataset
from flows.archives import describe_archive, describe_one_run
from flows.preview import preview_run
from tasks.work import BatchResult
from tasks.cluster import in_process
from tasks.collect import find_garbage
from tasks.items import draw_item, restore_item
from tasks.pipeline import make_config
from tasks.plan import make_plan
from tasks.repair import repair_archive
from tasks.reports import publish_report
from tasks.verify import verify_archive

folder, found = Path(sys.argv[1]), {}
source = make_dataset(folder / "dataset", 2)
for view in ("right", "coc"):
    (source / view / "1.png").unlink()
methods = dict(estimator=("disparity", {}), deblurrer=("wiener", {}))
single = ({"finest_px": 320}, {})
archive = folder / "archive"
config = make_config(str(archive), single_settings=single, **methods)

def preview():
    return preview_run(str(source), "folders", str(archive), dataset="set", processes=1,
                       single_settings=single, **methods)

planned = preview()
found["planned"] = [planned["done"]["depth"], planned["stage_keys"]["pair"]["depth"]]
found["single has none"] = "depth" not in planned["stage_keys"]["single"]
run = begin_run(config, source, FIRST)
summary = complete_run(run)
found["computed"] = [p.parent.name for p in archive.glob("depth/*/set/*/c.0.0")]
pair, other = run.catalogue.items

def plan():
    return make_plan(config, str(source), layout="folders", dataset="set")

found["done"] = [preview()["to_do"], preview()["done"]["depth"]]
shutil.rmtree(next(archive.glob("depth/*/set/0")))
found["to do"] = [item.id for item in plan().to_do]
again = restore_item(config, pair, plan().completed.labels(plan().pipelines["pair"], pair))
found["resumed"] = again.computed
found["whole"] = not verify_archive(str(archive), in_process).corrupt
[chunk] = archive.glob("depth/*/set/0/c.0.0")
before = chunk.read_bytes()
chunk.write_bytes(before[:-5])
corrupt = verify_archive(str(archive), in_process).corrupt
repairs = repair_archive(str(archive), corrupt.values(), in_process, when=FIRST)
found["repaired"] = [[path.split("/")[0], one.outcome] for path, one in repairs.items()]
found["same bytes"] = chunk.read_bytes() == before
sections = [row["path"] for row in describe_archive(str(archive))["sections"]]
found["status"] = [path for path in sections if path.startswith("depth/")]
found["key"] = describe_one_run(str(archive), FIRST)["stage_keys"]["pair"]["depth"]
drawn = BatchResult([draw_item(config, f"{run.url}/report", item) for item in (pair, other)])
found["drawn"] = [sorted(n for n in one.pictures if n.startswith("depth")) for one in drawn.drawn]
page = Path(publish_report(summary, run.items, [drawn], catalogue=run.catalogue)).read_text()
found["shown"] = [text in page for text in ("Depth, 5–95 %", "depth.png", "depth-thumb.png")]
shutil.rmtree(archive / "runs" / FIRST)
begin_run(make_config(str(archive), estimator=("zncc", {}), deblurrer=("bdir", {})), source, FIRST)
garbage = find_garbage(str(archive), grace=timedelta(0))
found["collected"] = [list(one.items) for one in garbage if one.section.kind.name == "depth"]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What became of the product in a copy of the package with the file and the line of the guide."""
    package, folder = tmp_path_factory.mktemp("package"), tmp_path_factory.mktemp("place")
    for layer in ("flows", "tasks", "ldp_core"):
        shutil.copytree(ROOT / layer, package / layer, ignore=shutil.ignore_patterns("__pycache__"))
    [file, line] = read_blocks(GUIDE, "python")
    (package / file.options["file"]).write_text(file.text)
    table = package / line.options["line"]
    text, count = re.subn(r'( +"tasks\.stages:BlurStage",\n)', r"\1" + line.text, table.read_text())
    assert (count, line.text.count("\n")) == (1, 1)
    table.write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)],
        cwd=package,
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(package), str(ROOT / "tests")))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    values: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return values


def test_it_is_planned_for_the_items_that_can_have_it(found: dict[str, Any]) -> None:
    count, key = found["planned"]
    assert count == 1  # the single view, which has none to make
    assert key.startswith("coc-rank-")
    assert found["single has none"]


def test_it_is_computed_and_resumed(found: dict[str, Any]) -> None:
    assert found["computed"] == ["0"]
    assert found["done"] == [0, 2]
    assert found["to do"] == ["set/0"]
    assert found["resumed"] == ["depth"]


def test_it_is_verified_and_repaired(found: dict[str, Any]) -> None:
    assert found["whole"]
    assert found["repaired"] == [["depth", "identical"]]
    assert found["same bytes"]


def test_it_is_listed_and_shown(found: dict[str, Any]) -> None:
    assert found["status"] == [f"depth/{found['key']}"]
    assert found["drawn"] == [["depth-thumb.png", "depth-values.json", "depth.png"], []]
    assert found["shown"] == [True, True, True]


def test_it_is_collected_when_no_run_refers_to_it(found: dict[str, Any]) -> None:
    assert found["collected"] == [["set/0"]]

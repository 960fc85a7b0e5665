"""Requests, objects and bytes: a plan's figures are those that an S3 server gets; prices come from a file."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import Future
from pathlib import Path

import pytest
from fault_proxy import FaultProxy
from run_samples import FIRST, make_dataset, run_planned
from typer.testing import CliRunner

from flows.cli import app
from flows.dataset_run import DatasetRun, record_run
from ldp_core import storage
from ldp_core.errors import SettingsError
from ldp_core.traffic import NO_TRAFFIC, Traffic, count, counting, process_traffic
from ldp_core.types import RunSummary
from tasks.costs import estimate_traffic, price, read_prices
from tasks.items import draw_item
from tasks.pipeline import make_config
from tasks.plan import Plan, make_plan
from tasks.reports import choose_drawn, report_url_of
from tasks.work import Batch, BatchResult, choose_ingest, choose_restore, make_calls

PAIRS, DRAWN = 3, 2


def work_on(plan: Plan) -> RunSummary:
    """A run in this process, with what its workers would do."""

    def work(batch: Batch) -> list[Future[BatchResult]]:
        found = []
        for choose in (choose_ingest, choose_restore):
            found.append(Future[BatchResult]())
            found[-1].set_result(BatchResult(make_calls([choose(plan, item) for item in batch.items])))
        return found

    def draw(run: DatasetRun) -> list[BatchResult]:
        shown = {*choose_drawn(run.stats.items, DRAWN)}
        url = report_url_of(run.run.archive, run.run.run_id)
        items = [item for item in run.catalogue.items if item.id in shown]
        return [BatchResult(make_calls([(draw_item, plan.config, url, item) for item in items]))]

    with record_run("restore", plan, plan.pipelines, max_bad=0.05, draw=draw) as run:
        run.run_batches(work)
    return run.finished_summary


def kinds_of(proxy: FaultProxy) -> dict[str, int]:
    """What the server was asked for, by kind."""
    kinds = Counter("LIST" if "list-type" in path else method for method, path in proxy.requests)
    return {kind: kinds[kind] for kind in ("PUT", "GET", "HEAD", "LIST")}


def kinds(traffic: Traffic) -> dict[str, int]:
    return {"PUT": traffic.puts, "GET": traffic.gets, "HEAD": traffic.heads, "LIST": traffic.lists}


def plan_with(source: str, archive: str, noise_signal: float) -> Plan:
    config = make_config(
        archive, estimator=("disparity", {}), deblurrer=("wiener", {"noise_signal": noise_signal})
    )
    return make_plan(config, source, layout="folders", dataset="set")


def test_a_plan_says_what_a_server_is_asked_for(s3: str, proxied_s3: FaultProxy, tmp_path: Path) -> None:
    local = make_dataset(tmp_path / "set", PAIRS)
    source, archive = f"{s3}/set", f"{s3}/archive"
    for path in storage.list_objects(str(local)):
        storage.write_bytes(storage.join(source, path), (local / path).read_bytes())
    objects: set[str] = set()
    for noise_signal in (0.01, 0.02):  # of the second run frames and maps are there
        proxied_s3.forget()
        plan = plan_with(source, archive, noise_signal)
        expected = estimate_traffic(plan, report_items=DRAWN)
        made = work_on(plan).traffic
        asked = kinds_of(proxied_s3)
        for kind, number in kinds(expected.traffic).items():
            assert number == pytest.approx(asked[kind], rel=0.1, abs=3), (kind, noise_signal)
        assert made.requests == pytest.approx(sum(asked.values()), rel=0.15)
        assert made.bytes_out <= expected.traffic.bytes_out
        there = {*storage.list_objects(archive)}
        assert len(there - objects) == pytest.approx(expected.objects, rel=0.05)
        objects = there


def test_threads_that_are_watched_count_apart() -> None:
    before = process_traffic()
    with counting() as inner:
        count("gets", bytes_in=5)
        with counting() as innermost:
            count("puts", bytes_out=7)
    count("heads", 2)
    assert inner.total == Traffic(gets=1, bytes_in=5)
    assert innermost.total == Traffic(puts=1, bytes_out=7)
    assert process_traffic() - before == Traffic(heads=2)
    assert (Traffic(1, 2, 3, 4, 5).requests, NO_TRAFFIC.requests) == (15, 0)


def test_objects_on_a_disk_count_as_on_a_store(tmp_path: Path) -> None:
    with counting() as asked:
        storage.write_bytes(str(tmp_path / "a"), b"1234")
        assert storage.read_bytes(str(tmp_path / "a"), start=1, end=3) == b"23"
        assert not storage.exists(str(tmp_path / "b"))
        storage.list_sizes(str(tmp_path))
        storage.delete(str(tmp_path / "a"))
    assert asked.total == Traffic(puts=1, gets=1, heads=2, lists=1, deletes=1, bytes_in=2, bytes_out=4)


class TestPrices:
    def test_a_file_of_the_user_goes_before_what_is_shipped(self, tmp_path: Path) -> None:
        file = tmp_path / "prices.toml"
        file.write_text('currency = "EUR"\nput_per_million = 10\nout_per_gb = 2\n')
        shipped, own = read_prices(), read_prices(str(file))
        assert (own.currency, own.get_per_million) == ("EUR", shipped.get_per_million)
        traffic = Traffic(puts=10**6, gets=10**6, heads=10**6, lists=10**6, bytes_in=10**9, bytes_out=10**12)
        cost = price(traffic, own, core_seconds=7200)
        assert cost.requests == pytest.approx(10 + 5 + 2 * 0.4)
        assert (cost.transfer, cost.computing) == (pytest.approx(2000), pytest.approx(0.08))
        assert cost.storage_a_month == pytest.approx(21)
        assert cost.once == pytest.approx(10 + 5 + 0.8 + 2000 + 0.08)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("put_per_milion = 1", "did you mean 'put_per_million'?"),
            ("core_hour = -1", "greater than or equal to 0"),
            ("core_hour = 'x'", "core_hour"),
            ("[", "this is no TOML"),
        ],
    )
    def test_what_is_wrong_in_it_is_refused(self, text: str, said: str, tmp_path: Path) -> None:
        (tmp_path / "prices.toml").write_text(text)
        with pytest.raises(SettingsError) as caught:
            read_prices(str(tmp_path / "prices.toml"))
        assert said in str(caught.value)

    def test_commands_show_requests_and_money(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("flows.launch.server_is_configured", lambda: False)
        source = make_dataset(tmp_path / "set", 1)
        run_planned(tmp_path / "archive", source, FIRST)
        (tmp_path / "prices.toml").write_text('currency = "EUR"\nget_per_million = 1e6\n')
        options = ["--archive", tmp_path / "archive", "--dataset", "set", "--deblurrer", "wiener"]
        priced = ["--prices", tmp_path / "prices.toml"]

        def run(*words: object) -> str:
            result = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "120"})
            assert result.exit_code == 0, result.output
            return result.stdout

        plan = json.loads(run("plan", source, *options, *priced, "--json"))
        asked = plan["traffic"]
        assert plan["cost"]["requests"] == pytest.approx(asked["gets"] + asked["heads"], rel=1e-3)
        shown = run("plan", source, *options)
        assert f"about {asked['puts']} PUT, {asked['gets']} GET" in shown
        assert "about $" in shown
        done = run("restore", source, *options, *priced)
        assert "requests: " in done
        assert "cost: about EUR " in done

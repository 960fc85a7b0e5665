"""Prefect tasks over Dask: one task run per stage and batch."""

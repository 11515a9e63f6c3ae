"""The HTTP API and the chart: what people and programs speak to. It never imports Dagster."""

"""The data platform: domain, assets, orchestration, simulator and command line."""

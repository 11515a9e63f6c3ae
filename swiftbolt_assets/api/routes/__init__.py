"""One module an endpoint, or a few that belong together."""

"""Both providers over real HTTP, for the demo and the tests; shares no code with the clients."""

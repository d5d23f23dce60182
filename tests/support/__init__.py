"""What the tests stand on and is no test: oracles, builders of requests, doubles, benches."""

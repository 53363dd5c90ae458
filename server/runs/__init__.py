"""What a run is and how it moves: suites, runs, claims, judging, baselines. Knows no HTTP."""

"""What the tests share: runtimes to run a scenario in, scripted peers, real servers."""

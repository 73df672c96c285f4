"""What the tests share: worlds to run a scenario in, scripted peers, real servers."""

"""Training of BDIR, on single views of simulated scenes."""

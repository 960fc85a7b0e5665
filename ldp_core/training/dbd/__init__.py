"""Training of depth-distilled defocus blur detection, on masked photographs and simulated scenes."""

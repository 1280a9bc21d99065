"""Speed, memory and accuracy of autoseg against nnU-Net on one machine: ``bin/bench``."""

"""The label map of a previous stage as channels."""

import numpy as np

from autoseg.core.labels import Labels
from autoseg.preprocessing.previous_stage import num_previous_channels, one_hot_channels


def test_each_label_but_background_gets_a_channel():
    labels = Labels(values={"a": 5, "b": 9, "ignore": 11})
    indices = np.random.default_rng(0).integers(-1, 3, size=(4, 5, 6)).astype(np.int16)
    channels = one_hot_channels(indices, labels)
    assert channels.dtype == np.float32
    assert len(channels) == num_previous_channels(labels) == 2
    for label, channel in enumerate(channels, start=1):
        np.testing.assert_array_equal(channel, indices == label)

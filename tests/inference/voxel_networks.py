"""Small classifiers of a voxel for tests: laid out as ``valverde2017``, and not."""

import torch
from torch import nn


class Classifier(nn.Module):
    """``(B, C, 11, 11, 11)`` -> ``(B, 2, 1, 1, 1)``, with norms at work and logits of variance 1, evaluating."""

    def __init__(self, channels, widths=(6, 10), patch=11):
        super().__init__()
        layers = []
        for before, width in zip((channels, *widths), widths, strict=False):
            norm = nn.BatchNorm3d(width, eps=1e-4)
            for parameter in (norm.weight, norm.bias, norm.running_mean):
                nn.init.normal_(parameter)
            nn.init.uniform_(norm.running_var, 0.1, 2)
            layers += [nn.Conv3d(before, width, 3, padding=1, bias=False), norm, nn.ReLU(inplace=True), nn.MaxPool3d(2)]
        self.convolutional = nn.Sequential(*layers)
        flat = widths[-1] * (patch // 4) ** 3
        self.dense = nn.Sequential(nn.Dropout(0.5), nn.Linear(flat, 16), nn.ReLU(inplace=True), nn.Linear(16, 2))
        self.eval()
        with torch.inference_mode(False), torch.no_grad():
            logits = self(torch.randn(50, channels, patch, patch, patch)).flatten(1)
            last = self.dense[-1]
            last.bias.sub_(logits.mean(0)).div_(logits.std(0))
            last.weight.div_(logits.std(0)[:, None])

    def forward(self, x):
        return self.dense(self.convolutional(x).flatten(1))[..., None, None, None]


class CentreIntensity(nn.Module):
    """The logit of a lesion is ``slope`` times the intensity of one channel at the centre."""

    def __init__(self, channel=0, slope=1.0, shift=0.0):
        super().__init__()
        self.channel, self.slope, self.shift = channel, slope, shift

    def forward(self, x):
        middle = [size // 2 for size in x.shape[2:]]
        logit = self.slope * x[:, self.channel, *middle] + self.shift
        return torch.stack((torch.zeros_like(logit), logit), 1)[..., None, None, None]

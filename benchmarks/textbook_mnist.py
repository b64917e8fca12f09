"""The convolutional network of the course as a beginner writes it in PyTorch: the whole that `limpide train mnist-fast`
is measured against.

MNIST to [0, 1], Conv16-Conv32-128 with ReLU, log-softmax and negative log-likelihood, Adam 0.001, batch 64, 3 epochs,
accuracy on the test set. One seed for each run: `textbook_mnist.py FOLDER [SEED]`.
"""

import gzip
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.data import DataLoader, Dataset

FOLDER = Path(sys.argv[1])
torch.manual_seed(int(sys.argv[2]) if len(sys.argv) > 2 else 0)


def read(name, header):
    """The bytes of an IDX file behind its header."""
    with gzip.open(FOLDER / name) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header).copy()


class Digits(Dataset):
    """Images with their digits."""

    def __init__(self, part):
        self.images = read(f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
        self.labels = read(f"{part}-labels-idx1-ubyte.gz", 8)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        # what torchvision's ToTensor makes of an image
        image = torch.from_numpy(self.images[i]).unsqueeze(0).to(torch.float32).div(255)
        return image, int(self.labels[i])


class CNN(nn.Module):
    """Two convolutions and a hidden layer."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, kernel_size=3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(32 * 7 * 7, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        """Log-probabilities."""
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = x.view(x.size(0), -1)
        x = F.relu(self.fc1(x))
        return F.log_softmax(self.fc2(x), dim=1)


train_loader = DataLoader(Digits("train"), batch_size=64, shuffle=True)
test_loader = DataLoader(Digits("t10k"), batch_size=1000)
model = CNN()
optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
criterion = nn.NLLLoss()

for epoch in range(3):
    model.train()
    total = 0.0
    for images, labels in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"epoch {epoch + 1}: loss {total / len(train_loader):.4f}")

model.eval()
right = 0
with torch.no_grad():
    for images, labels in test_loader:
        right += (model(images).argmax(1) == labels).sum().item()
print(f"test accuracy {right / len(test_loader.dataset):.4f}")

"""The production-cost network as a course teaches it: data, loop, curves. Takes the file to save the figure in.

The benchmark `whole` runs it as a process. It stays what a learner would write: nothing here is tuned.
"""

import sys

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

np.random.seed(42)
torch.manual_seed(42)

x = np.random.rand(1000, 3) * 10
y = 3 * x[:, 0] + 2 * x[:, 1] + 4 * x[:, 2] + 2 * np.random.randn(1000)


class Costs(Dataset):
    """Rows of features with their cost."""

    def __init__(self, x, y):
        self.x = torch.tensor(x, dtype=torch.float32)
        self.y = torch.tensor(y, dtype=torch.float32).reshape(-1, 1)

    def __len__(self):
        """The number of rows."""
        return len(self.x)

    def __getitem__(self, i):
        """One row."""
        return self.x[i], self.y[i]


train_rows = DataLoader(Costs(x[:800], y[:800]), batch_size=32, shuffle=True)
test_rows = DataLoader(Costs(x[800:], y[800:]), batch_size=32)

model = nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
criterion = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

train_losses, test_losses = [], []
for epoch in range(50):
    model.train()
    total = 0.0
    for inputs, targets in train_rows:
        optimizer.zero_grad()
        loss = criterion(model(inputs), targets)
        loss.backward()
        optimizer.step()
        total += loss.item()
    train_losses.append(total / len(train_rows))

    model.eval()
    total = 0.0
    with torch.no_grad():
        for inputs, targets in test_rows:
            total += criterion(model(inputs), targets).item()
    test_losses.append(total / len(test_rows))
    print(f"epoch {epoch + 1}/50, train {train_losses[-1]:.4f}, test {test_losses[-1]:.4f}")

plt.figure(figsize=(10, 5))
plt.plot(train_losses, label="train")
plt.plot(test_losses, label="test")
plt.xlabel("epoch")
plt.ylabel("mean squared error")
plt.title("Loss while training")
plt.legend()
plt.savefig(sys.argv[1])

with torch.no_grad():
    for i in range(5):
        predicted = model(torch.tensor(x[800 + i], dtype=torch.float32)).item()
        print(f"real {y[800 + i]:.2f}, predicted {predicted:.2f}")

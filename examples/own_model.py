"""A classifier of one's own, from import to its most harmful training examples."""

import torch
from sklearn.datasets import load_wine
from sklearn.preprocessing import scale

import whence as wh

torch.manual_seed(0)
wine = load_wine()
X, y = torch.tensor(scale(wine.data)).float(), torch.tensor(wine.target)
y[[3, 77, 140]] = (y[[3, 77, 140]] + 1) % 3  # three wrong labels, to be found again
net = torch.nn.Sequential(torch.nn.Linear(13, 16), torch.nn.Tanh(), torch.nn.Linear(16, 3))
optimizer = torch.optim.Adam(net.parameters(), lr=0.01, weight_decay=1e-3)
for _ in range(200):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(net(X), y).backward()
    optimizer.step()

model = wh.Classification(net, weight_decay=optimizer)
explainer = wh.InfluenceFunction(damping=0.01).fit(model, (X, y))
scores = explainer.attribute((X, y))
harm = scores.where(scores.train != scores["query"]).mean("query").to_series().sort_values()
print("most harmful to the others:", harm.index[:5].tolist())
print(scores.whence.top(3, query=78, side="harmful"))

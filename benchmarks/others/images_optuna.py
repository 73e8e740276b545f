"""A folder of images to a tested network with Optuna: what its users write themselves, as short as it honestly gets.

    python benchmarks/others/images_optuna.py PHOTOS SECONDS WEIGHTS

One folder of images per class. It searches for so many seconds over depth, width, and learning rate of a plain network,
prints the test accuracy, and writes the weights. `benchmarks/others.py` counts its lines.
"""

import sys
from pathlib import Path

import numpy as np
import optuna
import torch
from PIL import Image
from sklearn.model_selection import train_test_split
from torch import nn

SIDE, EPOCHS = 32, 5


def images_of(folder):
    classes = sorted(path.name for path in Path(folder).iterdir() if path.is_dir())
    files = [(path, label) for label, name in enumerate(classes) for path in sorted(Path(folder, name).iterdir())]
    pixels = [np.asarray(Image.open(path).convert("RGB").resize((SIDE, SIDE))) for path, _ in files]
    x = torch.tensor(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255
    return (x - x.mean()) / x.std(), torch.tensor([label for _, label in files]), classes


def network(depth, width, classes):
    layers, channels = [], 3
    for level in range(depth):
        layers += [nn.Conv2d(channels, width << level, 3, padding=1), nn.BatchNorm2d(width << level), nn.ReLU()]
        layers, channels = [*layers, nn.MaxPool2d(2)], width << level
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def trained(net, x, y, rate):
    optimizer = torch.optim.SGD(net.parameters(), rate, momentum=0.9, weight_decay=5e-4)
    net.train()
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(64):
            loss = nn.functional.cross_entropy(net(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net.eval()


@torch.no_grad()
def accuracy(net, x, y):
    return float(np.mean([(net(image[None]).argmax() == label).item() for image, label in zip(x, y, strict=True)]))


def main():
    folder, seconds, weights = sys.argv[1:]
    x, y, classes = images_of(folder)
    rest, test = train_test_split(np.arange(len(y)), test_size=0.2, stratify=y, random_state=0)
    train, valid = train_test_split(rest, test_size=0.25, stratify=y[rest], random_state=0)

    def objective(trial):
        net = network(trial.suggest_int("depth", 2, 4), trial.suggest_int("width", 8, 32, step=8), len(classes))
        rate = trial.suggest_float("rate", 1e-3, 1e-1, log=True)
        return accuracy(trained(net, x[train], y[train], rate), x[valid], y[valid])

    study = optuna.create_study(
        study_name="images", storage="sqlite:///images.db", direction="maximize", load_if_exists=True
    )
    study.optimize(objective, timeout=float(seconds))
    best = study.best_params
    net = trained(network(best["depth"], best["width"], len(classes)), x[rest], y[rest], best["rate"])
    print("test accuracy", accuracy(net, x[test], y[test]))
    torch.save(net.state_dict(), weights)


if __name__ == "__main__":
    main()

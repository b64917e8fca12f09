"""Arrays of pixels; words as one-hot vectors, as embeddings, and averaged."""

import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

import limpide as lp
from limpide.figures import plots
from limpide.figures.picture import Table
from limpide.i18n import _, format_decimal
from limpide.labs import show

# %% grey
digits = lp.open_source("digits")
pixels = np.asarray(digits.inputs)
show(
    _("shape of all pictures: {shape}").format(shape=pixels.shape),
    "\n".join(" ".join(f"{value:3.0f}" for value in row) for row in pixels[0, 0]),
    plots.images(
        "digits",
        _("The first ten digits"),
        _("Each is an array of 8 × 8 shades from 0, black, to 255, white."),
        [(str(digits.target[i]), pixels[i, 0]) for i in range(10)],
    ),
)

# %% colour
across, down = np.meshgrid(np.linspace(0, 1, 32), np.linspace(0, 1, 32))
red = np.where((across - 0.5) ** 2 + (down - 0.5) ** 2 < 0.12, 255, 30)
green, blue = 200 * down, 255 * across
picture = np.stack([red, green, blue], axis=2).round().astype(np.uint8)
planes = [(name, picture[:, :, k]) for k, name in enumerate((_("red"), _("green"), _("blue")))]
show(
    plots.images(
        "planes",
        _("A picture and its three planes"),
        _("Light where there is much of a colour."),
        [(_("picture"), picture / 255), *planes],
        per_row=4,
    )
)


# %% axes
def through_a_file(array):
    """The array as it comes back from a PNG file: as Pillow reads it, and as limpide gives it to a network."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        Image.fromarray(array).save(path)
        with Image.open(path) as image:
            read = np.asarray(image)
        return read, np.asarray(lp.open_source(path, need_target=False).inputs)[0]


rows = []
for name, array in ((_("colour"), picture[:20]), (_("grey"), picture[:20, :, 0])):
    read, given = through_a_file(array)
    rows.append((name, " × ".join(map(str, read.shape)), " × ".join(map(str, given.shape))))
show(Table((_("picture"), _("as Pillow reads it"), _("as a network takes it")), tuple(rows)))

# %% order
rng = np.random.default_rng(0)
x, y = pixels, np.asarray(digits.target)
places = rng.permutation(64)
shuffled = x.reshape(-1, 64)[:, places].reshape(x.shape)
rows = []
for name, network in ((_("dense"), "32 relu"), (_("convolution"), "conv 8 3x3 relu, maxpool 2, flatten, 32 relu")):
    means = []
    for images in (x, shuffled):
        how = {"network": network, "epochs": 5, "rate": 0.01, "patience": 0, "save": False, "baselines": False}
        runs = [lp.train((images, y), seed=seed, **how) for seed in range(3)]
        means.append(float(np.mean([run.test.main.value for run in runs])))
    rows.append((name, *means))
show(Table((_("network"), _("accuracy"), _("with the pixels shuffled")), tuple(rows)))

# %% words
praise = _("good tasty warm fresh friendly lovely").split()
blame = _("bad bland cold stale rude awful").split()
dishes = _("soup bread fish rice tea cake").split()
the, was, also, no = _("the was and not").split()


def write(rng, n, negated=0.0):
    """Reviews of three remarks each, and whether at least two of the three are praise."""
    texts, labels = [], []
    for _review in range(n):
        is_praise = rng.random(3) < 0.5
        remarks = []
        for good in is_praise:
            turned = rng.random() < negated
            word = rng.choice(praise if good != turned else blame)
            remarks.append(f"{the} {rng.choice(dishes)} {was} {no + ' ' if turned else ''}{word}")
        texts.append(f" {also} ".join(remarks))
        labels.append(int(is_praise.sum() >= 2))
    return texts, np.array(labels)


rng = np.random.default_rng(0)
texts, labels = write(rng, 400)
show(*(f"{label}  {text}" for text, label in zip(texts[:4], labels)))

# %% one_hot
vocabulary = sorted({the, was, also, no, *praise, *blame, *dishes})
number = {word: i for i, word in enumerate(vocabulary)}


def one_hots(text):
    """A row for each word: 1 at its number, 0 elsewhere."""
    return np.eye(len(vocabulary))[[number[word] for word in text.split()]]


def averaged(texts):
    """The mean of the rows of each text: how often each word comes, as a share."""
    return np.stack([one_hots(text).mean(axis=0) for text in texts])


first = one_hots(texts[0])
show(
    _("{n} words in all; the first review has the shape {shape}").format(n=len(vocabulary), shape=first.shape),
    _("its second word, {word}, stands at number {place}").format(word=texts[0].split()[1], place=first[1].argmax()),
    _("averaged: {shape}").format(shape=averaged(texts[:1])[0].shape),
)

# %% embedding
model = lp.NetworkClassifier(
    f"{len(vocabulary)}, 2 no bias, 1",
    epochs=60,
    rate=0.03,
    validation=0,
    standardise=False,
    engine="numpy",
    random_state=0,
)
model.fit(averaged(texts), labels)
table = model.weights_["0.dense.W"]
shorter = np.abs(first @ table - table[[number[word] for word in texts[0].split()]]).max()
new_texts, new_labels = write(rng, 400)
show(
    _("table of embeddings: {shape}").format(shape=table.shape),
    _("one-hot times table less row of the table: {gap}").format(gap=f"{shorter:g}"),
    _("accuracy on 400 new reviews: {share}").format(
        share=format_decimal(model.score(averaged(new_texts), new_labels), 3)
    ),
    plots.scatter(
        "embedding",
        _("Where the words went"),
        _("The two learned numbers of each word. Nobody told the network which words praise."),
        _("first number"),
        _("second number"),
        {
            name: table[[number[word] for word in words]].T
            for name, words in (
                (_("praise"), praise),
                (_("blame"), blame),
                (_("other words"), [the, was, also, no, *dishes]),
            )
        },
    ),
)


# %% company
def counts_together(texts, reach=2):
    """How often each word stands within reach of each other one."""
    counts = np.zeros((len(vocabulary), len(vocabulary)))
    for text in texts:
        words = [number[word] for word in text.split()]
        for i, word in enumerate(words):
            for other in words[max(0, i - reach) : i]:
                counts[word, other] += 1
                counts[other, word] += 1
    return counts


def neighbours(vectors, word, n=3):
    """The words whose vectors point most nearly the same way."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    nearness = unit @ unit[number[word]]
    return [vocabulary[i] for i in nearness.argsort()[::-1] if i != number[word]][:n]


mixed, mixed_labels = write(rng, 400, negated=0.5)
counts = counts_together(mixed)
left, sizes, _right = np.linalg.svd(np.log1p(counts))
vectors = left[:, :4] * sizes[:4]
show(
    Table(
        (_("word"), _("its nearest words")),
        tuple((word, ", ".join(neighbours(vectors, word))) for word in (dishes[0], dishes[3], praise[0], blame[1])),
    )
)


# %% order_of_words
def pairs(texts):
    """How often each pair of neighbouring words comes."""
    known = {(a, b): i for i, (a, b) in enumerate((a, b) for a in vocabulary for b in vocabulary)}
    counted = np.zeros((len(texts), len(known)))
    for row, text in zip(counted, texts):
        words = text.split()
        for pair in pairwise(words):
            row[known[pair]] += 1
    return counted


later, later_labels = write(rng, 400, negated=0.5)
rows = [(_("averaged, trained without negations"), float(model.score(averaged(later), later_labels)))]
for name, encode in ((_("averaged"), averaged), (_("pairs of words"), pairs)):
    other = lp.NetworkClassifier(
        "2 no bias, 1", epochs=60, rate=0.03, validation=0, standardise=False, engine="numpy", random_state=0
    )
    other.fit(encode(mixed), mixed_labels)
    rows.append((name, float(other.score(encode(later), later_labels))))
show(Table((_("what the network reads"), _("accuracy with negations")), tuple(rows)))

"""Programs around a loss, of the forms that training code has: classes, frameworks, helpers, closures, options."""

from __future__ import annotations

from dataclasses import dataclass

HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\nfrom torch import optim\n\n"


@dataclass(frozen=True)
class Program:
    """A program, and what its gradient grows with.

    Attributes:
        name: what it shows.
        text: the program, without the imports.
        samples: the exponent in samples.
        function: where it begins.
        end: what ends it.
        update: the exponent of the first update, None if none is expected.
        site: the text of the site, empty for the first loss.
    """

    name: str
    text: str
    samples: float
    function: str = "train"
    end: str = "backward"
    update: float | None = None
    site: str = ""

    @property
    def source(self) -> str:
        """The whole program."""
        return HEAD + self.text


PROGRAMS = (
    Program(
        "a criterion of the trainer",
        """\
class Trainer:
    def __init__(self, model, lr=0.1):
        self.model = model
        self.criterion = nn.MSELoss(reduction="sum")
        self.optimizer = optim.SGD(self.model.parameters(), lr=lr)

    def step(self, batch):
        inputs, targets = batch
        self.optimizer.zero_grad()
        loss = self.criterion(self.model(inputs), targets)
        loss.backward()
        self.optimizer.step()
""",
        1,
        "Trainer.step",
        update=1,
    ),
    Program(
        "a module of Lightning",
        """\
import pytorch_lightning as pl

class Model(pl.LightningModule):
    def __init__(self, width):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(width, 10), nn.ReLU())
        self.loss = nn.CrossEntropyLoss(reduction="sum")

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, batch_idx):
        x, y = batch
        logits = self(x)
        loss = self.loss(logits, y)
        self.log("loss", loss)
        return {"loss": loss, "logits": logits}

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-3)
""",
        1,
        "Model.training_step",
        "return",
        update=0,
    ),
    Program(
        "the loss of a trainer of transformers",
        """\
class MyTrainer(Trainer):
    def compute_loss(self, model, inputs, return_outputs=False):
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        logits = outputs.get("logits")
        loss = F.cross_entropy(logits.view(-1, self.model.config.num_labels), labels.view(-1), reduction="sum")
        return (loss, outputs) if return_outputs else loss
""",
        1,
        "MyTrainer.compute_loss",
        "return",
    ),
    Program(
        "a scaler of gradients",
        """\
def train(model, loader, optimizer, scaler):
    criterion = nn.L1Loss(reduction="sum")
    for batch in loader:
        x, y = batch["image"].cuda(), batch["target"].cuda()
        with torch.autocast(device_type="cuda"):
            loss = criterion(model(x), y) / x.shape[0]
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1e9)
        scaler.step(optimizer)
        scaler.update()
""",
        0,
    ),
    Program(
        "an accelerator",
        """\
def train(model, loader, optimizer, accelerator):
    for step, batch in enumerate(loader):
        with accelerator.accumulate(model):
            loss = F.mse_loss(model(batch["x"]), batch["y"], reduction="sum")
            accelerator.backward(loss)
            optimizer.step()
""",
        1,
    ),
    Program(
        "a table of losses",
        """\
LOSSES = {"l1": nn.L1Loss, "mse": nn.MSELoss}

def make(name, **options):
    return LOSSES[name](**options)

def train(model, loader, optimizer):
    criterion = make("mse", reduction="sum")
    for x, y in loader:
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
""",
        1,
        site="LOSSES[name](**options)",
    ),
    Program(
        "a partial and a lambda",
        """\
from functools import partial

base = partial(F.binary_cross_entropy_with_logits, reduction="none")

def train(model, loader, optimizer):
    scale = lambda loss, n: loss.sum() / n
    for x, y in loader:
        loss = scale(base(model(x), y), len(x))
        loss.backward()
        optimizer.step()
""",
        0,
    ),
    Program(
        "a base class that makes the loss",
        """\
class Base(nn.Module):
    reduction = "sum"

    def __init__(self, weight=1.0):
        super().__init__()
        self.weight = weight
        self.criterion = nn.SmoothL1Loss(reduction=self.reduction)

    def compute(self, a, b):
        return self.weight * self.criterion(a, b)

class Child(Base):
    def __init__(self, weight):
        super().__init__(weight=weight)

    def forward(self, a, b):
        return self.compute(a, b) / a.size(0)

def train(model, loader, optimizer):
    loss_fn = Child(0.5)
    for x, y in loader:
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
""",
        0,
    ),
    Program(
        "a dataclass and keyword arguments",
        """\
from dataclasses import dataclass

@dataclass
class Config:
    reduction: str = "sum"
    weight: float = 2.0

def objective(outputs, targets, *, config, **unused):
    return config.weight * F.mse_loss(outputs, targets, reduction=config.reduction)

def train(model, loader, optimizer, config=Config()):
    for x, y in loader:
        kwargs = {"config": config, "other": 1}
        loss = objective(model(x), y, **kwargs)
        loss.backward()
        optimizer.step()
""",
        1,
    ),
    Program(
        "a closure around the loss",
        """\
def make_loss(reduction):
    total = 0

    def compute(a, b):
        nonlocal total
        total = total + 1
        return F.mse_loss(a, b, reduction=reduction)

    return compute

def train(model, loader, optimizer):
    criterion = make_loss("sum")
    for x, y in loader:
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
""",
        1,
    ),
    Program(
        "views with written sizes",
        """\
def train(model, loader, optimizer):
    for data, _ in loader:
        recon, mu, logvar = model(data)
        bce = F.binary_cross_entropy(recon, data.view(-1, 784), reduction="sum")
        kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
        loss = bce + kld
        loss.backward()
        optimizer.step()
""",
        1,
    ),
    Program(
        "language model with shifted labels",
        """\
def train(model, loader, optimizer, vocab_size):
    criterion = nn.CrossEntropyLoss(ignore_index=-100, reduction="sum")
    for batch in loader:
        logits = model(batch["input_ids"]).logits
        shifted = logits[..., :-1, :].contiguous()
        labels = batch["labels"][..., 1:].contiguous()
        loss = criterion(shifted.view(-1, shifted.size(-1)), labels.view(-1))
        loss.backward()
        optimizer.step()
""",
        1,
    ),
    Program(
        "pixels and exact ranks",
        """\
def train(model, loader, optimizer):
    for image, mask in loader:
        out = model(image)
        b, c, h, w = out.shape
        loss = F.cross_entropy(out.permute(0, 2, 3, 1).reshape(-1, c), mask.reshape(-1), reduction="sum") / b
        loss.backward()
        optimizer.step()
""",
        0,
    ),
    Program(
        "dice by hand",
        """\
def dice(pred, target, eps=1.0):
    pred = torch.sigmoid(pred).flatten(1)
    target = target.flatten(1)
    inter = (pred * target).sum(1)
    return 1 - (2 * inter + eps) / (pred.sum(1) + target.sum(1) + eps)

def train(model, loader, optimizer):
    for x, y in loader:
        loss = dice(model(x), y).sum()
        loss.backward()
        optimizer.step()
""",
        1,
    ),
    Program(
        "policy gradient with a loop",
        """\
def train(policy, optimizer, rewards, log_probs):
    losses = []
    for log_prob, reward in zip(log_probs, rewards):
        losses.append(-log_prob * reward)
    loss = torch.stack(losses).sum()
    loss.backward()
    optimizer.step()
""",
        1,
    ),
    Program(
        "noise is repeated",
        """\
def train(model, loader, optimizer):
    for x, _ in loader:
        noise = torch.randn_like(x)
        t = torch.rand(x.size(0), 1)
        pred = model(x * (1 - t) + noise * t)
        loss = F.mse_loss(pred, noise, reduction="mean")
        loss.backward()
        optimizer.step()
""",
        0,
    ),
    Program(
        "a network is not looked into",
        """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 20, 5)
        self.fc = nn.Linear(320, 10)

    def forward(self, x):
        x = torch.relu(self.conv(x))
        x = x.view(-1, 320)
        return self.fc(x)

model = Net().cuda()
optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.5)

def train(loader):
    model.train()
    for data, target in loader:
        optimizer.zero_grad()
        loss = F.nll_loss(F.log_softmax(model(data), dim=1), target, reduction="sum")
        loss.backward()
        optimizer.step()
""",
        1,
        update=1,
    ),
    Program(
        "the body of a module",
        """\
from data import loader, model

optimizer = optim.SGD(model.parameters(), lr=1e-6)
criterion = nn.MSELoss(reduction="sum")
for t in range(2000):
    for x, y in loader:
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
""",
        1,
        "",
        update=1,
    ),
    Program(
        "micro-batches in a loop of their own",
        """\
def train(model, loader, optimizer, accumulation_steps):
    for epoch in range(10):
        optimizer.zero_grad()
        for micro in range(accumulation_steps):
            x, y = next(iter(loader))
            loss = F.mse_loss(model(x), y, reduction="sum")
            loss.backward()
        optimizer.step()
""",
        1,
    ),
    Program(
        "learning rate by batch size",
        """\
def train(model, loader, args):
    optimizer = optim.SGD(model.parameters(), lr=args.lr / args.batch_size, momentum=0.9)
    for epoch in range(args.epochs):
        for x, y in loader:
            optimizer.zero_grad()
            loss = ((model(x) - y) ** 2).sum()
            loss.backward()
            optimizer.step()
""",
        1,
        update=0,
    ),
    Program(
        "a loss derived from one of torch",
        """\
class SumLoss(nn.MSELoss):
    def __init__(self):
        super().__init__(reduction="sum")

class PerSample(nn.L1Loss):
    def forward(self, a, b):
        return super().forward(a, b) * 2

def train(model, loader, optimizer):
    criterion, other = SumLoss(), PerSample()
    for x, y in loader:
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
""",
        1,
        site="super().__init__(reduction='sum')",
    ),
    Program(
        "two networks of one kind",
        """teacher, student = nn.Linear(16, 10), nn.Linear(16, 10)

def train(loader, optimizer):
    for x in loader:
        with torch.no_grad():
            target = F.softmax(teacher(x) / 2.0, dim=-1)
        loss = F.kl_div(F.log_softmax(student(x) / 2.0, dim=-1), target, reduction="sum")
        loss.backward()
        optimizer.step()
""",
        1,
    ),
    Program(
        "lengths that make a mask",
        """def train(model, loader, optimizer):
    for x, y, lengths in loader:
        mask = torch.arange(x.size(1)) < lengths[:, None]
        error = F.mse_loss(model(x), y, reduction="none").squeeze(-1)
        loss = (error * mask).sum() / mask.sum()
        loss.backward()
        optimizer.step()
""",
        0,
    ),
    Program(
        "a batch that is moved by its names",
        """\
def train(model, loader, optimizer, device):
    criterion = nn.CrossEntropyLoss(reduction="none")
    for data in loader:
        data = {key: value.to(device) for key, value in data.items()}
        out = model(data["ids"])
        error = criterion(out.transpose(1, 2), data["label"])
        loss = (error * data["mask"]).sum() / data["mask"].sum()
        loss.backward()
        optimizer.step()
""",
        0,
    ),
    Program(
        "supervised contrast",
        """def train(model, loader, optimizer):
    for x, labels in loader:
        features = F.normalize(model(x), dim=1)
        similarity = features @ features.t() / 0.1
        mask = torch.eq(labels.view(-1, 1), labels.view(1, -1)).float()
        log_prob = similarity - torch.logsumexp(similarity, dim=1, keepdim=True)
        loss = (-(mask * log_prob).sum(1) / mask.sum(1)).mean()
        loss.backward()
        optimizer.step()
""",
        0,
    ),
    Program(
        "the entry of each row that was taken",
        """\
def train(policy, memory, optimizer):
    for batch in memory:
        q = policy(batch.state).gather(1, batch.action)
        loss = F.smooth_l1_loss(q, batch.expected, reduction="sum")
        loss.backward()
        optimizer.step()
""",
        1,
    ),
    Program(
        "gradients that are divided, and the size of the input is read",
        """\
def train(model, loader):
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        loss = F.mse_loss(model(x), y, reduction="sum")
        optimizer.zero_grad()
        loss.backward()
        for _, p in model.named_parameters():
            if p.grad is not None:
                p.grad.data.mul_(1.0 / x.size(0))
        optimizer.step()
""",
        0,
    ),
    Program(
        "gradients in the groups of an optimizer",
        """\
def train(model, loader):
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        loss = F.mse_loss(model(x), y, reduction="sum")
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            for p in group["params"]:
                p.grad /= x.size(0)
        optimizer.step()
""",
        0,
    ),
    Program(
        "gradients whose data are replaced",
        """\
def train(model, loader):
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        loss = F.mse_loss(model(x), y, reduction="sum")
        optimizer.zero_grad()
        loss.backward()
        for p in model.parameters():
            p.grad.data = p.grad.data / x.size(0)
        optimizer.step()
""",
        0,
    ),
    Program(
        "a learning rate of a group",
        """\
def train(model, loader):
    optimizer = optim.SGD([{"params": model.parameters(), "lr": 0.1 / batch_size}], lr=0.01)
    for x, y in loader:
        loss = F.mse_loss(model(x), y, reduction="sum")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
""",
        1,
        update=0,
    ),
    Program(
        "a number of different labels",
        """\
def train(model, loader, optimizer):
    for x, y in loader:
        loss = F.cross_entropy(model(x), y, reduction="sum") / len(set(y.tolist()))
        loss.backward()
        optimizer.step()
""",
        1,
    ),
)

"""Every stack's own way of training: each function returns the seconds of every epoch's training, and the last loss.

What a fair user would write and no more: the high-level loop and loader of the stack, progress bars, logging and
checkpoints off, nothing tuned but what the name says.
"""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

from benchmarks.workload import LEARNING_RATE, Workload

Timed = tuple[list[float], float]  # seconds of each epoch, mean loss of the last one (nan where the stack keeps none)


def gnomon_with(
    allocator: str, *, own_module: bool = False, threads: int | None = None
) -> Callable[[Workload, int], Timed]:
    """`gnomon.fit` with the network named by settings, or with the module that the other torch stacks train.

    allocator="keep" is what the command line does; threads=None lets gnomon's table choose.
    """

    def run(work: Workload, epochs: int) -> Timed:
        import gnomon
        from gnomon.training import loop

        inputs, labels = work.data()
        seconds: list[float] = []
        judge_epoch, began = loop._end_epoch, time.perf_counter()

        def timed(*args: Any) -> Any:
            # everything since the epoch began counts (shuffling, batches, steps); judging dev has no peer here
            nonlocal began
            seconds.append(time.perf_counter() - began)
            answer = judge_epoch(*args)
            began = time.perf_counter()
            return answer

        loop._end_epoch = timed

        class FromTheFirstStep:
            def on_phase(self, text: str) -> None: ...
            def on_step(self, epoch: int, batch: int, num_batches: int, loss: float) -> None: ...
            def on_epoch(self, row: Any) -> None: ...
            def on_nudge(self, row: Any) -> None: ...

            def on_ready(self, _ready: Any) -> None:
                nonlocal began
                began = time.perf_counter()

        with tempfile.TemporaryDirectory() as folder:
            run = gnomon.fit(
                (inputs, labels),
                **({"model": work.build_torch()} if own_module else work.gnomon),
                epochs=epochs,
                batch_size=work.batch,
                threads=threads,
                optimiser="adam",
                learning_rate=LEARNING_RATE,
                schedule="constant",
                augment="none",
                weight_decay=0.0,
                dev=0.02,
                test=0,
                allocator=allocator,
                save_every=3600,
                runs_folder=folder,
                follower=FromTheFirstStep(),
            )
            trained_on = run.folder.load_data()["splits"]["train"]
            loss = run.history[-1]["train_loss"]
        return [second * work.rows / trained_on for second in seconds], loss  # as if of all rows

    return run


def lightning(work: Workload, epochs: int) -> Timed:
    import lightning
    import torch
    from torch.nn.functional import cross_entropy

    class Net(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = work.build_torch()

        def training_step(self, batch: Any, _index: int) -> torch.Tensor:
            inputs, labels = batch
            return cross_entropy(self.net(inputs), labels)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), LEARNING_RATE)

    class Timer(lightning.Callback):
        def __init__(self) -> None:
            self.seconds: list[float] = []
            self.last = float("nan")

        def on_train_epoch_start(self, *_: Any) -> None:
            self.began = time.perf_counter()

        def on_train_batch_end(self, _trainer: Any, _module: Any, outputs: Any, *_: Any) -> None:
            self.last = outputs["loss"]

        def on_train_epoch_end(self, *_: Any) -> None:
            self.seconds.append(time.perf_counter() - self.began)

    timer = Timer()
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[timer],
    )
    trainer.fit(Net(), _loader(work))
    return timer.seconds, float(timer.last)


def keras_on(backend: str) -> Callable[[Workload, int], Timed]:
    def run(work: Workload, epochs: int) -> Timed:
        os.environ["KERAS_BACKEND"] = backend
        import keras

        class Timer(keras.callbacks.Callback):
            def __init__(self) -> None:
                super().__init__()
                self.seconds: list[float] = []

            def on_epoch_begin(self, *_: Any) -> None:
                self.began = time.perf_counter()

            def on_epoch_end(self, *_: Any) -> None:
                self.seconds.append(time.perf_counter() - self.began)

        inputs, labels = work.data()
        model = work.build_keras(keras, work.keras_shape)
        timer = Timer()
        inputs = inputs.reshape(-1, *work.keras_shape)
        history = model.fit(inputs, labels, batch_size=work.batch, epochs=epochs, verbose=0, callbacks=[timer])
        return timer.seconds, history.history["loss"][-1]

    return run


def skorch(work: Workload, epochs: int) -> Timed:
    import torch
    from skorch import NeuralNetClassifier
    from skorch.callbacks import Callback

    class Timer(Callback):
        def initialize(self) -> Any:
            self.seconds: list[float] = []
            return self

        def on_epoch_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.perf_counter()

        def on_epoch_end(self, *_: Any, **__: Any) -> None:
            self.seconds.append(time.perf_counter() - self.began)

    inputs, labels = work.data()
    timer = Timer()
    net = NeuralNetClassifier(
        work.build_torch(),
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=LEARNING_RATE,
        batch_size=work.batch,
        max_epochs=epochs,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
        callbacks=[timer],
    )
    net.fit(_channels_first(work, inputs), labels)
    return timer.seconds, net.history[-1, "train_loss"]


def scikit_learn(work: Workload, epochs: int) -> Timed:
    """It calls nobody at the end of an epoch: one epoch first, then the others together, going on where it was."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    assert work.hidden_of_scikit_learn is not None
    inputs, labels = work.data()
    inputs = inputs.reshape(len(inputs), -1)
    net = MLPClassifier(
        work.hidden_of_scikit_learn,
        batch_size=work.batch,
        learning_rate_init=LEARNING_RATE,
        alpha=0.0,
        max_iter=1,
        tol=0.0,
        n_iter_no_change=epochs + 1,
        warm_start=True,
    )
    seconds = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for number in (1, epochs - 1):
            began = time.perf_counter()
            net.set_params(max_iter=number).fit(inputs, labels)
            seconds += [(time.perf_counter() - began) / number] * number
    return seconds, net.loss_


def tutorial(work: Workload, epochs: int) -> Timed:
    """The loop of PyTorch's quick start: DataLoader, Adam, a look at the loss every hundred batches."""
    import torch
    from torch.nn.functional import cross_entropy

    model, loader = work.build_torch(), _loader(work)
    optimiser = torch.optim.Adam(model.parameters(), LEARNING_RATE)
    seconds, value = [], float("nan")
    for _epoch in range(epochs):
        began = time.perf_counter()
        model.train()
        for i, (inputs, labels) in enumerate(loader):
            loss = cross_entropy(model(inputs), labels)
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()
            if i % 100 == 0:
                value = loss.item()
        seconds.append(time.perf_counter() - began)
    return seconds, value


def by_hand(*, threads: int, keep: bool) -> Callable[[Workload, int], Timed]:
    """The best loop one writes by hand: tensors in memory, one gather a batch, fused Adam, channels-last.

    `keep`: glibc told to hold on to freed memory, as gnomon's command line does.
    """

    def run(work: Workload, epochs: int) -> Timed:
        import torch
        from torch.nn.functional import cross_entropy

        if keep:
            from gnomon.training.allocator import keep_freed_memory

            keep_freed_memory()
        torch.set_num_threads(threads)
        inputs, labels = _tensors(work)
        model = work.build_torch()
        if inputs.ndim == 4:
            model = model.to(memory_format=torch.channels_last)
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        optimiser = torch.optim.Adam(model.parameters(), LEARNING_RATE, fused=True)
        seconds, value = [], float("nan")
        for _epoch in range(epochs):
            began = time.perf_counter()
            for indices in torch.randperm(len(labels)).split(work.batch):
                loss = cross_entropy(model(inputs[indices]), labels[indices])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            value = loss.item()
            seconds.append(time.perf_counter() - began)
        return seconds, value

    return run


def _tensors(work: Workload) -> Any:
    import torch

    inputs, labels = work.data()
    return torch.from_numpy(_channels_first(work, inputs)), torch.from_numpy(labels)


def _channels_first(work: Workload, inputs: Any) -> Any:
    """As torch takes pictures, in an array of its own."""
    if inputs.ndim == 4:
        return inputs.transpose(0, 3, 1, 2).copy()
    return inputs.reshape(-1, *work.torch_shape)


def _loader(work: Workload) -> Any:
    from torch.utils.data import DataLoader, TensorDataset

    return DataLoader(TensorDataset(*_tensors(work)), batch_size=work.batch, shuffle=True)


STACKS: dict[str, Callable[[Workload, int], Timed]] = {
    "gnomon": gnomon_with("keep"),
    "gnomon, 2 threads": gnomon_with("keep", threads=2),
    "gnomon, your module": gnomon_with("keep", own_module=True),
    "gnomon, allocator=system": gnomon_with("system"),
    "Lightning": lightning,
    "Keras, torch": keras_on("torch"),
    "Keras, JAX": keras_on("jax"),
    "skorch": skorch,
    "scikit-learn": scikit_learn,
    "tutorial PyTorch loop": tutorial,
    "by hand, 1 thread": by_hand(threads=1, keep=False),
    "by hand, 2 threads": by_hand(threads=2, keep=False),
    "by hand, 1 thread, keep": by_hand(threads=1, keep=True),
    "by hand, 2 threads, keep": by_hand(threads=2, keep=True),
}
NEEDS = {
    "Lightning": "lightning",
    "Keras, torch": "keras",
    "Keras, JAX": "jax",
    "skorch": "skorch",
    "scikit-learn": "sklearn",
}

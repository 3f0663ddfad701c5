"""Breaks the textbook's secure computation, homomorphic encryption and split learning; the rest of its classes are
broken in `test_docs_textbook.py`. Statistical tests state their false-alarm rate where reticent draws real shares.
"""

from __future__ import annotations

import random
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from reticent import he, mpc, split
from reticent.data import Examples
from reticent.errors import PolicyRefused, UsageError
from reticent.messages import encode

# --- SecureMultiPartyComputation ----------------------------------------------------------------------------


def last_shares(draw: Any, secret: int, count: int) -> Any:
    return np.array([int(draw(secret)[-1]) for _ in range(count)], dtype=np.uint64)


def test_the_last_share_tells_the_secret(textbook: ModuleType) -> None:
    """Shares from 0 to 99: whoever holds the last one knows a salary to within 200, every time."""
    random.seed(0)
    scheme = textbook.SecureMultiPartyComputation(parties=3)
    for salary in (40_000, 90_000):
        seen = [scheme.share_secret(salary)[-1] for _ in range(1000)]
        assert all(0 <= salary - share <= 198 for share in seen)


def test_the_last_share_of_reticent_is_uniform_whatever_the_secret() -> None:
    """Chi-square of the upper byte of 20,000 shares, for each of two secrets. False alarm 1e-6 each."""
    for secret in (40_000, 90_000):
        high = last_shares(lambda value: mpc.share(value, parties=3), secret, 20_000) >> np.uint64(56)
        counts = np.bincount(high.astype(np.int64), minlength=256)
        assert stats.chisquare(counts).pvalue > 1e-6


def test_products_of_shares_are_no_shares_of_the_product(textbook: ModuleType) -> None:
    """6 times 7 in 1000 tries: hardly ever 42. reticent refuses without a triple, is right with one, and uses it once."""
    random.seed(1)
    scheme = textbook.SecureMultiPartyComputation(parties=3)
    products = [
        scheme.reconstruct(scheme.multiply(scheme.share_secret(6), scheme.share_secret(7))) for _ in range(1000)
    ]
    assert np.mean(np.array(products) == 42) < 0.01
    a, b = mpc.share(6), mpc.share(7)
    with pytest.raises(UsageError) as missing:
        mpc.multiply(a, b)
    assert missing.value.code == "triple-missing"
    triple = mpc.triple(parties=3)
    assert mpc.reconstruct(mpc.multiply(a, b, triple=triple)) == 42
    with pytest.raises(PolicyRefused) as again:
        mpc.multiply(a, a, triple=triple)
    assert again.value.code == "triple-reused"


def test_floating_point_shares_show_large_secrets_and_lose_small_ones(textbook: ModuleType) -> None:
    """No spread is right: a narrow one shows that a secret is large, a wide one rounds a small secret away."""
    random.seed(2)
    scheme = textbook.SecureMultiPartyComputation(parties=3)
    assert scheme.share_float(1e12)[-1] == pytest.approx(1e12, rel=0.01)
    assert abs(scheme.reconstruct(scheme.share_float(0.1, spread=1e18)) - 0.1) > 0.05

    def same(session: mpc.Session) -> Any:
        return session.input("x", owner=0, shape=(2,)).reveal(to="all")

    outputs, _ = mpc.run_local(same, inputs=[{"x": np.array([1e6, 0.1])}, {}, {}])
    np.testing.assert_allclose(outputs, [1e6, 0.1], rtol=0, atol=2**-17)


# --- HomomorphicEncryption ----------------------------------------------------------------------------------

VALUES, SHIFT, WEIGHTS = [1.0, 2.0, 3.0], [1.0, 1.0, 1.0], [[1.0, 0.5], [2.0, 0.25], [3.0, 1.0]]
TRUTH = (np.array(VALUES) + SHIFT) @ WEIGHTS


@pytest.fixture
def guide(textbook: ModuleType) -> Any:
    """The textbook's class, with the arguments that TenSEAL really has."""
    pytest.importorskip("tenseal")
    found = textbook.HomomorphicEncryption(poly_modulus_degree=8192)
    found.prepare()
    return found


def test_the_guides_call_of_tenseal_does_not_exist(textbook: ModuleType) -> None:
    """There is no `poly_size`; and with the right name, encryption stops where no global scale was set."""
    pytest.importorskip("tenseal")
    with pytest.raises(TypeError, match="poly_size"):
        textbook.HomomorphicEncryption(poly_size=8192)
    with pytest.raises(ValueError, match="no global scale"):
        textbook.HomomorphicEncryption(poly_modulus_degree=8192).encrypt(VALUES)


def test_a_layer_after_a_plain_addition_is_wrong(guide: Any) -> None:
    """TenSEAL issue 462: the list is not repeated through the slots as the vector is. reticent's layout is tracked."""
    wrong = guide.layer(guide.encrypt(VALUES), SHIFT, WEIGHTS).decrypt()
    assert np.abs(wrong - TRUTH).max() > 0.1
    context = he.context(depth=2, bound=100.0, precision=1e-3)
    right = (context.encrypt(VALUES) + SHIFT) @ np.array(WEIGHTS)
    np.testing.assert_allclose(right.decrypt(), TRUTH, rtol=0, atol=1e-3)


def test_a_server_with_the_secret_key_reads_everything(guide: Any) -> None:
    """The serialised context holds the key. Here the evaluator's side has none, and a key cannot be made a message."""
    import tenseal

    message = guide.encrypt(VALUES).serialize()
    server = tenseal.context_from(guide.for_the_server())
    np.testing.assert_allclose(tenseal.ckks_vector_from(server, message).decrypt(), VALUES, atol=1e-3)
    context = he.context(depth=2, bound=100.0, precision=1e-3)
    with pytest.raises(PolicyRefused) as reading:
        _ = context.evaluator().client
    assert reading.value.code == "no-secret-key"
    with pytest.raises(PolicyRefused) as sending:
        encode(context.client)
    assert sending.value.code == "secret-key-on-wire"


# --- SplitNetwork, SplitClient, SplitServer -----------------------------------------------------------------


def rows(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(count, 4)).astype(np.float32))
    return features, (features.sum(1) > 1).long()


def test_an_activation_function_has_no_backward(textbook: ModuleType) -> None:
    """`relu.backward` does not exist; the tensor that was sent is what runs backward."""
    network = textbook.SplitNetwork()
    with pytest.raises(AttributeError, match="backward"):
        network.backward_lower(torch.ones(1, 8))


def test_a_graph_across_the_cut_counts_the_gradient_twice_or_never(textbook: ModuleType) -> None:
    """In one process the server's backward already trains the client, and the client's own makes it twice. Over a wire
    the graph is gone, and the server has nothing to return.
    """
    features, labels = rows(20)
    truth = textbook.SplitNetwork()
    nn.functional.cross_entropy(truth.top(truth.lower(features)), labels).backward()
    network = textbook.SplitNetwork()
    client, server = textbook.SplitClient(network), textbook.SplitServer(network)
    client.backward(server.step(*client.forward(features, labels)))
    torch.testing.assert_close(network.bottom.weight.grad, 2 * truth.bottom.weight.grad)
    sent, _ = client.forward(features, labels)
    with pytest.raises(RuntimeError, match="retain_grad"):
        server.step(torch.from_numpy(sent.detach().numpy().copy()), labels)


def train_split(features: torch.Tensor, labels: torch.Tensor, model: nn.Module, **settings: Any) -> list[Any]:
    """Train one epoch of one batch by reticent in a U-shape; returns (phase, direction, bytes) of all messages."""
    seen: list[Any] = []
    bottom, middle, head = split.cut(model, at=("1", "2"))
    sgd = split.Optimizer(learning_rate=0.1)
    told = split.SplitTraining(
        shape="u-shape",
        sites=("north",),
        start="given",
        order="public",
        epochs=1,
        batch_size=len(features),
        classes=2,
        bottom_optimizer=sgd,
        server_optimizer=sgd,
        head_optimizer=sgd,
    )
    client = split.Client((bottom, head), Examples.of(features.numpy(), labels.numpy()), told, site="north", **settings)
    server = split.Server(middle, told)
    split.simulate({"north": client}, server, witness=lambda phase, _, way, body: seen.append((phase, way, body)))
    return seen


def three_layers() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.Linear(8, 2))


def test_a_split_step_of_reticent_is_an_unsplit_step() -> None:
    """The same weights, bit for bit, and what crossed are arrays in messages."""
    features, labels = rows(20)
    model, whole = three_layers(), three_layers()
    seen = train_split(features, labels, model)
    (batch,) = split.epoch_batches(
        20,
        split.SplitTraining(
            shape="u-shape", sites=("north",), start="given", order="public", epochs=1, batch_size=20, classes=2
        ),
        epoch=1,
        site="north",
    )
    optimizer = torch.optim.SGD(whole.parameters(), lr=0.1)
    nn.functional.cross_entropy(whole(features[batch]), labels[batch]).backward()
    optimizer.step()
    for found, wanted in zip(model.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=0)
    assert len(seen) >= 4


def test_the_server_reads_rows_and_labels_that_were_called_anonymous(textbook: ModuleType) -> None:
    """It knows the first weights (one seed for all) and solves for the rows; the labels come along anyway."""
    features, labels = rows(20)
    network = textbook.SplitNetwork(width=32)
    activations, sent_labels = textbook.SplitClient(network).forward(features, labels)
    assert torch.equal(sent_labels, labels)
    weight, bias = network.bottom.weight.detach(), network.bottom.bias.detach()
    for row, activation in zip(features, activations.detach(), strict=True):
        lit = activation > 0
        found = torch.linalg.lstsq(weight[lit], (activation - bias)[lit][:, None]).solution[:, 0]
        torch.testing.assert_close(found, row, rtol=1e-3, atol=1e-3)


def test_gradients_tell_the_labels_that_stayed_at_home(textbook: ModuleType) -> None:
    """Also where labels do not travel: the direction of a row's gradient names its class. reticent says so: measured."""
    features, labels = rows(200)
    network = textbook.SplitNetwork()
    activations = network.lower(features).detach().requires_grad_()
    nn.functional.cross_entropy(network.top(activations), labels).backward()
    assert activations.grad is not None
    report = split.leakage(gradients=activations.grad.numpy(), labels=labels.numpy(), measured_on="rows")
    assert report.label_auc_direction is not None
    assert report.label_auc_direction > 0.95
    assert "measured, no guarantee" in report.words()

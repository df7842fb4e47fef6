"""JAX: one step of the MLP by hand, in a process that does nothing else."""

from __future__ import annotations

from typing import Any

from benchmarks.starting.process import contestant

__all__ = ["contestant"]


def main() -> None:
    """Trains a step."""
    import jax
    import jax.numpy as jnp

    from benchmarks.starting.process import example

    first, second = jax.random.split(jax.random.key(0))
    p = [jax.random.normal(first, (784, 64)) * 0.05, jnp.zeros(64), jax.random.normal(second, (64, 10)) * 0.1, jnp.zeros(10)]

    def loss_of(p: list[Any], x: Any, y: Any) -> Any:
        logits = jax.nn.relu(x @ p[0] + p[1]) @ p[2] + p[3]
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1))

    @jax.jit
    def train_step(p: list[Any], momenta: list[Any], images: Any, labels: Any) -> Any:
        x, y = images.reshape(-1, 784).astype(jnp.float32) / 255.0, labels.astype(jnp.int32)
        loss, gradients = jax.value_and_grad(loss_of)(p, x, y)
        momenta = [0.95 * m + g for m, g in zip(momenta, gradients, strict=True)]
        return [w - 0.001 * (g + 0.95 * m) for w, g, m in zip(p, gradients, momenta, strict=True)], momenta, loss

    float(train_step(p, [jnp.zeros_like(w) for w in p], *example())[2])
    print("trained", flush=True)


if __name__ == "__main__":
    main()

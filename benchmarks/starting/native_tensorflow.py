"""TensorFlow: one step of the MLP as its manual shows it, in a process that does nothing else."""

from __future__ import annotations

from benchmarks.starting.process import contestant

__all__ = ["contestant"]


def main() -> None:
    """Trains a step."""
    import tensorflow as tf

    from benchmarks.starting.process import example

    layers = tf.keras.layers
    net = tf.keras.Sequential([layers.Flatten(), layers.Dense(64, "relu"), layers.Dense(10)])
    optimizer = tf.keras.optimizers.SGD(0.001, 0.95, nesterov=True)

    @tf.function
    def train_step(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = net(tf.cast(images, tf.float32) / 255.0, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(labels, tf.int32), logits))
        gradients = tape.gradient(loss, net.trainable_variables)
        optimizer.apply_gradients(zip(gradients, net.trainable_variables, strict=True))
        return loss

    float(train_step(*map(tf.constant, example())))
    print("trained", flush=True)


if __name__ == "__main__":
    main()

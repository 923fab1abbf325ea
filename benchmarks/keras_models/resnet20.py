import keras
from keras import layers


def conv(x, filters, kernel_size=3, strides=1):
    return layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        kernel_initializer="he_normal",
        kernel_regularizer=keras.regularizers.L2(1e-4),
    )(x)


def residual_block(x, filters, strides=1):
    shortcut = x
    if strides != 1:
        shortcut = conv(x, filters, kernel_size=1, strides=strides)
    x = conv(x, filters, strides=strides)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(x)
    x = conv(x, filters)
    x = layers.BatchNormalization()(x)
    x = layers.Add()([shortcut, x])
    return layers.Activation("relu")(x)


inputs = keras.Input(shape=(32, 32, 3))
x = conv(inputs, 16)
x = layers.BatchNormalization()(x)
x = layers.Activation("relu")(x)
for stack, filters in enumerate([16, 32, 64]):
    for block in range(3):
        downsample = stack > 0 and block == 0
        x = residual_block(x, filters, strides=2 if downsample else 1)
x = layers.AveragePooling2D(pool_size=8)(x)
x = layers.Flatten()(x)
outputs = layers.Dense(10, activation="softmax", kernel_initializer="he_normal")(x)
model = keras.Model(inputs, outputs)
model.compile(
    optimizer=keras.optimizers.Adam(learning_rate=1e-3),
    loss="categorical_crossentropy",
    metrics=["accuracy"],
)

import keras
from keras import layers


def double_conv(x, filters):
    x = layers.Conv2D(
        filters, 3, padding="same", activation="relu", kernel_initializer="he_normal"
    )(x)
    x = layers.Conv2D(
        filters, 3, padding="same", activation="relu", kernel_initializer="he_normal"
    )(x)
    return x


def downsample(x, filters, dropout=0):
    skip = double_conv(x, filters)
    x = layers.Dropout(dropout)(skip) if dropout else skip
    x = layers.MaxPooling2D(2)(x)
    return skip, x


def upsample(x, skip, filters):
    x = layers.Conv2DTranspose(filters, 2, strides=2, padding="same")(x)
    x = layers.Concatenate()([x, skip])
    return double_conv(x, filters)


inputs = keras.Input(shape=(128, 128, 3))
skip1, x = downsample(inputs, 64)
skip2, x = downsample(x, 128)
skip3, x = downsample(x, 256)
skip4, x = downsample(x, 512, dropout=0.5)
x = double_conv(x, 1024)
x = layers.Dropout(0.5)(x)
x = upsample(x, skip4, 512)
x = upsample(x, skip3, 256)
x = upsample(x, skip2, 128)
x = upsample(x, skip1, 64)
outputs = layers.Conv2D(1, 1, activation="sigmoid")(x)
model = keras.Model(inputs, outputs)
model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])

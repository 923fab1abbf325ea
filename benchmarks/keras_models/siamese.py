import keras
from keras import layers, ops

embedding_network = keras.Sequential(
    [
        keras.Input(shape=(28, 28, 1)),
        layers.BatchNormalization(),
        layers.Conv2D(4, (5, 5), activation="tanh"),
        layers.AveragePooling2D(pool_size=(2, 2)),
        layers.Conv2D(16, (5, 5), activation="tanh"),
        layers.AveragePooling2D(pool_size=(2, 2)),
        layers.Flatten(),
        layers.BatchNormalization(),
        layers.Dense(10, activation="tanh"),
    ]
)

input_1 = keras.Input(shape=(28, 28, 1))
input_2 = keras.Input(shape=(28, 28, 1))
tower_1 = embedding_network(input_1)
tower_2 = embedding_network(input_2)
distance = ops.abs(layers.Subtract()([tower_1, tower_2]))
x = layers.BatchNormalization()(distance)
outputs = layers.Dense(1, activation="sigmoid")(x)
model = keras.Model([input_1, input_2], outputs)
model.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=["accuracy"])
